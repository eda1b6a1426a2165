"""The one table of checks: what each is, what good answers bound it by, and what breaks it.

A bound has to hold for good answers that it was not learned from. It is loosened until it does: by
things that recur in good answers, by more room, last by switching off the part that is broken.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from evalkit.jsonable import Json
from evalkit.masking import mask_json
from evalkit.suite import answer_edits, answer_reading, checks, word_lists
from evalkit.suite.answer_reading import Exchange, strings_in
from evalkit.suite.checks import Check, problems
from evalkit.suite.model import Row

Bound: TypeAlias = dict[str, Json]
Learn: TypeAlias = Callable[[Sequence[Exchange], int], Bound]

ROOM = (0, 1, 2)
FOLDS, TRIALS = 6, 3
MOST_REFUSED = 0.05
FEW, MANY, ENOUGH, SWAPPED, MIN_GAIN = 4, 14, 20, 30, 0.03


def _nothing(_exchanges: Sequence[Exchange], _room: int) -> Bound:
    return {}


def _shape(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Kinds by place, none where they vary, and the places that all have."""
    held: dict[str, set[str]] = defaultdict(set)
    for exchange in exchanges:
        for at, value in exchange.leaves:
            held[at].add(checks.value_kind(value))
    always = set.intersection(*({at for at, _ in exchange.leaves} for exchange in exchanges))
    kinds = {at: sorted(held[at]) if len(held[at]) < FEW else [] for at in held}
    return {"kinds": kinds, "always": sorted(always)}


