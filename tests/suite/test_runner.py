"""The model's Python and the suite's script, confined; and how long scoring takes."""

from __future__ import annotations

import time

import pytest
from suite_rows import shop_rows, suite, trace_id

from evalkit.suite.model import Probe
from evalkit.suite.runner import Runner

ROWS = shop_rows()


@pytest.fixture(scope="module")
def runner(sandbox):
    return Runner(sandbox, ROWS)


def test_python_has_the_traces_as_a_frame_and_as_mlflows_objects(runner):
    code = f"""
from room import *
print(len(TRACES), len(GOOD), sorted(TRACES.columns))
bad = TRACES[TRACES.verdict == "rejected"]
print(bad.comments.tolist(), TRACES.disliked.sum())
print([s.name for s in spans({trace_id(0)!r})], trace({trace_id(0)!r}).info.state)
print(TRACES.tools[0], TRACES.retrieved[0][0][0]["page_content"])
print(open("evaluation/scorers.py").read()[:30])
"""
    ok, output = runner.python(suite(), code)
    assert ok, output
    lines = output.splitlines()
    columns = "comments disliked error expectations failed inputs outputs retrieved route seconds "
    columns += "status tools trace_id verdict"
    assert lines[0] == f"26 24 {columns.split()}"
    assert lines[1] == "[['Wrong delivery time promised'], ['Too vague about the time']] 2"
    assert lines[2] == "['shop', 'find', 'order', 'model'] OK"
    assert lines[3] == "['order'] A lamp is delivered within 2 days."
    assert lines[4].startswith('"""Scorers of')


def test_python_reaches_neither_the_callers_files_nor_the_network(runner, tmp_path):
    (tmp_path / "secret").write_text("kept")
    code = f"""
import pathlib, socket
actions = [
    lambda: pathlib.Path({str(tmp_path / "secret")!r}).read_text(),
    lambda: pathlib.Path("/etc/x").write_text("x"),
    lambda: socket.create_connection(("127.0.0.1", 9), 2),
]
for action in actions:
    try:
        print(action())
    except OSError as error:
        print("no")
"""
    assert runner.python({}, code)[1].split() == ["no", "no", "no"]


def test_what_python_prints_is_bounded_and_without_secrets(runner):
    key = "sk-ant-api03-" + "Ab1" * 20
    assert key not in runner.python({}, f"print({key!r})")[1]
    assert len(runner.python({}, "print('x' * 10**6)")[1]) < 13_000
    ok, output = runner.python({}, "1 / 0")
    assert (ok, "ZeroDivisionError" in output) == (False, True)


def test_scores_are_remembered(runner):
    probes = [Probe(ROWS[0].trace_id, ROWS[0].outputs), Probe(ROWS[0].trace_id, "in 77 days")]
    loaded = runner.judge(suite(), probes)
    assert [[s.value for s in said["figures"]] for said in loaded.scores] == [[True], [False]]
    assert loaded.scores[1]["figures"][0].rationale == "not in the sources: ['77']"
    start = time.monotonic()
    assert runner.judge(suite(limits="other"), probes) is loaded
    assert time.monotonic() - start < 0.1
