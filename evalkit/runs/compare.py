"""Two arms of runs held against each other, judge by judge and figure by figure, with verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from statistics import fmean
from typing import TypeAlias

import numpy as np

from evalkit.jsonable import Json
from evalkit.project import Judge, Project
from evalkit.runs.pairs import Arm, Paired, differ, values_of
from evalkit.stats import CHANCE, FEWEST, Change, adjusted, paired_change
from evalkit.tokens import Consumption

Row: TypeAlias = dict[str, Json]

MARGIN, MARGIN_OF_RANGE = 0.1, 0.05
"""The change of a rate, and of a score as a share of its range, that does not matter."""

_FIGURES: Mapping[tuple[str, str], Callable[[Consumption], float | None]] = {
    ("Cost", "USD"): lambda usage: usage.cost_usd,
    ("Duration", "s"): lambda usage: usage.duration_s,
    ("Turns", ""): lambda usage: usage.num_turns,
    ("Input tokens", ""): lambda usage: usage.tokens.get("input"),
    ("Output tokens", ""): lambda usage: usage.tokens.get("output"),
    ("Tokens read from the cache", ""): lambda usage: usage.tokens.get("cache_read"),
    ("Tokens written to the cache", ""): lambda usage: usage.tokens.get("cache_create"),
}
"""What is compared of what was consumed: name and unit, and where a session's usage says it."""


