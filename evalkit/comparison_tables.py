"""The comparison of runs as rows of tables and charts, in words and numbers that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.comparing import Comparisons, demand
from evalkit.core.comparison import Comparison, JudgeChange
from evalkit.core.consumption import UsageChange
from evalkit.core.findings import amount, figure, interval, level, percent, quantity
from evalkit.core.flips import FLIP_KINDS, Flip, FlipKind
from evalkit.core.paired import Change
from evalkit.core.results import Run, Score
from evalkit.core.thresholds import Breach
from evalkit.jsonable import Json, canonical

Row = dict[str, Any]

NONE = "–"  # noqa: RUF001 (a dash where a table has nothing to show)

CHEAPER: Mapping[str, str] = {"more": "worse", "less": "better"}
"""What more and less of a cost means."""

FILTERS: Mapping[str, tuple[FlipKind, ...]] = {
    "All that changed": FLIP_KINDS[:-1],
    "Broken or worse": ("broken", "worse"),
    "Fixed or better": ("fixed", "better"),
    "Changed otherwise": ("changed",),
    "Only in one run": ("only in baseline", "only in candidate"),
    "The same": ("same",),
}
"""What a person may want to see of the flips, and the kinds that it means."""


def run_rows(found: Comparisons) -> list[Row]:
    """One candidate a row: what it is, and how it stands against the baseline."""
    return [_run_row(found, each) for each in found.comparisons]


def _run_row(found: Comparisons, each: Comparison) -> Row:
    counts = each.counted()
    cost = next((usage for usage in each.usage if usage.name == "Cost"), None)
    better, worse = len(each.having("better")), len(each.having("worse"))
    gained, lost = counts["fixed"] + counts["better"], counts["broken"] + counts["worse"]
    return {
        "Candidate": each.candidate.run_id,
        "Cases": len(each.common),
        "Executions failed": _failed(each),
        "Judges better : worse": f"{better} : {worse}",
        "Scores better : worse": f"{gained} : {lost}",
        "Thresholds failed": len(found.failing(each.candidate.run_id)),
        "Cost a case": _relative(cost) if cost else NONE,
    }


def headline(found: Comparisons, each: Comparison) -> tuple[tuple[str, object, str], ...]:
    """The figures of one candidate that are read first: label, value, meaning."""
    counts = each.counted()
    better, worse = len(each.having("better")), len(each.having("worse"))
    unsure = len(each.having("within noise", "too few cases"))
    failing = len(found.failing(each.candidate.run_id))
    before = len(found.failing(each.baseline.run_id))
    cost = next((usage for usage in each.usage if usage.name == "Cost"), None)
    return (
        ("Executions failed", _failed(each), "in the baseline → in the candidate"),
        (
            "Judges better : worse",
            f"{better} : {worse}",
            f"beyond chance; {unsure} cannot be told",
        ),
        (
            "Scores fixed or better",
            counts["fixed"] + counts["better"],
            f"of {sum(counts.values())}, case by case",
        ),
        (
            "Scores broken or worse",
            counts["broken"] + counts["worse"],
            f"on {len(_cases_of(each, 'broken', 'worse'))} of {len(each.common)} cases",
        ),
        ("Thresholds failed", failing, f"in the candidate; {before} in the baseline"),
        ("Cost a case", _relative(cost) if cost else NONE, _paired(cost) if cost else "not known"),
    )


def _failed(each: Comparison) -> str:
    return f"{len(each.baseline.failed)} → {len(each.candidate.failed)}"


def _cases_of(each: Comparison, *kinds: FlipKind) -> set[str]:
    return {flip.case_id for flip in each.flips if flip.kind in kinds}


def _relative(usage: UsageChange) -> str:
    share = usage.share(usage.change.difference) if usage.change else None
    return NONE if share is None else percent(share)


def _paired(usage: UsageChange) -> str:
    if usage.change is None:
        return "no case has it in both"
    return _from_to(usage, usage.change.before, usage.change.after)


# -- judges ---------------------------------------------------------------------------------------


def judge_rows(each: Comparison) -> list[Row]:
    """One judge a row."""
    return [_judge_row(judge) for judge in each.judges]


def _judge_row(judge: JudgeChange) -> Row:
    change = judge.change
    return {
        "Judge": judge.judge,
        "Verdict": judge.verdict,
        "Cases": judge.pairs,
        "Baseline": level(judge.kind, change.before) if change else NONE,
        "Candidate": level(judge.kind, change.after) if change else NONE,
        "Change": amount(judge.kind, change.difference) if change else NONE,
        "95 % interval": (interval(judge.kind, change) if change else "") or NONE,
        "Smallest to tell": _floor(judge),
    }


def _floor(judge: JudgeChange) -> str:
    if judge.change is None or judge.change.resolution is None:
        return NONE
    return f"±{amount(judge.kind, judge.change.resolution, sign=False)}"


def move_rows(each: Comparison) -> list[Row]:
    """One change of a label a row, with how many cases made it."""
    return [
        {"Judge": judge.judge, "Baseline": old, "Candidate": new, "Cases": count}
        for judge in each.judges
        for old, new, count in judge.moves
    ]


def judge_bars(found: Comparisons) -> list[Row]:
    """One judge and candidate a row, for a chart: in percent of the judge's scale."""
    return [
        _bar(judge.judge, each.candidate.run_id, judge.change, 1 / judge.scale)
        | {"Verdict": judge.verdict, "Change": amount(judge.kind, judge.change.difference)}
        for each in found.comparisons
        for judge in each.judges
        if judge.change is not None
    ]


