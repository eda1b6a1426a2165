"""How a notebook ends, with its report or with an error, in the way of the place it runs in."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import marimo as mo

from evalkit import verdict
from evalkit.errors import EvalkitError
from evalkit.host import page
from evalkit.host.place import Place
from evalkit.terminal import Terminal


def with_report(report: dict[str, Any], place: Place, terminal: Terminal, *, strict: bool) -> None:
    """End with a report where nobody looks at a page; returns if nothing fell short.

    Args:
        report: The stage's report.
        place: Where the notebook runs.
        terminal: Where the report goes as JSON, if that is asked for.
        strict: Whether what was left undone is a failure.
    """
    report, code = verdict.concluded(report, strict=strict)
    terminal.close(report)
    if not code:
        return
    if place.kind == "script" and not place.on_databricks:
        raise SystemExit(code)
    raise EvalkitError(str(report["error"]), report)


def with_error(error: EvalkitError, place: Place, terminal: Terminal, *, strict: bool) -> NoReturn:
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
    report, code = verdict.failed(error, terminal, strict=strict)
    terminal.close(report)
    if code == 0 and place.kind == "kernel" and place.dbutils is not None:
        place.dbutils.notebook.exit(json.dumps(report))
    if place.kind == "script" and (code == 0 or not place.on_databricks):
        raise SystemExit(code)
    raise error
