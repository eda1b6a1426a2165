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


def cell_of(exported, name):
    """The installing cell of a notebook."""
    return "".join(json.loads((exported / f"{name}.ipynb").read_text())["cells"][1]["source"])


@pytest.mark.parametrize("name", ["log_results", "run_eval_agent"])
def test_the_wheel_comes_from_the_volume_or_from_the_bundle(exported, tmp_path, name):
    def run():
        volume = f"{tmp_path}/volume"
        given = json.dumps({"volume_path": volume, "config": f"{volume}/eval.yaml"})
        command = [sys.executable, "-I", "-S", "-c", STAND_IN, given]
        cell, cwd = cell_of(exported, name), tmp_path / "files/build/notebooks"
        return subprocess.run(
            command, input=cell, cwd=cwd, capture_output=True, text=True, check=False
        )

    for folder in ("files/build/notebooks", "files/dist", "volume/wheels"):
        (tmp_path / folder).mkdir(parents=True)
    without = run()
    assert without.returncode == 1
    assert f"put its wheel into {tmp_path}/volume/wheels" in without.stderr
    (tmp_path / "volume/wheels/mlflow_evalkit-0.1.0-py3-none-any.whl").touch()
    pip, restart = json.loads(run().stdout)
    assert pip.startswith(f"pip install -q {tmp_path}/volume/wheels/mlflow_evalkit")
    assert restart == "restart"
    (tmp_path / "files/dist/mlflow_evalkit-0.2.0-py3-none-any.whl").touch()
    assert "mlflow_evalkit-0.2.0" in json.loads(run().stdout)[0]


def test_where_evalkit_is_nothing_is_installed(exported):
    for path in exported.glob("*.ipynb"):
        cell = cell_of(exported, path.stem)
        exec(cell, {"dbutils": None, "get_ipython": None})  # noqa: S102 - it would fail on None
        exec(cell, {})  # noqa: S102 - and elsewhere it does not even ask
