"""``log-results``: a finished run goes to MLflow."""

from __future__ import annotations

from evalkit.context import Workspace
from evalkit.errors import InputError
from evalkit.feedback.push_pull import Names
from evalkit.stages.speaking import Report, Say, silent


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


def _dataset(workspace: Workspace, named: str | None) -> str:
    """The dataset's name; empty where a workspace's is not named, which only a sync needs."""
    try:
        return workspace.dataset_name(named)
    except InputError:
        if named is not None:
            raise
        return ""
