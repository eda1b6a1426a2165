"""Single files: a ``.env`` is read as it stands, a file is written whole or not at all."""

import os
from pathlib import Path

import pytest

from evalkit.agent.model_client import settings_from_env
from evalkit.dataset.cases import read_case
from evalkit.errors import InputError
from evalkit.files import is_on_volume, read_env_file, write_text

ROOT = Path(__file__).parents[2]


def read(folder, content):
    path = folder / ".env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_env_file(path)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("\ufeffMODEL=claude-test\r\n", {"MODEL": "claude-test"}),
        ("KEY=a1b2   # the key", {"KEY": "a1b2"}),
        ('KEY=""  # must be empty\nA=\nB', {"KEY": "", "A": "", "B": ""}),
        ("KEY='$HOME' \nOTHER=${HOME}x$y", {"KEY": "$HOME", "OTHER": "${HOME}x$y"}),
    ],
)
def test_variables_are_read_as_they_stand_and_nothing_is_set(tmp_path, text, variables):
    before = dict(os.environ)
    assert read(tmp_path, text) == variables
    assert dict(os.environ) == before
    assert read_env_file(tmp_path / "none") == {}


def test_every_line_that_sets_nothing_is_named_and_none_is_quoted(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, "A=1\n\n\nthe token is dapi-secret\nB=2\n=dapi-secret\nC='open\n")
    assert [problem.line for problem in caught.value.problems] == [4, 6, 7]
    assert "dapi" not in str(caught.value)
    with pytest.raises(InputError, match="is not UTF-8"):
        read(tmp_path, b"KEY=\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        read_env_file(tmp_path)


def test_the_example_can_be_copied_as_it_is_and_names_only_what_the_code_reads():
    variables = read_env_file(ROOT / ".env.example")
    assert set(variables.values()) == {""}
    settings = settings_from_env({"ANTHROPIC_API_KEY": "k"}, dotenv=variables)
    assert settings == settings_from_env({"ANTHROPIC_API_KEY": "k"})
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "evalkit").rglob("*.py"))
    assert {"ANTHROPIC_API_KEY", "MLFLOW_TRACKING_URI", "MODEL"} <= set(variables)
    assert [name for name in variables if f'"{name}"' not in code] == []


def test_claude_on_databricks_as_a_workspace_owner_writes_it_down(tmp_path):
    variables = read(
        tmp_path,
        "ANTHROPIC_BASE_URL=https://w.example/serving-endpoints\n"
        "ANTHROPIC_AUTH_TOKEN=dapi-made-up          # a personal access token\n"
        'ANTHROPIC_API_KEY=""                  # has to be there, and empty\n'
        "MODEL=databricks-claude-opus-4-5\n",
    )
    settings = settings_from_env({"ANTHROPIC_API_KEY": "sk-ant-x"}, dotenv=variables)
    assert settings.base_url == "https://w.example/serving-endpoints/anthropic"
    assert (settings.secret, settings.model) == ("dapi-made-up", "databricks-claude-opus-4-5")


def test_a_file_is_written_whole_and_keeps_its_rights_or_it_is_told(tmp_path):
    path = tmp_path / "new" / "x.yaml"
    write_text(path, "one\r\n")
    path.chmod(0o640)
    write_text(path, "two")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o640)
    assert [p.name for p in path.parent.iterdir()] == ["x.yaml"]
    with pytest.raises(InputError, match="cannot be written"):
        write_text(path / "y.yaml", "")
    # a volume takes whole files, and no renaming
    assert is_on_volume(Path("/Volumes/main/evals/state/tmp/schema_mapping.json"))
    assert not is_on_volume(Path("/Volumes/../etc/eval.yaml"))


@pytest.mark.parametrize("case_id", ["..", "/etc"])
def test_a_case_id_cannot_lead_elsewhere(tmp_path, case_id):
    with pytest.raises(InputError, match="case id"):
        read_case(tmp_path, case_id)
