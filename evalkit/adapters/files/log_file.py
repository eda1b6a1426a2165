"""The log of one execution, and what lies beside it."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from evalkit.claude_log.session import result_failure
from evalkit.claude_log.timing import parse_time
from evalkit.errors import InputError, LogRefused, Problem
from evalkit.files import inside, read_document
from evalkit.receipt import Receipt

EVENTS = "events.json"
"""What the harness may leave beside a log: when each event was logged."""

SUBAGENTS = "subagents"
"""Beside a log, the folder with the transcripts of background subagents."""

INPUT = "input.yaml"
"""What a case gives to the agent, in the dataset; the harness leaves a copy beside the log."""

MOST_BYTES = 200_000
"""A larger file of a case is named but not read."""

TAIL_BYTES = 1 << 18
"""As much of a log's end is searched for how its last session ended."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """The log of one case, or of a whole batch run.

    Attributes:
        path: The ``stdout.log``.
        case_id: Its case; None for a batch run's.
        steps: The logs of a case's steps by their id, in order; of them, ``path`` is a copy of
            the last.
        unlogged: Ids of the steps that should have a log and have none.
        barred: Why it is not read although it is there; None where it is.
        passed_over: What lies beside it and is not read, since a link leads out, and why.
    """

    path: Path
    case_id: str | None
    steps: Mapping[str, Path] = field(default_factory=dict)
    unlogged: tuple[str, ...] = ()
    barred: Problem | None = None
    passed_over: Mapping[Path, Problem] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the log and its companions lie."""
        return self.path.parent

    def kept_inside(self, root: Path) -> LogFile:
        """The log, barred where a link leads it out of the run, else without what else does."""
        if barred := _leading_out((*self.steps.values(), self.path), root):
            return replace(self, barred=next(iter(barred.values())))
        beside = [self.folder / EVENTS, self.folder / INPUT, *self._aside().values()]
        kept = replace(self, passed_over=_leading_out(beside, root))
        out = _leading_out([path for _, path in kept.transcripts()], root)
        return replace(kept, passed_over={**kept.passed_over, **out})

    def lines(self) -> dict[str, Iterator[bytes]]:
        """Step to the lines of its log, in order; a log that is no step's has an empty name.

        A step that left none has no lines.

        They are read one at a time, as bytes, which raises LogRefused where it cannot be done.

        Raises:
            LogRefused: it is barred.
        """
        if self.barred:
            raise LogRefused(self.barred, receipt=Receipt())
        logs = dict(self.steps)
        if self.path.is_file() and not (logs and filecmp.cmp(self.path, self._last, shallow=False)):
            logs[""] = self.path
        none = {step: iter(()) for step in self.unlogged}
        return {**none, **{step: _lines(path) for step, path in logs.items()}}

    def subagents(self) -> dict[str, Iterator[bytes]]:
        """The transcripts of background subagents that lie beside it, by file name.

        Those of steps are named with the step; of the last step's, the harness may leave a copy
        beside the whole log.
        """
        found = {name: _lines(path) for name, path in self.transcripts()}
        for _, path in self.transcripts():
            copy = self.folder / SUBAGENTS / path.name
            both = path != copy and path.name in found and path.is_file() and copy.is_file()
            if both and filecmp.cmp(path, copy, shallow=False):
                del found[path.name]
        return found

    def transcripts(self) -> list[tuple[str, Path]]:
        """The files of :meth:`subagents`, with their names there."""
        return [
            (f"{prefix}{path.name}", path)
            for prefix, folder in self._aside().items()
            if folder not in self.passed_over
            for path in sorted(folder.glob("*.jsonl"))
            if path not in self.passed_over
        ]

    def _aside(self) -> dict[str, Path]:
        """Where subagents' transcripts may lie, by what goes before their names."""
        logs = {"": self.path, **{f"steps/{step}/": path for step, path in self.steps.items()}}
        return {prefix: path.parent / SUBAGENTS for prefix, path in logs.items()}

    def events(self) -> list[dict[str, Any]] | None:
        """The harness's ``events.json`` with the time of each event; None where there is none.

        An unreadable one counts as none: it only adds times to a log that is complete without.
        """
        path = self.folder / EVENTS
        if path in self.passed_over or not path.is_file():
            return None
        try:
            found = read_document(path).value
        except InputError:
            return None
        return found if isinstance(found, list) else None

    def first_ns(self) -> int | None:
        """The earliest time that it says, nanoseconds since the epoch; None where it says none."""
        if self.barred:
            return None
        logged = (event for log in self.lines().values() for event in _stamped(log))
        events = (each for each in chain(logged, self.events() or ()) if isinstance(each, dict))
        stamps = (parse_time(each.get("timestamp")) for each in events)
        return next((stamp for stamp in stamps if stamp is not None), None)

    def modified_ns(self) -> int:
        """When the log was last written, nanoseconds since the epoch."""
        return (self.folder.lstat() if self.barred else self._last.stat()).st_mtime_ns

    def text(self) -> str | None:
        """Its begin as text, for who can make nothing else of it; None where there is none."""
        if self.barred:
            return None
        try:
            with self._last.open("rb") as file:
                return file.read(MOST_BYTES).decode("utf-8", "replace").strip() or None
        except OSError:
            return None

    def failure(self) -> str:
        """Why the last session that ends in it failed; empty where it did not, or never ended."""
        if self.barred:
            return ""
        try:
            with self._last.open("rb") as file:
                file.seek(max(0, self._last.stat().st_size - TAIL_BYTES))
                tail = file.read()
        except OSError:
            return ""
        failure = ""
        for event in filter(None, map(_event_in, reversed(tail.splitlines()))):
            kind = event.get("type")
            if kind == "result":
                # with a good end right before it, an error is one that nothing led to
                if not (why := result_failure(event)):
                    return ""
                failure = failure or why
            elif (kind, event.get("subtype")) == ("system", "init") or (
                kind in {"assistant", "user"} and not event.get("parent_tool_use_id")
            ):
                break
        return failure

    @property
    def _last(self) -> Path:
        return list(self.steps.values())[-1] if self.steps else self.path


def _leading_out(paths: Iterable[Path], root: Path) -> dict[Path, Problem]:
    found = {}
    for path in paths:
        try:
            inside(path, root)
        except InputError as error:
            found[path] = error.problems[0]
    return found


def _stamped(lines: Iterable[bytes]) -> Iterator[Any]:
    """The events among these lines that may say when they were; a log may be one array of them."""
    with suppress(LogRefused):
        for line in lines:
            if b'"timestamp"' in line:  # quick, for logs are long
                with suppress(ValueError, RecursionError):
                    found = json.loads(line.strip(b" \t\r\n,"))
                    yield from found if isinstance(found, list) else [found]


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        what = f"the log cannot be read: {error.strerror}"
        problem = Problem(what, str(path), fix="check its rights and the disk")
        raise LogRefused(problem, receipt=Receipt()) from error


def _event_in(line: bytes) -> dict[str, Any] | None:
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return event if isinstance(event, dict) else None
