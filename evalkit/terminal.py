"""What a person sees in the terminal: progress lines, tables, a closing line.

With ``--json`` all of it goes to stderr, and the last line of stdout is the stage's report.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.console import Console


class Terminal:
    """Prints for people, and at the end one JSON object for programs where that is asked for."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        """Where people read; made on first use, since rich takes its time to import."""
        if self._console is None:
            from evalkit.console import Console

            self._console = Console(stderr=self.as_json)
        return self._console

    def title(self, text: str) -> None:
        """The heading of a stage."""
        self.console.print(f"\n[bold]{_plain(text)}[/]")

    def say(self, text: str) -> None:
        """One line of progress or of result."""
        self.console.print(_plain(text))

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
        from evalkit.console import Console

        Console(stderr=True).print(f"[red]✗[/] {_plain(text)}")

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

    def close(self, report: dict[str, Any]) -> None:
        """End with the report as one line of JSON on stdout, where that is asked for."""
        if self.as_json:
            if self._console is not None:
                self._console.file.flush()
            try:
                sys.stdout.write(json.dumps(report) + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                from evalkit.console import turn_to_nowhere

                turn_to_nowhere(sys.stdout)


def _plain(text: str) -> str:
    """Text from files and servers, kept from being read as markup or as terminal commands."""
    from rich.markup import escape

    from evalkit.invocation import as_typed

    return escape("".join(c for c in as_typed(text) if c in "\n\t" or c.isprintable()))
