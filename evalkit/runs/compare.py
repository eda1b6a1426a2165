"""Two arms of runs held against each other: what became of each score, each judge, each figure.

An arm is one run, or several trials of the same thing: what they have of a case is pooled, since
cases are what differs by chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from statistics import fmean
from typing import TypeAlias

import numpy as np

from evalkit.jsonable import Json, is_beyond_numbers
from evalkit.project import Judge, Project
from evalkit.runs.run import Run, Score, shape_of
from evalkit.stats import CHANCE, FEWEST, Change, adjusted, paired_change
from evalkit.tokens import Consumption

Arm: TypeAlias = Sequence[Run]
Row: TypeAlias = dict[str, Json]

MOST = 1e150  # a number beyond it is no score: not even its square can be reckoned with
MARGIN, MARGIN_OF_RANGE = 0.1, 0.05
"""The change of a rate, and of a score as a share of its range, that does not matter."""

MEASURED = ("pass", "number")  # the kinds of values of which more is better
FLIP_KINDS = (
    *("broken", "worse", "fixed", "better", "changed"),
    *("only in baseline", "only in candidate", "same"),
)
"""What became of a score, what wants a look first: passes and failures of all trials were fixed or
broken, numbers and rates are better or worse, anything else changed."""

_FIGURES: Sequence[tuple[str, str, Callable[[Consumption], float | None]]] = (
    ("Cost", "USD", attrgetter("cost_usd")),
    ("Duration", "s", attrgetter("duration_s")),
    ("Turns", "", attrgetter("num_turns")),
    ("Input tokens", "", lambda usage: usage.tokens.get("input")),
    ("Output tokens", "", lambda usage: usage.tokens.get("output")),
    ("Tokens read from the cache", "", lambda usage: usage.tokens.get("cache_read")),
    ("Tokens written to the cache", "", lambda usage: usage.tokens.get("cache_create")),
)


@dataclass(frozen=True, slots=True)
class Paired:
    """What one judge said in both arms: by case its scores, and what they come to, else None."""

    judge: str
    kind: str
    scores: Mapping[str, tuple[Sequence[Score], Sequence[Score]]]
    levels: Mapping[str, tuple[Json, Json]]

    @property
    def pairs(self) -> dict[str, tuple[Json, Json]]:
        """The levels of the cases that have both."""
        return {case: levels for case, levels in self.levels.items() if None not in levels}


def pair_scores(*arms: Arm) -> list[Paired]:
    """What each judge said in both arms; one of which only figures are known has no cases."""
    found: dict[str, dict[str, tuple[list[Score], list[Score]]]] = {
        judge: {} for run in chain(*arms) for judge in run.judges
    }
    for side, arm in enumerate(arms):
        for score in chain(*(run.scores for run in arm)):
            cases = found.setdefault(score.judge, {})
            cases.setdefault(score.case_id, ([], []))[side].append(score)
    pairs = []
    for judge, scores in found.items():
        values = {case: (values_of(old), values_of(new)) for case, (old, new) in scores.items()}
        kind = shape_of(value for both in values.values() for value in chain(*both))
        levels = {c: (_level(kind, old), _level(kind, new)) for c, (old, new) in values.items()}
        pairs.append(Paired(judge, kind, scores, levels))
    return pairs


def values_of(scores: Iterable[Score]) -> list[Json]:
    """The values that count: none of a judge that failed, skipped the case, or gave no number."""
    return [
        value
        for score in scores
        if (value := score.value) is not None
        and not (score.error or is_beyond_numbers(value))
        and (not isinstance(value, (int, float)) or abs(value) < MOST)
    ]


def _level(kind: str, values: Sequence[Json]) -> Json:
    """The mean of passes or numbers, how often each label was given; else all that differ."""
    if not values:
        return None
    if kind in MEASURED:
        return fmean(values)
    if all(each == values[0] for each in values):
        return values[0]
    if kind != "label":
        return values
    counts = Counter(sorted(values)).most_common()
    return ", ".join(f"{label} {count} of {len(values)}" for label, count in counts)


def flips(found: Iterable[Paired]) -> list[Row]:
    """Of each case and judge with a value in at least one arm what became of it, by case.

    ``case``, ``judge``, ``kind``, and what it was ``before`` and ``after``; of several trials all.
    """
    rows: list[Row] = []
    for each in found:
        for case, levels in each.levels.items():
            sides = [[score.value for score in side] for side in each.scores[case]]
            old, new = (side if len(side) > 1 else next(iter(side), None) for side in sides)
            row = {"case": case, "judge": each.judge, "kind": _flip_kind(each.kind, *levels)}
            rows += [row | {"before": old, "after": new}] if levels != (None, None) else []
    return sorted(rows, key=lambda row: row["case"])


def _flip_kind(kind: str, before: Json, after: Json) -> str:
    if before is None or after is None:
        return "only in candidate" if before is None else "only in baseline"
    if not _differ(before, after):
        return "same"
    if kind not in MEASURED:
        return "changed"
    if kind == "pass" and {before, after} == {0, 1}:
        return "fixed" if after else "broken"
    return "better" if after > before else "worse"


def _differ(before: Json, after: Json) -> bool:
    """Whether two values are not the same; true is not the number one."""
    return bool(before != after) or isinstance(before, bool) != isinstance(after, bool)


def judge_rows(
    found: Sequence[Paired], baseline: Arm, candidate: Arm, project: Project, margin: float | None
) -> list[Row]:
    """A row a judge; whatever its verdict, ``needed`` says how many cases would tell.

    The p-values are adjusted for the number of judges that decide, those of the others apart.
    ``margin`` is a share of a score's range.
    """
    known = {case for run in baseline for case in run.cases}
    ended = {case for run in candidate for case in run.cases if case not in run.failed}
    judges = {judge.name: judge for judge in project.judges}
    # a win rate is over the baseline already
    demanded = {name for name, own in project.thresholds.items() if {*own} - {"min_win_rate"}}
    due = demanded & {*judges} or {j.name for j in judges.values() if not j.is_conditional}
    absent = sorted(due - {each.judge for each in found})
    found = [*found, *(Paired(name, "nothing", {}, {}) for name in absent)]
    demanded &= {each.judge for each in found}
    changes = list(map(_changes, found))
    rows = [
        _judge(each, own, judges.get(each.judge, Judge(each.judge)), margin, (known, ended))
        for each, own in zip(found, changes, strict=True)
    ]
    for row in rows:
        row["decides"] = not demanded or row["judge"] in demanded
    for decides in (True, False):
        tested = [row for row in rows if row["decides"] is decides and row["p"] is not None]
        for row, p in zip(tested, adjusted([row["p"] for row in tested]), strict=True):
            row["p_adjusted"] = p
    for row, own in zip(rows, changes, strict=True):
        row["verdict"] = _verdict(row, own)
    return rows


def _changes(found: Paired) -> list[Change]:
    """Of passes and numbers one change; of labels one of each label's share; of others none."""
    pairs = found.pairs
    if pairs and found.kind in MEASURED:
        return [paired_change(*zip(*pairs.values(), strict=True), is_rate=found.kind == "pass")]
    if found.kind != "label":
        return []
    sides = [[values_of(found.scores[case][side]) for case in pairs] for side in (0, 1)]
    shares = (
        [[values.count(label) / len(values) for values in side] for side in sides]
        for label in sorted({label for values in chain(*sides) for label in values})
    )
    return [paired_change(*both, is_rate=True) for both in shares]


