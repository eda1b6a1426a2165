"""Long work beside a page: watched, and cancelled between two steps of it."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import marimo as mo

from evalkit.errors import EvalkitError
from evalkit.ui import page

T = TypeVar("T")
Say: TypeAlias = Callable[[str], None]

LINES_SHOWN = 8
REDRAW_S = 0.3
ENDINGS = {
    "stopped": ("warn", "stopped. What was written stays; starting again finishes the rest."),
    "broken": ("danger", "ended in a bug of evalkit; the server's output says more."),
}


class Cancelled(Exception):
    """A person pressed Cancel, or changed what the work was about.

    It is raised where the stage says a line, so that a stage stops between two steps and never
    within one. Every stage is repeatable: running it again finishes what was left.
    """


class Work(Generic[T]):
    """A stage that runs beside the page; ``broken`` where a bug ended it.

    ``show`` is what the page shows meanwhile, in place of the last lines; ``stop`` is what Cancel
    does besides. ``result`` is there once it is ``done``, ``error`` where it ``failed``.
    """

    status: Literal["waiting", "running", "done", "stopped", "failed", "broken"] = "waiting"
    result: T | None = None
    error: EvalkitError | None = None

    def __init__(
        self, title: str, show: Callable[[], Any] | None, stop: Callable[[], None] | None
    ) -> None:
        self.title, self._show, self._stop = title, show or self._said, stop
        self.lines: list[str] = []
        self._cancelled = threading.Event()
        self._waiting: set[str] = set()

    def look(self, cell: str) -> str:
        """How it stands; a cell that finds it running is told of its end until it has seen it.

        marimo forgets a change of state that comes while the cell that waits for it runs.
        """
        status = self.status
        (self._waiting.add if status == "running" else self._waiting.discard)(cell)
        return status

    def start(self, job: Callable[[Say], T], ended: Callable[[Work[T]], None]) -> None:
        """Run a stage in a thread, while another shows its progress as the cell's output."""
        self.status, self._began = "running", time.monotonic()
        self._button = mo.ui.button(label="Cancel", kind="warn", on_click=self._cancel)
        worker = threading.Thread(target=self._do, args=(job,), daemon=True)
        worker.start()
        mo.Thread(target=self._watch, args=(worker, ended), daemon=True).start()

    def _cancel(self, _: object = None) -> None:
        self._cancelled.set()
        if self._stop:
            self._stop()

    def _say(self, line: str) -> None:
        self.lines.append(line)
        if self._cancelled.is_set():
            raise Cancelled

    def _do(self, job: Callable[[Say], T]) -> None:
        try:
            self.result = job(self._say)
            self.status = "done"
        except Cancelled:
            self.status = "stopped"
        except EvalkitError as error:
            # one that was stopped may say in its own words that it has ended
            self.error = error
            self.status = "stopped" if self._cancelled.is_set() else "failed"
        finally:  # a bug goes on to the server's log, and the page says so
            if self.status == "running":
                self.status = "broken"

    def _watch(self, worker: threading.Thread, ended: Callable[[Work[T]], None]) -> None:
        """Draw until it is over, then tell the cells that wait; end where the cell ran again."""
        is_over = False
        while not getattr(threading.current_thread(), "should_exit", False):
            if not is_over:
                is_over = not worker.is_alive()
                mo.output.replace(self._shown())
            if is_over:
                ended(self)
                time.sleep(REDRAW_S)  # in which a cell that just found it running says so
                if not self._waiting:
                    return
            worker.join(REDRAW_S)
        self._cancelled.set()

    def _shown(self) -> Any:
        seconds = time.monotonic() - self._began
        if self.status == "running":
            clock = f'<span style="{page.MUTED}">{seconds:.0f} s</span>'
            name = mo.Html(f"<div><strong>{html.escape(self.title)}</strong> &nbsp;{clock}</div>")
            button = "Stopping…" if self._cancelled.is_set() else self._button
            head = mo.hstack([name, button], justify="space-between", align="center")
            return page.stack(head, self._show())
        if self.status == "failed" and self.error is not None:
            return page.problem(self.error)
        if self.status == "done":
            return page.folded(f"{self.title}: done in {seconds:.1f} s", self.lines or ["-"])
        kind, ending = ENDINGS[self.status]
        told = page.folded("What it said", self.lines)
        return page.stack(page.callout(f"{self.title}: {ending}", kind), told)

    def _said(self) -> Any:
        shown = html.escape("\n".join(self.lines[-LINES_SHOWN:]))
        look = f"{page.TEXT}; {page.MUTED}; font-size: 0.85rem; min-height: 10rem"
        return page.stack(mo.status.spinner(), mo.Html(f'<div style="{look}">{shown}</div>'))