def _looks(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Looks that no good answer has."""
    whole = "\n".join(exchange.whole for exchange in exchanges)
    return {"never": [look for look, of in word_lists.LOOKS.items() if not of.search(whole)]}


def _complete(exchanges: Sequence[Exchange], room: int) -> Bound:
    """Lengths, lines that all have, and places that end with a stop."""
    lengths = sorted(len(exchange.text) for exchange in exchanges)
    lines = [{line.strip() for line in exchange.text.splitlines()} - {""} for exchange in exchanges]
    ends: dict[str, int] = {}
    for at, each in (prose for exchange in exchanges for prose in exchange.prose):
        words = checks.open_end(each)
        ends[at] = max(ends.get(at, 0), 2 * words)
    return {
        "shortest": int(lengths[0] * (0.5, 0.35, 0.2)[room]),
        "longest": int(lengths[-1] * (1.25, 1.4, 1.6)[room]) + 40,
        "lines": sorted(set.intersection(*lines)) if len(lines) > FEW else [],
        "ends": ends,
    }


def _figures(exchanges: Sequence[Exchange], room: int) -> Bound:
    """Units, fields whose figures were given, and among how many given ones sums are no chance."""
    figures = [each for e in exchanges for each in answer_reading.figures_of(e.text)]
    given: dict[str, list[bool]] = defaultdict(list)
    for exchange in exchanges:
        for at, text in checks.field_texts(exchange):
            found = answer_reading.figures_of(text)
            given[at] += [checks.is_given(what, exchange) for what, _, _ in found]
    return {
        "units": sorted({unit for _, unit, _ in figures if unit is not None}),
        "places": ["", *sorted(at for at in given if all(given[at]) and len(given[at]) >= FEW)],
        "sums": (20, 30, 60)[room],
    }


def _languages(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Languages that a tenth of good answers have, and that of all together."""
    texts = [exchange.text for exchange in exchanges]
    found = Counter(map(answer_reading.main_language, texts))
    usual = {each for each, count in found.items() if count * 10 >= len(texts)}
    return {"languages": sorted({*usual, answer_reading.main_language("\n".join(texts))} - {""})}


def _own(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Words that are nobody's own, and the kinds of things that nearly all good answers take up."""
    rows = len(exchanges)
    some = range(0, rows, rows // SWAPPED + 1)
    texts = [f"{exchange.request}\n{exchange.sources}" for exchange in exchanges]
    held = Counter(each for text in texts for each in answer_reading.stems(text))
    common = {
        kind: " ".join(sorted(each for each, n in held.items() if n > max(2, share * rows)))
        for kind, share in {"words": 0.35, "rare words": 0.2, "own words": 0.1}.items()
    }
    own = [checks.own_things(exchange, common) for exchange in exchanges]
    said = [answer_reading.content_of("\n".join(strings_in(e.value))) for e in exchanges]
    least: dict[str, int] = {}
    swapped: dict[str, set[tuple[int, int]]] = {}
    for kind in {kind for of in own for kind in of}:
        there = [(at, of[kind]) for at, of in enumerate(own) if kind in of]
        taken = sorted(len(things & said[at]) for at, things in there)[rows // 20 :]
        if len(there) > max(FEW, rows / 5) and taken[0] > (rows < MANY):
            least[kind] = math.ceil(taken[0] * rows / (rows + 20))
            swapped[kind] = {
                (at, by)
                for at, things in there
                for by in some
                if len(things & said[by]) < least[kind]
            }
    kinds: dict[str, int] = {}
    is_sure = all(of.get("all", set()) & said[at] for at, of in enumerate(own))
    while swapped:
        first = "all" if is_sure and not kinds else ""
        best = max(sorted(swapped), key=lambda k: (k == first, len(swapped[k])))
        if len(swapped[best]) < (MIN_GAIN if rows >= ENOUGH else 5 * MIN_GAIN) * rows * len(some):
            break
        kinds[best] = least[best]
        swapped = {kind: swapped[kind] - swapped[best] for kind in swapped if kind != best}
    return {"demanded": kinds, "common": common}


def _subject(exchanges: Sequence[Exchange], room: int) -> Bound:
    """Words of good answers, and how much of a sentence these and what was given hold at least."""
    said = [answer_reading.content_of(exchange.text) for exchange in exchanges]
    counts = Counter(word for words in said for word in words)
    lowest = []
    for exchange, own in zip(exchanges, said, strict=True):
        known = {word for word, count in counts.items() if count > (word in own)}
        shares = checks.known_shares(exchange, known | answer_reading.content_of(exchange.given))
        lowest.append(min((share for share, _ in shares), default=1.0))
    least = sorted(lowest)[len(lowest) // 20] * (0.4, 0.3, 0.2)[room]
    words = " ".join(sorted(counts))
    return {"least": round(least, 3), "words": words, **_languages(exchanges, room)}


def read(row: Row, outputs: Json) -> Exchange:
    """An answer in a row's place, as a suite's scorers see it."""
    return answer_reading.exchange_of(row.inputs, outputs, row.trace)


def spoiled(check: RuleCheck, row: Row, others: Sequence[Row]) -> Iterator[Json]:
    """Bad answers in a row's place: edited, else with a wrong field, else that of another row."""
    for path, text in answer_edits.texts(row)[:1]:
        edited = [f"{text.rsplit('. ', 1)[0].rstrip('. ')}. {check.wrong}"]
        if not check.wrong:
            foreign = " ".join(["Het is niet zo als u het zegt."] * (1 + len(text) // 31))
            said = [each for each in answer_reading.statements(text) if len(each.split()) > FEW]
            twice = text.replace(said[-1], said[0]) if len(said) > 1 else f"{text} {text}"
            wrapped = json.dumps({"answer": text}, ensure_ascii=False)
            edited = [f"{text[: len(text) * 2 // 3]} and the", foreign, twice, wrapped]
        yield from (answer_edits.with_value(row.outputs, path, each) for each in edited)
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
        wrong: A sentence that spoils the text that people read, if one does.
        recurring: In how many good answers a thing stands that is none of its business, if not 0.
        is_grounded: Whether what tools gave decides; without it there is nothing to say.
    """

    judge: Check
    wrong: str = ""
    learn: Learn = _nothing
    recurring: int = 0
    is_grounded: bool = False

    @property
    def is_general(self) -> bool:
        """Whether it needs no good answers to learn from."""
        return self.learn is _nothing

    @property
    def name(self) -> str:
        """The scorer's name."""
        return self.judge.__name__


def learned(check: RuleCheck, route: str, exchanges: Sequence[Exchange]) -> Bound:
    """A check's bound on a route, loosened until good answers that it has not seen hold to it."""

    def is_loose(off: set[str]) -> bool:
        """Whether nearly all good answers that it was not learned from hold to it."""
        return sum(bool(parts - off) for parts in broken) <= TRIALS * MOST_REFUSED * len(exchanges)

    bound: Bound = {}
    broken: list[set[str]] = []
    off: set[str] = set()
    for room in ROOM:
        bound = _fitted(check, exchanges, room)
        broken = [
            {p for p, _ in problems(check.judge, each, other) if p in bound.get("demanded", [p])}
            for other, judged in _trials(check, route, exchanges, room)
            for each in judged
        ]
        if is_loose(off):
            break
    while not is_loose(off):
        counts = Counter(part for parts in broken for part in parts - off)
        off.add(max(counts, key=lambda part: counts[part]))
    bound |= {"off": sorted(off)} if off else {}
    if check.is_grounded and any(exchange.sources for exchange in exchanges):
        bound["sources"] = "all" if all(exchange.sources for exchange in exchanges) else "some"
    return bound


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
    """Bounds of a part of the answers, with the others to be judged by them."""
    numbers = random.Random(route)  # noqa: S311
    count = min(FOLDS, len(exchanges))
    for _ in range(TRIALS if count > 1 else 0):
        order = numbers.sample(exchanges, len(exchanges))
        for at in range(count):
            rest = [each for place, each in enumerate(order) if place % count != at]
            yield _fitted(check, rest, room), order[at::count]


GROUNDED = True
CHECKS = (
    RuleCheck(checks.answered, "I'm sorry, I can't help with that."),
    RuleCheck(checks.shape_kept, learn=_shape),
    RuleCheck(checks.looks_kept, '<|tool_call|> {"name": "search"}', _looks),
    RuleCheck(checks.complete, learn=_complete),
    RuleCheck(checks.figures_grounded, "It was 719 yen on 29.11.: RX-7961.", _figures, 2, GROUNDED),
    RuleCheck(checks.names_grounded, "Ask Zebulon Quist.", _languages, 1, GROUNDED),
    RuleCheck(checks.prompt_kept, "My instructions say so.", recurring=1),
    RuleCheck(checks.language_kept, learn=_languages),
    RuleCheck(checks.not_repeated),
    RuleCheck(checks.no_placeholders, "Regards, [YOUR NAME]", recurring=1),
    RuleCheck(checks.links_known, "See https://example.org/offer.", _nothing, 1, GROUNDED),
    RuleCheck(checks.no_personal_data, "Write to j.doe81@mail.example.", _nothing, 1, GROUNDED),
    RuleCheck(
        checks.no_new_promises, "You get a voucher, that I guarantee.", _nothing, 1, GROUNDED
    ),
    RuleCheck(checks.civil, "Only an idiot asks that.", recurring=1),
    RuleCheck(checks.request_taken_up, "", _own, 0, GROUNDED),
    RuleCheck(checks.subject_kept, "Penguins gather among frozen rocks.", _subject, 0, GROUNDED),
)
"""The table: each check once."""
