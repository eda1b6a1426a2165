"""How a stage ends, for the command and for the notebooks alike: the report and the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evalkit.core.executions import told
from evalkit.errors import EvalkitError, InputError, StoreAbsent
from evalkit.terminal import Terminal

Report = dict[str, Any]

STAGES = ("map", "sync-dataset", "log-results", "push-feedback", "pull-feedback")
"""The stages whose reports a report of several stages can hold."""


def concluded(report: Report, *, strict: bool) -> tuple[Report, int]:
    """The exit code of a report without an error, and with ``--strict`` the error it makes."""
    if report.get("problems"):
        return {**report, "error": f"{len(report['problems'])} problems"}, 2
    if report.get("reachable") is False:  # what a check is about; stages are skipped instead
        return {**report, "error": str(report.get("detail"))}, 1
    why = "; ".join(_shortfalls(report)) if strict else ""
    return ({**report, "error": why}, 1) if why else (report, 0)


def failed(error: EvalkitError, terminal: Terminal, *, strict: bool) -> tuple[Report, int]:
    """Say what went wrong; the report as far as it got, and the exit code.

    An MLflow that is absent is a skipped stage, not a failed one.
    """
    if isinstance(error, StoreAbsent):
        terminal.skip(str(error))
        return concluded({"skipped": True, "reason": str(error)}, strict=strict)
    terminal.fail(str(error))
    report = {**error.report, "error": str(error)}
    if isinstance(error, InputError):
        report["problems"] = [problem.as_dict() for problem in error.problems]
    return report, error.exit_code


def _shortfalls(report: Report) -> list[str]:
    """What was left undone without being an error, in a stage's report or in those of several."""
    of_stages = [report[name] for name in STAGES if isinstance(report.get(name), dict)]
    return [text for part in (report, *of_stages) for text in _left_undone(part)]


def _left_undone(report: Report) -> Iterator[str]:
    if report.get("skipped") is True:
        yield str(report.get("reason"))
    elif report.get("skipped"):
        yield f"{report['skipped']} cases were skipped"
    if report.get("unmatched"):
        yield f"{report['unmatched']} pieces of feedback have no trace"
    if "receipt" in report and (failures := told(report["executions"])):
        yield failures
    if refused := (report.get("receipt") or {}).get("refused"):
        yield f"{len(refused)} logs were refused"
    for missed in report.get("regressions", ()):
        yield f"threshold missed: {missed}"
    if report.get("unknown"):
        yield f"not known whether the run is good enough: {', '.join(report['unknown'])}"
    yield from report.get("shortfalls", ())
