"""The demo's production traffic: what a stranger finds who opens its experiment in MLflow."""

import datetime as dt
import json
import re

import pytest

from evalkit.demo.project import production_traces

MADE = dt.date(2027, 1, 3)
"""The day on which the demo was made; a Sunday, with a new year in its fortnight."""


def figures_from_nowhere(trace):
    """Numbers of an answer's words, or of a drafted letter's, that nothing the agent saw shows."""
    (root,) = (span for span in trace.spans if span.parent_id is None)
    used = [span.outputs for span in trace.spans if span.kind in {"TOOL", "RETRIEVER"}]
    given = json.dumps([[span.inputs for span in trace.spans], used])
    said = root.outputs["letter"] if isinstance(root.outputs, dict) else root.outputs
    return set(re.findall(r"\d+", str(said))) - set(re.findall(r"\d+", given))


def test_dates_in_answers_are_those_of_their_sources():
    fine = [
        trace
        for trace, said in production_traces(MADE)
        if trace.status == "OK" and all(each.value for each in said)
    ]
    letters = [trace for trace in fine if trace.spans[0].name != "classify_ticket"]
    assert len(letters) > 50
    assert [trace.trace_id for trace in letters if figures_from_nowhere(trace)] == []


def test_another_day_moves_them_by_whole_days_and_nothing_else():
    later = dt.timedelta(days=100)
    for (one, said), (other, said_later) in zip(
        production_traces(MADE), production_traces(MADE + later), strict=True
    ):
        assert one.trace_id == other.trace_id
        assert other.start_ns - one.start_ns == later.days * 86_400 * 10**9
        assert other.end_ns - other.start_ns == pytest.approx(one.end_ns - one.start_ns, rel=0.1)
        assert [each.value for each in said] == [each.value for each in said_later]
