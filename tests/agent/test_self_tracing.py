"""The agent's own work in MLflow: readable, one session, the same however often it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from in_mlflow import InMlflow
from mlflow.entities import SpanType, Trace

from evalkit.adapters.files.local_folder import LocalFolder
from evalkit.agent import self_tracing
from evalkit.agent.model_client import Reply
from evalkit.agent.plan import Plan, Task
from evalkit.agent.session import About, Ending, Reason, SessionDirectory, Turn
from evalkit.core.usage import Usage
from evalkit.store import connect

OWN = "evalkit-agent"
KEY = "sk-ant-api03-" + "a1B2c3D4" * 11
ANSWERED = Usage(100, 20)


@pytest.fixture
def session(tmp_path: Path) -> SessionDirectory:
    about = About("s-1", "shop", "1", "")
    directory = SessionDirectory(LocalFolder.make(tmp_path / "s-1"), about)
    directory.save_plan(Plan((Task("scorers-1", "Scorers about prices"),)))
    return directory


def asks(*tools: str) -> Reply:
    blocks = [
        {"type": "tool_use", "id": f"t-{name}", "name": name, "input": {"of": name}}
        for name in tools
    ]
    return Reply(tuple(blocks), "tool_use", ANSWERED, "claude-x", 0.25, "req_1")


def says(text: str) -> Reply:
    return Reply(({"type": "text", "text": text},), "end_turn", ANSWERED, "claude-x", 0.25)


def results(failed: tuple[str, ...] = (), **told: str) -> dict[str, object]:
    blocks = [
        {"type": "tool_result", "tool_use_id": f"t-{name}", "content": text}
        | ({"is_error": True} if name in failed else {})
        for name, text in told.items()
    ]
    return {"role": "user", "content": blocks}


def person(*texts: str) -> dict[str, object]:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def work_on_a_task(session: SessionDirectory, tools_s: Mapping[str, float]) -> None:
    """Two tools asked for together, ten seconds before the next call."""
    session.start("worker", "scorers-1", "claude-x")
    session.add(1, Turn(1, (person("Do it."),), asks("look", "read"), 1_000, 1.0))
    given = results(failed=("read",), look=f"key {KEY}", read="no such file")
    session.add(1, Turn(2, (given,), says("It is done."), 12_000, 2.0, 10.0, tools_s))


def written(uri: str, session: SessionDirectory) -> dict[str, Trace]:
    store = connect(uri)
    self_tracing.write(store, store.experiment(OWN, create=True), session)
    return {trace.info.request_preview or "": trace for trace in traces_of(uri)}


def traces_of(uri: str) -> list[Trace]:
    there = InMlflow(uri, OWN)
    return list(there.client.search_traces(locations=[there.experiment_id]))


def test_a_task_is_a_trace_with_a_title_and_text(
    sqlite_uri: str, session: SessionDirectory
) -> None:
    work_on_a_task(session, {})
    session.end(1, Ending("finished", "3 scorers hold on 9 good rows"))
    (trace,) = written(sqlite_uri, session).values()
    info = trace.info
    assert info.tags["mlflow.traceName"] == info.request_preview == "Scorers about prices"
    assert info.response_preview == "3 scorers hold on 9 good rows"
    assert info.state == "OK"
    assert info.trace_metadata["mlflow.trace.session"] == "s-1"
    assert json.loads(info.trace_metadata["mlflow.trace.cost"])["total_cost"] == 0.5
    root, *steps = trace.data.spans
    assert (root.inputs, root.outputs) == (info.request_preview, info.response_preview)
    assert [(step.span_type, step.name) for step in steps] == [
        (SpanType.LLM, "claude-x"),
        (SpanType.TOOL, "look"),
        (SpanType.TOOL, "read"),
        (SpanType.LLM, "claude-x"),
    ]
    call = steps[0].attributes
    assert call["mlflow.chat.tokenUsage"]["total_tokens"] == 120
    assert call["mlflow.llm.cost"]["total_cost"] == 0.25
    assert steps[2].status.status_code == "ERROR"
    assert KEY not in trace.to_json()


@pytest.mark.parametrize(
    ("tools_s", "times"),
    [
        ({"t-look": 7.0, "t-read": 2.5}, [(2, 9), (9, 11.5)]),
        ({"t-look": 7.0, "t-read": 99.0}, [(2, 9), (9, 12)]),
        ({}, [(2, 2), (2, 2)]),
    ],
    ids=["one after the other", "never beyond the call", "where nobody measured"],
)
def test_tools_last_as_long_as_they_took(
    tools_s: dict[str, float],
    times: list[tuple[float, float]],
    sqlite_uri: str,
    session: SessionDirectory,
) -> None:
    work_on_a_task(session, tools_s)
    (trace,) = written(sqlite_uri, session).values()
    ran = [s for s in trace.data.spans if s.span_type == SpanType.TOOL]
    assert [(s.start_time_ns / 1e9, s.end_time_ns / 1e9) for s in ran] == times


@pytest.mark.parametrize(
    ("reason", "state"), [("finished", "OK"), ("stuck", "ERROR"), (None, "IN_PROGRESS")]
)
def test_how_a_session_ended_is_its_state(
    reason: Reason | None, state: str, sqlite_uri: str, session: SessionDirectory
) -> None:
    work_on_a_task(session, {})
    if reason:
        session.end(1, Ending(reason, "so it ended"))
    (trace,) = written(sqlite_uri, session).values()
    assert trace.info.state == state


def test_every_answer_of_a_conversation_is_a_trace_of_one_session(
    sqlite_uri: str, session: SessionDirectory
) -> None:
    session.start("interactive", "", "claude-x")
    session.add(1, Turn(1, (person("40 traces …", "How many failed?"),), asks("look"), 1_000, 1.0))
    session.add(1, Turn(2, (results(look="3"),), says("Three."), 3_000, 1.0))
    assert set(written(sqlite_uri, session)) == {"How many failed?"}
    session.add(1, Turn(3, (person("Why?"),), says("A timeout."), 9_000, 1.0))
    traces = written(sqlite_uri, session)
    assert {asked: trace.info.response_preview for asked, trace in traces.items()} == {
        "How many failed?": "Three.",
        "Why?": "A timeout.",
    }
    assert {t.info.trace_metadata["mlflow.trace.session"] for t in traces.values()} == {"s-1"}
    assert {asked: len(trace.data.spans) for asked, trace in traces.items()} == {
        "How many failed?": 4,
        "Why?": 2,
    }


def test_written_while_it_works_and_again_nothing_doubles(
    sqlite_uri: str, session: SessionDirectory
) -> None:
    session.start("worker", "scorers-1", "claude-x")
    store = connect(sqlite_uri)
    own = store.experiment(OWN, create=True)
    assert self_tracing.write(store, own, session) == 0  # nothing was answered yet
    session.add(1, Turn(1, (person("Do it."),), asks("look"), 1_000, 1.0))
    assert self_tracing.write(store, own, session) == 1
    session.add(1, Turn(2, (results(look="3"),), says("Done."), 3_000, 1.0))
    session.end(1, Ending("finished", "done"))
    assert self_tracing.write(store, own, session) == 1
    assert self_tracing.write(connect(sqlite_uri), own, session) == 0
    (trace,) = traces_of(sqlite_uri)
    assert [span.name for span in trace.data.spans][1:] == ["claude-x", "look", "claude-x"]
    assert (trace.info.state, trace.info.response_preview) == ("OK", "done")
    assert (trace.info.token_usage or {})["total_tokens"] == 240
    assert json.loads(trace.info.trace_metadata["mlflow.trace.cost"])["total_cost"] == 0.5