def compare_judges(
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
    changes = [_changes(each) for each in found]
    rows = [
        {
            **_judge(each, own, judge := judges.get(each.judge, Judge(each.judge)), margin),
            **_alone(each, known, ended, is_conditional=judge.is_conditional),
            "decides": not demanded or each.judge in demanded,
        }
        for each, own in zip(found, changes, strict=True)
    ]
    for decides in (True, False):
        tested = [row for row in rows if row["decides"] is decides and row["p"] is not None]
        for row, p in zip(tested, adjusted([row["p"] for row in tested]), strict=True):
            row["p_adjusted"] = p
    for row, own in zip(rows, changes, strict=True):
        row["verdict"] = _verdict(row, own)
    return rows


def _pairs(found: Paired) -> dict[str, tuple[Json, Json]]:
    return {case: levels for case, levels in found.levels.items() if None not in levels}


def _changes(found: Paired) -> list[Change]:
    """Of passes and numbers one change; of labels one of each label's share; of others none."""
    pairs = _pairs(found)
    if not pairs or found.kind not in {"pass", "number", "label"}:
        return []
    if found.kind != "label":
        return [paired_change(*zip(*pairs.values(), strict=True), is_rate=found.kind == "pass")]
    sides = [[values_of(found.scores[case][side]) for case in pairs] for side in (0, 1)]
    return [
        paired_change(
            *([values.count(label) / len(values) for values in side] for side in sides),
            is_rate=True,
        )
        for label in sorted({label for values in chain(*sides) for label in values})
    ]


def _judge(
    found: Paired,
    changes: Sequence[Change],
    judge: Judge,
    margin: float | None,
) -> Row:
    pairs = list(_pairs(found).values())
    low, high, usual, outside = 0.0, 1.0, MARGIN, 0
    if pairs and found.kind == "number":
        low, high = judge.score_range or _usual_range(list(chain(*pairs)))
        usual = MARGIN_OF_RANGE
        values = chain(*pairs) if judge.score_range else ()
        outside = sum(not low <= value <= high for value in values)
    scale = abs(float(high - low)) or 1.0
    least = (usual if margin is None else margin) * scale
    needed = [change.needed(least) for change in changes]
    # of labels each is tested against all others, of which two mirror each other
    tests = len(changes) if len(changes) > 2 else 1  # noqa: PLR2004
    moves = Counter(pair for pair in pairs if found.kind == "label" and pair[0] != pair[1])
    means = _as_json(changes[0]) if changes and found.kind != "label" else {}
    sides = [[scores[side] for scores in found.scores.values()] for side in (0, 1)]
    return {
        "judge": found.judge,
        "kind": found.kind,
        "pairs": len(pairs),
        "differing": changes[0].differing if means else sum(differ(*pair) for pair in pairs),
        "errors": [sum(bool(score.error) for score in chain(*side)) for side in sides],
        "moves": [[*move, n] for move, n in sorted(moves.items(), key=lambda m: (-m[1], m[0]))],
        "scale": scale,
        "margin": least,
        "outside": outside,
        "lost": sum(old is not None and new is None for old, new in found.levels.values()),
        "needed": None if None in needed else max(filter(None, needed), default=None),
        **means,
        "p": min(1.0, min(each.p for each in changes) * tests) if changes else None,
        "p_adjusted": None,
    }


def _alone(found: Paired, known: set[str], ended: set[str], *, is_conditional: bool) -> Row:
    """What the candidate alone has of a judge, and how many new cases the judge left out.

    A judge that leaves out cases which both arms have may do so with new ones.
    """
    none = (None, None)
    alone = {c: new for c, (old, new) in found.levels.items() if old is None and new is not None}
    unjudged = [case for case in ended if found.levels.get(case, none) == none]
    may_skip = is_conditional or not found.levels or not known.isdisjoint(unjudged)
    return {
        "gained": len(known & alone.keys()),
        "alone": len(alone),
        "alone_mean": fmean(alone.values()) if alone and found.kind in {"pass", "number"} else None,
        "unjudged": 0 if may_skip else len(unjudged),
    }


def _usual_range(values: Sequence[float]) -> tuple[float, float]:
    """How far scores reach whose range nobody declared, whatever few of them say.

    Nine tenths of them lie within; where those are one value, it is how far others are from it.
    """
    low, high = np.quantile(np.asarray(values, float), (0.1, 0.9))
    if low == high:
        apart = [abs(value - low) for value in values if value != low]
        low, high = 0.0, np.median(apart) if apart else 1.0
    return float(low), float(high)


def _verdict(row: Row, changes: Sequence[Change]) -> str:
    if not row["pairs"]:
        return "not in both"
    if not changes:
        few = "same" if row["pairs"] >= FEWEST else "unknown"
        return "changed" if row["differing"] else few
    if all(change.is_within(row["margin"]) for change in changes):
        return "same"
    if row["kind"] == "label":
        return "changed" if row["p_adjusted"] < CHANCE else "unknown"
    return {1: "better", -1: "worse", 0: "unknown"}[changes[0].direction(row["p_adjusted"])]


def _as_json(change: Change) -> Row:
    return {
        "before": change.before,
        "after": change.after,
        "difference": change.after - change.before,
        "interval": change.interval and [*change.interval],
        "p": change.p,
    }


def compare_figures(baseline: Arm, candidate: Arm) -> list[Row]:
    """What was consumed, by figure; executions that failed are left out, a crash is no saving."""
    found: list[Row] = []
    for (name, unit), figure in _FIGURES.items():
        before, after = (_by_case(figure, arm) for arm in (baseline, candidate))
        pairs = [(before[case], after[case]) for case in before if case in after]
        known = [[figure(run.usage) for run in arm] for arm in (baseline, candidate)]
        told = [[value for value in side if value is not None] for side in known]
        totals = [fmean(values) if values else None for values in told]
        row = {"figure": name, "unit": unit, "pairs": len(pairs), "totals": totals}
        if pairs:
            change = paired_change(*zip(*pairs, strict=True))
            verdict = {1: "more", -1: "less", 0: "within noise"}[change.direction(change.p)]
            found.append({**row, "verdict": verdict, **_as_json(change)})
        elif totals != [None, None]:
            found.append({**row, "verdict": "not in both"})
    return found


def _by_case(figure: Callable[[Consumption], float | None], arm: Arm) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for run in arm:
        for case, usage in run.case_usage.items():
            if case not in run.failed and (amount := figure(usage)) is not None:
                found.setdefault(case, []).append(amount)
    return {case: fmean(amounts) for case, amounts in found.items()}
