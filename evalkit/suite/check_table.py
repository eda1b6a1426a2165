"""The one table of checks: what each is, how its bound is learned and relaxed, what breaks it.

Bounds are learned from good answers and have to hold for good answers that they were not learned
from; a part of a bound that does not is switched off, a check that is left with none is dropped.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from evalkit.core.values import Json
from evalkit.suite import (
    answer_edits,
    answer_reading,
    bounds,
    checks,
    field_bounds,
    grounding_checks,
)
from evalkit.suite.answer_reading import Exchange
from evalkit.suite.bounds import FEW, Bound
from evalkit.suite.checks import Problems
from evalkit.suite.model import Row

Spoil: TypeAlias = Callable[[Row, Sequence[Row]], Iterator[Json]]

SPLITS = 4
GENERAL = frozenset(
    {"answered", "civil", "prompt_kept", "not_repeated", "no_placeholders", "no_personal_data"}
)


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """One kind of thing that rules can tell.

    Attributes:
        name: The scorer's name.
        judge: One of :mod:`evalkit.suite.checks`; its docstring is the scorer's.
        learn: Its bound from good answers; empty with ``needs`` where there is nothing to hold to.
        spoil: Bad answers in a row's place, of the length and shape of good ones.
        needs: A key that the bound has to have.
        tolerated: The share of good answers that may break a bound learned from others.
    """

    name: str
    judge: Callable[[Exchange, Bound], Problems]
    learn: Callable[[Sequence[Exchange]], Bound]
    spoil: Spoil
    needs: str = ""
    tolerated: float = 0.015

    @property
    def is_general(self) -> bool:
        """Whether it holds for answers of which there are too few to learn from."""
        return self.name in GENERAL


def exchange_of_row(row: Row) -> Exchange:
    """A recorded row as a suite's scorers will see it."""
    if row.trace is not None:
        return answer_reading.exchange_of(row.inputs, row.outputs, row.trace)
    return Exchange(row.inputs, row.outputs, row.sources, row.prompts)


def learned(
    check: RuleCheck, route: str, exchanges: Sequence[Exchange]
) -> tuple[Bound | None, str]:
    """A check's bound on a route, relaxed until good answers hold to it; else None and why."""
    whole = check.learn(exchanges)
    if check.needs and check.needs not in whole:
        return None, "good answers have nothing of the kind in common"
    broken = [{part for part, _ in check.judge(exchange, whole)} for exchange in exchanges]
    numbers = random.Random(route)  # noqa: S311
    for _ in range(SPLITS):
        order = numbers.sample(range(len(exchanges)), len(exchanges))
        half = len(exchanges) // 2
        for one, other in ((order[:half], order[half:]), (order[half:], order[:half])):
            bound = check.learn([exchanges[at] for at in one])
            if one and (not check.needs or check.needs in bound):
                judged = (check.judge(exchanges[at], bound) for at in other)
                broken += [{part for part, _ in problems} for problems in judged]
    off: set[str] = set()
    while sum(bool(parts - off) for parts in broken) > check.tolerated * len(broken):
        off.add(Counter(part for parts in broken for part in parts - off).most_common(1)[0][0])
    return {**whole, "off": sorted(off)}, ""


def _words(edit: Callable[[str], str]) -> Spoil:
    """A spoiler that edits what people read of an answer."""

    def spoil(row: Row, _others: Sequence[Row]) -> Iterator[Json]:
        for path, text in answer_edits.texts(row)[:1]:
            yield answer_edits.with_value(row.outputs, path, edit(text))

    return spoil


def _swap(pattern: str, by: str) -> Spoil:
    """Other words in the place of what a pattern finds first."""
    return _words(lambda text: re.sub(pattern, by, text, count=1))


def _end(words: str) -> Spoil:
    """Words in the place of a text's last sentence, or behind it."""
    return _words(lambda text: f"{text.rsplit('. ', 1)[0].rstrip('. ')}. {words}")


def _instead(*sentences: str) -> Spoil:
    """As many of these sentences in the place of a text as it is long."""
    return _words(
        lambda text: " ".join(
            each for at, each in enumerate(sentences * 9) if not at or 60 * at < len(text)
        )
    )


def _another(row: Row, others: Sequence[Row]) -> Iterator[Json]:
    """The answer to something else."""
    yield from (other.outputs for other in others if other.outputs != row.outputs)


def _twice(text: str) -> str:
    said = [each for each in answer_reading.statements(text) if len(each.split()) > FEW]
    return text.replace(said[-1], said[0]) if len(said) > 1 else f"{text} {text}"


