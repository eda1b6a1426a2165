"""The one report of a comparison.

Terminal, page, JSON and Markdown are views of it; whatever is a sentence is made here, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from evalkit.jsonable import Json
from evalkit.project import Project
from evalkit.runs.compare import Row, compare_figures, compare_judges
from evalkit.runs.compare_rows import amount, figure_text, interval, levels
from evalkit.runs.metrics import thresholds, unknowns
from evalkit.runs.run import Score, executions, told
from evalkit.runs.trials import Arm, flips
from evalkit.stats import CHANCE

MOST_NAMES = 4


def report(project: Project, baseline: Arm, candidate: Arm, margin: float | None = None) -> Row:
    """The comparison as JSON.

    Args:
        project: Its judges' ranges, and its thresholds.
        baseline: The run, or the trials, that the others are held against; there may be none.
        candidate: What is judged: a run, or trials of the same thing.
        margin: See :func:`evalkit.runs.compare.compare_judges`.

    Returns:
        ``verdict``: better, worse, same or unknown, the worst of the judges that decide, and worse
        where more executions failed; ``gate``: pass, fail or unknown, thresholds included;
        ``needed_cases`` that would tell, where that is unknown; ``baseline`` and ``candidate``, the
        ids of their runs; ``cases`` in both and the ids of those that only one arm has;
        ``executions`` of both; ``judges``, ``figures``, ``flips`` (none that is the same) and
        ``counts`` of all kinds; ``thresholds`` with what each run has; ``shortfalls``, what speaks
        against the candidate, ``open``, what nobody can tell, and ``findings``, the answer first.
    """
    judges = compare_judges(baseline, candidate, project, margin) if baseline else []
    sides = [
        list(dict.fromkeys(c for run in arm for c in run.cases)) for arm in (baseline, candidate)
    ]
    known = [set(side) for side in sides]
    found = flips(baseline, candidate) if baseline else []
    ended = [_executions(arm) for arm in (baseline, candidate)]
    each: Row = {
        "baseline": [run.run_id for run in baseline],
        "candidate": [run.run_id for run in candidate],
        "cases": len(known[0] & known[1]),
        "only_in_baseline": [case for case in sides[0] if case not in known[1]],
        "only_in_candidate": [case for case in sides[1] if case not in known[0]],
        "executions": ended,
        "judges": judges,
        "counts": dict(Counter(flip.kind for flip in found)),
        "flips": [
            {
                "case": flip.case_id,
                "judge": flip.judge,
                "kind": flip.kind,
                "before": _values(flip.before),
                "after": _values(flip.after),
            }
            for flip in found
            if flip.kind != "same"
        ],
        "figures": compare_figures(baseline, candidate) if baseline else [],
        "thresholds": _thresholds(project, baseline, candidate),
    }
    worse = [*_failing_more(each), *map(_moved, _having(each, "worse"))]
    unsure = list(_unsure(each))
    missed = [
        f"{bound['judge']} fails {bound['demand']}, it has {figure_text(bound['actual'])}"
        for bound in each["thresholds"]
        if bound["verdict"] == "fails"
    ]
    open_ = list(dict.fromkeys(what for run in candidate for what in unknowns(project, run)))
    better = _having(each, "better")
    each["verdict"] = "worse" if worse else "unknown" if unsure else "better" if better else "same"
    each["gate"] = "fail" if worse or missed else "unknown" if unsure or open_ else "pass"
    needed = [judge["needed"] for judge in _having(each, "unknown")]
    each["needed_cases"] = max(filter(None, needed), default=None)
    each["shortfalls"] = [*worse, *missed]
    each["open"] = [*unsure, *(f"not known: {what}" for what in open_)]
    each["findings"] = [_answer(each, worse, unsure), *_asides(each)]
    return each


def _executions(arm: Arm) -> Row:
    """What :func:`evalkit.core.executions.executions` says, of all trials together."""
    found = {run.run_id: executions(run) for run in arm}
    several = len(arm) > 1
    codes = [each["exit_code"] for each in found.values() if "exit_code" in each]
    return {
        "total": sum(each["total"] for each in found.values()),
        "failed": sum(each["failed"] for each in found.values()),
        "names": {
            f"{name} of {run_id}" if several else name: why
            for run_id, each in found.items()
            for name, why in each["names"].items()
        },
        **({"exit_code": codes[0]} if codes else {}),
    }


def _thresholds(project: Project, baseline: Arm, candidate: Arm) -> list[Row]:
    """Each threshold with what each run has of it, and whether the candidate's mean will do."""
    bounds = {run.run_id: list(thresholds(project, run)) for run in (*baseline, *candidate)}
    found = []
    for own in zip(*bounds.values(), strict=True):
        runs = {name: bound.actual for name, bound in zip(bounds, own, strict=True)}
        actual = [value for run in candidate if (value := runs[run.run_id]) is not None]
        mean = fmean(actual) if len(actual) == len(candidate) else None
        bound = replace(own[0], actual=mean)
        found.append(
            {
                "judge": bound.judge,
                "kind": bound.kind,
                "bound": bound.bound,
                "demand": bound.demand,
                "runs": runs,
                "actual": mean,
                "verdict": bound.verdict,
            }
        )
    return found


