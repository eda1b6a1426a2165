"""The demo's production traffic: what a stranger finds who opens its experiment in MLflow."""

import datetime as dt
import json
import re
import shutil

import pytest
from mlflow.tracing.client import TracingClient

from evalkit.demo.production import PRODUCTION, production_traces, record_production
from evalkit.store import connect

MADE = dt.date(2027, 1, 3)
"""The day on which the demo was made; a Sunday, with a new year in its fortnight."""


@pytest.fixture(scope="module")
def uri(empty_database, tmp_path_factory):
    path = tmp_path_factory.mktemp("production") / "mlflow.db"
    shutil.copy(empty_database, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def store(uri):
    store = connect(uri)
    assert record_production(store, MADE) == len(production_traces(MADE))
    return store


@pytest.fixture(scope="module")
def traces(uri, store):
    """The experiment's traces as MLflow's own search gives them, the oldest first."""
    found = TracingClient(uri).search_traces(
        locations=[store.experiment(PRODUCTION, create=True)],
        max_results=500,
        order_by=["timestamp_ms ASC"],
    )
    return list(found)


def root(trace):
    (only,) = (span for span in trace.data.spans if span.parent_id is None)
    return only


def used(trace):
    return [span for span in trace.data.spans if span.span_type in {"TOOL", "RETRIEVER"}]


def said(trace):
    """The words of an answer or of a drafted letter."""
    outputs = root(trace).outputs
    return str(outputs["letter"] if isinstance(outputs, dict) else outputs)


def figures_from_nowhere(trace):
    """Numbers of an answer's words that nothing shows which the agent was given."""
    given = json.dumps([s.inputs for s in trace.data.spans] + [s.outputs for s in used(trace)])
    known = set(re.findall(r"\d+", given))
    return [number for number in re.findall(r"\d+", said(trace)) if number not in known]


def test_dates_in_answers_are_those_of_their_sources(traces):
    fine = [t for t in traces if t.info.state == "OK" and all(a.value for a in t.info.assessments)]
    letters = [trace for trace in fine if root(trace).name != "classify_ticket"]
    assert len(letters) > 50
    assert [trace.info.trace_id for trace in letters if figures_from_nowhere(trace)] == []


def test_another_day_moves_them_by_whole_days_and_nothing_else():
    later = dt.timedelta(days=100)
    for (one, said), (other, said_later) in zip(
        production_traces(MADE), production_traces(MADE + later), strict=True
    ):
        assert one.trace_id == other.trace_id
        assert other.start_ns - one.start_ns == later.days * 86_400 * 10**9
        assert other.end_ns - other.start_ns == pytest.approx(one.end_ns - one.start_ns, rel=0.1)
        assert [each.value for each in said] == [each.value for each in said_later]


def test_again_writes_nothing(store, traces):
    assert record_production(store, MADE) == 0
    assert len(traces) == len(production_traces(MADE))
