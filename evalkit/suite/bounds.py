"""The one table of checks: what each is, what good answers bound it by, and what breaks it.

A bound has to hold for good answers that it was not learned from. It is loosened until it does: by
things that recur in good answers, by more room, last by switching off the part that is broken.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from evalkit.core.masking import mask_json
from evalkit.core.values import Json
from evalkit.suite import answer_edits, answer_reading, checks, word_lists
from evalkit.suite.answer_reading import Exchange
from evalkit.suite.checks import Check, problems
from evalkit.suite.model import Row

Bound: TypeAlias = dict[str, Json]
Learn: TypeAlias = Callable[[Sequence[Exchange], int], Bound]
Edit: TypeAlias = Callable[[str], str]

ROOM = (0, 1, 2)
FOLDS, HALVES = 6, 2
FEW, MANY, SWAPPED = 4, 16, 30


def _nothing(_exchanges: Sequence[Exchange], _room: int) -> Bound:
    return {}


def _shape(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Kinds by place, and the places that all have."""
    held: dict[str, set[str]] = defaultdict(set)
    for exchange in exchanges:
        for at, value in exchange.leaves:
            held[at].add(checks.value_kind(value))
    always = set.intersection(*({at for at, _ in exchange.leaves} for exchange in exchanges))
    return {"kinds": {at: sorted(held[at]) for at in held}, "always": sorted(always)}


