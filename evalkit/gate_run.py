"""``compare``, ``gate`` and ``history``: is a run better, worse, the same, or can nobody tell."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from evalkit.arms import NO_BASE, Finder, Trial, answers
from evalkit.config_files import ProjectFiles
from evalkit.context import Workspace
from evalkit.entities import BRANCH_TAG, COMMIT_TAG
from evalkit.errors import InputError, Problem, StoreAbsent, StoreError
from evalkit.files import write_text
from evalkit.masking import mask_json, mask_text
from evalkit.runs.compare import Row, values_of
from evalkit.runs.compare_report import report
from evalkit.runs.compare_rows import MARK, comment
from evalkit.runs.run_dir import list_runs
from evalkit.stats import mean_interval

MOST_COMMENT = 65_000  # characters; GitHub takes 65,536
MOST_RUNS = 50  # that a history goes back


def compare(
    workspace: Workspace,
    *,
    candidate: Sequence[str] = (),
    baseline: Sequence[str] = (),
    margin: float | None = None,
) -> Row:
    """Hold runs against a baseline; several of an arm are trials, pooled by case.

    Runs are named by directory, by their id in MLflow, or as ``git:REF``; else they are the newest
    on disk and the one before. ``margin`` is the change of a rate, and of a score as a share of its
    range, that does not matter: between 0 and 1, and 0.1 and 0.05 unless told otherwise.

    Returns:
        ``verdict`` (better, worse, same, unknown) and ``gate`` (pass, fail, unknown) with what
        speaks for them: ``shortfalls``, ``open``, ``needed_cases``, and ``findings`` in sentences;
        of both arms run ids, ``executions``, ``models``, ``datasets`` (digests), and the ``cases``
        that they share; rows of ``judges``, ``figures``, ``thresholds`` and ``flips``, whose
        ``counts`` hold all kinds; ``newly_failing`` cases (None where nobody knows which),
        ``unknown_endings``, and the scores that trials are ``lacking``.

    Raises:
        InputError: there is no such run, or a run's files are wrong.
    """
    try:
        old, new = find_arms(workspace, baseline, candidate)
        return compare_arms(workspace, old, new, margin)
    except StoreError as error:
        # nothing was compared, so that is how it ends
        found = compare_arms(workspace, [], [], margin, str(error))
        return found | {"candidate": list(candidate), "on_unknown": "3"}


def gate(
    workspace: Workspace,
    *,
    run_id: Sequence[str],
    baseline: Sequence[str] = (),
    margin: float | None = None,
    out: str | Path | None = None,
    on_unknown: str = "3",
) -> Row:
    """Whether runs are good enough to merge: the report of :func:`compare`, which may be unknown.

    Without a baseline it is the newest run logged for where HEAD left the main branch. ``out`` is
    the file for the pull request's comment; ``on_unknown`` says what the command makes of not
    knowing: ``3``, ``pass`` or ``fail``.

    Raises:
        InputError: a run that is named is not there, or its files are wrong.
    """
    if not run_id:
        fix = "name the run that is to be judged"
        raise InputError(Problem("no run is named", field="--run-id", fix=fix))
    with suppress(OSError):  # where this ends with an error, no old answer stays
        if out is not None and Path(out).read_bytes().startswith(MARK.encode()):
            Path(out).unlink()
    finder, why = Finder(workspace), NO_BASE
    new: list[Trial] = []
    old: list[Trial] = []
    try:
        new = finder.trials(run_id, "run-id")
        old = finder.trials(baseline, "baseline", without=new) or finder.merge_base(new)
        old, new = finder.linked(old, new)
    except StoreError as error:
        why = str(error)
    found = compare_arms(workspace, old, new, margin, why)
    found["candidate"] = found["candidate"] or list(run_id)
    if out is not None:
        links: dict[str, str] = {}
        with suppress(StoreError):
            links = finder.links(new)
        both = partial(answers, workspace, (old, new))
        text = "\n".join(comment(workspace.files.project.name, found, both, links))
        write_text(Path(out), mask_text(text)[0][:MOST_COMMENT] + "\n")
    return found | {"on_unknown": on_unknown}


def history(workspace: Workspace, *, judge: str) -> Row:
    """A judge over the logged runs, the newest first: ``judge`` and ``runs``.

    Each has ``run_id``, ``mlflow_run_id``, ``time_ms``, ``commit``, ``branch``, ``dataset`` (its
    digest), ``cases``, ``mean`` or ``pass_rate``, and its ``interval``.

    Raises:
        InputError: no logged run has numbers, passes or failures by that judge.
        StoreError: MLflow is absent or answered with an error.
    """
    finder = Finder(workspace)
    found: list[Row] = []
    try:
        for stored in islice(finder.logged(), MOST_RUNS):
            run = finder.stored_trial(stored).run
            values = values_of(score for score in run.scores if score.judge == judge)
            if numbers := [value for value in values if isinstance(value, (int, float))]:
                mean, reach = mean_interval(numbers)
                row = {
                    "run_id": run.run_id,
                    "mlflow_run_id": stored.run_id,
                    "time_ms": stored.start_ms,
                    "commit": stored.tags.get(COMMIT_TAG, ""),
                    "branch": stored.tags.get(BRANCH_TAG, ""),
                    "dataset": run.dataset,
                    "cases": len(numbers),
                    "pass_rate" if isinstance(numbers[0], bool) else "mean": mean,
                    "interval": reach,
                }
                found.append(row)
    except StoreAbsent as error:
        raise StoreError(str(error)) from error
    if not found:
        known = ", ".join(each.name for each in workspace.files.project.judges)
        what = f"no logged run of {workspace.files.project.name} has numbers or passes by {judge!r}"
        fix = f"run log-results first, labels have no history; judges are {known or 'none'}"
        raise InputError(Problem(what, field="--judge", fix=fix))
    return {"judge": judge, "runs": found}


def find_arms(
    workspace: Workspace, baseline: Sequence[str], candidate: Sequence[str]
) -> list[list[Trial]]:
    """The runs of both arms, the baseline's first, as :func:`choose` understands them."""
    old_names, new_names = choose(workspace.files, baseline, candidate)
    finder = Finder(workspace)
    new = finder.trials(new_names, "candidate")
    return finder.linked(finder.trials(old_names, "baseline", without=new), new)


