"""The notebooks as ``.ipynb``, for plain Jupyter and for Databricks notebook tasks.

marimo writes the cells in the order of their dependencies. This adds what a notebook task needs (a
widget for each parameter, a kernelspec) and refuses what marimo's own runtime alone can do.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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

Cells = list[dict[str, Any]]

WRITTEN_BY = "evalkit"
"""Key of the notebook's metadata; a file without it is somebody else's, and is kept."""

ONLY_IN_MARIMO = {
    "stop": "ends a Jupyter kernel's cell with an error and a script with exit code 0",
    "cli_args": "raises outside marimo",
    "query_params": "raises outside marimo",
    "cache": "raises outside marimo",
    "lru_cache": "raises outside marimo",
    "persistent_cache": "raises outside marimo",
    "Thread": "shows nothing outside marimo",
}
INSTEAD = {
    "stop": "use host.halt",
    "cli_args": "declare a parameter",
    "query_params": "declare a parameter with link=True",
    "Thread": "use host.work",
}

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
"""The cell that installs evalkit in a workspace; ``dist`` is where the bundle puts the wheel."""


def export(directory: str | Path, place: Path | None = None) -> dict[str, Any]:
    """Write every stage's notebook as ``.ipynb``; the same notebooks give the same bytes.

    Args:
        directory: Where to; it is made if needed.
        place: The folder of the notebooks; evalkit's own by default.

    Returns:
        ``directory`` and the ``notebooks`` written.

    Raises:
        InputError: a notebook holds something that cannot work there, or a file that evalkit has
            not written is in the way. Nothing was written.
        EvalkitError: marimo cannot export a notebook.
    """
    found = sorted((place or ui.folder()).glob("*.py"))
    sources = [source for source in found if source.name != ui.START.file]
    with ThreadPoolExecutor(1) as aside:  # marimo starts an event loop; the caller may have one
        texts = aside.submit(_exported, sources).result()
    problems: list[Problem] = []
    target = Path(directory)
    for source, text in texts.items():
        problems += refused(source.name, json.loads(text)["cells"])
        problems += _in_the_way(target / f"{source.stem}.ipynb")
    if problems:
        raise InputError(*problems)
    for source, text in texts.items():
        write_text(target / f"{source.stem}.ipynb", _finished(source, json.loads(text)))
    written = [str(target / f"{source.stem}.ipynb") for source in sources]
    return {"directory": str(target), "notebooks": written}


def refused(name: str, cells: Cells) -> list[Problem]:
    """What in these cells would not work, or not work alike, outside marimo.

    Args:
        name: The notebook's file name, for the messages.
        cells: The cells as marimo exports them.
    """
    found = []
    owners: Counter[str] = Counter()
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        where = cell["metadata"].get("marimo", {}).get("name", "")
        found += [Problem(said, name, field=where, fix=fix) for said, fix in _foreign(tree)]
        owners.update(_private_names(tree))
    found += [
        Problem(
            f"{private} is private to {count} cells in marimo, and one name in Jupyter",
            name,
            fix="give each its own name, or put it into a function",
        )
        for private, count in owners.items()
        if count > 1
    ]
    return found


def _foreign(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """What only marimo's runtime can do: what is wrong, and what to do instead."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "mo"
            and node.attr in ONLY_IN_MARIMO
        ):
            yield f"mo.{node.attr} {ONLY_IN_MARIMO[node.attr]}", INSTEAD.get(node.attr, "drop it")
        elif isinstance(node, ast.Name) and node.id == "__file__":
            yield "__file__ is not there in Jupyter", "name files from the parameters"


def _private_names(tree: ast.Module) -> set[str]:
    """The names with a leading underscore that a cell binds, outside its functions."""
    return {
        node.id
        for statement in tree.body
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        for node in ast.walk(statement)
        if isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Store)
        and re.match(r"_[A-Za-z0-9]", node.id)
    } | {
        statement.name
        for statement in tree.body
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and re.match(r"_[A-Za-z0-9]", statement.name)
    }


def _exported(sources: Sequence[Path]) -> dict[Path, str]:
    """The notebooks as ``marimo export ipynb`` writes them, in one process for all."""
    (entry,) = entry_points(group="console_scripts", name="marimo")
    marimo = entry.load()
    texts = {}
    with TemporaryDirectory() as folder:
        for source in sources:
            target = Path(folder, f"{source.stem}.ipynb")
            arguments = ["export", "ipynb", str(source), "--output", str(target)]
            try:
                marimo(arguments)  # a command: it ends with an exit code, and says what is wrong
            except SystemExit as end:
                if end.code:
                    raise EvalkitError(f"marimo cannot export {source}") from end
            texts[source] = target.read_text("utf-8")
    return texts


def _in_the_way(target: Path) -> list[Problem]:
    if not target.exists():
        return []
    try:
        ours = WRITTEN_BY in json.loads(read_text(target))["metadata"]
    except (ValueError, KeyError, TypeError):
        ours = False
    if ours:
        return []
    return [
        Problem("evalkit has not written this file", str(target), fix="move it, or name another")
    ]


def _finished(source: Path, exported: Mapping[str, Any]) -> str:
    """The notebook with its widgets and kernelspec, as the text of the file."""
    import nbformat

    declared = _parameters(source)
    cells = [_widgets(declared), _install(declared), *map(_plain, exported["cells"])]
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            WRITTEN_BY: {"notebook": source.name},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "application/vnd.databricks.v1+notebook": {
                "language": "python",
                "notebookName": source.stem,
                "widgets": {},
            },
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


def _widgets(declared: Sequence[Parameter]) -> dict[str, Any]:
    """A cell that makes a widget for each parameter on Databricks, and does nothing elsewhere."""
    lines = [
        "# The parameters. On Databricks, widgets and job parameters of these names fill them in;",
        "# elsewhere, set them in the environment, such as: %env EVALKIT_CONFIG=path/to/eval.yaml",
        'if "dbutils" in globals():',
        *(f"    {_widget(each)}" for each in declared),
    ]
    return _code("\n".join(lines))


def _install(declared: Sequence[Parameter]) -> dict[str, Any]:
    """A cell that installs evalkit on Databricks where it is missing, and else does nothing.

    The wheel comes from the bundle, or from ``wheels`` on the volume of the notebook's parameters.
    """
    names = {each.name for each in declared}
    base = 'get("volume_path")' if "volume_path" in names else 'os.path.dirname(get("config"))'
    return _code(INSTALL.format(base=base))


def _code(source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }


def _widget(each: Parameter) -> str:
    choices = list(each.choices) or (["false", "true"] if each.kind is bool else [])
    default = "" if each.default is None else str(each.default)
    default = default.lower() if each.kind is bool else default
    if choices:
        made = f"dropdown({each.name!r}, {default!r}, {choices!r}, {each.label!r})"
    else:
        made = f"text({each.name!r}, {default!r}, {each.label!r})"
    return f"dbutils.widgets.{made}"
