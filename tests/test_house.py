"""The house is in order: style, types, layers, names, and no traces of any one machine."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
    registry = r"https?://[^\s\"']+/(simple|packages)\b|index[-]url"
    own_folder = r"(?<![\w.:@~/-])/(root|work)/\w"
    named = re.compile(f"{registry}|{own_folder}")
    assert [name for name in tracked() if named.search(text_of(name))] == []


def text_of(name: str) -> str:
    """What a file says; nothing where it is a picture."""
    try:
        return (ROOT / name).read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def test_one_module_alone_takes_what_mlflow_does_not_document():
    documented = re.compile(r"mlflow(\.(entities|exceptions|genai|pytest)\b.*)?")
    imported = re.compile(r"^\s*(?:from|import) (mlflow[\w.]*)", re.MULTILINE)
    inside = {
        name
        for name in tracked()
        if name.startswith("evalkit/") and name.endswith(".py")
        for module in imported.findall(text_of(name))
        if not documented.fullmatch(module)
    }
    assert inside == {"evalkit/store/internals.py"}


def test_each_dependency_is_pinned_within_its_range():
    project = tomllib.loads(text_of("pyproject.toml"))
    pins = [Requirement(text) for text in project["tool"]["uv"]["constraint-dependencies"]]
    pinned = {pin.name: next(iter(pin.specifier)).version for pin in pins}
    ranges = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    wanted = [Requirement(text) for text in ranges]
    assert [str(r) for r in wanted if not r.specifier.contains(pinned[r.name.lower()])] == []
    assert all(str(pin).count("==") == 1 and pin.url is None for pin in pins)
