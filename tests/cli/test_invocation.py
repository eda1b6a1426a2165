"""What is printed as the next command runs as it is printed, from where the person is."""

import os
import re
import shlex
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

    def sit(*folders, uv=False):
        found = [str(tmp_path / "empty"), *map(str, folders)]
        monkeypatch.setenv("PATH", os.pathsep.join(found))
        monkeypatch.setenv("UV", "uv") if uv else monkeypatch.delenv("UV", raising=False)

    return sit


@pytest.fixture
def tool(tmp_path):
    """A folder of commands as `uv tool install` makes it: links to another environment's."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "evalkit").symlink_to(BIN / "evalkit")
    return folder


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A project whose environment is the tests' own."""
    (tmp_path / "checkout/deeper").mkdir(parents=True)
    (tmp_path / "checkout/pyproject.toml").touch()
    (tmp_path / "checkout/.venv").symlink_to(sys.prefix)
    monkeypatch.delenv("UV_PROJECT_ENVIRONMENT", raising=False)
    return tmp_path / "checkout"


def missing_mapping(capfd):
    """The next command that a project without a mapping is told."""
    said = run_here("sync-dataset", "--config", "eval.yaml", capture=capfd).err
    return re.search(r"write it with `([^`]+)`", " ".join(said.split()))[1]


def test_an_activated_environment_has_the_command(project, shell, monkeypatch, capfd):
    monkeypatch.chdir(project.root)
    project.remove("tmp/schema_mapping.json")
    shell(BIN)
    assert missing_mapping(capfd) == "evalkit map"


def test_an_installed_tool_is_a_command(project, shell, tool, monkeypatch, capfd):
    monkeypatch.chdir(project.root)
    project.remove("tmp/schema_mapping.json")
    shell(tool)
    assert missing_mapping(capfd) == "evalkit map"


def test_elsewhere_the_whole_path_is_told(project, shell, monkeypatch, capfd):
    monkeypatch.chdir(project.root)
    project.remove("tmp/schema_mapping.json")
    for uv in (False, True):
        shell(*([BIN] if uv else []), uv=uv)
        assert missing_mapping(capfd) == f"{BIN}/evalkit map"


@pytest.mark.parametrize("below", ["", "deeper"])
def test_in_a_checkout_it_is_uv_that_runs_it(shell, checkout, monkeypatch, capfd, below):
    monkeypatch.chdir(checkout / below)
    shell(BIN, uv=True)
    said = run_here("check", capture=capfd).out
    assert "run `uv run evalkit demo` to see one" in " ".join(said.split())


@pytest.mark.parametrize("uv", [False, True])
def test_what_comes_after_all_stages_runs_as_printed(evalkit, project, shell, uv):
    shell(*([BIN] if uv else []), uv=uv)
    done = evalkit("all", "--run-id", RUN_ID)
    lines = [line.strip() for line in done.err.splitlines()]
    printed = [line for line in lines if re.search(r"evalkit (pull|push)-feedback", line)]
    assert len(printed) == 2
    ended = subprocess.run(  # in a shell that finds nothing of this environment
        ["/bin/sh", "-c", printed[uv]],
        cwd=project.root,
        env={**clean_environment(), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_the_package_itself_is_the_command(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "evalkit", "check"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "eval.yaml" in ended.stdout


def test_a_job_without_a_stage_fails_as_a_module_too(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "evalkit.cli.jobs", *shlex.split("--job_run_id=1")],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "no stage is named" in ended.stderr
