"""The one table of checks: what each is, what good answers bound it by, and what breaks it.

A bound has to hold for good answers that it was not learned from. It is loosened until it does: by
things that recur in good answers, by more room, last by switching off the part that is broken.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from evalkit.jsonable import Json
from evalkit.masking import mask_json
from evalkit.suite import answer_reading, checks, word_lists
from evalkit.suite.answer_reading import Exchange
from evalkit.suite.checks import Check, problems
from evalkit.suite.model import Row

Bound: TypeAlias = dict[str, Json]
Learn: TypeAlias = Callable[[Sequence[Exchange], int], Bound]

ROOM = (0, 1, 2)
FEW, FOLDS, ALIKE, MANY, ENOUGH, OTHERS, MIN_GAIN = 4, 20, 10, 14, 24, 30, 0.03
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
    is_sure = all(of.get("all", set()) & said[at] for at, of in enumerate(own))
    while swapped:
        first = "all" if is_sure and not kinds else ""
        best = max(sorted(swapped), key=lambda k: (k == first, len(swapped[k])))
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
    recurring: int = 0  # in so many good answers a thing stands that is none of its business
    is_grounded: bool = False  # what tools gave decides; without it there is nothing to say

    @property
    def is_general(self) -> bool:
        """Whether it needs no good answers to learn from."""
        return self.learn is _nothing

    @property
    def name(self) -> str:
        """The scorer's name."""
        return self.judge.__name__


def learned(check: RuleCheck, answers: Mapping[str, Sequence[Exchange]]) -> dict[str, Bound]:
    """A check's bounds by route, loosened until good answers that it has not seen hold to them."""
    taken = {r: each for r, each in answers.items() if check.is_general or len(each) >= FEW}
    bounds: dict[str, Bound] = {}
    off: dict[str, set[str]] = {}
    for room in ROOM:
        found = {route: _fitted(check, each, room) for route, each in taken.items()}
        if found == bounds:
            break
        bounds = found
        broken = {r: _broken(check, each, room) for r, each in taken.items()}
        for route, sets in broken.items() if check.learn is _own else ():
            parts = {*found[route]["demanded"], checks.ANOTHER}  # others only fewer answers demand
            broken[route] = [each & parts for each in sets]
        off = _refusing(broken)
        if not any(off.values()):
            break
    for route, bound in bounds.items():
        bound.update({"off": sorted(off[route])} if off[route] else {})
        if check.is_grounded and any(exchange.sources for exchange in taken[route]):
            is_always = all(exchange.sources for exchange in taken[route])
            bound["sources"] = "all" if is_always else "some"
    return bounds


def _fitted(check: RuleCheck, exchanges: Sequence[Exchange], room: int) -> Bound:
    """A bound with the things that recur in the answers that it is learned from."""
    bound = check.learn(exchanges, room)
    seen = Counter(
        each for e in exchanges for each in {what.casefold() for _, what in check.judge(e, bound)}
    )
    known = [w for w in sorted(seen) if seen[w] >= check.recurring > 0 and mask_json(w) == w]
    return {**bound, "known": known} if known else bound


def _broken(check: RuleCheck, exchanges: Sequence[Exchange], room: int) -> list[set[str]]:
    """What each answer breaks of a bound that is learned from others."""
    found: list[set[str]] = []
    for at in range(folds := min(FOLDS, len(exchanges)) if len(exchanges) > 1 else 0):
        rest = [each for place, each in enumerate(exchanges) if place % folds != at]
        bound = _fitted(check, rest, room)
        judged = exchanges[at::folds]
        found += [{part for part, _ in problems(check.judge, each, bound)} for each in judged]
    return found


def _refusing(broken: Mapping[str, Sequence[set[str]]]) -> dict[str, set[str]]:
    """By route the parts without which few enough good answers are refused.

    Of few answers, what is seen on other routes counts as if so many more were there.
    """
    off: dict[str, set[str]] = {route: set() for route in broken}
    every = max(1, sum(map(len, broken.values())))

    def refused(route: str) -> int:
        return sum(bool(parts - off[route]) for parts in broken[route])

    for route, sets in sorted(broken.items(), key=lambda pair: -len(pair[1])):
        while True:
            usual = sum(map(refused, broken)) / every
            rate = (refused(route) + ALIKE * usual) / (len(sets) + ALIKE)
            left = [p for r in (route, *broken) for parts in broken[r] for p in parts - off[route]]
            if rate <= MOST_REFUSED or not left:
                break
            own = [p for p in left if any(p in parts for parts in sets)]
            off[route].add(Counter(own or left).most_common(1)[0][0])
    return off


CHECKS = (
    RuleCheck(checks.answered),
    RuleCheck(checks.shape_kept, _shape),
    RuleCheck(checks.looks_kept, _looks),
    RuleCheck(checks.complete, _complete),
    RuleCheck(checks.figures_grounded, _figures, recurring=2, is_grounded=True),
    RuleCheck(checks.names_grounded, _languages, recurring=1, is_grounded=True),
    RuleCheck(checks.prompt_kept, recurring=1),
    RuleCheck(checks.language_kept, _languages),
    RuleCheck(checks.not_repeated),
    RuleCheck(checks.nothing_foreign, recurring=1, is_grounded=True),
    RuleCheck(checks.request_taken_up, _own, is_grounded=True),
)
"""The table: each check once."""
