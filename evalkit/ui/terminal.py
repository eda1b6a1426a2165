"""What a person sees in the terminal, and how a stage ends: its report and its exit code.

With ``--json`` all that people read goes to stderr, and the last line of stdout is the report.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from evalkit.errors import EvalkitError, InputError, StoreAbsent

if TYPE_CHECKING:
    from rich.console import Console

Report: TypeAlias = dict[str, Any]

STAGES = ("map", "sync-dataset", "log-results", "push-feedback", "pull-feedback")
"""The stages whose reports a report of several stages can hold."""


GATE_EXITS = {"pass": 0, "fail": 1}
"""The exit code of a gate; that of not knowing is 3 unless told otherwise."""


class Terminal:
    """Prints for people, and at the end one JSON object for programs where that is asked for."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        """Where people read; made on first use, since rich takes its time to import."""
        self._console = self._console or _console(stderr=self.as_json)
        return self._console

    def title(self, text: str) -> None:
        """The heading of a stage."""
        self.console.print(f"\n[bold]{_plain(text)}[/]")

    def say(self, text: str) -> None:
        """One line of progress or of result."""
        self.console.print(_plain(text))

    def facts(self, pairs: Iterable[tuple[str, object]], indent: str = "") -> None:
        """Names, and beside them what they stand for."""
        found = list(pairs)
        width = max(len(name) for name, _ in found) + 2
        for name, fact in found:
            self.say(f"{indent}{name:<{width}}{fact}")

    def aside(self, text: str) -> None:
        """A line that explains the one before it."""
        self.console.print(f"[dim]{_plain(text)}[/]")

    def note(self, text: str) -> None:
        """A line about something that a reader may want to act on."""
        self.console.print(f"[yellow]![/] {_plain(text)}")

    def done(self, text: str) -> None:
        """A line that says what has been done."""
        self.console.print(f"[green]✓[/] {_plain(text)}")

    def skip(self, text: str) -> None:
        """The one line of a stage that is skipped."""
        self.console.print(f"[yellow]-[/] skipped: {_plain(text)}")

    def fail(self, text: str) -> None:
        """What went wrong; on stderr always."""
        _console(stderr=True).print(f"[red]✗[/] {_plain(text)}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A table; numbers are set to the right."""
        from rich import box
        from rich.table import Table

        found = [list(row) for row in rows]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for index, name in enumerate(columns):
            numeric = bool(found) and all(isinstance(row[index], (int, float)) for row in found)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in found:
            table.add_row(*(_plain(str(value)) for value in row))
        self.console.print(table, soft_wrap=False)

    def close(self, report: Report) -> None:
        """End with the report as one line of JSON on stdout, where that is asked for."""
        if self.as_json:
            if self._console is not None:
                self._console.file.flush()
            try:
                sys.stdout.write(json.dumps(report) + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                _turn_to_nowhere(sys.stdout)


def _plain(text: str) -> str:
    """Text from files and servers, kept from being read as markup or as terminal commands."""
    from rich.markup import escape

    from evalkit.context import as_typed

    return escape("".join(c for c in as_typed(text) if c in "\n\t" or c.isprintable()))


def concluded(report: Report, *, strict: bool) -> tuple[Report, int]:
    """The exit code of a report without an error, and with ``--strict`` the error it makes."""
    if report.get("problems"):
        return {**report, "error": f"{len(report['problems'])} problems"}, 2
    if report.get("reachable") is False:  # what a check is about; stages are skipped instead
        return {**report, "error": str(report.get("detail"))}, 1
    if "gate" in report and (strict or "on_unknown" in report):
        unknown = GATE_EXITS.get(report.get("on_unknown", ""), 3)
        code = GATE_EXITS.get(report["gate"], unknown)
        why = "; ".join((*report["shortfalls"], *report["open"]))
        return ({**report, "error": why} if code else report), code
    if "gate" in report:
        return report, 0
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
        report["problems"] = [*map(asdict, error.problems)]
    return report, error.exit_code


def _shortfalls(report: Report) -> list[str]:
    """What was left undone without being an error, in a stage's report or in those of several."""
    of_stages = [report[name] for name in STAGES if isinstance(report.get(name), dict)]
    return [text for part in (report, *of_stages) for text in _left_undone(part)]


def _left_undone(report: Report) -> Iterator[str]:
    from evalkit.runs.run import told  # brings yaml, which `--help` does not wait for

    if report.get("skipped") is True:
        yield str(report.get("reason"))
    elif skipped := report.get("skipped"):
        count = f"{len(skipped)} places" if isinstance(skipped, dict) else f"{skipped} cases"
        yield f"{count} were skipped"
    if report.get("unmatched"):
        yield f"{report['unmatched']} pieces of feedback have no trace"
    if ("receipt" in report or "ran" in report) and (failures := told(report["executions"])):
        yield failures
    if refused := (report.get("receipt") or {}).get("refused"):
        yield f"{len(refused)} logs were refused"
    for missed in report.get("regressions", ()):
        yield f"threshold missed: {missed}"
    if report.get("unknown"):
        yield f"not known whether the run is good enough: {', '.join(report['unknown'])}"
    yield from report.get("shortfalls", ())


def _console(*, stderr: bool) -> Console:
    """A console that loses what it cannot show, and never stops the work over it.

    A character that the terminal's encoding lacks becomes a question mark. When the reader goes
    away, as ``head`` does in ``evalkit … | head``, the rest is written to nowhere.
    """
    import rich.console  # takes its time

    class Enduring(rich.console.Console):
        def on_broken_pipe(self) -> None:
            self.quiet = True
            _turn_to_nowhere(stream)

    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return Enduring(stderr=stderr, highlight=False, soft_wrap=True, emoji=False)


def _turn_to_nowhere(stream: TextIO) -> None:
    """Let the stream swallow what is still to come, instead of failing at the program's end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
