"""``log-results``, ``push-feedback``, ``pull-feedback``: a finished run and what is said of it."""

from __future__ import annotations

from evalkit.adapters.files.run import RunFiles
from evalkit.context import Workspace
from evalkit.core.review import annotations_in, parse_review, with_annotations
from evalkit.errors import InputError
from evalkit.files import inside, read_text, write_text
from evalkit.stages.speaking import Names, Report, Say, Source, silent


def log_results(
    workspace: Workspace,
    *,
    run_id: str,
    names: Names = "auto",
    dataset_name: str | None = None,
    say: Say = silent,
) -> Report:
    """Log a finished run: params, metrics, tags, artifacts, the table of scores, and the traces.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        names: ``seed`` names judge feedback ``{case_id}/{judge}`` on every trace; ``auto`` only
            on those that hold several cases.
        dataset_name: The dataset that the run is linked to; the eval's name by default.
        say: Told the progress, a line at a time.

    Returns:
        See :meth:`evalkit.flows.log_results.RunLogger.log`.

    Raises:
        InputError: config or run are wrong.
        StoreAbsent: MLflow cannot be reached; nothing was written.
        StoreError: MLflow answered with an error; nothing was written.
        Unfinished: MLflow failed on the way; running again finishes.
    """
    from evalkit.flows.log_results import RunLogger

    found, dataset = workspace.run(run_id), _dataset(workspace, dataset_name)
    return RunLogger(found, workspace.store, names == "seed", dataset, say).log()


def push_feedback(
    workspace: Workspace,
    *,
    run_id: str,
    source: Source = "all",
    names: Names = "auto",
    say: Say = silent,
) -> Report:
    """Attach judges' scores and reviewers' comments to the traces of their cases.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        source: Push the judges' scores, people's comments, or both.
        names: As in :func:`log_results`.
        say: Told the progress, a line at a time.

    Returns:
        See :func:`evalkit.flows.feedback.push_feedback`.

    Raises:
        InputError: config, run or ``review.yaml`` are wrong.
        StoreAbsent: MLflow cannot be reached; nothing was written.
        StoreError: MLflow answered with an error; nothing was written.
        Unfinished: MLflow failed on the way; running again finishes.
    """
    from evalkit.flows import feedback

    found = workspace.run(run_id)
    review = parse_review(review_text(found), str(found.review))
    return feedback.push_feedback(
        found, review, workspace.store, source=source, seed_names=names == "seed", say=say
    )


def pull_feedback(
    workspace: Workspace,
    *,
    run_id: str,
    say: Say = silent,
) -> Report:
    """Bring what people said in MLflow into the run's ``review.yaml``, under ``mlflow_feedback``.

    Where MLflow has no traces of the run, the file stays as it is.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        say: Told the progress, a line at a time.

    Returns:
        ``traces`` looked at, ``annotations`` found, and the ``file``.

    Raises:
        InputError: config, run or ``review.yaml`` are wrong.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    from evalkit.flows import feedback

    found = workspace.run(run_id)
    before = review_text(found)
    known = annotations_in(parse_review(before, str(found.review)))
    said, report = feedback.pull_feedback(found, workspace.store, known)
    # whatever form the key has: nothing was found that could take its place
    after = with_annotations(before, str(found.review), said) if report["traces"] else before
    if after != before:
        say(f"writing {found.review}")
        write_text(found.review, after)
    return report | {"file": str(found.review)}


def _dataset(workspace: Workspace, named: str | None) -> str:
    """The dataset's name; empty where a workspace's is not named, which only a sync needs."""
    try:
        return workspace.dataset_name(named)
    except InputError:
        if named is not None:
            raise
        return ""


def review_text(found: RunFiles) -> str:
    """The text of a run's ``review.yaml``; empty where there is none yet.

    Raises:
        InputError: it cannot be read, or leads out of the run directory.
    """
    return read_text(inside(found.review, found.folder)) if found.review.is_file() else ""
