"""The agent's own sessions as traces: when each tool ran."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from evalkit.core.agent.conversation import Reply
from evalkit.core.agent.journal import Opening, Session, Turn
from evalkit.core.agent.tracing import trace_of_session

SECOND = 10**9
NAMES = ("look", "read")


def session(tools_s: Mapping[str, float]) -> Session:
    """Two tools asked for together, ten seconds before the next call."""
    asked = tuple({"type": "tool_use", "id": name, "name": name, "input": {}} for name in NAMES)
    results = [{"type": "tool_result", "tool_use_id": name, "content": "ok"} for name in NAMES]
    first = Turn(1, "", ({"role": "user", "content": "go"},), Reply(asked, "tool_use"), 0, 1.0)
    then = ({"role": "user", "content": results},)
    done = Reply(({"type": "text", "text": "done"},), "end_turn")
    second = Turn(2, "", then, done, 11_000, 2.0, 10.0, tools_s)
    return Session(Opening(1, "worker", "dataset", "m", 0), (first, second))


@pytest.mark.parametrize(
    ("tools_s", "times"),
    [
        ({"look": 7.0, "read": 2.5}, [(1, 8), (8, 10.5)]),
        ({"look": 7.0, "read": 99.0}, [(1, 8), (8, 11)]),
        ({}, [(1, 11), (1, 11)]),
    ],
    ids=["one after the other", "never beyond the call", "where nobody measured"],
)
def test_tools_last_as_long_as_they_took(
    tools_s: Mapping[str, float], times: list[tuple[float, float]]
) -> None:
    spans = trace_of_session(session(tools_s), "key").spans
    ran = {span.name: (span.start_ns / SECOND, span.end_ns / SECOND) for span in spans}
    assert [ran[name] for name in NAMES] == times
    assert ran["m"] == (11, 13)
