"""The one report of a comparison.

Terminal, page, JSON and Markdown are views of it; whatever is a sentence is made here, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from statistics import fmean

from evalkit.jsonable import Json
from evalkit.project import Project
from evalkit.receipt import WHOLE_RUN
from evalkit.runs.compare import Row, compare_figures, compare_judges
from evalkit.runs.compare_rows import amount, figure_text, interval, level, levels
from evalkit.runs.metrics import thresholds, unknowns
from evalkit.runs.pairs import Arm, flips, pair_scores, values_of
from evalkit.runs.run import Run, executions, first_names, told
from evalkit.stats import CHANCE

_COUNTED: Mapping[str, Callable[[Json], bool]] = {
    "min_mean": lambda value: isinstance(value, (bool, int, float)),
    "min_pass_rate": lambda value: value in (0, 1),
}
"""The thresholds whose figure a run's own scores come to, and what those are."""

ROUNDED = 0.01
"""As far as a summary's figure may be from what its cases come to."""


def report(project: Project, baseline: Arm, candidate: Arm, margin: float | None = None) -> Row:
    """The comparison as JSON, as :func:`evalkit.gate_run.compare` gives it.

    There may be no baseline; ``margin`` is the change of a rate, and of a score as a share of its
    range, that does not matter.
    """
    arms = (baseline, candidate)
    known = [dict.fromkeys(case for run in arm for case in run.cases) for arm in arms]
    pairs = pair_scores(baseline, candidate) if baseline else []
    found = flips(pairs)
    endings = frozenset[str]().union(*(run.endings for run in baseline))
    each: Row = {
        "baseline": [run.run_id for run in baseline],
        "candidate": [run.run_id for run in candidate],
        "cases": len(known[0].keys() & known[1]),
        "only_in_baseline": [case for case in known[0] if case not in known[1]],
        "only_in_candidate": [case for case in known[1] if case not in known[0]],
        "executions": [_executions(arm) for arm in arms],
        "newly_failing": _newly_failing(baseline, candidate),
        # whether the baseline says how an execution ended, and the candidate does not
        "unknown_endings": any(
            (endings & {WHOLE_RUN, *run.cases}) - run.endings for run in candidate
        ),
        "lacking": list(_lacking(candidate)),
        "models": [sorted({run.model for run in arm if run.model}) for arm in arms],
        "datasets": [sorted({run.dataset for run in arm if run.dataset}) for arm in arms],
        "judges": compare_judges(pairs, *arms, project, margin) if baseline else [],
        "counts": dict(Counter(flip["kind"] for flip in found)),
        "flips": [flip for flip in found if flip["kind"] != "same"],
        "figures": compare_figures(baseline, candidate) if baseline else [],
        "thresholds": _thresholds(project, baseline, candidate),
    }
    worse = [*_failing_more(each), *map(_moved, _deciding(each, "worse"))]
    unsure = list(_unsure(each))
    missed = [
        f"{bound['judge']} fails {bound['demand']}, it has {figure_text(bound['actual'])}"
        for bound in each["thresholds"]
        if bound["verdict"] == "fails"
    ]
    unknown = dict.fromkeys(what for run in candidate for what in unknowns(project, run))
    doubtful = dict(what for run in candidate for what in _contradicted(project, run))
    for bound in each["thresholds"]:
        if bound["verdict"] == "met" and (bound["judge"], bound["kind"]) in doubtful.values():
            bound["verdict"] = "doubtful"
    better = list(map(_moved, _deciding(each, "better")))
    is_open = unsure or unknown or doubtful
    each["verdict"] = "worse" if worse else "unknown" if unsure else "better" if better else "same"
    each["gate"] = "fail" if worse or missed else "unknown" if is_open else "pass"
    needed = (judge["needed"] for judge in _deciding(each, "unknown"))
    each["needed_cases"] = max(filter(None, needed), default=None)
    each["shortfalls"] = [*worse, *missed]
    each["open"] = [*unsure, *(f"not known: {what}" for what in unknown), *doubtful]
    answers = {"worse": "Worse: ", "unknown": "Cannot tell: ", "better": "Better: "}
    answer = answers.get(each["verdict"], "Same: ")
    why = "; ".join(worse or unsure or better or _unmoved(each))
    each["findings"] = [f"{answer}{why}.", *_asides(each)]
    return each


# -- executions, and what there is of them ---------------------------------------------------------


