"""The one report of a comparison, and its rows in figures as people read them.

Terminal, page and JSON are views of it; whatever is a sentence is made here, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evalkit.jsonable import Json
from evalkit.project import Project
from evalkit.runs.compare import Comparison, compare
from evalkit.runs.metrics import thresholds, unknowns
from evalkit.runs.run import Run, executions, named, told
from evalkit.stats import CHANCE, FEWEST

Row = dict[str, Json]

NONE = "–"  # noqa: RUF001 (a dash where a table has nothing to show)
CHEAPER = {"more": "worse", "less": "better"}
"""What more and less of a cost means."""

MOST_NAMES = 4
MANY_JUDGES = 5
"""Judges compared at once, from which on chance is likely to make one stand out."""

HOPELESS = 2_000
"""Cases beyond which it is not worth saying how many would be needed."""


def report(project: Project, runs: Sequence[Run]) -> Row:
    """The comparison as JSON.

    Args:
        project: Its judges' ranges, and its thresholds.
        runs: The baseline, then the candidates.

    Returns:
        ``baseline``, ``candidates``; ``comparisons``, one a candidate, as of
        :func:`evalkit.runs.compare.compare`, with its ``findings`` in words; ``thresholds`` with
        what each run has; and ``shortfalls``, what speaks against the candidates.
    """
    baseline, *candidates = runs
    bounds = {run.run_id: list(thresholds(project, run)) for run in runs}
    found = [compare(baseline, candidate, project) for candidate in candidates]
    shortfalls = [
        f"{run.run_id}: {what}"
        for run, each in zip(candidates, found, strict=True)
        for what in (
            *filter(None, (told(executions(run)),)),
            *(
                f"{bound.judge} fails {bound.demand}, it has {figure(bound.actual or 0.0)}"
                for bound in bounds[run.run_id]
                if bound.verdict == "fails"
            ),
            *map(_regression, _having(each, "worse")),
            *(f"not known: {what}" for what in unknowns(project, run)),
        )
    ]
    return {
        "baseline": baseline.run_id,
        "candidates": [run.run_id for run in candidates],
        "comparisons": [
            each | {"findings": list(_findings(each, baseline.run_id))} for each in found
        ],
        "thresholds": [
            {
                "judge": own[0].judge,
                "kind": own[0].kind,
                "bound": own[0].bound,
                "demand": own[0].demand,
                "runs": {name: bound.actual for name, bound in zip(bounds, own, strict=True)},
                "fails_in": [n for n, b in zip(bounds, own, strict=True) if b.verdict == "fails"],
            }
            for own in zip(*bounds.values(), strict=True)
        ],
        "shortfalls": shortfalls,
    }


def _findings(each: Comparison, baseline: str) -> Iterator[str]:
    """What no table shows: what failed, the answer in one line, and what it does not rest on."""
    before, after = each["executions"]
    for run_id, ended in ((baseline, before), (each["candidate"], after)):
        if "exit_code" in ended:
            yield f"{run_id}: {told(ended)}."
    if before["failed"] or after["failed"]:
        which = f": {named(after)}" if after["failed"] else ""
        yield (
            f"Executions that failed {before['failed']} → {after['failed']}, of {after['total']}"
            f"{which}. Cost and time are compared over cases that failed in neither run."
        )
    yield conclusion(each)
    tested = sum("before" in judge for judge in each["judges"])
    if _having(each, "better", "worse") and tested >= MANY_JUDGES:
        yield (
            f"{tested} judges are compared at once, and one in {round(1 / CHANCE)} stands out by "
            "chance alone: look at the cases before you believe a single one."
        )
    for judge in each["judges"]:
        old, new = judge["errors"]
        if old != new and judge["verdict"] != "not in both":
            yield f"{judge['judge']} could not judge {_cases(new)}; before, {old}."
    if alone := [judge["judge"] for judge in _having(each, "not in both")]:
        yield f"No case was judged in both by {_listed(alone)}."
    for side in ("baseline", "candidate"):
        if missing := each[f"only_in_{side}"]:
            yield f"Only in the {side}: {_cases(len(missing))}, {_listed(missing)}."


def conclusion(each: Comparison) -> str:
    """The answer in one line."""
    if not any(judge["pairs"] for judge in each["judges"]):
        return "Nothing can be compared: no judge scored the same case in both."
    if each["cases"] < FEWEST:
        return (
            f"The suite is too small to tell: with {_cases(each['cases'])}, no change can be told "
            f"from chance. At least {FEWEST} must change the same way."
        )
    parts = [
        f"{verdict} by {_listed([judge['judge'] for judge in found])}"
        for verdict in ("worse", "better")
        if (found := _having(each, verdict))
    ]
    if not parts:
        count = _cases(each["cases"])
        return f"With {count}, no judge is better or worse beyond what chance explains."
    text = " and ".join(parts)
    return f"{text[0].upper()}{text[1:]}, beyond what chance explains."


def rows(changes: Sequence[Row]) -> list[Row]:
    """One judge, or one figure of what was consumed, a row in figures that people read.

    Args:
        changes: ``judges`` or ``usage`` of a comparison. Of usage less is better, and its changes
            are in percent of the baseline's mean a case.
    """
    return [
        {
            "Judge" if "judge" in each else "Figure": each.get("judge") or each["figure"],
            "Verdict": CHEAPER.get(each["verdict"], each["verdict"]),
            "Cases": each["pairs"],
            "Baseline → candidate": _levels(each),
            "Change": _amount(each, each.get("difference")),
            "95 % interval": _interval(each) or NONE,
            "Smallest to tell": _amount(each, each.get("resolution")).replace("+", "±"),
            "Cases to tell": _needed(each),
            **({"Whole run": _from_to(each["totals"], each["unit"])} if "totals" in each else {}),
        }
        for each in changes
    ]


def threshold_rows(found: Row) -> list[Row]:
    """One threshold a row, with what each run has and whether that will do."""
    return [
        {"Judge": each["judge"], "Threshold": each["demand"]}
        | {
            f"{run_id} ({'baseline' if run_id == found['baseline'] else 'candidate'})": (
                "not measured"
                if actual is None
                else f"{figure(actual)}  {'✗ fails' if run_id in each['fails_in'] else '✓ met'}"
            )
            for run_id, actual in each["runs"].items()
        }
        for each in found["thresholds"]
    ]


def figure(value: float, *, sign: bool = False) -> str:
    """A number with three digits that count; never in powers of ten."""
    rounded = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 (from there on, whole numbers)
    if "e" in rounded:
        rounded = f"{value:.6f}".rstrip("0").rstrip(".")
    rounded = "0" if rounded in {"-0", ""} else rounded
    return f"+{rounded}" if sign and value > 0 else rounded


def _hundredths(share: float) -> str:
    """A share in points of a hundred with its sign, and a decimal where there are few."""
    text = f"{100 * share:.0f}" if abs(share) >= 0.1 else f"{100 * share:.1f}".removesuffix(".0")  # noqa: PLR2004 (ten points)
    text = "0" if text == "-0" else text
    return f"+{text}" if share > 0 and text != "0" else text


def _having(each: Comparison, *verdicts: str) -> list[Row]:
    return [judge for judge in each["judges"] if judge["verdict"] in verdicts]


def _regression(judge: Row) -> str:
    reach = f", 95 % interval {found}" if (found := _interval(judge)) else ""
    return (
        f"{judge['judge']} is worse: {_levels(judge)} over {_cases(judge['pairs'])} "
        f"({_amount(judge, judge['difference'])}{reach})."
    )


def _levels(each: Row) -> str:
    """The mean or rate before and after; of labels and the like, what changed in how many cases."""
    if "before" in each:
        means = [each["before"], each["after"]]
        if each.get("kind") == "pass":
            return " → ".join(f"{mean:.0%}" for mean in means)
        return _from_to(means, each.get("unit", ""))
    moves = [f"{old} → {new} in {count}" for old, new, count in each.get("moves", [])[:MOST_NAMES]]
    differing = each.get("differing")
    return ", ".join(moves) or (f"differs in {differing}" if differing else NONE)


def _amount(each: Row, value: float | None, points: str = " points") -> str:
    """A difference: points of a hundred for passes, percent of what was consumed, or a number."""
    if value is None or ("figure" in each and not each["before"]):
        return NONE
    if "figure" in each:
        return f"{_hundredths(value / each['before'])}%"
    if each["kind"] == "pass":
        return _hundredths(value) + points
    return figure(value, sign=True)


def _interval(each: Row) -> str:
    """The interval of a change; empty where there is none."""
    ends = [_amount(each, end, points="") for end in each.get("interval") or ()]
    return "" if NONE in ends else " to ".join(ends)


def _needed(judge: Row) -> str:
    needed = judge.get("needed")
    if needed is None or needed <= judge["pairs"]:
        return NONE
    if needed > HOPELESS:
        return f"over {HOPELESS:,}"
    return f"about {figure(float(f'{needed:.2g}'))}"


def _from_to(amounts: Sequence[float | None], unit: str) -> str:
    old, new = (NONE if value is None else figure(value) for value in amounts)
    return f"{old} → {new} {unit}".rstrip()


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _listed(names: Sequence[str]) -> str:
    """The first names; the others are counted."""
    more = len(names) - MOST_NAMES
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown
