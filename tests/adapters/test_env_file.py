"""A .env file: what it sets, what is wrong with it, and the example that comes along."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evalkit.agent.model_client import settings_from_env
from evalkit.errors import InputError
from evalkit.files import read_env_file

ROOT = Path(__file__).parents[2]


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / ".env"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("# nothing but words\n", {}),
        ("MODEL=claude-test", {"MODEL": "claude-test"}),
        ("\ufeffMODEL=claude-test\r\n", {"MODEL": "claude-test"}),
        ("export MODEL='claude test'", {"MODEL": "claude test"}),
        ("KEY=a1b2   # the key", {"KEY": "a1b2"}),
        ("KEY=a#1", {"KEY": "a#1"}),
        ('KEY=""  # must be empty', {"KEY": ""}),
        ("KEY=", {"KEY": ""}),
        ("KEY", {"KEY": ""}),
        ("KEY='$HOME' \nOTHER=${HOME}x$y", {"KEY": "$HOME", "OTHER": "${HOME}x$y"}),
        ("KEY=first\nKEY=last", {"KEY": "last"}),
    ],
)
def test_variables_are_read_as_they_stand(
    tmp_path: Path, text: str, variables: dict[str, str]
) -> None:
    assert read_env_file(written(tmp_path, text)) == variables


def test_there_need_be_no_file(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / ".env") == {}


def test_nothing_is_put_into_the_environment(tmp_path: Path) -> None:
    before = dict(os.environ)
    read_env_file(written(tmp_path, "EVALKIT_TRIED_OUT=1"))
    assert dict(os.environ) == before


def test_every_line_that_sets_nothing_is_named_and_none_is_quoted(tmp_path: Path) -> None:
    path = written(tmp_path, "A=1\n\n\nthe token is dapi-secret\nB=2\n=dapi-secret\nC='open\n")
    with pytest.raises(InputError) as caught:
        read_env_file(path)
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        (str(path), 4),
        (str(path), 6),
        (str(path), 7),
    ]
    assert "dapi" not in str(caught.value)


@pytest.mark.parametrize(("content", "why"), [(b"KEY=\xff\xfe", "is not UTF-8")])
def test_a_file_that_is_no_text_is_an_input_error(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_env_file(written(tmp_path, content))


def test_a_folder_is_no_env_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_env_file(tmp_path)


# -- the example


def test_the_example_can_be_copied_as_it_is_and_changes_nothing() -> None:
    variables = read_env_file(ROOT / ".env.example")
    assert set(variables.values()) == {""}
    settings = settings_from_env({"ANTHROPIC_API_KEY": "k"}, dotenv=variables)
    assert settings == settings_from_env({"ANTHROPIC_API_KEY": "k"})


def test_the_example_names_only_what_the_code_reads() -> None:
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "evalkit").rglob("*.py"))
    variables = read_env_file(ROOT / ".env.example")
    assert {
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL",
        "EVALKIT_JUDGE_MODEL",
        "MLFLOW_TRACKING_URI",
        "MODEL",
    } == set(variables)
    assert [name for name in variables if f'"{name}"' not in code] == []


def test_claude_on_databricks_as_a_workspace_owner_writes_it_down(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "# .env for Databricks\n"
        "ANTHROPIC_BASE_URL=https://w.example/serving-endpoints\n"
        "ANTHROPIC_AUTH_TOKEN=dapi-made-up          # a personal access token\n"
        'ANTHROPIC_API_KEY=""                  # has to be there, and empty\n'
        "MODEL=databricks-claude-opus-4-5\n",
    )
    settings = settings_from_env({"ANTHROPIC_API_KEY": "sk-ant-x"}, dotenv=read_env_file(path))
    assert settings.base_url == "https://w.example/serving-endpoints/anthropic"
    assert settings.secret == "dapi-made-up"
    assert settings.model == "databricks-claude-opus-4-5"
