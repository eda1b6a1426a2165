"""Projects, cases and runs are found on disk, and nothing outside their folders is read."""

from pathlib import Path

import pytest

from evalkit.config_files import load_project
from evalkit.dataset.cases import case_ids, load_cases, read_case
from evalkit.errors import InputError, LogRefused
from evalkit.files import is_on_volume, read_text, write_text
from evalkit.runs.run_dir import find_run, list_runs, load_run


@pytest.fixture
def folder(tmp_path):
    """A project with one case and one run."""
    tree = {
        "eval.yaml": "name: e\nskill: s\ndataset: {path: cases}\n",
        "cases/a/input.yaml": "prompt: hi\n",
        "cases/a/notes/ref.md": "gold",
        "eval/runs/e/r1/summary.yaml": "judges: {}\n",
        "eval/runs/e/r1/cases/a/stdout.log": "{}\n",
    }
    for name, text in tree.items():
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "secret.txt").write_text("outside")
    return tmp_path / "p"


def test_a_case_is_read_with_all_its_files(folder):
    case = read_case(folder / "cases", "a")
    assert case.listing == ("input.yaml", "notes/ref.md")
    assert case.documents == {"input.yaml": {"prompt": "hi"}}
    assert case.texts == {"notes/ref.md": "gold"}


def test_pictures_are_listed_but_not_read(folder):
    (folder / "cases/a/shot.png").write_bytes(b"\x89PNG\xff")
    (folder / "cases/a/.gitkeep").write_text("x")
    case = read_case(folder / "cases", "a")
    assert "shot.png" in case.listing
    assert ".gitkeep" not in case.listing
    assert "shot.png" not in case.texts


@pytest.mark.parametrize("case_id", ["..", "../p/cases/a", "/etc", "a/.."])
def test_a_case_id_cannot_lead_elsewhere(folder, case_id):
    with pytest.raises(InputError, match="case id"):
        read_case(folder / "cases", case_id)


def test_links_that_lead_out_are_refused_not_followed(folder):
    (folder / "cases/a/stolen.md").symlink_to(folder.parent / "secret.txt")
    case = read_case(folder / "cases", "a")
    assert "stolen.md" not in case.listing
    assert "leads out of" in case.skipped["stolen.md"]
    with pytest.raises(InputError, match="stolen.md: leads out of"):
        read_case(folder / "cases", "a", only=["stolen.md"])
    (folder / "cases/b").symlink_to(folder.parent)
    with pytest.raises(InputError, match="leads out of"):
        case_ids(folder / "cases")


def test_a_link_within_the_dataset_is_fine(folder):
    (folder / "cases/a/again.md").symlink_to(folder / "cases/a/notes/ref.md")
    assert read_case(folder / "cases", "a").texts["again.md"] == "gold"


def test_all_broken_files_of_all_cases_are_told_at_once(folder):
    (folder / "cases/a/bad.json").write_text("{")
    (folder / "cases/b").mkdir()
    (folder / "cases/b/input.yaml").write_bytes(b"ok: 1\nprompt: \xff\n")
    with pytest.raises(InputError) as caught:
        list(load_cases(folder / "cases"))
    assert [(p.file.rsplit("/", 1)[1], p.line) for p in caught.value.problems] == [
        ("bad.json", 1),
        ("input.yaml", 2),
    ]


def test_no_cases_is_an_error(folder):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="holds no case directories"):
        case_ids(folder / "empty")


@pytest.mark.parametrize("where", ["eval/runs/e", "eval/runs/s", "eval/runs"])
def test_a_run_lies_below_the_name_the_skill_or_directly(folder, where):
    run = folder / where / "r2"
    run.mkdir(parents=True)
    (run / "summary.yaml").write_text("judges: {}\n")
    files = load_project(folder / "eval.yaml")
    assert find_run(files, "r2") == run
    assert list_runs(files) == ["r1", "r2"]


def test_the_runs_dir_may_be_elsewhere(folder, tmp_path):
    (tmp_path / "runs/e/r9").mkdir(parents=True)
    (tmp_path / "runs/e/r9/summary.yaml").write_text("{}")
    files = load_project(folder / "eval.yaml", str(tmp_path / "runs"))
    assert list_runs(files) == ["r9"]


@pytest.mark.parametrize("run_id", ["..", "../e/r1", "/etc", "r1/cases", ""])
def test_a_run_id_cannot_lead_elsewhere(folder, run_id):
    with pytest.raises(InputError, match="run id"):
        find_run(load_project(folder), run_id)


def test_an_unknown_run_names_those_there_are(folder):
    with pytest.raises(InputError, match="there are r1"):
        find_run(load_project(folder), "r7")


def test_an_empty_run_says_what_is_missing(folder):
    (folder / "eval/runs/e/r3").mkdir()
    with pytest.raises(InputError, match="holds none of summary.yaml"):
        find_run(load_project(folder), "r3")


def test_a_run_whose_files_lead_out_is_refused(folder):
    (folder / "eval/runs/e/r1/summary.yaml").unlink()
    (folder / "eval/runs/e/r1/summary.yaml").symlink_to(folder.parent / "secret.txt")
    with pytest.raises(InputError, match="leads out of"):
        load_run(load_project(folder), "r1")


def test_a_log_that_leads_out_is_not_read(folder):
    (folder / "eval/runs/e/r1/cases/a/stdout.log").unlink()
    (folder / "eval/runs/e/r1/cases/a/stdout.log").symlink_to(folder.parent / "secret.txt")
    (log,) = load_run(load_project(folder), "r1").logs.values()
    assert log.text() is None
    with pytest.raises(LogRefused, match="leads out of"):
        log.lines()


def test_both_broken_files_of_a_run_are_told(folder):
    (folder / "eval/runs/e/r1/summary.yaml").write_text("a: [")
    (folder / "eval/runs/e/r1/run_result.json").write_text("")
    with pytest.raises(InputError) as caught:
        load_run(load_project(folder), "r1")
    assert len(caught.value.problems) == 2


def test_the_dataset_is_found_beside_the_config_else_in_the_working_directory(
    folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (folder / "sub").mkdir()
    (folder / "sub/eval.yaml").write_text("dataset: {path: cases}\n")
    with pytest.raises(InputError, match=r"no folder .*sub/cases or .*/cases"):
        _ = load_project(folder / "sub/eval.yaml").cases_dir
    for there in (tmp_path / "cases", folder / "sub/cases"):
        there.mkdir()
        assert load_project(folder / "sub/eval.yaml").cases_dir.resolve() == there


@pytest.mark.parametrize("content", [b"\xff\xfe", b"ok\nok\n\x80"])
def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match="not UTF-8") as caught:
        read_text(tmp_path / "x")
    assert caught.value.problems[0].line == content.count(b"\n") + 1


def test_a_file_is_written_whole_and_keeps_its_rights(tmp_path):
    path = tmp_path / "new" / "x.yaml"
    write_text(path, "one\r\n")
    path.chmod(0o640)
    write_text(path, "two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in path.parent.iterdir()] == ["x.yaml"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "file" / "x.yaml", "")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/Volumes/main/evals/state/project/tmp/schema_mapping.json", True),
        ("/Volumes/../etc/eval.yaml", False),
        ("/VolumesOfMine/eval.yaml", False),
        ("Volumes/eval.yaml", False),
    ],
)
def test_what_lies_on_a_volume_is_written_without_renaming(path, expected):
    assert is_on_volume(Path(path)) is expected
