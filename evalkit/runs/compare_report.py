"""The one report of a comparison, of which terminal, page, JSON and Markdown are views.

Whatever is a sentence is made here, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from statistics import fmean

from evalkit.project import Project
from evalkit.receipt import WHOLE_RUN
from evalkit.runs.compare import Arm, Row, figure_rows, flips, judge_rows, pair_scores, values_of
from evalkit.runs.compare_rows import amount, figure_text, interval, level, levels
from evalkit.runs.metrics import Bound, thresholds, unknowns
from evalkit.runs.run import Run, executions, first_names, told
from evalkit.stats import CHANCE

ROUNDED = 0.01  # as far as a summary's figure may be from what its cases come to


def report(
    project: Project, baseline: Arm, candidate: Arm, margin: float | None = None, why: str = ""
) -> Row:
    """The comparison as JSON, as :func:`evalkit.gate_run.compare` gives it.

    ``margin`` is the change of a rate, and of a score as a share of its range, that does not
    matter; ``why`` says why there is no baseline, or no run at all.
    """
    arms = (baseline, candidate)
    known = [dict.fromkeys(chain(*(run.cases for run in arm))) for arm in arms]
    pairs = pair_scores(*arms) if baseline else []
    found = flips(pairs)
    endings = [frozenset[str]().union(*(run.endings for run in arm)) for arm in arms]
    bounds, doubtful = _thresholds(project, baseline, candidate)
    each: Row = {
        "baseline": [run.run_id for run in baseline],
        "candidate": [run.run_id for run in candidate],
        "cases": len(known[0].keys() & known[1]),
        "only_in_baseline": [case for case in known[0] if case not in known[1]],
        "only_in_candidate": [case for case in known[1] if case not in known[0]],
        "executions": [executions(*arm) for arm in arms],
        "newly_failing": _newly_failing(*arms),
        # whether the baseline says how an execution ended, and the candidate does not
        "unknown_endings": any(
            (endings[0] & {WHOLE_RUN, *run.cases}) - run.endings for run in candidate
        ),
        "lacking": list(_lacking(candidate)),
        "models": [sorted({run.model for run in arm if run.model}) for arm in arms],
        "datasets": [sorted({run.dataset for run in arm if run.dataset}) for arm in arms],
        "judges": judge_rows(pairs, *arms, project, margin) if baseline else [],
        "counts": dict(Counter(flip["kind"] for flip in found)),
        "flips": [flip for flip in found if flip["kind"] != "same"],
        "figures": figure_rows(*arms) if baseline else [],
        "thresholds": bounds,
    }
    worse = [*_failing_more(each), *map(_moved, _deciding(each, "worse"))]
    unsure = [f"there is no baseline: {why}" if candidate else why]
    reasons = {
        "worse": worse,
        "unknown": list(_unsure(each)) if baseline else unsure,
        "better": [_moved(judge) for judge in _deciding(each, "better")],
    }
    each["verdict"] = next((verdict for verdict, whys in reasons.items() if whys), "same")
    missed = (bound for bound in bounds if bound["verdict"] == "fails")
    each["shortfalls"] = worse + [
        f"{bound['judge']} fails {bound['demand']}, it has {figure_text(bound['actual'])}"
        for bound in missed
    ]
    unknown = dict.fromkeys(what for run in candidate for what in unknowns(project, run))
    each["open"] = [*reasons["unknown"], *(f"not known: {what}" for what in unknown), *doubtful]
    each["gate"] = "fail" if each["shortfalls"] else "unknown" if each["open"] else "pass"
    needed = (judge["needed"] for judge in _deciding(each, "unknown"))
    each["needed_cases"] = max(filter(None, needed), default=None)
    if each["verdict"] == "same":
        fewest = min(judge["pairs"] for judge in _deciding(each, "same"))
        who = "" if all(judge["decides"] for judge in each["judges"]) else " that decides"
        reasons["same"] = [f"over {_cases(fewest)}, no judge{who} moved by more than its margin"]
    answer = {"unknown": "Cannot tell"}.get(each["verdict"], each["verdict"].title())
    each["findings"] = [f"{answer}: {'; '.join(reasons[each['verdict']])}.", *_asides(each)]
    if candidate and not any(endings) and not each["executions"][1]["failed"]:
        each["findings"].append(
            "Whether executions failed is not known: no run says how one ended."
        )
    return each


# -- executions, and what there is of them ---------------------------------------------------------


def _newly_failing(*arms: Arm) -> float | None:
    """By how many cases more fail in the candidate, new ones too; None where names are lost."""
    if any({*run.failed} - {*run.cases} for run in chain(*arms)):
        return None
    before, after = (
        {
            case: sum(case in run.failed for run in arm) / count
            for case, count in Counter(chain(*(run.cases for run in arm))).items()
        }
        for arm in arms
    )
    return sum(share - before.get(case, 0) for case, share in after.items())


def _lacking(arm: Arm) -> Iterator[Row]:
    """Of each trial and judge, how many cases have no score though another trial's have one."""
    scored = [{(s.judge, s.case_id) for s in run.scores if values_of([s])} for run in arm]
    everything = set[tuple[str, str]]().union(*scored)
    for run, own in zip(arm, scored, strict=True):
        lost = Counter(judge for judge, case in everything - own if case not in run.failed)
        for judge, count in sorted(lost.items()):
            yield {"run_id": run.run_id, "judge": judge, "cases": count}


