"""How a stage ends, for the command and for the notebooks alike: the report and the exit code."""

from __future__ import annotations

from typing import Any

from evalkit.core.errors import EvalkitError, InputError, StoreAbsent
from evalkit.terminal import Terminal

Report = dict[str, Any]


def concluded(report: Report, *, strict: bool) -> tuple[Report, int]:
    """The exit code of a report without an error, and with ``--strict`` the error it makes."""
    if report.get("problems"):
        return {**report, "error": f"{len(report['problems'])} problems"}, 2
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
    """What was left undone without being an error, in this report and those within it."""
    found = []
    if report.get("skipped") is True:
        found.append(str(report.get("reason")))
    elif report.get("skipped"):
        found.append(f"{report['skipped']} cases were skipped")
    if report.get("unmatched"):
        found.append(f"{report['unmatched']} pieces of feedback have no trace")
    if refused := (report.get("receipt") or {}).get("refused"):
        found.append(f"{len(refused)} logs were refused")
    for part in report.values():
        if isinstance(part, dict):
            found += _shortfalls(part)
    return found
