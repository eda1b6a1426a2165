"""Projects, cases and runs are found on disk, and nothing outside their folders is read."""

from pathlib import Path

import pytest

from evalkit.dataset.cases import read_case
from evalkit.errors import InputError
from evalkit.files import is_on_volume, write_text


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
    (folder / "cases/a/shot.png").write_bytes(b"\x89PNG\xff")
    (folder / "cases/a/.gitkeep").write_text("x")
    case = read_case(folder / "cases", "a")
    assert case.listing == ("input.yaml", "notes/ref.md", "shot.png")
    assert "shot.png" not in case.texts


@pytest.mark.parametrize("case_id", ["..", "/etc"])
def test_a_case_id_cannot_lead_elsewhere(folder, case_id):
    with pytest.raises(InputError, match="case id"):
        read_case(folder / "cases", case_id)


def test_a_file_is_written_whole_and_keeps_its_rights_or_it_is_told(tmp_path):
    path = tmp_path / "new" / "x.yaml"
    write_text(path, "one\r\n")
    path.chmod(0o640)
    write_text(path, "two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in path.parent.iterdir()] == ["x.yaml"]
    with pytest.raises(InputError, match="cannot be written"):
        write_text(path / "y.yaml", "")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/Volumes/main/evals/state/project/tmp/schema_mapping.json", True),
        ("/Volumes/../etc/eval.yaml", False),
    ],
)
def test_what_lies_on_a_volume_is_written_without_renaming(path, expected):
    assert is_on_volume(Path(path)) is expected
