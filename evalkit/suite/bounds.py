"""The one table of checks, and how each learns from good answers what it demands.

A bound has to hold for good answers that it was not learned from. It is loosened until it does: by
more room, last by switching off the part that is broken.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from zlib import crc32

from evalkit.jsonable import Json
from evalkit.suite import answer_reading, checks, word_lists
from evalkit.suite.answer_reading import Exchange
from evalkit.suite.checks import Check, problems
from evalkit.suite.figures import FIGURE_KINDS, figure_kind, figures_of, is_derived
from evalkit.suite.model import MOST_REFUSED, Row

Bound: TypeAlias = dict[str, Json]
Learn: TypeAlias = Callable[[Sequence[Exchange], int], Bound]

ROOM = (0, 1, 2)
SUMS = (0, 30, 60)  # among more given figures two have any sum by chance
FEW, SEVERAL, FOLDS = 4, 8, 20
OWN = 4  # where half of all answers hold a statement with more new words, they draw on knowledge


def _nothing(_exchanges: Sequence[Exchange], _room: int) -> Bound:
    return {}


def _shape(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Of each place its kinds, none where they vary, few values, and room around its numbers."""
    held: dict[str, set[str]] = defaultdict(set)
    texts: dict[str, list[str]] = defaultdict(list)
    numbers: dict[str, list[float]] = defaultdict(list)
    for at, value in (node for exchange in exchanges for node in exchange.nodes):
        held[at].add(kind := answer_reading.value_kind(value))
        if at and kind == "text" and not answer_reading.is_prose(value):
            texts[at].append(value)
        elif kind == "number":
            numbers[at].append(value)
    ranges = {}
    for at, of in numbers.items():
        least, most = min(of), max(of)
        if len(of) >= SEVERAL:
            ranges[at] = [least - (most - least) / 2, most + (most - least) / 2]
    always = set.intersection(*({at for at, _ in e.nodes if "[]" not in at} for e in exchanges))
    seen = Counter(at for exchange in exchanges for at, _ in exchange.nodes)
    is_known = {at: seen[at] >= SEVERAL and len(held[at]) < FEW for at in held}
    kinds = {at: sorted(held[at]) if is_known[at] else [] for at in held}
    values = {at: sorted({*of}) for at, of in texts.items() if len({*of}) <= len(of) / 4}
    return {"kinds": kinds, "always": sorted(always), "values": values, "ranges": ranges}


