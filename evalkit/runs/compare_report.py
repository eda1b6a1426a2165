"""The one report of a comparison.

Terminal, page, JSON and Markdown are views of it; whatever is a sentence is made here, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from evalkit.jsonable import Json
from evalkit.project import Project
from evalkit.runs.compare import Row, compare_figures, compare_judges
from evalkit.runs.compare_rows import amount, figure_text, interval, levels
from evalkit.runs.metrics import thresholds, unknowns
from evalkit.runs.run import Run, Score, told
from evalkit.runs.trials import (
    Arm,
    arm_executions,
    flips,
    lacking_scores,
    newly_failing,
    pooled,
    tells_endings,
    values_of,
)
from evalkit.stats import CHANCE

MOST_NAMES = 4
COUNTED: Mapping[str, set[type]] = {"min_mean": {bool, int, float}, "min_pass_rate": {bool}}
"""The thresholds whose figure a run's own scores come to, and of which types those are."""

ROUNDED = 0.01
"""As far as a summary's figure may be from what its cases come to."""


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
        ``executions`` of both, ``newly_failing`` (how many more cases fail than end well that did
        not before, None where nobody knows), ``unknown_endings``; ``lacking``, of each trial that
        lacks scores its run, judge and number of cases; ``models`` of both; ``judges``,
        ``figures``, ``flips`` (none that is the same) and
        ``counts`` of all kinds; ``thresholds`` with what each run has; ``shortfalls``, what speaks
        against the candidate, ``open``, what nobody can tell, and ``findings``, the answer first.
    """
    judges = compare_judges(baseline, candidate, project, margin) if baseline else []
    sides = [
        list(dict.fromkeys(c for run in arm for c in run.cases)) for arm in (baseline, candidate)
    ]
    known = [set(side) for side in sides]
    found = flips(baseline, candidate) if baseline else []
    ended = [arm_executions(arm) for arm in (baseline, candidate)]
    each: Row = {
        "baseline": [run.run_id for run in baseline],
        "candidate": [run.run_id for run in candidate],
        "cases": len(known[0] & known[1]),
        "only_in_baseline": [case for case in sides[0] if case not in known[1]],
        "only_in_candidate": [case for case in sides[1] if case not in known[0]],
        "executions": ended,
        "newly_failing": newly_failing(baseline, candidate),
        "unknown_endings": tells_endings(baseline) and not tells_endings(candidate),
        "lacking": list(lacking_scores(candidate)),
        "models": [sorted({r.model for r in arm if r.model}) for arm in (baseline, candidate)],
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
    doubtful = [what for run in candidate for what in _contradicted(project, run)]
    better = _having(each, "better")
    each["verdict"] = "worse" if worse else "unknown" if unsure else "better" if better else "same"
    each["gate"] = (
        "fail" if worse or missed else "unknown" if unsure or open_ or doubtful else "pass"
    )
    needed = [judge["needed"] for judge in _having(each, "unknown")]
    each["needed_cases"] = max(filter(None, needed), default=None)
    each["shortfalls"] = [*worse, *missed]
    each["open"] = [*unsure, *(f"not known: {what}" for what in open_), *doubtful]
    each["findings"] = [_answer(each, worse, unsure), *_asides(each)]
    return each


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


def _contradicted(project: Project, run: Run) -> Iterator[str]:
    """The thresholds whose figure is not what the run's own scores come to."""
    scores = pooled([run])
    for bound in thresholds(project, run):
        values = values_of(s for case in scores.get(bound.judge, {}).values() for s in case)
        kinds: set[type] = COUNTED.get(bound.kind, set())
        if bound.actual is None or not values or not {type(v) for v in values} <= kinds:
            continue
        mean = fmean(values)
        if abs(bound.actual - mean) > ROUNDED * max(1, abs(mean)):
            own, said = figure_text(mean), figure_text(bound.actual)
            yield f"{run.run_id}: {bound.judge} is {said} by its summary and {own} by its cases"


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
    more = after["failed"] * before["total"] > before["failed"] * after["total"]
    newly = (each["newly_failing"] or 0) > 0
    if more or newly or ("exit_code" in after and "exit_code" not in before):
        was = f"; before, {before['failed']} of {before['total']}" if before["failed"] else ""
        yield f"{told(after)}{was}"


