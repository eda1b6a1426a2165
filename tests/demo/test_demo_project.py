"""The demo project: safe to write again, in folders of any name."""

import contextlib
import datetime as dt
from pathlib import Path

import pytest

from evalkit.demo.project import (
    MARKER,
    RECORDED,
    RUN_ID,
    RUNS,
    made_on,
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
