"""``compare``, ``gate`` and ``history``: is a run better, worse, the same, or can nobody tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from evalkit.context import Workspace
from evalkit.entities import BRANCH_TAG, COMMIT_TAG
from evalkit.errors import InputError, Problem, StoreAbsent, StoreError
from evalkit.gate_comment import comment
from evalkit.jsonable import is_number
from evalkit.masking import mask_text
from evalkit.runs import arms
from evalkit.runs.arms import Finder, Trial
from evalkit.runs.compare import Row
from evalkit.runs.compare_report import report
from evalkit.runs.run_dir import list_runs
from evalkit.runs.trials import level, pooled
from evalkit.stats import mean_interval

MOST_COMMENT = 65_000
"""Characters of a comment; GitHub takes 65,536."""

MOST_RUNS = 50
"""Logged runs that a history goes back."""


def compare(
    workspace: Workspace,
    *,
    candidate: Sequence[str] = (),
    baseline: Sequence[str] = (),
    margin: float | None = None,
) -> Row:
    """Hold runs against a baseline; several of an arm are trials, pooled by case.

    Args:
        workspace: The opened project.
        candidate: Run directories, ids of MLflow runs, or ``git:REF``; else the newest on disk.
        baseline: The same; else the run on disk before the candidate.
        margin: The change that does not matter; see
            :func:`evalkit.runs.compare.compare_judges`.

    Returns:
        The report; see :func:`evalkit.runs.compare_report.report`.

    Raises:
        InputError: there is no such run, or a run's files are wrong.
    """
    known = (list_runs if candidate and baseline else arms.run_ids)(workspace.files)
    baseline, candidate = arms.choose(known, baseline, candidate)
    finder = finder_of(workspace)
    try:
        new = finder.trials(candidate, "candidate")
        old = finder.trials(baseline, "baseline", without=new)
    except (StoreAbsent, StoreError) as error:
        # nothing was compared, so that is how it ends
        return _nothing(workspace, candidate, str(error)) | {"on_unknown": "3"}
    return _report(workspace, old, new, margin)


def gate(
    workspace: Workspace,
    *,
    run_id: Sequence[str],
    baseline: Sequence[str] = (),
    margin: float | None = None,
    out: str | Path | None = None,
    on_unknown: str = "3",
) -> Row:
    """Whether runs are good enough to merge, beside a baseline.

    Args:
        workspace: The opened project.
        run_id: The candidate's runs, as in :func:`compare`.
        baseline: The same; else the newest run logged for where HEAD left the main branch.
        margin: The change that does not matter.
        out: Where to write the comment for the pull request; None for nowhere.
        on_unknown: What the command makes of not knowing: ``3``, ``pass`` or ``fail``.

    Returns:
        The report of :func:`compare`; ``gate`` in it is pass, fail or unknown, the last also where
        there is no baseline or no MLflow to have it from.

    Raises:
        InputError: a run that is named is not there, or its files are wrong.
    """
    if not run_id:
        fix = "name the run that is to be judged"
        raise InputError(Problem("no run is named", field="--run-id", fix=fix))
    finder = finder_of(workspace)
    new: list[Trial] = []
    old: list[Trial] = []
    why = ""
    try:
        new = finder.trials(run_id, "run-id")
        if baseline:
            old = finder.trials(baseline, "baseline", without=new)
        elif (found := finder.merge_base(new)) is not None:
            old = [found]
        else:
            why = (
                "no run is logged for where this branch left the main one, or for a commit before;"
                " log one there, fetch the main branch where the clone is shallow, or name a"
                " baseline"
            )
    except (StoreAbsent, StoreError) as error:
        why = str(error)
    if not new:
        return _nothing(workspace, run_id, why) | {"on_unknown": on_unknown}
    found_report = _report(workspace, old, new, margin) | {"on_unknown": on_unknown}
    if why:
        found_report["open"][0] = f"there is no baseline: {why}"
        if found_report["verdict"] == "unknown":
            found_report["findings"][0] = f"Cannot tell: there is no baseline: {why}."
    if out is not None:
        out = Path(out)
        text = "\n".join(comment(workspace, found_report, old, new)) + "\n"
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(mask_text(text)[0][:MOST_COMMENT], encoding="utf-8")
        except OSError as error:
            problem = Problem(f"cannot be written: {error.strerror}", str(out), field="--out")
            raise InputError(problem) from error
    return found_report


def history(workspace: Workspace, *, judge: str) -> Row:
    """A judge over the logged runs, the newest first.

    Args:
        workspace: The opened project.
        judge: Its name.

    Returns:
        ``judge`` and ``runs``: of each ``run_id``, ``mlflow_run_id``, ``time_ms``, ``commit``,
        ``branch``, ``dataset`` (its digest), ``mean`` or ``pass_rate``, and its ``interval``.

    Raises:
        InputError: no logged run has figures of that judge.
        StoreError: MLflow is absent or answered with an error.
    """
    try:
        found = list(_over_time(finder_of(workspace), judge))
    except StoreAbsent as error:
        raise StoreError(str(error)) from error
    if not found:
        known = ", ".join(each.name for each in workspace.files.project.judges)
        raise InputError(
            Problem(
                f"no logged run of {workspace.files.project.name} has scores of {judge!r}",
                field="--judge",
                fix=f"run log-results first; the config's judges are {known or 'none'}",
            )
        )
    return {"judge": judge, "runs": found}


def _over_time(finder: Finder, judge: str) -> Iterator[Row]:
    for stored in islice(finder.logged(), MOST_RUNS):
        scores = pooled([finder.stored_trial(stored).run]).get(judge, {})
        values = [level("number", each) for each in scores.values()]
        numbers = [value for value in values if isinstance(value, bool) or is_number(value)]
        if not numbers:
            continue
        mean, reach = mean_interval(numbers)
        yield {
            "run_id": stored.params.get("run_id", ""),
            "mlflow_run_id": stored.run_id,
            "time_ms": stored.start_ms,
            "commit": stored.tags.get(COMMIT_TAG, ""),
            "branch": stored.tags.get(BRANCH_TAG, ""),
            "dataset": next(iter(stored.datasets.values()), ""),
            "cases": len(numbers),
            "pass_rate" if isinstance(numbers[0], bool) else "mean": mean,
            "interval": reach and list(reach),
        }


def finder_of(workspace: Workspace) -> Finder:
    """Looks for the project's runs, on disk and in its MLflow."""
    return Finder(workspace.files, workspace.run, lambda: workspace.store)


def _nothing(workspace: Workspace, names: Sequence[str], why: str) -> Row:
    """The report where even the candidate lies in an MLflow that does not answer."""
    found = _report(workspace, [], [], None)
    return found | {
        "candidate": list(names),
        "open": [why],
        "findings": [f"Cannot tell: {why}"],
    }


def _report(
    workspace: Workspace, old: Sequence[Trial], new: Sequence[Trial], margin: float | None
) -> Row:
    if margin is not None and not 0 < margin <= 1:
        fix = "give a share, such as 0.05"
        raise InputError(Problem(f"a margin of {margin:g} is none", field="--margin", fix=fix))
    project = workspace.files.project
    return report(project, [each.run for each in old], [each.run for each in new], margin)
