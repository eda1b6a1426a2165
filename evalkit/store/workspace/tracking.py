"""MLflow's own store for a Databricks workspace, where evalkit's other stores can be put for it.

Spans are kept in cloud storage, one file a trace, or in tables of Unity Catalog, which are reached
by the traces' ids and by the tables' common name. Assessments have ids of the workspace's own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from mlflow.entities import Assessment as Entity
from mlflow.entities import Trace, TraceData, TraceInfo
from mlflow.exceptions import MlflowTraceDataException

from evalkit.store.internals import (
    TRACE_DESTINATION,
    DatabricksTracingRestStore,
    parse_trace_id_v4,
)
from evalkit.store.wire import SPANS_LOCATION
from evalkit.store.workspace.id_marks import ID_MARK, recognise

IN_STORE = "TRACKING_STORE"
FILES = "mlflow.artifactLocation"
"""Tag that the workspace sets: where the spans of a trace are kept."""

AT_ONCE = 8
"""Spans of so many traces are fetched side by side; a workspace answers a hundred a second."""


class ManagedStore(DatabricksTracingRestStore):  # type: ignore[misc]  # MLflow is not annotated
    """MLflow's store for a workspace, with the spans where those of a server are."""

    def __init__(self, uri: str) -> None:
        from evalkit.store.internals import get_databricks_host_creds

        super().__init__(partial(get_databricks_host_creds, uri))
        self._uri = uri
        self._infos: dict[str, TraceInfo] = {}
        self._tables: dict[str, str | None] = {}

    def entries(self, **asked: Any) -> tuple[list[TraceInfo], str | None]:
        """Entries of traces as they are, but for the ids of evalkit's assessments."""
        found, page = super().search_traces(**asked)
        for info in found:
            recognise(info.assessments)
        return found, page

    def search_traces(
        self, *, locations: list[str], **asked: Any
    ) -> tuple[list[TraceInfo], str | None]:
        """Entries of experiments' traces, which say that their spans can be had."""
        places = [self.tables_of(each) or each for each in locations]
        found, page = super().search_traces(locations=places, **asked)
        return [self._noted(info) for info in found], page

    def tables_of(self, experiment_id: str) -> str | None:
        """The common name of the tables that an experiment's traces go to; None where to files."""
        if experiment_id not in self._tables:
            tags = self.get_experiment(experiment_id).tags
            self._tables[experiment_id] = tags.get(TRACE_DESTINATION)
        return self._tables[experiment_id]

    def get_trace_info(self, trace_id: str) -> TraceInfo:
        """The entry of a trace, which says that its spans can be had."""
        return self._noted(super().get_trace_info(trace_id))

    def batch_get_traces(self, trace_ids: list[str], location: str | None = None) -> list[Trace]:
        """Traces with their spans; without those whose spans are gone."""
        del location  # each entry knows its own
        by_table: dict[str | None, list[TraceInfo]] = {}
        for each in trace_ids:
            info = self._infos.pop(each, None) or self.get_trace_info(each)
            by_table.setdefault(table_of(info), []).append(info)
        in_files = by_table.pop(None, [])
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="evalkit-spans") as pool:
            found = [trace for trace in pool.map(self._from_file, in_files) if trace is not None]
        for table, infos in by_table.items():
            found += super().batch_get_traces([info.trace_id for info in infos], table)
        return found

    def said_of(self, trace_id: str) -> tuple[list[Entity], dict[str, str]]:
        """The assessments of a trace, and the workspace's id of each by evalkit's."""
        said = super().get_trace_info(trace_id).assessments
        return said, recognise(said)

    def update_assessment(
        self, trace_id: str, assessment_id: str, *, metadata: dict[str, str], **said: Any
    ) -> Entity:
        """Update what evalkit knows by that id."""
        _, theirs = self.said_of(trace_id)
        theirs_ = theirs.get(assessment_id, assessment_id)
        marks = {**metadata, ID_MARK: assessment_id}
        return super().update_assessment(trace_id, theirs_, metadata=marks, **said)

    def delete_assessment(self, trace_id: str, assessment_id: str) -> None:
        """Delete what evalkit knows by that id."""
        _, theirs = self.said_of(trace_id)
        super().delete_assessment(trace_id, theirs.get(assessment_id, assessment_id))

    def files_of(self, info: TraceInfo) -> Any:
        """MLflow's way to the file with a trace's spans."""
        from evalkit.store.internals import (
            add_databricks_profile_info_to_artifact_uri,
            get_artifact_repository,
        )

        place = add_databricks_profile_info_to_artifact_uri(info.tags[FILES], self._uri)
        return get_artifact_repository(place)

    def _noted(self, info: TraceInfo) -> TraceInfo:
        recognise(info.assessments)
        if FILES in info.tags or table_of(info):
            info.tags[SPANS_LOCATION] = IN_STORE
            self._infos[info.trace_id] = info
        return info

    def _from_file(self, info: TraceInfo) -> Trace | None:
        try:
            data = TraceData.from_dict(self.files_of(info).download_trace_data())
        except (MlflowTraceDataException, KeyError):
            return None
        return Trace(info, data)


def table_of(info: TraceInfo) -> str | None:
    """The schema, or the prefix of the tables, of a trace in Unity Catalog; None elsewhere."""
    location, _ = parse_trace_id_v4(info.trace_id)
    return str(location) if location else None
