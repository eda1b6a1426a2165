"""``compare``, ``gate`` and ``history``: is a run better, worse, the same, or can nobody tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from evalkit.config_files import ProjectFiles
from evalkit.context import Workspace
from evalkit.entities import BRANCH_TAG, COMMIT_TAG
from evalkit.errors import InputError, Problem, StoreAbsent, StoreError
from evalkit.gate_comment import MARK, comment
from evalkit.jsonable import is_number
from evalkit.masking import mask_json, mask_text
from evalkit.runs.arms import Finder, Trial
from evalkit.runs.compare import Row
from evalkit.runs.compare_report import report
from evalkit.runs.run_dir import list_runs
from evalkit.runs.trials import level, pooled
from evalkit.stats import mean_interval

MOST_COMMENT = 65_000
"""Characters of a comment; GitHub takes 65,536."""

TWO = 2
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
    known = (list_runs if candidate and baseline else run_ids)(workspace.files)
    baseline, candidate = choose(known, baseline, candidate)
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
    file = Path(out) if out is not None else None
    if file is not None:
        _withdraw(file)
    finder = finder_of(workspace)
    new: list[Trial] = []
    old: list[Trial] = []
    why = ""
    try:
        new = finder.trials(run_id, "run-id")
        if baseline:
            old = finder.trials(baseline, "baseline", without=new)
        elif (base := finder.merge_base(new)) is not None:
            old = [base]
        else:
            why = finder.why_no_base()
    except (StoreAbsent, StoreError) as error:
        why = str(error)
    found = _report(workspace, old, new, margin) if new else _nothing(workspace, run_id, why)
    if new and why:
        found["open"][0] = f"there is no baseline: {why}"
        if found["verdict"] == "unknown":
            found["findings"][0] = f"Cannot tell: there is no baseline: {why}."
    if file is not None:
        text = "\n".join(comment(workspace, found, old, new)) + "\n"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(mask_text(text)[0][:MOST_COMMENT], encoding="utf-8")
        except (OSError, ValueError) as error:
            problem = Problem(f"cannot be written: {error}", str(file), field="--out")
            raise InputError(problem) from error
    return found | {"on_unknown": on_unknown}


def _withdraw(file: Path) -> None:
    """Delete an earlier gate's comment: where this one ends with an error, no old answer stays."""
    with suppress(OSError, ValueError):
        if file.read_text("utf-8").startswith(MARK):
            file.unlink()


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
    found = report(project, [each.run for each in old], [each.run for each in new], margin)
    masked: Row = mask_json(found)
    return masked


def run_ids(files: ProjectFiles) -> list[str]:
    """Ids of a project's finished runs, sorted, so that dated ones end with the latest.

    Raises:
        InputError: there are fewer than two.
    """
    found = list_runs(files)
    if len(found) < TWO:
        known = f"only {found[0]!r}" if found else "none"
        raise InputError(
            Problem(
                f"a comparison needs two finished runs, there is {known}",
                ", ".join(map(str, files.runs_dirs)),
                fix="run the evaluation again, or name another runs folder",
            )
        )
    return found


def choose(
    known: Sequence[str], baseline: Sequence[str] = (), candidate: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """The runs of both arms: those that are named, else the newest and the one before it.

    Args:
        known: What :func:`run_ids` returned.
        baseline: Names of runs; may be empty.
        candidate: Names of runs; may be empty.

    Raises:
        InputError: a run is compared with itself.
    """
    old = list(dict.fromkeys(baseline))
    new = list(dict.fromkeys(candidate)) or [name for name in known if name not in old][-1:]
    if new and not old:
        others = [name for name in known if name not in new]
        first = min((known.index(name) for name in new if name in known), default=len(known))
        earlier = [name for name in others if known.index(name) < first]
        old = (earlier or others)[-1:]
    there = f"name another run; there are {', '.join(known[-5:]) or 'none on disk'}"
    if not (old and new):
        raise InputError(Problem("there is no other run to compare with", fix=there))
    if twice := [name for name in old if name in new]:
        same = f"{twice[0]!r} would be compared with itself"
        raise InputError(Problem(same, field="baseline", fix=there))
    return old, new