def compare_arms(
    workspace: Workspace,
    old: Sequence[Trial],
    new: Sequence[Trial],
    margin: float | None = None,
    why: str = "",
) -> Row:
    """The report of :func:`compare`, without secrets; ``why`` there is no baseline, or no run."""
    if margin is not None and not 0 < margin < 1:
        fix = "give a share between 0 and 1, such as 0.05"
        raise InputError(Problem(f"a margin of {margin:g} is none", field="--margin", fix=fix))
    before, after = ([trial.run for trial in arm] for arm in (old, new))
    found: Row = mask_json(report(workspace.files.project, before, after, margin, why))
    return found


def choose(
    files: ProjectFiles, baseline: Sequence[str], candidate: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The runs of both arms: those that are named, else the newest on disk, and the one before."""
    known = list_runs(files)
    new = [*dict.fromkeys(candidate)] or [name for name in known if name not in baseline][-1:]
    others = [name for name in known if name not in new]
    first = min((known.index(name) for name in new if name in known), default=len(known))
    earlier = [name for name in others if name in known[:first]]
    old = [*dict.fromkeys(baseline)] or (earlier or others)[-1:]
    if not (old and new):
        fix = f"name runs, or their folder; there are {', '.join(known) or 'none'}"
        place = ", ".join(map(str, files.runs_dirs))
        raise InputError(Problem("a comparison needs two finished runs", place, fix=fix))
    return old, new