def _executions(arm: Arm) -> dict[str, Json]:
    """What :func:`evalkit.runs.run.executions` says, of all trials together."""
    found = {run.run_id: executions(run) for run in arm}
    codes = [own["exit_code"] for own in found.values() if "exit_code" in own]
    return {
        "total": sum(own["total"] for own in found.values()),
        "failed": sum(own["failed"] for own in found.values()),
        "names": {
            f"{name} of {run_id}" if len(arm) > 1 else name: why
            for run_id, own in found.items()
            for name, why in own["names"].items()
        },
        **({"exit_code": codes[0]} if codes else {}),
    }


def _newly_failing(baseline: Arm, candidate: Arm) -> float | None:
    """By how many cases more fail in the candidate, new ones too; None where names are lost."""
    if any({*run.failed} - {*run.cases} for run in (*baseline, *candidate)):
        return None

    def shares(arm: Arm) -> dict[str, float]:
        cases = {case for run in arm for case in run.cases}
        return {c: fmean(c in run.failed for run in arm if c in run.cases) for c in cases}

    before, after = shares(baseline), shares(candidate)
    return sum(share - before.get(case, 0) for case, share in after.items())


def _lacking(arm: Arm) -> Iterator[dict[str, Json]]:
    """Of each trial and judge, how many cases have no score though another trial's have one."""
    scored = [{(s.judge, s.case_id) for s in run.scores if values_of([s])} for run in arm]
    everything = set[tuple[str, str]]().union(*scored)
    for run, own in zip(arm, scored, strict=True):
        lost = Counter(judge for judge, case in everything - own if case not in run.failed)
        for judge, count in sorted(lost.items()):
            yield {"run_id": run.run_id, "judge": judge, "cases": count}


def _thresholds(project: Project, baseline: Arm, candidate: Arm) -> list[Row]:
    """Each threshold with what each run has of it, and whether the candidate's mean will do."""
    bounds = {run.run_id: thresholds(project, run) for run in (*baseline, *candidate)}
    found = []
    for own in zip(*bounds.values(), strict=True):
        runs = {name: bound.actual for name, bound in zip(bounds, own, strict=True)}
        actual = [value for run in candidate if (value := runs[run.run_id]) is not None]
        bound = replace(own[0], actual=fmean(actual) if len(actual) == len(candidate) else None)
        names = ("judge", "kind", "bound", "demand", "actual", "verdict")
        found.append({name: getattr(bound, name) for name in names} | {"runs": runs})
    return found


def _contradicted(project: Project, run: Run) -> Iterator[tuple[str, tuple[str, str]]]:
    """The thresholds (judge and kind) whose figure is not what the run's own scores come to."""
    for bound in thresholds(project, run):
        values = values_of(score for score in run.scores if score.judge == bound.judge)
        counts = _COUNTED.get(bound.kind)
        if bound.actual is None or not values or not counts or not all(map(counts, values)):
            continue
        mean = round(fmean(values), 9)
        is_met = replace(bound, actual=mean).verdict == bound.verdict
        if not is_met or abs(bound.actual - mean) > ROUNDED * max(1, abs(mean)):
            own, said = figure_text(mean), figure_text(bound.actual)
            what = f"{bound.judge} is {said} by its summary and {own} by its cases"
            yield f"{run.run_id}: {what}", (bound.judge, bound.kind)


# -- sentences -------------------------------------------------------------------------------------


def _failing_more(each: Row) -> list[str]:
    """That more executions failed than before; without a baseline, that all did."""
    before, after = each["executions"]
    if not each["baseline"]:
        return [told(after)] if after["failed"] and after["failed"] == after["total"] else []
    more = after["failed"] * before["total"] > before["failed"] * after["total"]
    newly = (each["newly_failing"] or 0) > 0
    uncounted = "exit_code" in after and "exit_code" not in before
    was = f"; before, {before['failed']} of {before['total']}" if before["failed"] else ""
    return [f"{told(after)}{was}"] if more or newly or uncounted else []


