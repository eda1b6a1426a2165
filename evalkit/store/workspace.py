"""The MLflow that a Databricks workspace has of its own, and what is different about it.

Spans are kept in cloud storage, one file a trace, or in tables of Unity Catalog, which are only
read: they are reached by the traces' ids and by the tables' common name. Assessments get ids of the
workspace's own. What evalkit writes carries in its metadata the id that evalkit derived; read back,
it is put under that id, so that all else compares, updates and deletes as it does anywhere.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

from mlflow.entities import Assessment as Entity
from mlflow.entities import Span, Trace, TraceData, TraceInfo
from mlflow.exceptions import MlflowException, MlflowTraceDataException

from evalkit.entities import HASH_TAG
from evalkit.errors import StoreError
from evalkit.store.client import Client
from evalkit.store.forms import assessment_of
from evalkit.store.internals import (
    MLFLOW_EXPERIMENT_DATABRICKS_TRACE_DESTINATION_PATH,
    DatabricksTracingRestStore,
    TracingClient,
    get_databricks_host_creds,
    parse_trace_id_v4,
)
from evalkit.store.spans import made_spans
from evalkit.store.traces_read import IN_STORE, SPANS_LOCATION
from evalkit.store.warehouse import Warehouse

ID_MARK = "evalkit.id"  # metadata: the id by which evalkit knows an assessment
FILES = "mlflow.artifactLocation"  # tag of the workspace's own: where a trace's spans are kept
# of which version of a trace the file is; MLflow's own tag is not for clients to set
KEPT_TAG = "evalkit.spans_kept"
AT_ONCE = 8  # traces whose spans are fetched side by side; a workspace answers a hundred a second


class WorkspaceMlflow(Client):
    """A workspace's own MLflow: reading traces, and writing runs and traces."""

    span_bytes = sys.maxsize  # a trace has one file

    def __init__(self, uri: str) -> None:
        """Open it; a StoreError where nothing says which one, or as whom."""
        # told at length otherwise that it tries older ways, before it says that none works
        logging.getLogger("mlflow.utils.databricks_utils").setLevel(logging.ERROR)
        try:
            super().__init__(uri, ManagedStore(uri), spans=partial(made_spans, layered=False))
            self.tracking.get_host_creds()
        except MlflowException as error:
            raise StoreError(
                f"there is no way into the Databricks workspace of {uri}: set DATABRICKS_HOST and"
                " DATABRICKS_TOKEN, or log in (databricks auth login) and name the profile"
                " (--tracking-uri databricks://PROFILE)"
            ) from error

    def check_traces(self, experiment_id: str) -> None:
        """Refuse an experiment whose traces go to tables of Unity Catalog, before it gets a run."""
        if tables := self.doing("looking where the traces are kept").tables_of(experiment_id):
            raise StoreError(
                f"the experiment {experiment_id} keeps its traces in tables of Unity Catalog"
                f" ({tables}), which evalkit reads and does not write: name another experiment for"
                " results (mlflow.experiment in eval.yaml) and for the agent's own traces"
            )

    def warehouse(self, experiment_id: str) -> Warehouse | None:
        """What answers SQL on an experiment's traces; None where they are in files."""
        tables = self.doing("looking where the traces are kept").tables_of(experiment_id)
        return Warehouse(self.uri, tables) if tables else None

    def holds(self, experiment_id: str, info: TraceInfo) -> bool:
        """Whether a trace is an experiment's; traces in tables do not say whose they are."""
        if tables := _table_of(info):
            return bool(self.tracking.tables_of(experiment_id) == tables)
        return super().holds(experiment_id, info)