def _unsure(each: Row) -> Iterator[str]:
    """Why it cannot be told whether the candidate is as good as the baseline."""
    if not each["baseline"]:
        yield "there is no baseline to hold it against"
        return
    if not any(judge["pairs"] for judge in each["judges"] if judge["decides"]):
        yield "no judge scored the same case in both"
    else:
        for judge in _having(each, "unknown"):
            reach = f" ({found})" if (found := interval(judge)) else ""
            more = f"; about {judge['needed']:,} cases would tell" if judge["needed"] else ""
            if judge["p"] is not None and judge["p"] < CHANCE:
                more = f"; among {len(each['judges'])} judges, one may look so by chance"
            yield f"{judge['judge']}: {levels(judge)} over {_cases(judge['pairs'])}{reach}{more}"
        alone = [j for j in _having(each, "not in both") if j["lost"] or j["gained"]]
        if alone:
            yield f"no case was judged in both by {_listed([j['judge'] for j in alone])}"
    if changed := [judge["judge"] for judge in _having(each, "changed")]:
        yield f"{_listed(changed)} changed, and whether that is good only a person can say"
    yield from _incomplete(each)


def _incomplete(each: Row) -> Iterator[str]:
    """What the candidate or the baseline lacks, so that what is left proves nothing."""
    after, missing = each["executions"][1], each["only_in_baseline"]
    if each["unknown_endings"]:
        yield "whether the candidate's executions failed is not known"
    if after["failed"] * 2 > after["total"]:
        yield f"{told(after)}, and what is left says little"
    decides = {judge["judge"] for judge in each["judges"] if judge["decides"]}
    for lack in (lack for lack in each["lacking"] if lack["judge"] in decides):
        yield (
            f"{lack['run_id']} has no score of {_cases(lack['cases'])} by {lack['judge']} that"
            " another trial has"
        )
    for judge in (judge for judge in each["judges"] if judge["decides"]):
        if judge["errors"][1]:
            yield f"{judge['judge']} failed to judge {_cases(judge['errors'][1])}"
        if judge["pairs"] and judge["lost"] > judge["errors"][1] + len(missing):
            yield f"{judge['judge']} has no score of {_cases(judge['lost'])} that it judged before"
        if judge["pairs"] and judge["gained"] > judge["pairs"]:
            yield f"the baseline has no score of {_cases(judge['gained'])} by {judge['judge']}"
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
    fewest = min(j["pairs"] for j in _having(each, "same"))
    who = "no judge" if all(j["decides"] for j in each["judges"]) else "no judge that decides"
    return f"Same: over {_cases(fewest)}, {who} moved by more than its margin."


def _asides(each: Row) -> Iterator[str]:
    """What no table shows, besides the answer."""
    before, after = each["executions"]
    is_said = each["verdict"] == "worse" and list(_failing_more(each))
    for ended, arm in ((before, "baseline"), (after, "candidate")):
        if (ended["failed"] or "exit_code" in ended) and not (is_said and ended is after):
            yield f"In the {arm}, {told(ended)}."
    yield from _overruled(each["judges"])
    if silent := [j for j in _having(each, "not in both") if not (j["lost"] or j["gained"])]:
        yield f"No value in either: {_listed([judge['judge'] for judge in silent])}."
    if each["models"][0] != each["models"][1] and all(each["models"]):
        old, new = (", ".join(names) for names in each["models"])
        yield f"The model is another one: {old} before, {new} now."
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


def _overruled(judges: Sequence[Row]) -> Iterator[str]:
    """What judges say that decides nothing."""
    for judge in judges:
        gone = f"has no score of {_cases(judge['lost'])} that it judged before"
        why = _moved(judge) if judge["verdict"] == "worse" else f"{judge['judge']} {gone}"
        if not judge["decides"] and (judge["verdict"] == "worse" or judge["lost"]):
            yield f"Decides nothing, as no threshold names it: {why}."
        if judge["verdict"] == "same" and judge["p_adjusted"] and judge["p_adjusted"] < CHANCE:
            yield f"Beyond chance, but within the margin: {_moved(judge)}."


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
