"""Long work: watched and cancellable in the browser, simply awaited elsewhere."""

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
Status: TypeAlias = Literal["waiting", "running", "done", "stopped", "failed", "broken"]

LINES_SHOWN = 8
REDRAW_S = 0.2
"""How long a line may wait until it is drawn; a quick stage says thousands."""

TICK_S = 1.0
"""How long the page may stand still while nothing is said."""

TOLD_AGAIN_S = 0.5
"""After which a cell that has not seen the end of the work is told of it again."""

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

    def __init__(
        self,
        title: str,
        show: Callable[[], Any] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self.title, self._show, self._stop = title, show, stop
        self.status: Status = "waiting"
        self.lines: list[str] = []
        self.result: T | None = None
        self.error: EvalkitError | None = None
        self._cancelled, self._over = threading.Event(), threading.Event()
        self._began = self._drawn = 0.0
        self._drawing = threading.Lock()
        self._waiting: set[str] = set()
        self._button: Any = None

    def cancel(self, _: object = None) -> None:
        """Ask the stage to stop the next time it says something."""
        self._cancelled.set()
        self._draw()
        if self._stop:
            self._stop()

    def look(self, cell: str) -> Status:
        """How it stands; a cell that finds it running is told of its end until it has seen it.

        marimo forgets a change of state that comes while the cell that waits for it runs.
        """
        status = self.status
        (self._waiting.add if status == "running" else self._waiting.discard)(cell)
        return status

    def start(self, job: Callable[[Say], T], ended: Callable[[Work[T]], None]) -> None:
        """Run a stage beside the page, in a thread that shows its progress as the cell's output.

        Its callback raises Cancelled; ``ended`` is told when it is over, however it ended.
        """
        self.status, self._began = "running", time.monotonic()
        self._button = mo.ui.button(label="Cancel", kind="warn", on_click=self.cancel)
        mo.Thread(target=self._run, args=(job, ended), daemon=True).start()
        mo.Thread(target=self._tick, daemon=True).start()

    def _say(self, line: str) -> None:
        self.lines.append(line)
        if time.monotonic() - self._drawn > REDRAW_S:
            self._draw()
        if self._cancelled.is_set() or _superseded():
            raise Cancelled

    def _run(self, job: Callable[[Say], T], ended: Callable[[Work[T]], None]) -> None:
        self._draw()
        try:
            self.result = job(self._say)
            self.status = "done"
        except Cancelled:
            self.status = "stopped"
        except EvalkitError as error:
            # one that was stopped may say in its own words that it has ended
            self.status = "stopped" if self._cancelled.is_set() else "failed"
            self.error = error
        finally:  # a bug goes on to the server's log, and the page says so
            if self.status == "running":
                self.status = "broken"
            self._over.set()
            if not _superseded():
                self._draw()
                ended(self)
            time.sleep(TOLD_AGAIN_S)
            while self._waiting and not _superseded():
                ended(self)
                time.sleep(TOLD_AGAIN_S)

    def _tick(self) -> None:
        """Let the clock go on where the stage is silent for long."""
        while not self._over.wait(TICK_S) and not _superseded():
            if time.monotonic() - self._drawn > TICK_S:
                self._draw()

    def _draw(self) -> None:
        with self._drawing:  # what is drawn last is what is so
            self._drawn = time.monotonic()
            mo.output.replace(self._shown())

    def _shown(self) -> Any:
        seconds = time.monotonic() - self._began
        if self.status == "running":
            clock = f'<span style="{page.MUTED}">{seconds:.0f} s</span>'
            name = mo.Html(f"<div><strong>{html.escape(self.title)}</strong> &nbsp;{clock}</div>")
            button = "Stopping…" if self._cancelled.is_set() else self._button
            head = mo.hstack([name, button], justify="space-between", align="center")
            return mo.vstack([head, self._show() if self._show else self._said()], gap=0.75)
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
        lines = mo.Html(f'<div style="{look}">{shown}</div>')
        return mo.vstack([mo.status.spinner(), lines], gap=0.75)


def _superseded() -> bool:
    """Whether the cell that started this thread has run again since, or is gone."""
    return bool(getattr(threading.current_thread(), "should_exit", False))
