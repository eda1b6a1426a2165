"""A notebook in a workspace that has no evalkit installs it first, and only there."""

import json
import subprocess
import sys

import pytest

STAND_IN = """
import json, sys
from types import SimpleNamespace

given, did = json.loads(sys.argv[1]), []
dbutils = SimpleNamespace(
    widgets=SimpleNamespace(get=given.__getitem__),
    library=SimpleNamespace(restartPython=lambda: did.append("restart")),
)
get_ipython = lambda: SimpleNamespace(run_line_magic=lambda *said: did.append(" ".join(said)))
exec(sys.stdin.read())
print(json.dumps(did))
"""
"""Databricks' tools, in a Python without any packages; then the cell."""


@pytest.fixture
def cells(exported):
    """The installing cell of each notebook."""
    return {
        path.stem: "".join(json.loads(path.read_text("utf-8"))["cells"][1]["source"])
        for path in exported.glob("*.ipynb")
    }


@pytest.fixture
def workspace(tmp_path):
    """A workspace's files: an exported notebook's folder, and a volume."""
    (tmp_path / "files/build/notebooks").mkdir(parents=True)
    (tmp_path / "volume/wheels").mkdir(parents=True)
    return tmp_path


def run(cell, workspace):
    given = {"volume_path": f"{workspace}/volume", "config": f"{workspace}/volume/eval.yaml"}
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", STAND_IN, json.dumps(given)],
        input=cell,
        cwd=workspace / "files/build/notebooks",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["log_results", "run_eval_agent"])
def test_the_wheel_comes_from_the_volume_or_from_the_bundle(cells, workspace, name):
    (workspace / "volume/wheels/mlflow_evalkit-0.1.0-py3-none-any.whl").touch()
    done = run(cells[name], workspace)
    pip, restart = json.loads(done.stdout)
    assert pip.startswith(f"pip install -q {workspace}/volume/wheels/mlflow_evalkit")
    assert restart == "restart"
    (workspace / "files/dist").mkdir()
    (workspace / "files/dist/mlflow_evalkit-0.2.0-py3-none-any.whl").touch()
    pip, _ = json.loads(run(cells[name], workspace).stdout)
    assert "mlflow_evalkit-0.2.0" in pip


def test_without_a_wheel_it_says_where_to_put_it(cells, workspace):
    done = run(cells["log_results"], workspace)
    assert done.returncode == 1
    assert f"put its wheel into {workspace}/volume/wheels" in done.stderr


def test_where_evalkit_is_nothing_is_installed(cells):
    outcome = {"dbutils": None, "get_ipython": None}
    for cell in cells.values():
        exec(cell, outcome)  # noqa: S102 - it would fail on None
        exec(cell, {})  # noqa: S102 - and elsewhere it does not even ask