def _looks(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Looks that no good answer has."""
    looks = word_lists.LOOKS
    return {"never": [k for k in looks if not any(checks.look_of(e, k) for e in exchanges)]}


def _complete(exchanges: Sequence[Exchange], room: int) -> Bound:
    """Lengths, and places that end with a stop."""
    lengths = sorted(len(exchange.text) for exchange in exchanges)
    ends: dict[str, int] = {}
    for at, each in (prose for exchange in exchanges for prose in exchange.prose):
        ends[at] = max(ends.get(at, 0), 2 * checks.open_end(each))
    return {
        "shortest": int(lengths[0] * (0.3, 0.2, 0.1)[room]),
        "longest": int(lengths[-1] * (1.4, 1.5, 1.6)[room]) + 40,
        "ends": ends,
    }


def _figures(exchanges: Sequence[Exchange], room: int) -> Bound:
    """Units, fields whose figures were given, and among how many given ones sums are no chance."""
    stating = Counter[str]()
    held = [figures_of(exchange.text) for exchange in exchanges]
    for exchange, figures in zip(exchanges, held, strict=True):
        given = exchange.given_figures
        known = {
            figure_kind(what, unit)
            for what, unit, _ in figures
            if what in exchange.given or is_derived(what, given, SUMS[-1], unit)
        }
        stating.update(known)
    texts = [(e, at, text) for e in exchanges for at, text in checks.field_texts(e)]
    places = Counter(at for _, at, text in texts if re.search(r"\d", text))
    bound: Bound = {
        "units": sorted({unit for figures in held for _, unit, _ in figures if unit is not None}),
        "places": [at for at in places if places[at] >= FEW],
        "own": [],
        "sums": SUMS[room],
        "strict": not room,
        "off": [kind for kind in FIGURE_KINDS if stating[kind] < FEW / 2],
    }
    new = {at for e in exchanges for at, _ in checks.figures_grounded(e, bound)}
    bound["own"] = bound["places"]
    bound["places"] = ["", *sorted({*bound["places"]} - new)]
    return bound


def _languages(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """Languages that a tenth of good answers have, and that of all together."""
    texts = [exchange.text for exchange in exchanges]
    found = Counter(map(answer_reading.main_language, texts))
    usual = {each for each, count in found.items() if count * 10 >= len(texts)}
    return {"languages": sorted({*usual, answer_reading.main_language("\n".join(texts))} - {""})}


def _words(exchanges: Sequence[Exchange], room: int) -> Bound:
    """Words that several answers share, and how foreign a statement may be to its own row."""
    rows = len(exchanges)
    stems = answer_reading.stems
    own = [stems(exchange.said) - stems(exchange.given) for exchange in exchanges]
    held, several = Counter(each for of in own for each in of), max(1, rows / 20)
    foreign = []
    for exchange, of in zip(exchanges, own, strict=True):
        others = {each for each in held if held[each] - (each in of) > several}
        found = [number for number, _ in checks.foreign_statements(exchange, others)]
        foreign.append(max(found, default=0))
    unproven = 2 / (rows + 2) > MOST_REFUSED  # of what can be said in many ways
    foreign = sorted(foreign)
    off = ["name", "a statement"] if foreign[rows // 2] > OWN else ["name"] if unproven else []
    return {
        **_languages(exchanges, room),
        "usual": " ".join(sorted(each for each in held if held[each] > several)),
        "most": max(2, *foreign[: rows - rows // 100]) + room + 2 * unproven,
        "off": off,
    }


def _own(exchanges: Sequence[Exchange], _room: int) -> Bound:
    """What is nobody's own, how much of its own each good answer takes up, and which were given."""
    rows = len(exchanges)
    cut = (rows + 4) // 30
    texts = [f"{exchange.request}\n{exchange.sources}" for exchange in exchanges]
    held = Counter(each for text in texts for each in answer_reading.content_of(text))
    common = " ".join(sorted(each for each, n in held.items() if n > max(2, 0.1 * rows)))
    own = [checks.own_things(exchange, common) for exchange in exchanges]
    said = [answer_reading.content_of(exchange.said) for exchange in exchanges]
    taken: dict[str, list[int]] = defaultdict(list)
    for things, words in zip(own, said, strict=True):
        for kind, each in things.items():
            taken[kind].append(len(each & words))
    least = {kind: sorted(counts)[cut:][0] for kind, counts in taken.items() if len(counts) > FEW}
    asked = [crc32(exchange.request.encode()) for exchange in exchanges]
    sketches = [sorted(answer_reading.sketch(exchange.said)) for exchange in exchanges]
    return {
        "demanded": {kind: round(n * rows / (rows + 20)) for kind, n in least.items()},
        "recorded": [*zip(asked, sketches, strict=True)],
        "common": common,
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
    def name(self) -> str:
        """The scorer's."""
        return self.judge.__name__


def learned(check: RuleCheck, exchanges: Sequence[Exchange]) -> Bound | None:
    """A check's bound, loosened until good answers that it has not seen hold to it.

    None where there are too few answers to learn from.
    """
    exchanges = [*{(each.request, each.said): each for each in exchanges}.values()]
    if check.learn is not _nothing and len(exchanges) < FEW:
        return None
    bound, off = Bound(), set[str]()
    for room in ROOM:
        found = check.learn(exchanges, room)
        if room and found == bound:
            break
        bound, broken = found, _broken(check, exchanges, room)
        if check.learn is _own:  # others only fewer answers demand
            parts = {*bound["demanded"], checks.RECORDED}
            broken = [each & parts for each in broken]
        if not (off := _off(broken)):
            break
    if check.is_grounded and any(exchange.sources for exchange in exchanges):
        is_always = all(exchange.sources for exchange in exchanges)
        bound = {**bound, "sources": "all" if is_always else "some"}
    bound["off"] = sorted({*off, *bound.get("off", ())})
    return bound if bound["off"] else {key: bound[key] for key in bound if key != "off"}


def _broken(check: RuleCheck, exchanges: Sequence[Exchange], room: int) -> list[set[str]]:
    """What each answer breaks of a bound that is learned from others."""
    found: list[set[str]] = []
    for at in range(folds := min(FOLDS, len(exchanges)) if len(exchanges) > 1 else 0):
        rest = [each for place, each in enumerate(exchanges) if place % folds != at]
        bound = check.learn(rest, room)
        judged = exchanges[at::folds]
        found += [{part for part, _ in problems(check.judge, each, bound)} for each in judged]
    return found


def _off(broken: Sequence[set[str]]) -> set[str]:
    """The parts that good answers do not hold to; whole kinds where each breaks one of its own."""
    off = _refusing(broken)
    held = Counter(part for parts in broken for part in parts)
    alone = sum(any(held[part] == 1 for part in parts) for parts in broken)
    if off and _is_over(alone, len(broken)):
        off = _refusing([{checks.family_of(part) for part in parts} for parts in broken])
    return off


def _refusing(broken: Sequence[set[str]]) -> set[str]:
    """All parts that good answers break, if more of these are refused than may be."""
    is_over = _is_over(sum(map(bool, broken)), len(broken))
    return set[str]().union(*broken) if is_over else set()


def _is_over(refused: int, answers: int) -> bool:
    """Whether more than one is refused, and the next too likely by Laplace's rule of succession."""
    return refused > 1 and (refused + 1) / (answers + 2) > MOST_REFUSED


CHECKS = (
    RuleCheck(checks.answered),
    RuleCheck(checks.shape_kept, _shape),
    RuleCheck(checks.looks_kept, _looks),
    RuleCheck(checks.complete, _complete),
    RuleCheck(checks.figures_grounded, _figures, is_grounded=True),
    RuleCheck(checks.words_grounded, _words, is_grounded=True),
    RuleCheck(checks.prompt_kept),
    RuleCheck(checks.language_kept, _languages),
    RuleCheck(checks.not_repeated),
    RuleCheck(checks.nothing_foreign, is_grounded=True),
    RuleCheck(checks.request_taken_up, _own, is_grounded=True),
)
"""The table: each check once."""
