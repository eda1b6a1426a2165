"""The demo project: safe to write again, in folders of any name; and its production traffic."""

import contextlib
import datetime as dt
import json
import re
from pathlib import Path

import pytest

from evalkit.demo.project import (
    MARKER,
    RECORDED,
    RUN_ID,
    RUNS,
    made_on,
    production_traces,
    project_files,
    write_project,
)
from evalkit.documents import parse_yaml
from evalkit.errors import InputError
from evalkit.project import read_project


def contents(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_again_restores_what_is_gone_and_keeps_what_is_a_persons(tmp_path):
    config = write_project(tmp_path)
    before = contents(tmp_path)
    assert {*before} == {*project_files(tmp_path), MARKER}
    review = tmp_path / RUNS / RUN_ID / "review.yaml"
    review.write_text("feedback: {lamp-arrived-cracked: mine}\n")
    (tmp_path / "eval/cases/charged-twice/input.yaml").unlink()

    assert write_project(tmp_path) == config

    edited = {str(review.relative_to(tmp_path)): review.read_bytes()}
    assert b"mine" in review.read_bytes()
    assert contents(tmp_path) == {**before, **edited}


def test_the_day_on_which_the_folder_was_made_is_decided_once(tmp_path):
    write_project(tmp_path)
    marker = tmp_path / MARKER
    today = dt.datetime.now(dt.UTC).date()
    assert today - dt.timedelta(days=1) <= made_on(tmp_path) <= today
    marker.write_text(marker.read_text().replace(str(made_on(tmp_path)), "2025-02-28"))
    write_project(tmp_path)
    assert made_on(tmp_path) == dt.date(2025, 2, 28)
    marker.write_text("Written by `evalkit demo`, by an earlier version.\n")
    assert made_on(tmp_path) == RECORDED


@pytest.mark.parametrize(
    ("folder", "why"),
    [("", "not empty and holds no demo"), ("thesis.txt/below", "cannot be written")],
)
def test_somebody_elses_folder_is_refused_and_left_alone(tmp_path, folder, why):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=why):
        write_project(tmp_path / folder)
    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


@pytest.mark.parametrize("name", ["plain", 'quo"te', "two words: #1", "umlaut-ä"])
def test_the_store_is_named_by_its_absolute_path(tmp_path, name):
    with contextlib.chdir(tmp_path):
        config = write_project(Path(name))
        read = read_project(parse_yaml(config.read_text(), "eval.yaml"))

    assert read.tracking_uri == f"sqlite:///{tmp_path / name / 'mlflow.db'}"


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