def _judge(
    found: Paired,
    changes: Sequence[Change],
    judge: Judge,
    margin: float | None,
    cases: tuple[set[str], set[str]],
) -> Row:
    """All but what other judges decide; ``cases`` are the baseline's, and those that ended well."""
    pairs, levels, (known, ended) = list(found.pairs.values()), found.levels, cases
    scale, usual, outside = 1.0, MARGIN, 0
    if pairs and found.kind == "number":
        usual, numbers = MARGIN_OF_RANGE, list(chain(*pairs))
        low, high = judge.score_range or _usual_range(numbers)
        scale = abs(high - low) or 1.0
        outside = sum(not low <= each <= high for each in numbers) if judge.score_range else 0
    least = (usual if margin is None else margin) * scale
    needed = [change.needed(least) for change in changes]
    # of labels each is tested against all others, of which two mirror each other
    tests = len(changes) if len(changes) > 2 else 1  # noqa: PLR2004
    moves = Counter(sorted(pair for pair in pairs if found.kind == "label" and pair[0] != pair[1]))
    means = changes[0].figures if changes and found.kind in MEASURED else {}
    sides = [[scores[side] for scores in found.scores.values()] for side in (0, 1)]
    alone = {c: new for c, (old, new) in levels.items() if old is None and new is not None}
    unjudged = {case for case in ended if levels.get(case, (None, None)) == (None, None)}
    # a judge that leaves out cases which both arms have may do so with new ones
    may_skip = judge.is_conditional or not levels or unjudged & known
    return {
        "judge": found.judge,
        "kind": found.kind,
        "pairs": len(pairs),
        "differing": changes[0].differing if means else sum(_differ(*pair) for pair in pairs),
        "errors": [sum(bool(score.error) for score in chain(*side)) for side in sides],
        "moves": [[*move, count] for move, count in moves.most_common()],
        "scale": scale,
        "margin": least,
        "outside": outside,
        "lost": sum(old is not None and new is None for old, new in levels.values()),
        "gained": len(known & alone.keys()),
        "alone": len(alone),
        "alone_mean": fmean(alone.values()) if alone and found.kind in MEASURED else None,
        "unjudged": 0 if may_skip else len(unjudged),
        "needed": None if None in needed else max(filter(None, needed), default=None),
        **means,
        "p": min(1.0, min(each.p for each in changes) * tests) if changes else None,
        "p_adjusted": None,
    }