class ManagedStore(DatabricksTracingRestStore):  # type: ignore[misc]  # MLflow is not annotated
    """MLflow's store for a workspace, with the spans where those of a server are."""

    def __init__(self, uri: str) -> None:
        super().__init__(partial(get_databricks_host_creds, uri))
        self._files = TracingClient(uri)
        self._infos: dict[str, TraceInfo] = {}
        self._entered: dict[str, TraceInfo] = {}
        self._tables: dict[str, str | None] = {}

    def search_traces(
        self, *, locations: list[str], **asked: Any
    ) -> tuple[list[TraceInfo], str | None]:
        """Entries of experiments' traces, which say whether their spans can be had."""
        places = [self.tables_of(each) or each for each in locations]
        found, page = super().search_traces(locations=places, **asked)
        return [self._noted(info) for info in found], page

    def tables_of(self, experiment_id: str) -> str | None:
        """The common name of the tables that an experiment's traces go to; None where to files."""
        if experiment_id not in self._tables:
            tags = self.get_experiment(experiment_id).tags
            destination = MLFLOW_EXPERIMENT_DATABRICKS_TRACE_DESTINATION_PATH
            self._tables[experiment_id] = tags.get(destination)
        return self._tables[experiment_id]

    def get_trace_info(self, trace_id: str) -> TraceInfo:
        """The entry of a trace, which says whether its spans can be had."""
        return self._noted(super().get_trace_info(trace_id))

    def batch_get_traces(self, trace_ids: list[str], location: str | None = None) -> list[Trace]:
        """Traces with their spans; without those whose spans are gone."""
        del location  # each entry knows its own
        by_table: dict[str | None, list[TraceInfo]] = {}
        for each in trace_ids:
            info = self._infos.pop(each, None) or self.get_trace_info(each)
            by_table.setdefault(_table_of(info), []).append(info)
        in_files = by_table.pop(None, [])
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="evalkit-spans") as pool:
            found = [trace for trace in pool.map(self._from_file, in_files) if trace is not None]
        for table, infos in by_table.items():
            found += super().batch_get_traces([info.trace_id for info in infos], table)
        return found

    def start_trace(self, info: TraceInfo) -> TraceInfo:
        """Create or merge a trace, then what is said of it, one by one."""
        entered = super().start_trace(replace(info, assessments=[]))
        self._entered[info.trace_id] = entered
        said = self._said_of(info.trace_id)[0] if info.assessments else ()
        there = {each.assessment_id: assessment_of(each) for each in said}
        for row in info.assessments:
            old, new = there.get(row.assessment_id), assessment_of(row)
            if old is not None and new is not None and new.says_the_same(old):
                continue
            if row.assessment_id in there:  # said otherwise: anew, as it is evalkit's
                self.delete_assessment(row.trace_id, row.assessment_id)
            self.create_assessment(row)
        return entered

    def log_spans(self, location: str, spans: list[Span], tracking_uri: Any = None) -> list[Span]:
        """Put each trace's spans into its file, which its entry names."""
        del location, tracking_uri
        for trace_id, some in groupby(spans, key=lambda span: span.trace_id):
            entry = self._entered.pop(trace_id, None) or super().get_trace_info(trace_id)
            self._files._upload_trace_data(entry, TraceData(list(some)))  # noqa: SLF001
            self.set_trace_tag(trace_id, KEPT_TAG, _version(entry.tags))
        return spans

    def create_assessment(self, assessment: Entity) -> Entity:
        """Create one, with a mark in place of its id; where an answer is lost, two get it."""
        sent = copy.copy(assessment)
        if sent.assessment_id:
            sent.metadata = {**(sent.metadata or {}), ID_MARK: sent.assessment_id}
            sent.assessment_id = None
        if sent.overrides:
            theirs = self._said_of(sent.trace_id)[1]
            sent.overrides = theirs.get(sent.overrides, sent.overrides)
        return super().create_assessment(sent)

    def _said_of(self, trace_id: str) -> tuple[list[Entity], dict[str, str]]:
        """The assessments of a trace, and the workspace's id of each by evalkit's."""
        said = super().get_trace_info(trace_id).assessments
        return said, _recognise(said)

    def update_assessment(
        self, trace_id: str, assessment_id: str, *, metadata: dict[str, str], **said: Any
    ) -> Entity:
        """Update what evalkit knows by that id."""
        _, theirs = self._said_of(trace_id)
        theirs_ = theirs.get(assessment_id, assessment_id)
        marks = {**metadata, ID_MARK: assessment_id}
        updated = super().update_assessment(trace_id, theirs_, metadata=marks, **said)
        _recognise([updated])
        return updated

    def delete_assessment(self, trace_id: str, assessment_id: str) -> None:
        """Delete what evalkit knows by that id."""
        _, theirs = self._said_of(trace_id)
        super().delete_assessment(trace_id, theirs.get(assessment_id, assessment_id))

    def _noted(self, info: TraceInfo) -> TraceInfo:
        _recognise(info.assessments)
        is_kept = HASH_TAG not in info.tags or info.tags.get(KEPT_TAG) == _version(info.tags)
        if _table_of(info) or (FILES in info.tags and is_kept):
            info.tags[SPANS_LOCATION] = IN_STORE
            self._infos[info.trace_id] = info
        return info

    def _from_file(self, info: TraceInfo) -> Trace | None:
        try:
            return Trace(info, self._files._download_trace_data(info))  # noqa: SLF001
        except MlflowTraceDataException:
            return None


def _table_of(info: TraceInfo) -> str | None:
    """The schema, or the prefix of the tables, of a trace in Unity Catalog; None elsewhere."""
    location, _ = parse_trace_id_v4(info.trace_id)
    return str(location) if location else None


def _version(tags: Mapping[str, str]) -> str:
    """Which version of a trace it is, by its tags; those of others have but one."""
    return tags.get(HASH_TAG, "true")


def _recognise(said: Sequence[Entity]) -> dict[str, str]:
    """Put the assessments of a trace under the ids that they are marked with, in place.

    Of several with the same mark, as two writers at once leave them, the oldest gets the id; the
    others are found to be too many. Gives the workspace's id of each, by the one that it has now.
    """
    theirs: dict[str, str] = {}
    for each in sorted(said, key=lambda each: each.create_time_ms or 0):
        given = str(each.assessment_id)
        mark = each.metadata.pop(ID_MARK, "") if each.metadata else ""
        each.assessment_id = mark if mark and mark not in theirs else given
        theirs[each.assessment_id] = given
    ours = {given: own for own, given in theirs.items()}
    for each in said:
        if each.overrides:
            each.overrides = ours.get(each.overrides, each.overrides)
    return theirs
