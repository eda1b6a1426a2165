"""What is printed as the next command runs as it is printed, from where the person is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run_here
from eval_project import RUN_ID
from servers import clean_environment

BIN = Path(sys.executable).parent


@pytest.fixture
def shell(monkeypatch, tmp_path):
    """The shell that a person sits at: what it finds, and whether uv started the command."""
    tools = tmp_path / "tools"  # as `uv tool install` makes it: links to another environment's
    tools.mkdir()
    (tools / "evalkit").symlink_to(BIN / "evalkit")
    (tmp_path / "checkout/deeper").mkdir(parents=True)
    (tmp_path / "checkout/pyproject.toml").touch()
    (tmp_path / "checkout/.venv").symlink_to(sys.prefix)
    monkeypatch.delenv("UV_PROJECT_ENVIRONMENT", raising=False)

    def sit(found="", *, uv=False, folder=tmp_path):
        monkeypatch.chdir(tmp_path / folder)
        monkeypatch.setenv("PATH", str(tools if found == "tools" else found or tmp_path / "empty"))
        monkeypatch.setenv("UV", "uv") if uv else monkeypatch.delenv("UV", raising=False)

    return sit


@pytest.mark.parametrize(
    ("place", "typed"),
    [
        ({"found": BIN}, "evalkit demo"),
        ({"found": "tools"}, "evalkit demo"),
        ({"found": BIN, "uv": True}, f"{BIN}/evalkit demo"),
        ({"found": BIN, "uv": True, "folder": "checkout/deeper"}, "uv run evalkit demo"),
    ],
    ids=str,
)
def test_the_next_command_is_told_as_it_has_to_be_typed(shell, capfd, place, typed):
    shell(**place)
    said = run_here("check", capture=capfd).out
    assert f"run `{typed}` to see one" in " ".join(said.split())


def test_what_comes_after_all_stages_runs_as_printed(evalkit, project, shell):
    shell(BIN, uv=True, folder=project.root)
    done = evalkit("all", "--run-id", RUN_ID)
    lines = [line.strip() for line in done.err.splitlines()]
    printed = [line for line in lines if re.search(r"evalkit (pull|push)-feedback", line)]
    assert len(printed) == 2
    environment = {**clean_environment(), "PATH": "/usr/bin:/bin"}  # finds nothing of this one
    subprocess.run(["/bin/sh", "-c", printed[0]], cwd=project.root, env=environment, check=True)
