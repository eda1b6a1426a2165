"""Where a notebook runs, what it is told there, and how it ends there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar

import marimo as mo

from evalkit.arguments import Origin, Parser, Resolved, parameters, read_arguments, resolve
from evalkit.errors import EvalkitError
from evalkit.params import ProjectParams
from evalkit.store.databricks import dbutils
from evalkit.tracking import is_on_databricks
from evalkit.ui import page
from evalkit.ui.terminal import Report, Terminal, concluded, failed

P = TypeVar("P", bound=ProjectParams)
PlaceKind: TypeAlias = Literal["browser", "script", "program", "kernel"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a notebook runs.

    ``browser``: a person is there and turns the knobs. ``script``: it was started as a program,
    whose exit code says how it ended. ``program``: other code runs it (a test, an export with
    outputs). ``kernel``: Jupyter or a Databricks notebook.
    """

    kind: PlaceKind
    argv: tuple[str, ...] = ()  # the notebook's own; empty where they are somebody else's
    query: Mapping[str, str] = field(default_factory=dict)  # of the page's address
    on_databricks: bool = False  # where a raised error fails the job
    dbutils: Any | None = None  # Databricks' tools, where there are any

    def parameters(self, spec: type[P], notebook: str) -> Resolved[P]:
        """A notebook's parameters; an InputError names each that cannot be read."""
        parser = Parser(
            prog=f"{notebook}.py",
            description=spec.__doc__,
            epilog="Each may also stand in the environment, such as EVALKIT_CONFIG.",
            allow_abbrev=False,
        )
        parser.take(spec, asks=True)
        argv = [text for text in self.argv if text != "--"]
        known, environ = parameters(spec), os.environ
        said: dict[Origin, Mapping[str, str]] = {
            "argument": read_arguments(spec, parser, argv, is_lenient=self.on_databricks),
            "widget": widget_values(self.dbutils, [each.name for each in known]),
            "link": self.query,
            "environment": {p.name: environ[p.variable] for p in known if p.variable in environ},
        }
        return resolve(spec, said)

    def end_with_report(self, report: Report, terminal: Terminal, *, strict: bool) -> None:
        """End where nobody looks at a page; returns if nothing (``strict``: left undone) failed."""
        report, code = concluded(report, strict=strict)
        terminal.close(report)
        if code:
            self._leave(report, code, EvalkitError(str(report["error"]), report))

    def end_with_error(self, error: EvalkitError, terminal: Terminal, *, strict: bool) -> NoReturn:
        """End with an error: a page shows it; a script gives its exit code; else it is raised."""
        if self.kind == "browser":
            mo.stop(True, page.problem(error))
        if self.kind == "program":
            raise error
        report, code = failed(error, terminal, strict=strict)
        terminal.close(report)
        self._leave(report, code, error)

    def _leave(self, report: Report, code: int, error: EvalkitError) -> NoReturn:
        if code == 0 and self.kind == "kernel" and self.dbutils is not None:
            self.dbutils.notebook.exit(json.dumps(report))
        if self.kind == "script" and (code == 0 or not self.on_databricks):
            raise SystemExit(code)
        raise error


def find_place(notebook: str) -> Place:
    """Where the notebook of that name (without ``.py``) runs; asked when the page opens.

    Later, in threads and in reruns, marimo does not know the browser's request.
    """
    meta = mo.app_meta()
    own = _is_started_as_program(notebook)
    argv = tuple(sys.argv[1:]) if own else ()
    if meta.mode in {"run", "edit"} and meta.request is not None:
        said = meta.request.query_params.items()
        last = {name: each[-1] if isinstance(each, list) else each for name, each in said if each}
        return Place("browser", argv, {name: str(each) for name, each in last.items()})
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    kind: PlaceKind = "script" if meta.mode == "script" and own else "program"
    tools = dbutils(shell.user_ns if shell else {}, os.environ)
    return Place("kernel" if shell else kind, argv, {}, is_on_databricks(os.environ), tools)


def _is_started_as_program(notebook: str) -> bool:
    """Whether the process's arguments are the notebook's own, under whatever name it was copied.

    marimo makes the running notebook's file that of ``__main__``; a job on Databricks compiles it
    without a file, under the name that it was deployed with.
    """
    script = Path(sys.argv[0])
    running = getattr(sys.modules["__main__"], "__file__", None)
    same = running is not None and script.resolve() == Path(running).resolve()
    return same or script.name == f"{notebook}.py"


def widget_values(tools: Any | None, names: Iterable[str]) -> dict[str, str]:
    """What widgets and job parameters say, by name, without those that are empty or not there."""
    if tools is None:
        return {}
    # unlike `get`, neither of the two fails where a widget is not defined
    every = getattr(tools.widgets, "getAll", None)
    values = every() if every else {name: tools.widgets.getArgument(name, "") for name in names}
    return {name: values[name] for name in names if values.get(name)}
