"""The way into the MLflow that a Databricks workspace has of its own.

Its runs and its list of traces are spoken to as any server's. Spans are kept in cloud storage, one
file a trace, and are fetched and put there by MLflow's own code; of traces in Unity Catalog tables
they are read from there. It takes no spans by OpenTelemetry into an experiment, gives assessments
ids of its own, which are written one by one and known again by a mark, and has datasets as tables:
see :mod:`evalkit.store.workspace.tables`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from mlflow.entities import Assessment as Entity
from mlflow.entities import Span, TraceData, TraceInfo, ViewType
from mlflow.exceptions import MlflowException

from evalkit.entities import HASH_TAG, Assessment
from evalkit.errors import StoreError
from evalkit.jsonable import Json
from evalkit.store.assessments import patch
from evalkit.store.gateway import PAGE
from evalkit.store.otlp import LOOKS_LIKE_JSON, EncodedSpans
from evalkit.store.rest import RestGateway
from evalkit.store.search import quoted
from evalkit.store.wire import SPANS_LOCATION, assessment_from
from evalkit.store.workspace.id_marks import marked
from evalkit.store.workspace.tables import DatasetTables
from evalkit.store.workspace.tracking import IN_STORE, ManagedStore, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK = "evalkit.request"
"""Tag of a run: the request that created it."""

KEPT_TAG = "evalkit.spans_kept"
"""Tag that says of which version of a trace the file is; MLflow's own is not for clients to set."""


class ManagedGateway(RestGateway):
    """A workspace's own MLflow: reading traces, and writing runs and traces."""

    tracking: ManagedStore

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._entered: dict[str, TraceInfo] = {}
        self._parts: dict[str, list[Span]] = {}
        self._waiting: dict[str, list[Span]] = {}
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

    def search_traces(
        self, experiment_id: str, condition: str, page: str | None
    ) -> tuple[list[Json], str | None]:
        """One page of traces, in the form in which a server would send it.

        Raises:
            StoreError: the experiment's traces are in tables, which are only read; or as usual.
        """
        self._make_sure_of_files(experiment_id)
        with self.answering("looking for traces"):
            found, following = self.tracking.entries(
                locations=[experiment_id],
                filter_string=condition,
                max_results=PAGE,
                page_token=page,
            )
        dicts = [_json(info) for info in found]
        for info in dicts:
            tags = info.get("tags", {})
            if tags.get(KEPT_TAG) == _version(tags):
                tags[SPANS_LOCATION] = IN_STORE
        return dicts, following

    def _make_sure_of_files(self, experiment_id: str) -> None:
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

    def start_trace(self, info: Json) -> None:
        """Create or merge a trace, then what is said of it, one by one.

        Its spans follow, or are sent now if they came first.
        """
        entry = {key: value for key, value in info.items() if key != "assessments"}
        if "tags" in entry:  # all else of an entry is there already
            self._enter(entry)
        if said := info.get("assessments"):
            self._judge(info["trace_id"], said)

    def create_assessment(self, assessment: Json) -> None:
        """Create one assessment.

        MLflow's client for workspaces asks again where an answer is lost, which leaves two. They
        have the same mark, so whoever compares what stands with what is wanted withdraws one.
        """
        theirs: Mapping[str, str] = {}
        if assessment.get("overrides"):
            _, theirs = self._said_of(assessment["trace_id"])
        super().create_assessment(marked(assessment, theirs))

    def send_spans(self, experiment_id: str, traces: Sequence[EncodedSpans]) -> None:
        """Put each trace's spans into its file, once all are there and its entry is too."""
        del experiment_id  # a trace's entry says where its file lies
        for part in traces:
            found = [
                Span.from_otel_proto(proto, resource=part.proto.resource)
                for proto in part.proto.scope_spans[0].spans
            ]
            trace_id = found[0].trace_id
            if part.is_first:
                self._parts[trace_id] = []
            self._parts[trace_id] += found
            if part.is_last:
                self._arrived(trace_id, self._parts.pop(trace_id))

    def _arrived(self, trace_id: str, spans: list[Span]) -> None:
        if trace_id in self._entered:
            self._put(self._entered[trace_id], spans)
            del self._entered[trace_id]
        else:
            self._waiting[trace_id] = spans

    def _enter(self, entry: Json) -> None:
        from google.protobuf.json_format import ParseDict

        from evalkit.store.internals import TraceInfoMessage

        trace_id = entry["trace_id"]
        with self.answering("writing a trace"):
            entered = self.tracking.start_trace(
                TraceInfo.from_proto(ParseDict(entry, TraceInfoMessage()))
            )
        if trace_id in self._waiting:
            self._put(entered, self._waiting[trace_id])
            del self._waiting[trace_id]
        else:
            self._entered[trace_id] = entered

    def _judge(self, trace_id: str, wanted: Sequence[Json]) -> None:
        """Write what is not said of a trace yet, or is said otherwise."""
        said, theirs = self._said_of(trace_id)
        for row in wanted:
            old, new = said.get(row["assessment_id"]), assessment_from(row)
            if row["assessment_id"] not in theirs:
                self.create_assessment(row)
            elif old is None or new is None or new.says_the_same(old):
                continue
            elif (old.source_type, old.source_id) == (new.source_type, new.source_id):
                patch(self, new)
            else:  # who said it cannot be changed
                with self.answering("deleting an assessment"):
                    self.tracking.delete_assessment(trace_id, old.assessment_id)
                self.create_assessment(row)

    def _said_of(self, trace_id: str) -> tuple[dict[str, Assessment], dict[str, str]]:
        """The judgements on a trace, and the workspace's id of all that is said of it."""
        with self.answering("reading what is said of a trace"):
            entities, theirs = self.tracking.said_of(trace_id)
        said = (assessment_from(_json(each)) for each in entities)
        return {each.assessment_id: each for each in said if each is not None}, theirs

    def _put(self, entry: TraceInfo, spans: list[Span]) -> None:
        from evalkit.store.internals import TraceJSONEncoder

        data = TraceData(spans).to_dict()
        for span in data["spans"]:
            span["attributes"] = {key: _once(text) for key, text in span["attributes"].items()}
        text = json.dumps(data, cls=TraceJSONEncoder, ensure_ascii=False)
        with self.answering("writing spans"):
            self.tracking.files_of(entry).upload_trace_data(text)
            self.tracking.set_trace_tag(entry.trace_id, KEPT_TAG, _version(entry.tags))


def _version(tags: Mapping[str, str]) -> str:
    """Which version of a trace it is, by its tags; those of others have but one."""
    return tags.get(HASH_TAG, "true")


def _json(entity: TraceInfo | Entity) -> Json:
    """In the form in which a server would send it."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(entity.to_proto(), preserving_proto_field_name=True)


def _once(text: str) -> str:
    """An attribute as JSON text; what was JSON text before it was sent is unwrapped.

    A server does that with the spans that it takes: see :mod:`evalkit.store.otlp`.
    """
    try:
        inner = json.loads(text)
        if isinstance(inner, str) and inner.startswith(LOOKS_LIKE_JSON):
            json.loads(inner)
            return inner
    except ValueError:
        pass
    return text
