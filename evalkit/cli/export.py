"""The notebooks as ``.ipynb``, for plain Jupyter and for Databricks notebook tasks.

marimo writes the cells in the order of their dependencies. This adds what a notebook task needs: a
widget for each parameter, evalkit's wheel where it is missing, a kernelspec.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell

from evalkit import ui
from evalkit.arguments import Parameter, as_argument, parameters
from evalkit.errors import EvalkitError, InputError, Problem
from evalkit.files import read_text, write_text

WRITTEN_BY = "evalkit"
"""Key of the notebook's metadata; a file without it is somebody else's, and is kept."""

PARAMETERS = """\
# The parameters. On Databricks, widgets and job parameters of these names fill them in;
# elsewhere, set them in the environment, such as: %env EVALKIT_CONFIG=path/to/eval.yaml
if "dbutils" in globals():
    {widgets}"""

INSTALL = """\
# On Databricks: evalkit's wheel, where it is not installed. A job installs it by itself.
if "dbutils" in globals():
    import glob
    import importlib.util
    import os

    if importlib.util.find_spec("evalkit") is None:
        get = dbutils.widgets.get
        folders = ("../dist", "../../dist", os.path.join({base}, "wheels"))
        wheels = [file for folder in folders for file in glob.glob(folder + "/*.whl")]
        if not wheels:
            raise RuntimeError("evalkit is not installed: put its wheel into " + folders[-1])
        get_ipython().run_line_magic("pip", "install -q " + max(wheels, key=os.path.getmtime))
        dbutils.library.restartPython()"""
"""The cell that installs evalkit in a workspace: ``dist`` is where the bundle puts the wheel,
``wheels`` lies on the volume of the notebook's parameters."""


def export(directory: str | Path, place: Path | None = None) -> dict[str, Any]:
    """Write every stage's notebook as ``.ipynb``; the same notebooks give the same bytes.

    Args:
        directory: Where to; it is made if needed.
        place: The folder of the notebooks; evalkit's own by default.

    Returns:
        ``directory`` and the ``notebooks`` written.

    Raises:
        InputError: a file that evalkit has not written is in the way. Nothing was written.
        EvalkitError: marimo cannot export a notebook.
    """
    found = sorted((place or ui.folder()).glob("*.py"))
    sources = [source for source in found if source.name != ui.START.file]
    targets = {source: Path(directory) / f"{source.stem}.ipynb" for source in sources}
    if foreign := [each for each in targets.values() if each.exists() and not _is_ours(each)]:
        why, fix = "evalkit has not written this file", "move it, or name another"
        raise InputError(*(Problem(why, str(target), fix=fix) for target in foreign))
    for source, target in targets.items():
        write_text(target, _finished(source))
    return {"directory": str(directory), "notebooks": list(map(str, targets.values()))}


def _is_ours(target: Path) -> bool:
    try:
        return WRITTEN_BY in json.loads(read_text(target))["metadata"]
    except (ValueError, KeyError, TypeError):
        return False


def _finished(source: Path) -> str:
    """The notebook with its widgets and kernelspec, as the text of the file."""
    command = [sys.executable, "-m", "marimo", "export", "ipynb", str(source)]
    ended = subprocess.run(command, capture_output=True, check=False)
    if ended.returncode:
        raise EvalkitError(f"marimo cannot export {source}: {ended.stderr.decode()}")
    declared = _parameters(source)
    on_volume = any(each.name == "volume_path" for each in declared)
    base = 'get("volume_path")' if on_volume else 'os.path.dirname(get("config"))'
    widgets = PARAMETERS.format(widgets="\n    ".join(map(_widget, declared)))
    own = [new_code_cell(text) for text in (widgets, INSTALL.format(base=base))]
    databricks = {"language": "python", "notebookName": source.stem, "widgets": {}}
    notebook = nbformat.reads(ended.stdout.decode(), as_version=4)
    notebook.metadata = {
        WRITTEN_BY: {"notebook": source.name},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "application/vnd.databricks.v1+notebook": databricks,
    }
    notebook.cells = [*own, *notebook.cells]
    for number, cell in enumerate(notebook.cells):
        hidden = cell.metadata.get("marimo", {}).get("config", {}).get("hide_code")
        is_folded = hidden and cell.cell_type == "code"
        cell.metadata = {"jupyter": {"source_hidden": True}} if is_folded else {}
        cell.id = f"{source.stem}-{number}"
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)
    return f"{text}\n"


def _parameters(source: Path) -> tuple[Parameter, ...]:
    """The parameters that a notebook declares; only its setup cell runs for that."""
    spec = spec_from_file_location(source.stem, source)
    if spec is None or spec.loader is None:
        raise EvalkitError(f"{source} cannot be imported")
    module = module_from_spec(spec)
    sys.modules[source.stem] = module  # its dataclass looks its module up there
    spec.loader.exec_module(module)
    return parameters(module.Params)


def _widget(each: Parameter) -> str:
    choices = list(each.choices) or (["false", "true"] if each.kind is bool else [])
    default = str(each.default).lower() if each.kind is bool else as_argument(each.default)
    told = [each.name, default, *([choices] if choices else []), each.label]
    kind = "dropdown" if choices else "text"
    return f"dbutils.widgets.{kind}({', '.join(map(repr, told))})"
