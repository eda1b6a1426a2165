"""Two arms of finished runs held against each other, case by case: figures and verdicts.

An arm is one run, or several trials of the same thing: what they have of a case is pooled, since
cases are what differs by chance. This knows neither files nor MLflow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TypeAlias

import numpy as np

from evalkit.jsonable import Json
from evalkit.project import Project
from evalkit.runs.trials import Arm, Pooled, differ, kind_of_scores, level, pooled, values_of
from evalkit.stats import CHANCE, FEWEST, Change, adjusted, paired_change
from evalkit.tokens import Consumption

Row: TypeAlias = dict[str, Json]
MARGIN = 0.1
"""The change of a rate that does not matter, unless told otherwise."""

MARGIN_OF_RANGE = 0.05
"""The change of a score that does not matter, as a share of its range."""

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
    baseline: Arm, candidate: Arm, project: Project, margin: float | None = None
) -> list[Row]:
    """Hold each judge's scores against the baseline's.

    Args:
        baseline: What was there before.
        candidate: What is judged.
        project: Says how far its judges' scores reach, and by its thresholds which judges decide.
        margin: The change that does not matter, of a rate and as a share of a score's range;
            :data:`MARGIN` and :data:`MARGIN_OF_RANGE` unless told otherwise.

    Returns:
        Of each judge its ``judge``, ``kind``, ``verdict`` (better, worse, same: the interval keeps
        within the margin; unknown; of labels and the like changed instead; not in both), whether
        it ``decides``, ``pairs`` of cases with a value in both arms and how many are
        ``differing``, how many cases have ``lost`` their value or ``gained`` one though both have
        the case, how many ``errors`` in both,
        ``moves`` of labels, the ``scale`` and ``margin`` of its scores, ``needed`` pairs to tell,
        and the change: ``before``, ``after``, ``difference``, ``interval``, ``p``, ``p_adjusted``
        for the number of judges looked at.
    """
    old, new = pooled(baseline), pooled(candidate)
    ranges = {judge.name: judge.score_range for judge in project.judges}
    known = {case for run in baseline for case in run.cases}
    names = list(
        dict.fromkeys((*old, *new, *(each for each in project.thresholds if each in ranges)))
    )
    # a win rate is over the baseline already
    demanded = {name for name in names if {*project.thresholds.get(name, ())} - {"min_win_rate"}}
    found = {
        name: _judge(name, old.get(name, {}), new.get(name, {}), ranges.get(name), margin)
        for name in names
    }
    for family in (demanded, set(names) - demanded):
        tested = [name for name in names if name in family and found[name][0]["p"] is not None]
        chances = adjusted([found[name][0]["p"] for name in tested])
        for name, p in zip(tested, chances, strict=True):
            found[name][0]["p_adjusted"] = p
    for name, (row, changes) in found.items():
        row["verdict"] = _verdict(row, changes)
        valued = {case for case, scores in new.get(name, {}).items() if values_of(scores)}
        had = {case for case, scores in old.get(name, {}).items() if values_of(scores)}
        row["gained"] = len((valued & known) - had)
        row["decides"] = not demanded or name in demanded
    return [row for row, _ in found.values()]


def _usage_by_case(baseline: Arm, candidate: Arm) -> dict[str, dict[str, tuple[float, float]]]:
    """What each case consumed in both arms, by figure; the mean of its trials.

    Executions that failed are left out: what crashes early is no saving.
    """
    well = [
        [
            {case: each for case, each in run.case_usage.items() if case not in run.failed}
            for run in arm
        ]
        for arm in (baseline, candidate)
    ]
    cases = [list(dict.fromkeys(case for usage in arm for case in usage)) for arm in well]
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for (name, _), figure in _FIGURES.items():
        found[name] = {}
        for case in (each for each in cases[0] if each in set(cases[1])):
            sides = [
                [x for usage in arm if case in usage and (x := figure(usage[case])) is not None]
                for arm in well
            ]
            if all(sides):
                found[name][case] = (fmean(sides[0]), fmean(sides[1]))
    return found


def compare_figures(baseline: Arm, candidate: Arm) -> list[Row]:
    """What was consumed, by figure.

    Returns:
        Of each ``figure`` its ``unit``, ``verdict`` (more, less, within noise, not in both),
        ``pairs`` of cases, ``totals`` of the arms' runs, and the change a case as of
        :func:`compare_judges`.
    """
    by_case = _usage_by_case(baseline, candidate)
    found = []
    for (name, unit), figure in _FIGURES.items():
        pairs = list(by_case[name].values())
        totals = [_total(figure, arm) for arm in (baseline, candidate)]
        if pairs or totals != [None, None]:
            change = paired_change(*zip(*pairs, strict=True)) if pairs else None
            verdicts = {1: "more", -1: "less", 0: "within noise"}
            found.append(
                {
                    "figure": name,
                    "unit": unit,
                    "verdict": verdicts[change.direction()] if change else "not in both",
                    "pairs": len(pairs),
                    "totals": totals,
                    **_as_json(change),
                }
            )
    return found


def _total(figure: Callable[[Consumption], float | None], arm: Arm) -> float | None:
    """What a run of the arm consumed, on average."""
    known = [value for run in arm if (value := figure(run.usage)) is not None]
    return fmean(known) if known else None


def _judge(
    name: str,
    before: Pooled,
    after: Pooled,
    score_range: tuple[float, float] | None,
    margin: float | None,
) -> tuple[Row, list[Change]]:
    kind = kind_of_scores((before, after))
    levels = {
        case: [level(kind, side.get(case, ())) for side in (before, after)] for case in before
    }
    both = [case for case, pair in levels.items() if None not in pair]
    pairs = [(levels[case][0], levels[case][1]) for case in both]
    olds, news = [old for old, _ in pairs], [new for _, new in pairs]
    changes: list[Change] = []
    if pairs and kind in {"pass", "number"}:
        changes = [paired_change(olds, news, is_rate=kind == "pass")]
    elif pairs and kind == "label":
        changes = _label_changes(
            *([values_of(side[case]) for case in both] for side in (before, after))
        )
    is_number = bool(pairs) and kind == "number"
    low, high = (score_range or _usual_range(olds + news)) if is_number else (0, 1)
    scale = abs(float(high - low)) or 1.0
    if margin is None:
        margin = MARGIN_OF_RANGE if is_number else MARGIN
    known = [n for change in changes if (n := change.needed(margin * scale)) is not None]
    # of labels each is tested against all others, of which two mirror each other
    tests = len(changes) if len(changes) > 2 else 1  # noqa: PLR2004
    change = changes[0] if kind != "label" and changes else None
    moves = Counter(pair for pair in pairs if kind == "label" and pair[0] != pair[1])
    row: Row = {
        "judge": name,
        "kind": kind,
        "pairs": len(pairs),
        "differing": change.differing if change else sum(differ(*pair) for pair in pairs),
        "errors": [
            sum(bool(score.error) for case in side.values() for score in case)
            for side in (before, after)
        ],
        "moves": [
            [*move, count] for move, count in sorted(moves.items(), key=lambda m: (-m[1], m[0]))
        ],
        "scale": scale,
        "margin": margin * scale,
        "lost": sum(old is not None and new is None for old, new in levels.values()),
        "needed": max(known, default=None) if len(known) == len(changes) else None,
        **_as_json(change),
        "p": min(1.0, min(each.p for each in changes) * tests) if changes else None,
        "p_adjusted": None,
    }
    return row, changes


def _usual_range(values: Sequence[float]) -> tuple[float, float]:
    """How far scores reach whose range nobody declared, whatever few of them say.

    Nine tenths of them lie within; where those are one value, it is how far others are from it.
    """
    low, high = np.quantile(np.asarray(values, float), (0.1, 0.9))
    if low == high:
        apart = [abs(value - low) for value in values if value != low]
        low, high = 0.0, np.median(apart) if apart else 1.0
    return float(low), float(high)


def _label_changes(
    before: Sequence[Sequence[Json]], after: Sequence[Sequence[Json]]
) -> list[Change]:
    """How the share of each label changed."""
    labels = {label for side in (before, after) for values in side for label in values}
    shares = [
        [[values.count(label) / len(values) for values in side] for side in (before, after)]
        for label in sorted(labels)
    ]
    return [paired_change(*share, is_rate=True) for share in shares]


def _verdict(row: Row, changes: Sequence[Change]) -> str:
    if not row["pairs"]:
        return "not in both"
    if not changes and not row["differing"]:
        return "same" if row["pairs"] >= FEWEST else "unknown"
    if not changes:
        return "changed"
    if all(change.is_within(row["margin"]) for change in changes):
        return "same"
    if row["kind"] == "label":
        return "changed" if row["p_adjusted"] < CHANCE else "unknown"
    return {1: "better", -1: "worse", 0: "unknown"}[changes[0].direction(row["p_adjusted"])]


def _as_json(change: Change | None) -> Row:
    if change is None:
        return {}
    return {
        "before": change.before,
        "after": change.after,
        "difference": change.difference,
        "interval": None if change.low is None else [change.low, change.high],
        "p": change.p,
    }
