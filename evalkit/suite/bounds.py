"""The one table of checks: what each is, where it applies, its bound, and an answer that breaks it.

Bounds are learned from good answers and have to hold for good answers that they were not learned
from; a part of a bound that does not is switched off, a check that is left with none is dropped.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeAlias

from evalkit.core.values import Json
from evalkit.suite import answer_edits, checks, word_lists
from evalkit.suite.checks import Case, Problems
from evalkit.suite.model import Row

Bound: TypeAlias = dict[str, Any]
Spoil: TypeAlias = Callable[[Row, Sequence[Row]], Iterator[Json]]

SPLITS = 4
FEW = 4
MANY = 30
SHORT = 40
SWAPPED = 30


def _recurring(judge: Callable[[Case, Bound], Problems]) -> Callable[[Sequence[Case]], Bound]:
    """Bounds of a check for things from nowhere: those that stand in several good answers."""

    def learn(cases: Sequence[Case]) -> Bound:
        empty = {"known": (), "units": ()}
        seen = Counter(why for case in cases for why in {w for _, w in judge(case, empty)})
        quoted = (re.search(r"""(['"])(.+?)\1""", why) for why, n in seen.items() if n > 1)
        return {"known": sorted({found[2].casefold() for found in quoted if found})}

    return learn


def _figures(cases: Sequence[Case]) -> Bound:
    units = {unit for case in cases for _, unit, _, _ in checks.figures(case.text) if unit}
    return {**_recurring(checks.invented_figures)(cases), "units": sorted(units)}


def _nothing(_cases: Sequence[Case]) -> Bound:
    return {}


def _shape(cases: Sequence[Case]) -> Bound:
    held: dict[str, list[Any]] = defaultdict(list)
    for case in cases:
        for at, value in case.leaves:
            held[at].append(value)
    places = {}
    for at, values in held.items():
        kinds = {checks.kind_of(value) for value in values}
        place: Bound = {
            "kinds": sorted(kinds),
            "always": all(at in dict(case.leaves) for case in cases),
        }
        written = [value for value in values if isinstance(value, str)]
        labels = set(written)
        if written and not any(map(checks.is_prose, written)):
            outlines = Counter(map(checks.outline, written))
            if len(written) > FEW and min(Counter(written).values()) > 1:
                place["labels"] = sorted(labels)
            elif len(outlines) <= max(1, len(written) // 8):
                place["form"] = sorted(outlines)
        elif kinds <= {"int", "float"} and len(values) > FEW:
            low, high = min(values), max(values)
            place["range"] = [low - (high - low), high + (high - low)]
        places[at] = place
    return {"places": places, "names": sorted({name for case in cases for name in case.names})}


def _looks(cases: Sequence[Case]) -> Bound:
    counts = {
        look: sum(bool(pattern.search(case.whole)) for case in cases)
        for look, pattern in word_lists.LOOKS.items()
    }
    return {
        "never": [
            look
            for look, count in counts.items()
            if not count and (len(cases) >= MANY or look not in word_lists.ORDINARY)
        ],
        "always": [look for look, count in counts.items() if count == len(cases)],
    }


def _fields(cases: Sequence[Case]) -> Bound:
    values = [dict(case.leaves) for case in cases]
    places = sorted({at for each in values for at in each if at})
    names = sorted({str(n) for c in cases if isinstance(c.inputs, Mapping) for n in c.inputs})
    candidates = [
        "what was given",
        "the text",
        "the language of the request",
        *(f"inputs.{name}" for name in names),
    ]
    relations = []
    for at in places:
        held = [
            (c, str(v[at])) for c, v in zip(cases, values, strict=True) if v.get(at) is not None
        ]
        short = [(c, v) for c, v in held if len(v) < SHORT and v not in {"True", "False"}]
        if len(short) < 2 * FEW:
            continue
        for relation in candidates:
            bound = {"relations": [(at, relation)], "sets": [], "markers": []}
            if _means_something(relation, short) and not any(
                True for case, _ in short for _ in checks.disagreeing_fields(case, bound)
            ):
                relations.append((at, relation))
    return {
        "relations": relations,
        "sets": _sets(values, places),
        "markers": [
            each
            for at in places
            for where in ("text", "request")
            if (each := _markers(cases, values, at, where))
        ],
    }


def _means_something(relation: str, held: Sequence[tuple[Case, str]]) -> bool:
    """Whether a relation of a field could have been otherwise."""
    if relation == "the text":
        return all(case.text for case, _ in held)
    if relation == "the language of the request":
        return all(value in word_lists.STOPWORDS or len(value) == 2 for _, value in held)  # noqa: PLR2004
    if relation == "what was given":
        return len({value for _, value in held}) > 1
    return sum(relation[7:] in case.inputs for case, _ in held) >= FEW


def _sets(values: Sequence[Mapping[str, Any]], places: Iterable[str]) -> list[tuple[Any, ...]]:
    """Which labels go with another field being set, or not."""
    found = []
    for at in places:
        labels = Counter(str(each[at]) for each in values if isinstance(each.get(at), str))
        for label, count in labels.items():
            if count < FEW or len(labels) > 12:  # noqa: PLR2004
                continue
            for other in places:
                states = {
                    each.get(other) is not None for each in values if str(each.get(at)) == label
                }
                everywhere = {each.get(other) is not None for each in values}
                if len(states) == 1 and len(everywhere) > 1:
                    found.append((at, label, other, states.pop()))
    return found


def _markers(
    cases: Sequence[Case], values: Sequence[Mapping[str, Any]], at: str, where: str
) -> tuple[str, str, dict[str, list[str]]] | None:
    """Words of the text or the request that stand with one label only."""
    labels = Counter(str(each[at]) for each in values if isinstance(each.get(at), str | bool))
    if not 1 < len(labels) <= 12:  # noqa: PLR2004
        return None
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for case, each in zip(cases, values, strict=True):
        for stem in checks.stems(case.text if where == "text" else case.request):
            seen[stem][str(each.get(at))] += 1
    marks: dict[str, list[str]] = {label: [] for label in labels}
    for stem, counts in sorted(seen.items()):
        (label, count), *more = counts.most_common()
        chance = (labels[label] / len(values)) ** count if label in marks else 1
        if not more and count > 2 and chance < 0.01:  # noqa: PLR2004
            marks[label].append(stem)
    return (at, where, marks) if any(marks.values()) else None


def _languages(cases: Sequence[Case]) -> Bound:
    found = Counter(filter(None, (checks.language(case.text) for case in cases)))
    usual = sorted(each for each, count in found.items() if count * 5 > len(cases))
    return {"languages": usual} if usual else {}


def _citations(cases: Sequence[Case]) -> Bound:
    """Ids of which the sources hold some and good answers cite some, by their form."""
    forms: Counter[str] = Counter()
    for case in cases:
        held = {
            w for w in re.findall(r"[\w.#/-]*\d[\w.#-]*", case.sources) if re.search(r"[A-Za-z]", w)
        }
        cited = (
            set(re.findall(r"[\[(]([\w.#/-]*[A-Za-z][\w.#/-]*\d[\w.#-]*)[\])]", case.text)) & held
        )
        forms.update({checks.outline(each) for each in cited})
    common = [form for form, count in forms.items() if count * 2 > len(cases)]
    if not common:
        return {}
    pattern = re.escape(common[0]).replace("A", r"[A-Za-z]+").replace("9", r"\d+")
    return {"pattern": rf"\b{pattern}\b"}


def _own_words(cases: Sequence[Case]) -> Bound:
    """The threshold, and how relevant sources must be, at which most answers of others fail."""
    told = [checks.content("\n".join(checks.strings_in(case.value))) for case in cases]
    given = [checks.content(f"{case.request}\n{case.sources}") for case in cases]
    said, held = (Counter(each for one in many for each in one) for many in (told, given))
    most = {each: max(said[each], held[each]) for each in said}
    shared = {each: n for each, n in sorted(most.items()) if n > max(1, 0.05 * len(cases))}
    own = [checks.own_share(case, shared, len(cases)) for case in cases]
    relevant = [checks.relevance(case) for case in cases]
    others = [
        (relevant[at], checks.own_share(_with_value(cases[at], cases[other]), shared, len(cases)))
        for at in range(min(len(cases), SWAPPED))
        for other in range(min(len(cases), SWAPPED))
        if at != other
    ]
    best: tuple[float, Bound] = (0.3, {})
    for allowed in range(int(0.05 * len(cases)) + 1):
        for least_relevant in (-2, -1, 0):
            shares = sorted(s for s, r in zip(own, relevant, strict=True) if r > least_relevant)
            least = (
                (0.75 if len(cases) >= MANY else 0.65) * shares[allowed]
                if len(shares) > max(FEW, 2 * allowed)
                else 0
            )
            failed = sum(r > least_relevant and share < least for r, share in others)
            worth = failed / max(1, len(others)) - 0.05 * allowed
            bound = {"least": round(least, 3), "relevance": least_relevant, "rows": len(cases)}
            best = max(best, (worth, bound), key=lambda each: each[0])
    return {**best[1], "shared": shared} if best[1] else {}


def _with_value(case: Case, other: Case) -> Case:
    """A case with the answer of another."""
    changed = copy(case)
    changed.value = other.value
    return changed


def _wording(cases: Sequence[Case]) -> Bound:
    seen = Counter(stem for case in cases for stem in checks.stems(case.text))
    shares, worst = [], []
    for case in cases:
        own = checks.stems(case.text)
        others = {stem for stem, count in seen.items() if count - (stem in own) > 1}
        share, sentence = checks.new_words(case, others)
        shares.append(share)
        worst.append(sentence)
    return {
        "share": round(min(1.0, 1.2 * max(shares) + 0.05), 3),
        "sentence": round(min(1.0, 1.05 * max(worst) + 0.05), 3) if len(cases) >= MANY else 1.0,
        "house": sorted(stem for stem, count in seen.items() if count > 1),
    }


def _complete(cases: Sequence[Case]) -> Bound:
    lengths = sorted(len(case.text) for case in cases)
    lines = [{line.strip() for line in case.text.splitlines()} - {""} for case in cases]
    common = set.intersection(*lines) if len(cases) > FEW else set()
    spread = lengths[-1] / max(1, lengths[0])
    return {
        "shortest": int(lengths[0] * (0.8 if spread < 3 else 0.6)),  # noqa: PLR2004
        "longest": int(lengths[-1] * (1.25 if spread < 3 else 1.6)) + 40,  # noqa: PLR2004
        "lines": sorted(line for line in common if len(line) > FEW),
        "stops": sorted(
            {at for case in cases for at, _ in case.prose}
            - {at for case in cases for at, each in case.prose if each.rstrip()[-1:].isalnum()}
        ),
    }


@dataclass(frozen=True, slots=True)
class Check:
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
    judge: Callable[[Case, Bound], Problems]
    learn: Callable[[Sequence[Case]], Bound]
    spoil: Spoil
    needs: str = ""
    tolerated: float = 0.015


def case_of_row(row: Row) -> Case:
    """A recorded row as a suite's scorers will see it."""
    if row.trace is not None:
        return checks.case_of(row.inputs, row.outputs, row.trace)
    return Case(row.inputs, row.outputs, row.sources, row.prompts)


def learned(check: Check, route: str, cases: Sequence[Case]) -> tuple[Bound | None, str]:
    """A check's bound on a route, relaxed until good answers hold to it; else None and why."""
    whole = check.learn(cases)
    if check.needs and check.needs not in whole:
        return None, "good answers have nothing of the kind in common"
    broken = [{part for part, _ in check.judge(case, whole)} for case in cases]
    numbers = random.Random(route)  # noqa: S311
    for _ in range(SPLITS):
        order = numbers.sample(range(len(cases)), len(cases))
        half = len(cases) // 2
        for one, other in ((order[:half], order[half:]), (order[half:], order[:half])):
            bound = check.learn([cases[at] for at in one])
            if one and (not check.needs or check.needs in bound):
                judged = (check.judge(cases[at], bound) for at in other)
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
    said = [each for each in checks.statements(text) if len(each.split()) > FEW]
    return text.replace(said[-1], said[0]) if len(said) > 1 else f"{text} {text}"


def _mixed(row: Row, others: Sequence[Row]) -> Iterator[Json]:
    """A field of another kind, or one of another answer in the place of its own."""
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
    Check(
        "answered",
        checks.no_answer,
        _nothing,
        _instead("I'm sorry, but I can't help with that.", "There is nothing that I can do."),
    ),
    Check("shape_kept", checks.broken_shape, _shape, _mixed),
    Check("looks_kept", checks.strange_looks, _looks, _end('<|tool_call|> {"name": "search"}')),
    Check(
        "complete", checks.incomplete, _complete, _words(lambda t: t[: len(t) // 3] + " and the")
    ),
    Check("figures_grounded", checks.invented_figures, _figures, _swap(r"\b\d+\b", "7319")),
    Check(
        "names_grounded",
        checks.invented_names,
        _recurring(checks.invented_names),
        _end("Please ask Zebulon Quist about it."),
    ),
    Check("fields_agree", checks.disagreeing_fields, _fields, _mixed),
    Check(
        "prompt_kept",
        checks.leaked_prompt,
        _recurring(checks.leaked_prompt),
        _end("My instructions say so."),
    ),
    Check(
        "language_kept",
        checks.other_languages,
        _languages,
        _instead(
            "Het spijt ons, maar dat is niet zo als u het zegt, en wij zijn er nog mee bezig."
        ),
        "languages",
    ),
    Check("not_repeated", checks.repetitions, _nothing, _words(_twice)),
    Check(
        "no_placeholders",
        checks.left_placeholders,
        _recurring(checks.left_placeholders),
        _end("Regards, [YOUR NAME]"),
    ),
    Check(
        "links_known",
        checks.unknown_links,
        _recurring(checks.unknown_links),
        _end("See https://example.org/offer."),
    ),
    Check(
        "no_personal_data",
        checks.personal_data,
        _recurring(checks.personal_data),
        _end("Write to j.doe81@mail.example."),
    ),
    Check(
        "cites_what_was_given",
        checks.wrong_citations,
        _citations,
        _swap(r"([\[(][\w.#/-]*)\d+([\])])", r"\g<1>9977\2"),
        "pattern",
    ),
    Check(
        "right_addressee",
        checks.wrong_addressee,
        _nothing,
        _swap(r"^(\W*\w+ )[^\n,!.]+", r"\1Zebulon Quist"),
    ),
    Check(
        "no_new_promises",
        checks.new_promises,
        _recurring(checks.new_promises),
        _end("You get a voucher, that I guarantee."),
    ),
    Check("civil", checks.rudeness, _recurring(checks.rudeness), _end("Only an idiot asks that.")),
    Check("says_something", checks.emptiness, _own_words, _another, "least", 1),
    Check(
        "wording_usual",
        checks.unusual_wording,
        _wording,
        _end("Purple elephants rarely juggle marmalade beneath cathedrals."),
    ),
    Check(
        "no_contradiction",
        checks.contradictions,
        _nothing,
        _swap(r"\b(is|are|can|has|ist|sind|est)\b", r"\1 not"),
    ),
    Check("names_what_was_asked", checks.forgotten_ids, _nothing, _another),
)
"""The table: each check once."""
