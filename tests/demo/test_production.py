"""The demo's production traffic: what a stranger finds who opens its experiment in MLflow."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Span, Trace, TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient

from evalkit.adapters.store import Store, connect
from evalkit.demo.production import PRODUCTION, production_traces, record_production

MADE = dt.date(2027, 1, 3)
"""The day on which the demo was made; a Sunday, with a new year in its fortnight."""

TICKETS: dict[str, set[Any]] = {
    "category": {
        *("damaged", "shipping", "return", "refund", "billing", "account", "product", "other")
    },
    "urgency": {"low", "normal", "high"},
    "language": {"en", "de", "fr"},
    "needs_human": {True, False},
}
FINGERPRINT = """
import datetime as dt
import hashlib
from evalkit.demo.production import production_traces
print(hashlib.sha256(repr(production_traces(dt.date(2027, 1, 3))).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def uri(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("production") / "mlflow.db"
    shutil.copy(empty_database, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def store(uri: str) -> Store:
    store = connect(uri)
    assert record_production(store, MADE) == len(production_traces(MADE))
    return store


@pytest.fixture(scope="module")
def traces(uri: str, store: Store) -> list[Trace]:
    """The experiment's traces as MLflow's own search gives them, the oldest first."""
    found = TracingClient(uri).search_traces(
        locations=[store.experiment(PRODUCTION, create=True)],
        max_results=500,
        order_by=["timestamp_ms ASC"],
    )
    return list(found)


def route(trace: Trace) -> str:
    return str(trace.info.tags["mlflow.traceName"])


def root(trace: Trace) -> Span:
    (only,) = (span for span in trace.data.spans if span.parent_id is None)
    return only


def used(trace: Trace) -> list[Span]:
    return [span for span in trace.data.spans if span.span_type in {"TOOL", "RETRIEVER"}]


def said(trace: Trace) -> str:
    """The words of an answer or of a drafted letter."""
    outputs = root(trace).outputs
    return str(outputs["letter"] if isinstance(outputs, dict) else outputs)


def good(traces: list[Trace], *routes: str) -> Iterator[Trace]:
    """Traces that ended well and that nobody disliked."""
    for trace in traces:
        disliked = any(each.value is False for each in trace.info.assessments)
        if trace.info.state == "OK" and route(trace) in routes and not disliked:
            yield trace


def figures_from_nowhere(trace: Trace) -> list[str]:
    """Numbers of an answer's words that nothing shows which the agent was given."""
    given = json.dumps([s.inputs for s in trace.data.spans] + [s.outputs for s in used(trace)])
    known = set(re.findall(r"\d+", given))
    return [number for number in re.findall(r"\d+", said(trace)) if number not in known]


def moment(trace: Trace) -> dt.datetime:
    return dt.datetime.fromtimestamp(trace.info.request_time / 1000, dt.UTC)


def errors(trace: Trace) -> set[str]:
    return {s.status.description for s in trace.data.spans if s.status.status_code == "ERROR"}


class TestWhatThereIs:
    def test_three_routes_each_with_an_agent_at_the_top(self, traces: list[Trace]) -> None:
        assert Counter(map(route, traces)) == {
            "answer_customer": 54,
            "classify_ticket": 24,
            "draft_refund": 15,
        }
        assert {root(trace).span_type for trace in traces} == {"AGENT"}
        assert all(root(trace).name == route(trace) for trace in traces)

    def test_two_weeks_up_to_the_day_before_the_demo_was_made(self, traces: list[Trace]) -> None:
        first, last = moment(traces[0]), moment(traces[-1])
        assert last.date() == MADE - dt.timedelta(days=1)
        assert first.date() == MADE - dt.timedelta(days=14)
        assert len({moment(trace).date() for trace in traces}) == 14

    def test_another_day_moves_them_by_whole_days_and_nothing_else(self) -> None:
        later = dt.timedelta(days=100)
        for (one, said), (other, said_later) in zip(
            production_traces(MADE), production_traces(MADE + later), strict=True
        ):
            assert one.trace_id == other.trace_id
            assert other.start_ns - one.start_ns == later.days * 86_400 * 10**9
            assert other.end_ns - other.start_ns == pytest.approx(
                one.end_ns - one.start_ns, rel=0.1
            )
            assert [each.value for each in said] == [each.value for each in said_later]

    def test_no_text_names_a_day_that_the_moving_would_make_wrong(
        self, traces: list[Trace]
    ) -> None:
        asked = " ".join(str(root(trace).inputs) for trace in traces)
        assert not re.search(r"(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|weekend|April|May ", asked)

    def test_steps_lie_within_the_request_one_after_the_other(self, traces: list[Trace]) -> None:
        for trace in traces:
            top, *steps = trace.data.spans
            times = [t for s in steps for t in (s.start_time_ns, s.end_time_ns)]
            assert times == sorted(times)
            assert top.start_time_ns <= times[0]
            assert times[-1] <= top.end_time_ns

    def test_models_are_called_in_openais_form_and_their_tokens_and_cost_add_up(
        self, traces: list[Trace]
    ) -> None:
        for trace in traces:
            calls = [s for s in trace.data.spans if s.span_type == "CHAT_MODEL" and s.outputs]
            assert calls
            usages = [call.get_attribute("mlflow.chat.tokenUsage") for call in calls]
            costs = [call.get_attribute("mlflow.llm.cost") for call in calls]
            assert trace.info.token_usage == {
                part: sum(usage[part] for usage in usages) for part in usages[0]
            }
            assert trace.info.cost["total_cost"] == pytest.approx(
                sum(cost["total_cost"] for cost in costs)
            )
            for call, usage in zip(calls, usages, strict=True):
                assert call.inputs["messages"][0]["role"] == "system"
                assert call.outputs["choices"][0]["message"]["role"] == "assistant"
                assert call.outputs["usage"]["prompt_tokens"] == usage["input_tokens"]

    def test_every_tool_was_asked_for_by_the_model(self, traces: list[Trace]) -> None:
        for trace in traces:
            asked = {
                call["function"]["name"]
                for span in trace.data.spans
                if span.span_type == "CHAT_MODEL" and span.outputs
                for call in span.outputs["choices"][0]["message"].get("tool_calls", ())
            }
            assert {s.name for s in trace.data.spans if s.span_type == "TOOL"} <= asked

    def test_retrieved_policies_are_documents(self, traces: list[Trace]) -> None:
        documents = [
            document
            for trace in traces
            for span in trace.data.spans
            if span.span_type == "RETRIEVER"
            for document in span.outputs
        ]
        assert {"refunds.md", "shipping.md", "accounts.md", "escalation.md"} == {
            document["metadata"]["doc_uri"].rpartition("/")[2] for document in documents
        }
        assert all(document["page_content"] for document in documents)

    def test_what_came_again_is_an_outage_s_second_try_and_a_ticket_sorted_otherwise(
        self, traces: list[Trace]
    ) -> None:
        again: dict[str, list[Any]] = {}
        for trace in traces:
            asked = {k: v for k, v in root(trace).inputs.items() if k != "ticket_id"}
            again.setdefault(json.dumps(asked, sort_keys=True), []).append(root(trace).outputs)
        tried, sorted_otherwise = (each for each in again.values() if len(each) > 1)
        assert {len(tried), len(sorted_otherwise)} == {2, 3}
        tickets = max(tried, sorted_otherwise, key=len)
        assert [each["category"] for each in tickets] == ["damaged", "damaged", "return"]
        assert min(tried, sorted_otherwise, key=len) == [None, None]


class TestAnswers:
    def test_they_keep_their_form(self, traces: list[Trace]) -> None:
        for trace in good(traces, "answer_customer", "draft_refund"):
            name = root(trace).inputs["customer"]
            assert said(trace).startswith((f"Dear {name},\n\n", f"Guten Tag {name},\n\n"))
            assert said(trace).endswith(
                "\n\nKind regards\nQuillmoor Customer Care (Monday to Friday)"
            )

    def test_they_say_no_figure_that_nobody_gave_them(self, traces: list[Trace]) -> None:
        for trace in good(traces, "answer_customer", "draft_refund"):
            assert figures_from_nowhere(trace) == []

    def test_tickets_are_sorted_into_known_kinds(self, traces: list[Trace]) -> None:
        for trace in good(traces, "classify_ticket"):
            label = root(trace).outputs
            assert set(label) == {*TICKETS, "order"}
            assert all(label[name] in values for name, values in TICKETS.items())

    def test_refunds_are_issued_for_the_amount_that_the_letter_names(
        self, traces: list[Trace]
    ) -> None:
        decisions: Counter[str] = Counter()
        for trace in good(traces, "draft_refund"):
            drafted = root(trace).outputs
            issued = [s.outputs["amount"] for s in used(trace) if s.name == "issue_refund"]
            decisions[drafted["decision"]] += 1
            assert issued == ([drafted["amount"]] if drafted["decision"] == "refund" else [])
            assert all(amount in drafted["letter"] for amount in issued)
        assert decisions == {"refund": 9, "refuse": 2, "escalate": 2}

    def test_good_ones_vary_as_peoples_words_do(self, traces: list[Trace]) -> None:
        words = Counter(
            re.sub(r"\w*\d\w*", "#", said(trace)).partition("\n\n")[2]
            for trace in good(traces, "answer_customer")
        )
        assert len(words) >= 40

    def test_bad_ones_are_bad_in_ways_that_their_own_trace_shows(self, traces: list[Trace]) -> None:
        bad = [t for t in traces if any(each.value is False for each in t.info.assessments)]
        routes = Counter(map(route, bad))
        assert routes == {"answer_customer": 3, "classify_ticket": 1}
        letters = [trace for trace in bad if route(trace) == "answer_customer"]
        assert [bool(figures_from_nowhere(trace)) for trace in letters] == [True, True, False]


class TestWhatProductionHas:
    def test_how_requests_ended(self, traces: list[Trace]) -> None:
        states = Counter(str(trace.info.state) for trace in traces)
        assert states == {"OK": 83, "ERROR": 9, "IN_PROGRESS": 1}

    def test_an_outage_of_half_an_hour_with_another_id_in_every_error(
        self, traces: list[Trace]
    ) -> None:
        down = [t for t in traces if any("orders-api" in error for error in errors(t))]
        assert moment(down[-1]) - moment(down[0]) < dt.timedelta(minutes=40)
        assert {str(trace.info.state) for trace in down} == {"ERROR"}
        tries = [s for t in down for s in used(t) if s.name == "lookup_order"]
        assert len({s.status.description for s in tries}) == len(tries) == 3 * len(down) == 18
        meanwhile = [t for t in traces if moment(down[0]) <= moment(t) <= moment(down[-1])]
        assert len(meanwhile) == len(down)

    def test_timeouts_that_a_second_try_got_over(self, traces: list[Trace]) -> None:
        late = [t for t in traces if any("ToolTimeout" in error for error in errors(t))]
        assert len(late) == 3
        for trace in late:
            first, second = (s for s in used(trace) if s.name == "track_parcel")
            assert first.status.status_code == "ERROR"
            assert second.outputs["carrier"] == first.inputs["carrier"]
            assert trace.info.state == "OK"
            assert trace.info.execution_duration > 15_000

    def test_other_failures_are_single(self, traces: list[Trace]) -> None:
        single = {e.partition(":")[0] for t in traces for e in errors(t) if "orders-api" not in e}
        assert single == {"ToolTimeout", "OverloadedError", "PaymentError", "JSONDecodeError"}

    def test_slow_ones(self, traces: list[Trace]) -> None:
        slow = [t for t in traces if (t.info.execution_duration or 0) > 40_000]
        assert [route(trace) for trace in slow] == ["answer_customer"]

    def test_one_is_not_over(self, traces: list[Trace]) -> None:
        (open_,) = (t for t in traces if t.info.state == TraceState.IN_PROGRESS)
        assert open_.info.execution_duration is None
        assert root(open_).outputs is None

    def test_another_language_a_long_letter_and_a_question_that_comes_again(
        self, traces: list[Trace]
    ) -> None:
        messages = [root(t).inputs["message"] for t in traces if route(t) == "answer_customer"]
        assert any(text.startswith("Guten Tag") for text in messages)
        assert max(map(len, messages)) > 1_900
        assert sum("here is my order" in text for text in messages) >= 7

    def test_orders_that_a_customer_gives_the_agent_are_not_followed(
        self, traces: list[Trace]
    ) -> None:
        (planted,) = (t for t in traces if "ignore your instructions" in str(root(t).inputs))
        assert {step.name for step in used(planted)} == {
            "search_policies",
            "lookup_order",
            "track_parcel",
        }
        assert "DONE" not in said(planted)

    def test_colleagues_thumbs_with_reasons(self, traces: list[Trace]) -> None:
        thumbs = [each for trace in traces for each in trace.info.assessments]
        assert Counter(each.value for each in thumbs) == {True: 8, False: 4}
        assert {each.source.source_type for each in thumbs} == {"HUMAN"}
        assert len({each.source.source_id for each in thumbs}) == 2
        assert all(each.rationale for each in thumbs)


class TestWriting:
    def test_again_writes_nothing(self, store: Store, traces: list[Trace]) -> None:
        assert record_production(store, MADE) == 0
        assert len(traces) == len(production_traces(MADE))

    def test_another_process_makes_the_same_traces(self) -> None:
        found = {
            subprocess.run(
                [sys.executable, "-c", FINGERPRINT],
                env={"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(found) == 1

    def test_what_was_cut_short_is_finished(self, sqlite_uri: str) -> None:
        store, tracing = connect(sqlite_uri), TracingClient(sqlite_uri)
        experiment_id = store.experiment("shop", create=True)
        first, second, third = production_traces(MADE)[:3]
        assert store.record(experiment_id, [first]) == 1
        tracing.start_trace(only_the_entry(second[0].trace_id, experiment_id))

        assert store.record(experiment_id, [first, second, third]) == 2

        found = tracing.search_traces(locations=[experiment_id])
        assert {t.info.trace_id: len(t.data.spans) for t in found} == {
            trace.trace_id: len(trace.spans) for trace, _ in (first, second, third)
        }

    def test_no_run_of_evalkit_owns_them(self, store: Store, traces: list[Trace]) -> None:
        experiment_id = store.experiment(PRODUCTION, create=True)
        marks = [key for t in traces for key in (*t.info.tags, *t.info.trace_metadata)]
        assert [key for key in marks if key.startswith("evalkit")] == []
        assert "mlflow.sourceRun" not in marks
        assert store.find_recorded(experiment_id) == []

    def test_nothing_in_them_is_real(self, traces: list[Trace]) -> None:
        texts = json.dumps([[s.inputs, s.outputs] for t in traces for s in t.data.spans])
        assert "@" not in texts


def only_the_entry(trace_id: str, experiment_id: str) -> TraceInfo:
    """What a kill leaves between the list entry and the spans."""
    return TraceInfo(
        trace_id=trace_id,
        trace_location=TraceLocation.from_experiment_id(experiment_id),
        request_time=1_777_363_131_559,
        execution_duration=1000,
        state=TraceState.OK,
    )
