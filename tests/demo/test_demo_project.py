"""The demo project: safe to write again, in folders of any name."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path

import pytest

from evalkit.demo.production import RECORDED
from evalkit.demo.project import MARKER, RUN_ID, RUNS, made_on, project_files, write_project
from evalkit.documents import parse_yaml
from evalkit.errors import InputError
from evalkit.project import read_project


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("demo") / "shop").parent


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


class TestWriting:
    def test_the_files_on_disk_are_those_that_were_made_and_the_marker(self, root: Path) -> None:
        made = {name: text.encode() for name, text in project_files(root).items()}

        found = contents(root)

        assert found.pop(MARKER)
        assert found == made

    def test_again_restores_what_is_gone_and_keeps_what_was_edited_or_added(
        self, tmp_path: Path
    ) -> None:
        config = write_project(tmp_path)
        before = contents(tmp_path)
        review = tmp_path / RUNS / RUN_ID / "review.yaml"
        review.write_text("feedback: {lamp-arrived-cracked: mine}\n")
        (tmp_path / "mine.txt").write_text("also mine")
        gone = tmp_path / "eval/cases/charged-twice/input.yaml"
        gone.unlink()

        assert write_project(tmp_path) == config

        expected = {
            "mine.txt": b"also mine",
            str(review.relative_to(tmp_path)): review.read_bytes(),
        }
        assert b"mine" in review.read_bytes()
        assert contents(tmp_path) == {**before, **expected}

    def test_the_day_on_which_the_folder_was_made_is_decided_once(self, tmp_path: Path) -> None:
        write_project(tmp_path)
        marker = tmp_path / MARKER
        today = dt.datetime.now(dt.UTC).date()
        assert today - dt.timedelta(days=1) <= made_on(tmp_path) <= today
        marker.write_text(marker.read_text().replace(str(made_on(tmp_path)), "2025-02-28"))
        write_project(tmp_path)
        assert made_on(tmp_path) == dt.date(2025, 2, 28)
        marker.write_text("Written by `evalkit demo`, by an earlier version.\n")
        assert made_on(tmp_path) == RECORDED

    def test_a_writing_that_was_cut_short_is_completed(self, tmp_path: Path, root: Path) -> None:
        (tmp_path / MARKER).write_text("")
        (tmp_path / "README.md.part").write_text("half")

        write_project(tmp_path)

        assert set(contents(tmp_path)) == set(contents(root))

    def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "thesis.txt").write_text("years of work")

        with pytest.raises(InputError, match="not empty and holds no demo") as caught:
            write_project(tmp_path)

        assert caught.value.problems[0].file == str(tmp_path)
        assert contents(tmp_path) == {"thesis.txt": b"years of work"}

    @pytest.mark.parametrize("name", ["file", "file/below"])
    def test_a_place_where_no_folder_can_be_is_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(InputError, match="cannot be written"):
            write_project(tmp_path / name)

    @pytest.mark.parametrize("name", ["plain", 'quo"te', "two words: #1", "umlaut-ä"])
    def test_the_store_is_named_by_its_absolute_path(self, tmp_path: Path, name: str) -> None:
        with contextlib.chdir(tmp_path):
            config = write_project(Path(name))
            read = read_project(parse_yaml(config.read_text(), "eval.yaml", with_lines=True))

        assert read.tracking_uri == f"sqlite:///{tmp_path / name / 'mlflow.db'}"
