"""The notebooks as .ipynb: what they hold, what is refused, and that they run in plain Jupyter."""

import json
import shutil

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from evalkit import InputError, ui
from evalkit.cli.export import export

NAMES = [each.name for each in ui.NOTEBOOKS]


@pytest.fixture
def place(tmp_path):
    """An empty folder for notebooks."""
    found = tmp_path / "notebooks"
    found.mkdir()
    return found


def read(exported, name):
    return nbformat.read(exported / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_can_be_exported_with_its_parameters_as_widgets(exported, name):
    notebook = read(exported, name)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "dbutils.widgets.text('config', 'eval.yaml', 'Config')" in notebook.cells[0].source
    assert any(cell.cell_type == "markdown" for cell in notebook.cells)


def test_exporting_again_gives_the_same_bytes(exported, tmp_path, place):
    shutil.copy(ui.folder() / "sync_dataset.py", place)
    for _ in range(2):
        export(tmp_path / "out", place)
        written = (tmp_path / "out/sync_dataset.ipynb").read_bytes()
        assert written == (exported / "sync_dataset.ipynb").read_bytes()


def test_in_jupyter_an_error_is_its_message_and_no_traceback(jupyter, exported, tmp_path):
    with pytest.raises(CellExecutionError) as end:
        jupyter.run(read(exported, "sync_dataset"), tmp_path)
    shown = end.value.traceback
    assert "\nInputError: eval.yaml: there is no such file" in shown
    assert "Traceback" not in shown


def test_on_databricks_the_widgets_fill_in_the_parameters(jupyter, exported, stored_project):
    notebook = read(exported, "sync_dataset")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(WIDGETS.format(root=stored_project.root)))
    ended = jupyter.run(notebook, stored_project.root.parent)
    assert "would be 3 created" in json.dumps(ended.cells[-1].outputs)


WIDGETS = """
from types import SimpleNamespace

given = dict(config="{root}/eval.yaml", mapping="{root}/tmp/schema_mapping.json", dry_run="true")
made = {{}}

def widget(name, default, *_):
    made[name] = given.get(name, default)

widgets = SimpleNamespace(text=widget, dropdown=widget, getAll=lambda: made)
dbutils = SimpleNamespace(widgets=widgets)
"""


def test_a_file_of_somebody_else_is_kept(tmp_path, place):
    shutil.copy(ui.folder() / "sync_dataset.py", place)
    (tmp_path / "sync_dataset.ipynb").write_text('{"metadata": {}, "cells": []}')
    with pytest.raises(InputError, match="evalkit has not written this file"):
        export(tmp_path, place)