def _values(scores: Sequence[Score]) -> Json:
    """The value of a single trial, or those of several."""
    values = [score.value for score in scores]
    return values if len(values) > 1 else values[0] if values else None


def _failing_more(each: Row) -> Iterator[str]:
    """That more executions failed than before; nothing where they did not."""
    before, after = each["executions"]
    if not each["baseline"]:
        if after["failed"] and after["failed"] == after["total"]:
            yield told(after)
        return
    if after["failed"] * before["total"] > before["failed"] * after["total"] or (
        "exit_code" in after and "exit_code" not in before
    ):
        was = f"; before, {before['failed']} of {before['total']}" if before["failed"] else ""
        yield f"{told(after)}{was}"


def _unsure(each: Row) -> Iterator[str]:
    """Why it cannot be told whether the candidate is as good as the baseline."""
    if not each["baseline"]:
        yield "there is no baseline to hold it against"
        return
    if not any(judge["pairs"] for judge in each["judges"]):
        yield "no judge scored the same case in both"
    else:
        for judge in _having(each, "unknown"):
            reach = f" ({found})" if (found := interval(judge)) else ""
            more = f"; about {judge['needed']:,} cases would tell" if judge["needed"] else ""
            yield f"{judge['judge']}: {levels(judge)} over {_cases(judge['pairs'])}{reach}{more}"
        if alone := [judge["judge"] for judge in _having(each, "not in both")]:
            yield f"no case was judged in both by {_listed(alone)}"
    if changed := [judge["judge"] for judge in _having(each, "changed")]:
        yield f"{_listed(changed)} changed, and whether that is good only a person can say"
    missing = each["only_in_baseline"]
    for judge in (judge for judge in each["judges"] if judge["decides"]):
        if judge["errors"][1]:
            yield f"{judge['judge']} failed to judge {_cases(judge['errors'][1])}"
        if judge["pairs"] and judge["lost"] > judge["errors"][1] + len(missing):
            yield f"{judge['judge']} has no score of {_cases(judge['lost'])} that it judged before"
    if missing:
        yield f"the candidate lacks {_cases(len(missing))} of the baseline: {_listed(missing)}"


def _answer(each: Row, worse: Sequence[str], unsure: Sequence[str]) -> str:
    """The verdict, and what it rests on, in one line."""
    if each["verdict"] == "worse":
        return f"Worse: {'; '.join(worse)}."
    if each["verdict"] == "unknown":
        return f"Cannot tell: {'; '.join(unsure)}."
    if each["verdict"] == "better":
        return f"Better: {'; '.join(map(_moved, _having(each, 'better')))}."
    most = max(judge["pairs"] for judge in each["judges"])
    return f"Same: over {_cases(most)}, no judge moved by more than its margin."


def _asides(each: Row) -> Iterator[str]:
    """What no table shows, besides the answer."""
    before, after = each["executions"]
    is_said = each["verdict"] == "worse" and list(_failing_more(each))
    for ended, arm in ((before, "baseline"), (after, "candidate")):
        if (ended["failed"] or "exit_code" in ended) and not (is_said and ended is after):
            yield f"In the {arm}, {told(ended)}."
    if before["failed"] or after["failed"]:
        yield "Cost and time are compared over executions that ended well."
    tested = sum(judge["p"] is not None for judge in each["judges"])
    if tested > 1:
        yield (
            f"{tested} judges were looked at; their p-values are adjusted for that, so that chance "
            f"alone makes any of them stand out in {CHANCE:.0%} of comparisons."
        )
    for judge in each["judges"]:
        old, new = judge["errors"]
        if old != new and judge["verdict"] != "not in both":
            yield f"{judge['judge']} could not judge {_cases(new)}; before, {old}."
    if each["baseline"] and (added := each["only_in_candidate"]):
        yield f"Only in the candidate: {_cases(len(added))}, {_listed(added)}."


def _having(each: Row, verdict: str) -> list[Row]:
    """The judges that decide, and have this verdict."""
    return [judge for judge in each["judges"] if judge["decides"] and judge["verdict"] == verdict]


def _moved(judge: Row) -> str:
    reach = f", 95 % interval {found}" if (found := interval(judge)) else ""
    return (
        f"{judge['judge']} {levels(judge)} over {_cases(judge['pairs'])} "
        f"({amount(judge, judge['difference'])}{reach})"
    )


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _listed(names: Sequence[str]) -> str:
    """The first names; the others are counted."""
    more = len(names) - MOST_NAMES
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown
