"""The notebooks as .ipynb: they run in plain Jupyter, and install evalkit where it is missing."""

import json
import shutil
import subprocess
import sys

import nbformat
import pytest
from eval_project import RUN_ID
from nbclient.exceptions import CellExecutionError

from evalkit import InputError, ui
from evalkit.cli.export import export

ENDINGS = {
    "map_dataset": ({}, "schema_mapping.json"),
    "sync_dataset": ({}, "3 created"),
    "log_results": ({"run_id": RUN_ID}, "3 traces"),
    "review_feedback": ({"run_id": RUN_ID}, "12 without a trace"),
    "compare_runs": ({}, "run-3 against run-2"),
    "run_eval_agent": ({"model": "offline"}, "the suite is verified"),
}
"""What each notebook is told in the environment, and words of what it says last."""


def read(exported, name):
    return nbformat.read(exported / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("name", [each.name for each in ui.NOTEBOOKS])
def test_every_notebook_runs_in_jupyter_with_its_parameters_as_widgets(
    jupyter, exported, request, tmp_path, name
):
    notebook = read(exported, name)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "dbutils.widgets.text('config', 'eval.yaml', 'Config')" in notebook.cells[0].source
    told, words = ENDINGS[name]
    if name == "run_eval_agent":
        told, folder = told | request.getfixturevalue("finished_session").parameters, tmp_path
    else:
        project = "three_runs" if name == "compare_runs" else "stored_project"
        folder = request.getfixturevalue(project).root
    assert words in jupyter.says(notebook, folder, told)


def test_in_jupyter_an_error_is_its_message_and_no_traceback(jupyter, exported, tmp_path):
    with pytest.raises(CellExecutionError) as end:
        jupyter.says(read(exported, "sync_dataset"), tmp_path)
    shown = end.value.traceback
    assert "\nInputError: eval.yaml: there is no such file" in shown
    assert "Traceback" not in shown


WIDGETS = """
from types import SimpleNamespace

given = dict(config="{root}/eval.yaml", mapping="{root}/tmp/schema_mapping.json", dry_run="true")
made = {{}}

def widget(name, default, *_):
    made[name] = given.get(name, default)

widgets = SimpleNamespace(text=widget, dropdown=widget, getAll=lambda: made)
dbutils = SimpleNamespace(widgets=widgets)
"""


def test_on_databricks_the_widgets_fill_in_the_parameters(jupyter, exported, stored_project):
    notebook, root = read(exported, "sync_dataset"), stored_project.root
    notebook.cells.insert(0, nbformat.v4.new_code_cell(WIDGETS.format(root=root)))
    assert "would be 3 created" in jupyter.says(notebook, root.parent)


def test_exporting_again_gives_the_same_bytes_and_a_file_of_somebody_else_is_kept(
    exported, tmp_path
):
    place, written = tmp_path / "notebooks", tmp_path / "out/sync_dataset.ipynb"
    place.mkdir()
    shutil.copy(ui.folder() / "sync_dataset.py", place)
    for _ in range(2):
        export(tmp_path / "out", place)
        assert written.read_bytes() == (exported / "sync_dataset.ipynb").read_bytes()
    written.write_text('{"metadata": {}, "cells": []}')
    with pytest.raises(InputError, match="evalkit has not written this file"):
        export(tmp_path / "out", place)


# -- in a workspace that has no evalkit -------------------------------------------------------

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


@pytest.mark.parametrize("name", ["log_results", "run_eval_agent"])
def test_the_wheel_comes_from_the_volume_or_from_the_bundle(exported, tmp_path, name):
    def run():
        volume = f"{tmp_path}/volume"
        given = json.dumps({"volume_path": volume, "config": f"{volume}/eval.yaml"})
        command = [sys.executable, "-I", "-S", "-c", STAND_IN, given]
        cell, cwd = read(exported, name).cells[1].source, tmp_path / "files/build/notebooks"
        return subprocess.run(
            command, input=cell, cwd=cwd, capture_output=True, text=True, check=False
        )

    for folder in ("files/build/notebooks", "files/dist", "volume/wheels"):
        (tmp_path / folder).mkdir(parents=True)
    assert f"put its wheel into {tmp_path}/volume/wheels" in run().stderr
    (tmp_path / "volume/wheels/mlflow_evalkit-0.1.0-py3-none-any.whl").touch()
    pip, restart = json.loads(run().stdout)
    assert pip.startswith(f"pip install -q {tmp_path}/volume/wheels/mlflow_evalkit")
    assert restart == "restart"
    (tmp_path / "files/dist/mlflow_evalkit-0.2.0-py3-none-any.whl").touch()
    assert "mlflow_evalkit-0.2.0" in json.loads(run().stdout)[0]
    # where evalkit is, nothing is installed
    exec(read(exported, name).cells[1].source, {"dbutils": None})  # noqa: S102 - fails on None
