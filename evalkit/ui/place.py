"""Where a notebook runs, what it may therefore do, and how it ends there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

import marimo as mo

from evalkit.errors import EvalkitError
from evalkit.store.databricks import dbutils
from evalkit.tracking import is_on_databricks
from evalkit.ui import page
from evalkit.ui.terminal import Report, Terminal, concluded, failed

Kind: TypeAlias = Literal["browser", "script", "program", "kernel"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a notebook runs.

    Attributes:
        kind: ``browser``: a person is there and turns the knobs. ``script``: the notebook was
            started as a program, and its exit code says how it ended. ``program``: other code runs
            it (a test, an export with outputs). ``kernel``: Jupyter or a Databricks notebook.
        argv: The notebook's own arguments; empty where they are somebody else's.
        query: What the address of the page says; empty without a browser.
        on_databricks: Whether this is Databricks, where a raised error fails the job.
        dbutils: Databricks' tools, where there are any.
    """

    kind: Kind
    argv: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    on_databricks: bool = False
    dbutils: Any | None = None

    @property
    def person(self) -> bool:
        """Whether somebody is there to read, choose and press."""
        return self.kind == "browser"


def find_place(notebook: str) -> Place:
    """Where the notebook of that name (without ``.py``) runs.

    marimo knows the browser's request only while it answers it, not in threads or in reruns, so
    this is asked once, when the page opens.
    """
    meta = mo.app_meta()
    environment = os.environ
    namespace = _kernel_namespace()
    own = _is_started_as_program(notebook)
    argv = tuple(sys.argv[1:]) if own else ()
    if meta.mode in {"run", "edit"} and meta.request is not None:
        return Place("browser", argv=argv, query=_flat(meta.request.query_params))
    kind: Kind = "program"
    if namespace is not None:
        kind = "kernel"
    elif meta.mode == "script" and own:
        kind = "script"
    return Place(
        kind,
        argv=argv,
        on_databricks=is_on_databricks(environment),
        dbutils=dbutils(namespace or {}, environment),
    )


def _is_started_as_program(notebook: str) -> bool:
    """Whether the process's arguments are the notebook's own, under whatever name it was copied.

    marimo makes the running notebook's file that of ``__main__``; a job on Databricks compiles it
    without a file, under the name that it was deployed with.
    """
    script = Path(sys.argv[0])
    running = getattr(sys.modules["__main__"], "__file__", None)
    same = running is not None and script.resolve() == Path(running).resolve()
    return same or script.name == f"{notebook}.py"


def _flat(query: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: values[-1] if isinstance(values, list) else str(values)
        for name, values in query.items()
        if values
    }


def _kernel_namespace() -> Mapping[str, Any] | None:
    """The names of the Jupyter or Databricks notebook that runs this; None where none does."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return None if shell is None else shell.user_ns


def widget_values(tools: Any | None, names: Iterable[str]) -> dict[str, str]:
    """What widgets and job parameters say, by name, without those that are empty or not there."""
    if tools is None:
        return {}
    # unlike `get`, neither of the two fails where a widget is not defined
    every = getattr(tools.widgets, "getAll", None)
    values = every() if every else {name: tools.widgets.getArgument(name, "") for name in names}
    return {name: values[name] for name in names if values.get(name)}


def end_with_report(report: Report, place: Place, terminal: Terminal, *, strict: bool) -> None:
    """End with a report where nobody looks at a page; returns if nothing fell short.

    Args:
        report: The stage's report.
        place: Where the notebook runs.
        terminal: Where the report goes as JSON, if that is asked for.
        strict: Whether what was left undone is a failure.
    """
    report, code = concluded(report, strict=strict)
    terminal.close(report)
    if not code:
        return
    if place.kind == "script" and not place.on_databricks:
        raise SystemExit(code)
    raise EvalkitError(str(report["error"]), report)


def end_with_error(
    error: EvalkitError, place: Place, terminal: Terminal, *, strict: bool
) -> NoReturn:
    """End with an error: a page shows it; a script gives its exit code; else it is raised.

    Args:
        error: What happened.
        place: Where the notebook runs.
        terminal: Where the error is told.
        strict: Whether an absent MLflow is a failure.
    """
    if place.person:
        mo.stop(True, page.problem(error))
    if place.kind == "program":
        raise error
    report, code = failed(error, terminal, strict=strict)
    terminal.close(report)
    if code == 0 and place.kind == "kernel" and place.dbutils is not None:
        place.dbutils.notebook.exit(json.dumps(report))
    if place.kind == "script" and (code == 0 or not place.on_databricks):
        raise SystemExit(code)
    raise error
