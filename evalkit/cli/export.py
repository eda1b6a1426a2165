"""The notebooks as ``.ipynb``, for plain Jupyter and for Databricks notebook tasks.

marimo writes the cells in the order of their dependencies. This adds what a notebook task needs: a
widget for each parameter, evalkit's wheel where it is missing, a kernelspec.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evalkit import ui
from evalkit.arguments import Parameter, parameters
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
    with ThreadPoolExecutor(1) as aside:  # marimo starts an event loop; the caller may have one
        texts = aside.submit(_exported, sources).result()
    targets = {source: Path(directory) / f"{source.stem}.ipynb" for source in sources}
    if foreign := [each for each in targets.values() if each.exists() and not _is_ours(each)]:
        why, fix = "evalkit has not written this file", "move it, or name another"
        raise InputError(*(Problem(why, str(target), fix=fix) for target in foreign))
    for source, target in targets.items():
        write_text(target, _finished(source, json.loads(texts[source])["cells"]))
    return {"directory": str(directory), "notebooks": list(map(str, targets.values()))}


def _exported(sources: Sequence[Path]) -> dict[Path, str]:
    """The notebooks as ``marimo export ipynb`` writes them, in one process for all."""
    (entry,) = entry_points(group="console_scripts", name="marimo")
    marimo, texts = entry.load(), {}
    with TemporaryDirectory() as folder:
        for source in sources:
            target = Path(folder, f"{source.stem}.ipynb")
            try:
                # a command: it ends with an exit code, and says what is wrong
                marimo(["export", "ipynb", str(source), "--output", str(target)])
            except SystemExit as end:
                if end.code:
                    raise EvalkitError(f"marimo cannot export {source}") from end
            texts[source] = target.read_text("utf-8")
    return texts


def _is_ours(target: Path) -> bool:
    try:
        return WRITTEN_BY in json.loads(read_text(target))["metadata"]
    except (ValueError, KeyError, TypeError):
        return False


def _finished(source: Path, exported: Sequence[Mapping[str, Any]]) -> str:
    """The notebook with its widgets and kernelspec, as the text of the file."""
    import nbformat

    declared = _parameters(source)
    on_volume = any(each.name == "volume_path" for each in declared)
    base = 'get("volume_path")' if on_volume else 'os.path.dirname(get("config"))'
    widgets = PARAMETERS.format(widgets="\n    ".join(map(_widget, declared)))
    own: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": text.splitlines(keepends=True),
        }
        for text in (widgets, INSTALL.format(base=base))
    ]
    databricks = {"language": "python", "notebookName": source.stem, "widgets": {}}
    cells = [*own, *map(_plain, exported)]
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            WRITTEN_BY: {"notebook": source.name},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "application/vnd.databricks.v1+notebook": databricks,
        },
        "cells": [{**cell, "id": f"{source.stem}-{n}"} for n, cell in enumerate(cells)],
    }
    nbformat.validate(notebook)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _plain(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A cell without marimo's own metadata."""
    kept = {key: value for key, value in cell.items() if key not in {"id", "metadata"}}
    hidden = cell["metadata"].get("marimo", {}).get("config", {}).get("hide_code")
    folded = {"jupyter": {"source_hidden": True}} if hidden and kept["cell_type"] == "code" else {}
    return {**kept, "metadata": folded}


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
    default = "" if each.default is None else str(each.default)
    default = default.lower() if each.kind is bool else default
    told = [each.name, default, *([choices] if choices else []), each.label]
    kind = "dropdown" if choices else "text"
    return f"dbutils.widgets.{kind}({', '.join(map(repr, told))})"