def _unsure(each: Row) -> Iterator[str]:
    """Why it cannot be told whether the candidate is as good as the baseline."""
    if not each["baseline"]:
        yield "there is no baseline to hold it against"
        return
    (before, after), missing = each["executions"], each["only_in_baseline"]
    deciding = {judge["judge"]: judge for judge in each["judges"] if judge["decides"]}
    if not any(judge["pairs"] for judge in deciding.values()):
        yield "no judge scored the same case in both"
    for judge in deciding.values():
        yield from _doubts(judge, len(each["judges"]), len(missing))
    for lack in each["lacking"]:
        if lack["judge"] in deciding:
            none = f"has no score of {_cases(lack['cases'])} by {lack['judge']}"
            yield f"{lack['run_id']} {none} that another trial has"
    if each["unknown_endings"] and not _failing_more(each):
        yield "whether the candidate's executions failed is not known"
    if after["failed"] * 2 > after["total"]:
        yield f"{told(after)}, and what is left says little"
    elif before["failed"] * 2 > before["total"]:
        yield f"in the baseline {told(before)}, and what is left is no yardstick"
    if missing:
        yield f"the candidate lacks {_cases(len(missing))} of the baseline: {first_names(missing)}"


def _doubts(judge: Row, judges: int, missing: int) -> Iterator[str]:
    """Why what a judge says does not tell."""
    name = judge["judge"]
    if judge["verdict"] == "unknown":
        reach = f" ({found})" if (found := interval(judge)) else ""
        more = f"; about {judge['needed']:,} cases would tell" if judge["needed"] else ""
        if judge["p"] is not None and judge["p"] < CHANCE:
            more = f"; among {judges} judges, one may look so by chance"
        yield f"{name}: {levels(judge)} over {_cases(judge['pairs'])}{reach}{more}"
    if judge["verdict"] == "changed":
        yield f"{name} changed, and whether that is good only a person can say"
    yield from _gaps(judge, missing)


def _gaps(judge: Row, missing: int) -> Iterator[str]:
    """What a judge has not judged, or not as it should, so that its mean is not of all cases."""
    name, lost, gained, errors = judge["judge"], judge["lost"], judge["gained"], judge["errors"][1]
    if errors:
        yield f"{name} failed to judge {_cases(errors)}"
    if lost > errors + missing:
        yield f"{name} has no score of {_cases(lost)} that it judged before"
    if not (judge["pairs"] or lost or judge["alone"] or errors):
        yield f"no case has a score by {name}"
    if gained > judge["pairs"]:
        yield f"the baseline has no score of {_cases(gained)} by {name}"
    if judge["pairs"] and judge["unjudged"]:
        yield f"{name} left out {_cases(judge['unjudged'])} that the baseline does not have"
    if judge["outside"]:
        yield f"{judge['outside']} scores by {name} lie outside of the range that it declares"
    mean, before = judge["alone_mean"], judge.get("before")
    if mean is not None and before is not None and mean < before - judge["margin"]:
        alone = f"{level(judge, mean)} over {_cases(judge['alone'])} that only the candidate has"
        yield f"{name} comes to {alone}, and to {level(judge, before)} over the baseline's"


def _unmoved(each: Row) -> list[str]:
    fewest = min(judge["pairs"] for judge in _deciding(each, "same"))
    who = "no judge" if all(j["decides"] for j in each["judges"]) else "no judge that decides"
    return [f"over {_cases(fewest)}, {who} moved by more than its margin"]


def _asides(each: Row) -> Iterator[str]:
    """What no table shows, besides the answer."""
    is_answer = each["verdict"] == "worse" and _failing_more(each)
    for arm, ended in zip(("baseline", "candidate"), each["executions"], strict=True):
        if told(ended) and not (is_answer and arm == "candidate"):
            yield f"In the {arm}, {told(ended)}."
    for judge in (judge for judge in each["judges"] if not judge["decides"]):
        moved = [_moved(judge)] if judge["verdict"] == "worse" else []
        if why := "; ".join([*moved, *_gaps(judge, len(each["only_in_baseline"]))]):
            yield f"Decides nothing, as no threshold names it: {why}."
    for what in ("model", "dataset"):
        old, new = each[f"{what}s"]
        if old and new and old != new:
            yield f"The {what} is another one: {', '.join(old)} before, {', '.join(new)} now."
    if (tested := sum(judge["p"] is not None for judge in each["judges"])) > 1:
        yield f"{tested} judges were looked at; their p-values are adjusted for that."
    if each["baseline"] and (added := each["only_in_candidate"]):
        yield f"Only in the candidate: {_cases(len(added))}, {first_names(added)}."


def _deciding(each: Row, verdict: str) -> list[Row]:
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