def _bar(name: str, run_id: str, change: Change, scale: float) -> Row:
    ends = (change.low, change.high)
    low, high = (None if end is None else end * scale for end in ends)
    return {
        "Name": name,
        "Candidate": run_id,
        "Share": change.difference * scale,
        "Low": low,
        "High": high,
        "Cases": change.pairs,
    }


# -- case by case ---------------------------------------------------------------------------------


def filtered(each: Comparison, wanted: str, judge: str) -> list[Flip]:
    """The flips to show, those that want a look first.

    Args:
        each: The comparison.
        wanted: A key of :data:`FILTERS`.
        judge: Of this judge only; empty for all.
    """
    kinds = FILTERS[wanted]
    found = (flip for flip in each.flips if flip.kind in kinds and judge in {"", flip.judge})
    return sorted(found, key=lambda flip: kinds.index(flip.kind))


def flip_rows(flips: Sequence[Flip]) -> list[Row]:
    """One case and judge a row."""
    return [
        {
            "Case": flip.case_id,
            "Judge": flip.judge,
            "Baseline": said(flip.before),
            "Candidate": said(flip.after),
            "What happened": flip.kind,
        }
        for flip in flips
    ]


def score_fields(score: Score | None) -> Mapping[str, Json]:
    """What one run holds about a case: field to text."""
    fields = {"Score": said(score)}
    if score is not None and score.rationale:
        fields["Rationale"] = score.rationale
    if score is not None and score.error:
        fields["Error"] = score.error
    return fields


def said(score: Score | None) -> str:
    """A judge's value as people read it, or why there is none."""
    if score is None:
        return "not judged"
    if score.error:
        return "judge failed"
    if score.value is None:
        return "no value"
    if isinstance(score.value, bool):
        return "pass" if score.value else "fail"
    if isinstance(score.value, str):
        return score.value
    return canonical(score.value)


# -- what was consumed, and the thresholds --------------------------------------------------------


def usage_rows(each: Comparison) -> list[Row]:
    """One figure a row."""
    return [_usage_row(usage) for usage in each.usage]


def _usage_row(usage: UsageChange) -> Row:
    change = usage.change
    return {
        "Figure": usage.name,
        "Verdict": CHEAPER.get(usage.verdict, usage.verdict),
        "Cases": len(usage.before),
        "A case": _from_to(usage, change.before, change.after) if change else NONE,
        "Change": _relative(usage),
        "95 % interval": _usage_interval(usage),
        "Whole run": _from_to(usage, usage.total_before, usage.total_after),
    }


def _from_to(usage: UsageChange, before: float | None, after: float | None) -> str:
    old = NONE if before is None else figure(before)
    new = NONE if after is None else quantity(usage, after)
    return f"{old} → {new}"


def _usage_interval(usage: UsageChange) -> str:
    change = usage.change
    low, high = (usage.share(end) for end in (change.low, change.high)) if change else (None, None)
    return NONE if low is None or high is None else f"{percent(low)} to {percent(high)}"


def usage_bars(found: Comparisons) -> list[Row]:
    """One figure and candidate a row, for a chart: in percent of the baseline's mean a case."""
    return [
        _bar(usage.name, each.candidate.run_id, usage.change, 1 / usage.change.before)
        | {"Verdict": CHEAPER.get(usage.verdict, usage.verdict), "Change": _relative(usage)}
        for each in found.comparisons
        for usage in each.usage
        if usage.change is not None and usage.change.before
    ]


def usage_points(usage: UsageChange) -> list[Row]:
    """One case a row: what it consumed in both runs."""
    return [
        {"Case": case, "Baseline": before, "Candidate": usage.after[case]}
        for case, before in usage.before.items()
    ]


def threshold_rows(found: Comparisons) -> list[Row]:
    """One threshold a row, with what each run has and whether that will do."""
    per_run = [found.bounds[run.run_id] for run in found.runs]
    return [
        {"Judge": own[0].judge, "Threshold": demand(own[0])}
        | {
            column: text
            for run, bound in zip(found.runs, own, strict=True)
            for column, text in _standing(found, run, bound).items()
        }
        for own in zip(*per_run, strict=True)
    ]


def _standing(found: Comparisons, run: Run, bound: Breach) -> Row:
    role = "baseline" if run is found.baseline else "candidate"
    if bound.actual is None:
        return {f"{run.run_id} ({role})": "not measured"}
    mark = "✗ fails" if bound.is_worse else "✓ met"
    return {f"{run.run_id} ({role})": f"{figure(bound.actual)}  {mark}"}
