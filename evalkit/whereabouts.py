"""Where a logged run is seen in MLflow's own pages."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from evalkit.core import describe
from evalkit.core.tracking import is_workspace, without_password
from evalkit.invocation import typed
from evalkit.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a run is seen.

    Attributes:
        run: The address of its page; None where MLflow is a database without a server.
        traces: The address of each case's trace; that of a whole batch run under "". Empty without
            a server.
        command: What starts MLflow's pages over a database; empty where they are there.
    """

    run: str | None = None
    traces: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    def trace(self, case_id: str) -> str:
        """The address of the trace that tells of a case; empty where there is none."""
        return self.traces.get(case_id) or self.traces.get("", "")


def whereabouts(workspace: Workspace, run_id: str, mlflow_run_id: str) -> Whereabouts:
    """Where a logged run and its traces are seen.

    Args:
        workspace: The project.
        run_id: The run directory's name.
        mlflow_run_id: The id that MLflow gave the run.

    Raises:
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    store, project, uri = workspace.store, workspace.files.project, workspace.tracking.uri
    experiment_id = store.experiment(project.experiment, create=False)
    if not experiment_id:
        return Whereabouts()
    run = store.run_url(experiment_id, mlflow_run_id)
    if run is None:
        is_database = "://" in uri and not is_workspace(uri)
        command = f"{typed('mlflow')} ui --backend-store-uri {shlex.quote(without_password(uri))}"
        return Whereabouts(command=command if is_database else "")
    key = describe.run_key(experiment_id, project, run_id)
    traces = {
        trace.case_id or "": store.trace_url(experiment_id, trace.trace_id) or ""
        for trace in store.find_traces(experiment_id, key)
    }
    return Whereabouts(run, traces)
