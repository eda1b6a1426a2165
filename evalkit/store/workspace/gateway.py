"""The way into the MLflow that a Databricks workspace has of its own.

Its runs and its list of traces are spoken to as any server's. Spans are kept in cloud storage, one
file a trace, and are fetched and put there by MLflow's own code; of traces in Unity Catalog tables
they are read from there. It takes no spans by OpenTelemetry into an experiment, gives assessments
ids of its own, which are written one by one and known again by a mark, and has datasets as tables:
see :mod:`evalkit.store.workspace.tables`.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

from mlflow.entities import TraceInfo, ViewType
from mlflow.exceptions import MlflowException

from evalkit.errors import StoreError
from evalkit.store.naming import quoted
from evalkit.store.rest import RestGateway
from evalkit.store.workspace.tables import DatasetTables
from evalkit.store.workspace.tracking import ManagedStore, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK = "evalkit.request"
"""Tag of a run: the request that created it."""


class ManagedGateway(RestGateway):
    """A workspace's own MLflow: reading traces, and writing runs and traces."""

    tracking: ManagedStore
    layered = False
    span_bytes = sys.maxsize  # a trace has one file

    def __init__(self, uri: str) -> None:
        self.uri = uri
        # told at length otherwise that it tries older ways, before it says that none works
        logging.getLogger("mlflow.utils.databricks_utils").setLevel(logging.ERROR)
        try:
            self.tracking = ManagedStore(uri)
            self.tracking.get_host_creds()
        except MlflowException as error:
            raise StoreError(
                f"there is no way into the Databricks workspace of {uri}: set DATABRICKS_HOST and"
                " DATABRICKS_TOKEN, or log in (databricks auth login) and name the profile"
                " (--tracking-uri databricks://PROFILE)"
            ) from error
        self.datasets = DatasetTables(uri)

    def create_run(
        self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]
    ) -> tuple[str, str]:
        """Create a run.

        MLflow's client for workspaces asks again where an answer is lost, which leaves two. They
        have the mark of this very request, by which the other is known and deleted; that of
        somebody who logs the same run at the same moment is not touched.
        """
        mark = uuid4().hex
        run_id, uri = super().create_run(experiment_id, name, start_ms, {**tags, _MARK: mark})
        condition = f"tags.`{_MARK}` = {quoted(mark)}"
        with self.answering("looking for the run"):
            found = self.tracking.search_runs([experiment_id], condition, ViewType.ACTIVE_ONLY)
            for run in found:
                if run.info.run_id != run_id:
                    self.tracking.delete_run(run.info.run_id)
        return run_id, uri

    def check_traces(self, experiment_id: str) -> None:
        """Refuse an experiment whose traces go to tables of Unity Catalog, before it gets a run."""
        with self.answering("looking where the experiment keeps its traces"):
            tables = self.tracking.tables_of(experiment_id)
        if tables:
            raise StoreError(
                f"the experiment {experiment_id} keeps its traces in tables of Unity Catalog"
                f" ({tables}), which evalkit reads and does not write: name another experiment for"
                " results (mlflow.experiment in eval.yaml) and for the agent's own traces"
            )

    def holds(self, experiment_id: str, info: TraceInfo) -> bool:
        """Whether a trace is an experiment's; traces in tables do not say whose they are."""
        if tables := table_of(info):
            return self.tracking.tables_of(experiment_id) == tables
        return super().holds(experiment_id, info)
