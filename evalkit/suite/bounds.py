"""The one table of checks: what each is, what good answers bound it by, and what breaks it.

A bound has to hold for good answers that it was not learned from. It is loosened until it does: by
more room, last by switching off the part that is broken.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from evalkit.jsonable import Json
from evalkit.suite import answer_reading, checks, word_lists
from evalkit.suite.answer_reading import Exchange
from evalkit.suite.checks import Check, problems
from evalkit.suite.model import Row

Bound: TypeAlias = dict[str, Json]
Learn: TypeAlias = Callable[[Sequence[Exchange], int], Bound]

ROOM = (0, 1, 2)
FEW, FOLDS, MANY, ENOUGH, OTHERS, MIN_GAIN = 4, 20, 14, 24, 30, 0.03
MOST_REFUSED = 0.05


def _nothing(_exchanges: Sequence[Exchange], _room: int) -> Bound:
    return {}


def _shape(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Kinds by place, none where they vary, and the places that all have."""
    held: dict[str, set[str]] = defaultdict(set)
    for exchange in exchanges:
        for at, value in exchange.leaves:
            held[at].add(checks.value_kind(value))
    always = set.intersection(*({at for at, _ in e.leaves if "[]" not in at} for e in exchanges))
    kinds = {at: sorted(held[at]) if len(held[at]) < FEW else [] for at in held}
    return {"kinds": kinds, "always": sorted(always)}


def _looks(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Looks that no good answer has."""
    whole = "\n".join(exchange.whole for exchange in exchanges)
    return {"never": [look for look, of in word_lists.LOOKS.items() if not of.search(whole)]}


def _complete(exchanges: Sequence[Exchange], room: int) -> Bound:
    """Lengths, and places that end with a stop."""
    lengths = sorted(len(exchange.text) for exchange in exchanges)
    ends: dict[str, int] = {}
    for at, each in (prose for exchange in exchanges for prose in exchange.prose):
        words = checks.open_end(each)
        ends[at] = max(ends.get(at, 0), 2 * words)
    return {
        "shortest": int(lengths[0] * (0.4, 0.3, 0.2)[room]),
        "longest": int(lengths[-1] * (1.4, 1.5, 1.6)[room]) + 40,
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


def _own(exchanges: Sequence[Exchange], room: int) -> Bound:
    """Words that are nobody's own, and the kinds of things that nearly all good answers take up."""
    rows = len(exchanges)
    cut = rows // 20 if rows >= ENOUGH else 0
    some = range(0, rows, rows // OTHERS + 1)
    texts = [f"{exchange.request}\n{exchange.sources}" for exchange in exchanges]
    held = Counter(each for text in texts for each in answer_reading.stems(text))
    common = {
        kind: " ".join(sorted(each for each, n in held.items() if n > max(2, share * rows)))
        for kind, share in {"words": 0.35, "rare words": 0.2, "own words": 0.1}.items()
    }
    own = [checks.own_things(exchange, common) for exchange in exchanges]
    said = [answer_reading.content_of(e.said) for e in exchanges]
    least: dict[str, int] = {}
    swapped: dict[str, set[tuple[int, int]]] = {}
    for kind in {kind for of in own for kind in of}:
        there = [(at, of[kind]) for at, of in enumerate(own) if kind in of]
        taken = sorted(len(things & said[at]) for at, things in there)[cut:]
        if len(there) > max(FEW, rows / 5) and taken[0] > (rows < MANY):
            least[kind] = math.ceil(taken[0] * rows / (rows + 20))
            swapped[kind] = {
                (at, by)
                for at, things in there
                for by in some
                if len(things & said[by]) < least[kind]
            }
    kinds: dict[str, int] = {}
    while swapped:
        best = max(sorted(swapped), key=lambda kind: len(swapped[kind]))
        if len(swapped[best]) < (MIN_GAIN if rows >= ENOUGH else 5 * MIN_GAIN) * rows * len(some):
            break
        kinds[best] = least[best]
        swapped = {kind: swapped[kind] - swapped[best] for kind in swapped if kind != best}
    taken_up = [of.get("all", set()) & words for of, words in zip(own, said, strict=True)]
    gaps = [
        max((len(words & taken_up[by]) for by in some if by != at), default=0) - len(taken_up[at])
        for at, words in enumerate(said)
    ]
    return {
        "demanded": kinds,
        "common": common,
        "others": sorted({" ".join(sorted(taken_up[at])) for at in some} - {""}),
        "margin": max(0, *sorted(gaps)[: rows - cut]) + room,
    }


def read(row: Row, outputs: Json) -> Exchange:
    """An answer in a row's place, as a suite's scorers see it."""
    return Exchange(row.inputs, outputs, row.trace)


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """One kind of thing that rules can tell."""

    judge: Check  # its name and its docstring are the scorer's
    learn: Learn = _nothing  # its bound from good answers, with more or less room
    is_grounded: bool = False  # what tools gave decides; without it there is nothing to say

    @property
    def is_general(self) -> bool:
        """Whether it needs no good answers to learn from."""
        return self.learn is _nothing

    @property
    def name(self) -> str:
        """The scorer's."""
        return self.judge.__name__


def learned(check: RuleCheck, exchanges: Sequence[Exchange]) -> Bound | None:
    """A check's bound, loosened until good answers that it has not seen hold to it.

    None where there are too few answers to learn from.
    """
    if not check.is_general and len(exchanges) < FEW:
        return None
    bound, off = Bound(), set[str]()
    for room in ROOM:
        found = check.learn(exchanges, room)
        if room and found == bound:
            break
        bound, broken = found, _broken(check, exchanges, room)
        if check.learn is _own:  # others only fewer answers demand
            broken = [each & {*bound["demanded"], checks.ANOTHER} for each in broken]
        off = _refusing(broken)
        if not off:
            break
    if check.is_grounded and any(exchange.sources for exchange in exchanges):
        is_always = all(exchange.sources for exchange in exchanges)
        bound = {**bound, "sources": "all" if is_always else "some"}
    return {**bound, "off": sorted(off)} if off else bound


def _broken(check: RuleCheck, exchanges: Sequence[Exchange], room: int) -> list[set[str]]:
    """What each answer breaks of a bound that is learned from others."""
    found: list[set[str]] = []
    for at in range(folds := min(FOLDS, len(exchanges)) if len(exchanges) > 1 else 0):
        rest = [each for place, each in enumerate(exchanges) if place % folds != at]
        bound = check.learn(rest, room)
        judged = exchanges[at::folds]
        found += [{part for part, _ in problems(check.judge, each, bound)} for each in judged]
    return found


def _refusing(broken: Sequence[set[str]]) -> set[str]:
    """The parts without which few enough good answers are refused."""
    off: set[str] = set()
    while sum(bool(parts - off) for parts in broken) > MOST_REFUSED * len(broken):
        off.add(Counter(p for parts in broken for p in parts - off).most_common(1)[0][0])
    return off


CHECKS = (
    RuleCheck(checks.answered),
    RuleCheck(checks.shape_kept, _shape),
    RuleCheck(checks.looks_kept, _looks),
    RuleCheck(checks.complete, _complete),
    RuleCheck(checks.figures_grounded, _figures, is_grounded=True),
    RuleCheck(checks.names_grounded, _languages, is_grounded=True),
    RuleCheck(checks.prompt_kept),
    RuleCheck(checks.language_kept, _languages),
    RuleCheck(checks.not_repeated),
    RuleCheck(checks.nothing_foreign, is_grounded=True),
    RuleCheck(checks.request_taken_up, _own, is_grounded=True),
)
"""The table: each check once."""