def _usual_range(values: Sequence[float]) -> tuple[float, float]:
    """Where nine tenths of the scores are; if that is one value, how far others are from it."""
    low, high = np.quantile(values, (0.1, 0.9))
    if low == high:
        apart = [abs(value - low) for value in values if value != low]
        low, high = 0.0, np.median(apart) if apart else 1.0
    return float(low), float(high)


def _verdict(row: Row, changes: Sequence[Change]) -> str:
    if not row["pairs"]:
        return "not in both"
    if not changes:
        return "changed" if row["differing"] else "same" if row["pairs"] >= FEWEST else "unknown"
    if all(change.is_within(row["margin"]) for change in changes):
        return "same"
    if row["kind"] == "label":
        return "changed" if row["p_adjusted"] < CHANCE else "unknown"
    return {1: "better", -1: "worse", 0: "unknown"}[changes[0].direction(row["p_adjusted"])]


def figure_rows(*arms: Arm) -> list[Row]:
    """What was consumed, by figure; executions that failed are left out, a crash is no saving."""
    rows: list[Row] = []
    for name, unit, figure in _FIGURES:
        before, after = (_by_case(figure, arm) for arm in arms)
        pairs = [(before[case], after[case]) for case in before if case in after]
        known = [[n for run in arm if (n := figure(run.usage)) is not None] for arm in arms]
        totals = [fmean(amounts) if amounts else None for amounts in known]
        row = {"figure": name, "unit": unit, "pairs": len(pairs), "totals": totals}
        if pairs:
            change = paired_change(*zip(*pairs, strict=True))
            verdict = {1: "more", -1: "less", 0: "within noise"}[change.direction(change.p)]
            rows.append(row | {"verdict": verdict} | change.figures)
        elif totals != [None, None]:
            rows.append(row | {"verdict": "not in both"})
    return rows


def _by_case(figure: Callable[[Consumption], float | None], arm: Arm) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for run in arm:
        for case, usage in run.case_usage.items():
            if case not in run.failed and (amount := figure(usage)) is not None:
                found.setdefault(case, []).append(amount)
    return {case: fmean(amounts) for case, amounts in found.items()}