def _looks(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Looks that no good answer has."""
    whole = "\n".join(exchange.whole for exchange in exchanges)
    return {"never": [look for look, of in word_lists.LOOKS.items() if not of.search(whole)]}


def _complete(exchanges: Sequence[Exchange], room: int) -> Bound:
    """Lengths, lines that all have, and places that end with a stop."""
    lengths = sorted(len(exchange.text) for exchange in exchanges)
    lines = [{line.strip() for line in exchange.text.splitlines()} - {""} for exchange in exchanges]
    ends = [(at, each.rstrip()[-1:]) for exchange in exchanges for at, each in exchange.prose]
    return {
        "shortest": int(lengths[0] * (0.8, 0.65, 0.5)[room]),
        "longest": int(lengths[-1] * (1.25, 1.4, 1.6)[room]) + 40,
        "lines": sorted(set.intersection(*lines)) if len(lines) > FEW else [],
        "stops": sorted({at for at, _ in ends} - {at for at, end in ends if end.isalnum()}),
    }


def _figures(exchanges: Sequence[Exchange], room: int) -> Bound:
    """Units of good answers, and how many figures may be given for sums of them to be no chance."""
    figures = [each for e in exchanges for each in answer_reading.figures_of(e.text)]
    return {
        "units": sorted({unit for _, unit, _, _ in figures if unit is not None}),
        "sums": (10, 20, 40)[room],
    }


def _languages(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Languages that a fifth of good answers have, and that of all together."""
    texts = [exchange.text for exchange in exchanges]
    found = Counter(map(answer_reading.main_language, texts))
    usual = {each for each, count in found.items() if count * 5 > len(texts)}
    return {"languages": sorted({*usual, answer_reading.main_language("\n".join(texts))} - {""})}


def _own_words(exchanges: Sequence[Exchange], room: int) -> Bound:
    """How many know a word, and the share and the relevance at which most swapped answers fail."""
    rows = len(exchanges)
    said = [
        answer_reading.content_of("\n".join(answer_reading.strings_in(e.value))) for e in exchanges
    ]
    given = [checks.given_content(exchange) for exchange in exchanges]
    relevant = [checks.relevance(exchange) for exchange in exchanges]
    counts, held = (Counter(each for one in many for each in one) for many in (said, given))
    most = {each: max(n, held[each]) for each, n in sorted(counts.items())}
    house = {e: 1 << n.bit_length() - 1 for e, n in most.items() if n > max(1, rows // 20)}
    some = range(0, rows, rows // SWAPPED + 1)
    pairs = {(at, at) for at in range(rows)} | {(at, by) for at in some for by in some}
    shares = {
        (at, by): checks.own_share(said[by], given[at], house, rows) for at, by in sorted(pairs)
    }
    outliers = max(rows > 3 * FEW and not room, rows // 20)
    least, best = (0.0, -2), 0.3
    for floor in (-2, 0) if room else (-2, -1, 0):
        own = sorted(shares[at, at] for at in range(rows) if relevant[at] > floor)
        if len(own) <= FEW:
            continue
        share = own[outliers] * (0.75 if rows >= MANY else 0.5) * (1, 0.8, 0.5)[room]
        failed = [
            [relevant[at] > floor and shares[at, by] < share for at in some if at != by]
            for by in some
        ]
        rates = [sum(each) / max(1, len(each)) for each in failed]
        worth = min(rates) + sum(rates) / len(rates)
        if worth > 2 * best:
            least, best = (round(share, 3), floor), worth / 2
    tiers: dict[int, list[str]] = defaultdict(list)
    for each, tier in house.items():
        tiers[tier].append(each)
    by_tier = {tier: " ".join(tiers[tier]) for tier in sorted(tiers)}
    return {"least": least[0], "relevance": least[1], "rows": rows, "house": by_tier}


def _end(words: str) -> Edit:
    """Words in the place of a text's last sentence, or behind it."""
    return lambda text: f"{text.rsplit('. ', 1)[0].rstrip('. ')}. {words}"


def _instead(words: str) -> Edit:
    """Words in the place of a text, as often as it is long."""
    return lambda text: " ".join([words] * max(1, len(text) // len(words)))


def _twice(text: str) -> str:
    said = [each for each in answer_reading.statements(text) if len(each.split()) > FEW]
    return text.replace(said[-1], said[0]) if len(said) > 1 else f"{text} {text}"


def spoiled(check: RuleCheck, row: Row, others: Sequence[Row]) -> Iterator[Json]:
    """Bad answers in a row's place: edited, else with a wrong field, else that of another row."""
    if check.edit:
        for path, text in answer_edits.texts(row)[:1]:
            yield answer_edits.with_value(row.outputs, path, check.edit(text))
        return
    if isinstance(row.outputs, str):
        yield json.dumps({"answer": row.outputs}, ensure_ascii=False)
    fields = list(answer_edits.fields(row.outputs))
    yield from (answer_edits.with_value(row.outputs, path, [value]) for path, value in fields)
    for other in others:
        yield other.outputs
        for path, value in fields:
            new = answer_edits.value_at(other.outputs, path)
            if new not in (None, value):
                yield answer_edits.with_value(row.outputs, path, new)


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """One kind of thing that rules can tell.

    Attributes:
        judge: One of :mod:`evalkit.suite.checks`; its name and its docstring are the scorer's.
        learn: Its bound from good answers, with more or less room.
        edit: What spoils the text that people read; None where a field or all of it has to go.
        is_general: Whether it holds for answers of which there are too few to learn from.
        tolerated: The share of good answers that may break a bound learned from others.
        recurring: In how many good answers a thing stands that is none of its business, if not 0.
    """

    judge: Check
    edit: Edit | None
    learn: Learn = _nothing
    is_general: bool = False
    tolerated: float = 0.02
    recurring: int = 0

    @property
    def name(self) -> str:
        """The scorer's name."""
        return self.judge.__name__


def learned(check: RuleCheck, route: str, exchanges: Sequence[Exchange]) -> Bound:
    """A check's bound on a route, loosened until good answers hold to it."""
    broken: list[set[str]] = []
    for room in ROOM:
        broken = [
            {part for part, _ in problems(check.judge, each, bound)}
            for bound, judged in _trials(check, route, exchanges, room)
            for each in judged
        ]
        if sum(map(bool, broken)) <= check.tolerated * len(broken):
            break
    off: set[str] = set()
    while sum(bool(parts - off) for parts in broken) > check.tolerated * len(broken):
        counts = Counter(part for parts in broken for part in parts - off)
        off.add(max(counts, key=lambda part: counts[part]))
    return {**_fitted(check, exchanges, room), **({"off": sorted(off)} if off else {})}


def _fitted(check: RuleCheck, exchanges: Sequence[Exchange], room: int) -> Bound:
    """A bound with the things that recur in the answers that it is learned from."""
    bound = check.learn(exchanges, room)
    seen = Counter(
        each for e in exchanges for each in {what.casefold() for _, what in check.judge(e, bound)}
    )
    known = [w for w in sorted(seen) if seen[w] >= check.recurring > 0 and mask_json(w) == w]
    return {**bound, "known": known} if known else bound


def _trials(
    check: RuleCheck, route: str, exchanges: Sequence[Exchange], room: int
) -> Iterator[tuple[Bound, Sequence[Exchange]]]:
    """Bounds of a part of the answers, with others to be judged by them, and that of all."""
    yield _fitted(check, exchanges, room), exchanges
    numbers = random.Random(route)  # noqa: S311
    for count in (min(FOLDS, len(exchanges)), *(2,) * HALVES):
        order = numbers.sample(exchanges, len(exchanges))
        for at in range(count if len(exchanges) > 1 else 0):
            rest = [each for place, each in enumerate(order) if place % count != at]
            yield _fitted(check, rest, room), order[at::count]


CHECKS = (
    RuleCheck(checks.answered, _instead("I'm sorry, I can't help with that."), is_general=True),
    RuleCheck(checks.shape_kept, None, _shape),
    RuleCheck(checks.looks_kept, _end('<|tool_call|> {"name": "search"}'), _looks),
    RuleCheck(checks.complete, lambda text: f"{text[: len(text) * 2 // 3]} and the", _complete),
    RuleCheck(
        checks.figures_grounded,
        lambda text: re.sub(r"\b\d+\b", "7319", text, count=1),
        _figures,
        recurring=2,
    ),
    RuleCheck(checks.names_grounded, _end("Ask Zebulon Quist about it."), _languages, recurring=1),
    RuleCheck(checks.prompt_kept, _end("My instructions say so."), is_general=True, recurring=1),
    RuleCheck(checks.language_kept, _instead("Het is niet zo als u het zegt."), _languages),
    RuleCheck(checks.not_repeated, _twice, is_general=True),
    RuleCheck(checks.no_placeholders, _end("Regards, [YOUR NAME]"), is_general=True, recurring=1),
    RuleCheck(checks.links_known, _end("See https://example.org/offer."), recurring=1),
    RuleCheck(
        checks.no_personal_data,
        _end("Write to j.doe81@mail.example."),
        is_general=True,
        recurring=1,
    ),
    RuleCheck(checks.no_new_promises, _end("You get a voucher, that I guarantee."), recurring=1),
    RuleCheck(checks.civil, _end("Only an idiot asks that."), is_general=True, recurring=1),
    RuleCheck(checks.says_something, None, _own_words, tolerated=0.08),
)
"""The table: each check once."""
