"""The house is in order: style, types, layers, names, and no traces of any one machine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports", "--no-cache"],
        ["marimo", "check", "--strict", "notebooks"],
    ],
    ids=" ".join,
)
def test_check_passes(command):
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_the_top_level_is_as_agreed():
    allowed = {"notebooks", "evalkit", "tests", "pyproject.toml", "README.md", "databricks.yml"}
    visible = {name.split("/")[0] for name in tracked() if not name.startswith(".")}
    assert visible <= allowed


def test_no_module_is_named_like_one_of_the_standard_library_or_like_nothing():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "types"}
    names = {
        Path(name).stem for name in tracked() if re.match(r"(evalkit|notebooks)/.*\.py$", name)
    }
    assert not names & (vague | set(sys.stdlib_module_names) - {"__main__", "__init__"})


def test_no_registry_host_and_no_path_of_a_machine_is_named():
    found = []
    for name in tracked():
        try:
            text = (ROOT / name).read_text("utf-8")
        except UnicodeDecodeError:
            continue
        if re.search(r"https?://[^\s\"']+/(simple|packages)\b|index[-]url", text):
            found.append(name)
        if str(ROOT.parent) + "/" in text:
            found.append(name)
    assert found == []