def _thresholds(project: Project, baseline: Arm, candidate: Arm) -> tuple[list[Row], list[str]]:
    """Each threshold with what each run has of it; those that the candidate's cases contradict."""
    runs, names = (*baseline, *candidate), ("judge", "kind", "bound", "demand", "actual", "verdict")
    found: list[Row] = []
    doubts: dict[str, None] = {}
    for own in zip(*(thresholds(project, run) for run in runs), strict=True):
        new = own[len(baseline) :]
        actual = [bound.actual for bound in new if bound.actual is not None]
        bound = replace(own[0], actual=fmean(actual) if len(actual) == len(new) else None)
        wrong = list(filter(None, map(_contradiction, candidate, new)))
        row = {name: getattr(bound, name) for name in names}
        row["runs"] = {run.run_id: each.actual for run, each in zip(runs, own, strict=True)}
        found.append(row | ({"verdict": "doubtful"} if wrong and bound.verdict == "met" else {}))
        doubts |= dict.fromkeys(wrong)
    return found, list(doubts)


def _contradiction(run: Run, bound: Bound) -> str:
    """That a threshold's figure is not what the run's own scores come to; else empty."""
    values = values_of(score for score in run.scores if score.judge == bound.judge)
    is_rate = bound.kind == "min_pass_rate"
    counted = [v for v in values if (v in (0, 1) if is_rate else isinstance(v, (int, float)))]
    if bound.actual is None or not (is_rate or bound.kind == "min_mean"):
        return ""
    if not counted or len(counted) < len(values):
        return ""
    mean = round(fmean(values), 9)
    is_met = replace(bound, actual=mean).verdict == bound.verdict
    if is_met and abs(bound.actual - mean) <= ROUNDED * max(1, abs(mean)):
        return ""
    own, said = figure_text(mean), figure_text(bound.actual)
    return f"{run.run_id}: {bound.judge} is {said} by its summary and {own} by its cases"


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
    (before, after), missing = each["executions"], each["only_in_baseline"]
    deciding = {judge["judge"]: judge for judge in each["judges"] if judge["decides"]}
    if not any(judge["pairs"] for judge in deciding.values()):
        yield "no judge scored the same case in both"
    for judge in deciding.values():
        yield from _doubts(judge, each)
    for run_id, judge, cases in map(dict.values, each["lacking"]):
        if judge in deciding:
            yield f"{run_id} has no score of {_cases(cases)} by {judge} that another trial has"
    if each["unknown_endings"] and not _failing_more(each):
        yield "whether the candidate's executions failed is not known"
    if after["failed"] * 2 > after["total"]:
        yield f"{told(after)}, and what is left says little"
    elif before["failed"] * 2 > before["total"]:
        yield f"in the baseline {told(before)}, and what is left is no yardstick"
    if missing:
        yield f"the candidate lacks {_cases(len(missing))} of the baseline: {first_names(missing)}"


def _doubts(judge: Row, each: Row) -> Iterator[str]:
    """Why what a judge says does not tell."""
    if judge["verdict"] == "unknown":
        reach = f" ({found})" if (found := interval(judge)) else ""
        more = f"; about {judge['needed']:,} cases would tell" if judge["needed"] else ""
        if judge["p"] is not None and judge["p"] < CHANCE:
            more = f"; among {len(each['judges'])} judges, one may look so by chance"
        yield f"{judge['judge']}: {levels(judge)} over {_cases(judge['pairs'])}{reach}{more}"
    if judge["verdict"] == "changed":
        yield f"{judge['judge']} changed, and whether that is good only a person can say"
    yield from _gaps(judge, each)


def _gaps(judge: Row, each: Row) -> Iterator[str]:
    """What a judge has not judged, or not as it should, so that its mean is not of all cases."""
    name, pairs, lost, errors = judge["judge"], judge["pairs"], judge["lost"], judge["errors"][1]
    keys = ("gained", "alone", "unjudged", "outside")
    gained, alone, unjudged, outside = (judge[key] for key in keys)
    mean, before = judge["alone_mean"], judge.get("before")
    is_less = mean is not None and before is not None and mean < before - judge["margin"]
    new = f"{level(judge, mean)} over {_cases(alone)} that only the candidate has"
    said = {
        f"{name} failed to judge {_cases(errors)}": errors,
        f"{name} has no score of {_cases(lost)} that it judged before": (
            lost > errors + len(each["only_in_baseline"])
        ),
        f"no case has a score by {name}": not (pairs or lost or alone or errors),
        f"the baseline has no score of {_cases(gained)} by {name}": gained > pairs,
        f"{name} left out {_cases(unjudged)} that the baseline does not have": pairs and unjudged,
        f"{outside} scores by {name} lie outside of the range that it declares": outside,
        f"{name} comes to {new}, and to {level(judge, before)} over the baseline's": is_less,
    }
    return (sentence for sentence, holds in said.items() if holds)


def _asides(each: Row) -> Iterator[str]:
    """What no table shows, besides the answer."""
    before, after = map(told, each["executions"])
    if before:
        yield f"In the baseline, {before}."
    if after and not (each["verdict"] == "worse" and _failing_more(each)):
        yield f"In the candidate, {after}."
    for judge in (judge for judge in each["judges"] if not judge["decides"]):
        moved = [_moved(judge)] if judge["verdict"] == "worse" else []
        if why := "; ".join([*moved, *_gaps(judge, each)]):
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
    return [judge for judge in each["judges"] if judge["decides"] and judge["verdict"] == verdict]


def _moved(judge: Row) -> str:
    reach = f", 95 % interval {found}" if (found := interval(judge)) else ""
    change = f"{amount(judge, judge['difference'])}{reach}"
    return f"{judge['judge']} {levels(judge)} over {_cases(judge['pairs'])} ({change})"


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"