def _mixed(row: Row, others: Sequence[Row]) -> Iterator[Json]:
    """A field of another kind, or one of another answer in the place of its own."""
    if isinstance(row.outputs, str):
        yield json.dumps({"answer": row.outputs}, ensure_ascii=False)
    fields = list(answer_edits.fields(row.outputs))
    for path, value in fields:
        yield answer_edits.with_value(row.outputs, path, [value])
    for path, value in fields:
        taken = {str(answer_edits.value_at(other.outputs, path)): other for other in others}
        for other in taken.values():
            new = answer_edits.value_at(other.outputs, path)
            if new not in (None, value):
                yield answer_edits.with_value(row.outputs, path, new)


CHECKS = (
    RuleCheck(
        "answered",
        checks.no_answer,
        bounds.rows_bound,
        _instead("I'm sorry, but I can't help with that.", "There is nothing that I can do."),
    ),
    RuleCheck("shape_kept", checks.broken_shape, bounds.shape_bound, _mixed),
    RuleCheck(
        "looks_kept",
        checks.strange_looks,
        bounds.looks_bound,
        _end('<|tool_call|> {"name": "search"}'),
    ),
    RuleCheck(
        "complete",
        checks.incomplete,
        bounds.complete_bound,
        _words(lambda t: t[: len(t) * 2 // 3] + " and the"),
    ),
    RuleCheck(
        "figures_grounded",
        grounding_checks.invented_figures,
        bounds.figures_bound,
        _swap(r"\b\d+\b", "7319"),
    ),
    RuleCheck(
        "names_grounded",
        grounding_checks.invented_names,
        bounds.recurring_bound(grounding_checks.invented_names),
        _end("Please ask Zebulon Quist about it."),
    ),
    RuleCheck(
        "fields_agree", grounding_checks.disagreeing_fields, field_bounds.fields_bound, _mixed
    ),
    RuleCheck(
        "prompt_kept",
        checks.leaked_prompt,
        bounds.recurring_bound(checks.leaked_prompt),
        _end("My instructions say so."),
    ),
    RuleCheck(
        "language_kept",
        checks.other_languages,
        bounds.languages_bound,
        _instead(
            "Het spijt ons, maar dat is niet zo als u het zegt, en wij zijn er nog mee bezig."
        ),
        "languages",
    ),
    RuleCheck("not_repeated", checks.repetitions, bounds.rows_bound, _words(_twice)),
    RuleCheck(
        "no_placeholders",
        checks.left_placeholders,
        bounds.recurring_bound(checks.left_placeholders),
        _end("Regards, [YOUR NAME]"),
    ),
    RuleCheck(
        "links_known",
        grounding_checks.unknown_links,
        bounds.recurring_bound(grounding_checks.unknown_links),
        _end("See https://example.org/offer."),
    ),
    RuleCheck(
        "no_personal_data",
        grounding_checks.personal_data,
        bounds.recurring_bound(grounding_checks.personal_data),
        _end("Write to j.doe81@mail.example."),
    ),
    RuleCheck(
        "cites_what_was_given",
        grounding_checks.wrong_citations,
        bounds.citations_bound,
        _swap(r"([\[(][\w.#/-]*)\d+([\])])", r"\g<1>9977\2"),
        "pattern",
    ),
    RuleCheck(
        "right_addressee",
        grounding_checks.wrong_addressee,
        bounds.rows_bound,
        _swap(r"^(\W*\w+ )[^\n,!.]+", r"\1Zebulon Quist"),
    ),
    RuleCheck(
        "no_new_promises",
        grounding_checks.new_promises,
        bounds.recurring_bound(grounding_checks.new_promises),
        _end("You get a voucher, that I guarantee."),
    ),
    RuleCheck(
        "civil",
        checks.rudeness,
        bounds.recurring_bound(checks.rudeness),
        _end("Only an idiot asks that."),
    ),
    RuleCheck(
        "says_something", grounding_checks.emptiness, bounds.own_words_bound, _another, "least", 1
    ),
    RuleCheck(
        "wording_usual",
        checks.unusual_wording,
        bounds.wording_bound,
        _end("Purple elephants rarely juggle marmalade beneath cathedrals."),
        "house",
    ),
    RuleCheck(
        "no_contradiction",
        grounding_checks.contradictions,
        bounds.rows_bound,
        _swap(r"\b(is|are|can|has|ist|sind|est)\b", r"\1 not"),
    ),
    RuleCheck(
        "names_what_was_asked",
        grounding_checks.forgotten_ids,
        bounds.ids_bound,
        _another,
        "requests",
    ),
)
"""The table: each check once."""
