"""The log of one execution and what lies beside it; nothing outside of the run is opened."""

from __future__ import annotations

import filecmp
import gzip
import json
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from evalkit.agent_logs.harbor import HarborTrial
from evalkit.claude_log.session import result_failure
from evalkit.claude_log.timing import parse_time
from evalkit.errors import InputError, LogRefused, Problem
from evalkit.files import inside, read_document
from evalkit.jsonable import mapping_of
from evalkit.receipt import Receipt

EVENTS = "events.json"  # when each event was logged, as the harness may leave it beside a log
SUBAGENTS = "subagents"  # a folder beside a log, with the transcripts of background subagents
INPUT = "input.yaml"  # what a case gives to the agent; the harness leaves a copy beside the log
MOST_BYTES = 200_000  # a larger file of a case is named but not read
LONGEST_UNPACKED = 1 << 26  # bytes of a line in a compressed log; a longer one is taken for a bomb

_TAIL_BYTES = 1 << 18  # as much of a log's end is searched for how its last session ended
_TAIL_LINES = 200  # as much of a compressed log's end
_PACKED = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}


@dataclass(frozen=True, slots=True)
class LogFile:
    """The log of one case, or of a whole batch run."""

    path: Path  # the ``stdout.log``; a copy of the last step's, where there are steps
    case_id: str | None  # None for a batch run's
    steps: Mapping[str, Path] = field(default_factory=dict)  # the logs by the steps' ids, in order
    unlogged: tuple[str, ...] = ()  # ids of the steps that should have a log and have none
    transcripts: Mapping[str, Path] = field(default_factory=dict)  # of background subagents
    events_file: Path | None = None  # where the times of its events lie
    barred: Problem | None = None  # why it is not read: a link leads out of the run
    passed_over: tuple[Problem, ...] = ()  # why some of what lies beside it is not read
    parts: tuple[Path, ...] = ()  # in which the session goes on, in order

    @classmethod
    def find(
        cls,
        path: Path,
        root: Path,
        case_id: str | None = None,
        steps: Mapping[str, Path] | None = None,
        unlogged: tuple[str, ...] = (),
    ) -> LogFile:
        """A log of the run at ``root`` with what lies beside it and does not lead out of it."""
        steps, out = steps or {}, []

        def is_within(each: Path) -> bool:
            try:
                inside(each, root)
            except InputError as error:
                out.append(error.problems[0])
                return False
            return True

        if not all(is_within(each) for each in (*steps.values(), path)):
            return cls(path, case_id, steps, barred=out[0])
        events = path.parent / EVENTS
        beside = events if is_within(events) and events.is_file() else None
        is_within(path.parent / INPUT)
        logs = {"": path, **{f"steps/{step}/": log for step, log in steps.items()}}
        found = {
            f"{prefix}{transcript.name}": transcript
            for prefix, log in logs.items()
            if is_within(log.parent / SUBAGENTS)
            for transcript in sorted((log.parent / SUBAGENTS).glob("*.jsonl"))
            if is_within(transcript)
        }
        for transcript in list(found.values()):
            copy = found.get(transcript.name, transcript)  # the harness may leave one of the last's
            if copy != transcript and filecmp.cmp(transcript, copy, shallow=False):
                del found[transcript.name]
        return cls(path, case_id, steps, unlogged, found, beside, None, tuple(out))

    @classmethod
    def of_trial(cls, trial: HarborTrial) -> LogFile:
        """The log of a trial of Harbor's that logged something."""
        path = trial.log or trial.folder
        found = cls.find(path, trial.folder.parent, trial.case_id, trial.steps)
        beside = {**found.transcripts, **trial.transcripts}
        return found if found.barred else replace(found, transcripts=beside, parts=trial.parts)

    def lines(self) -> dict[str, Iterator[bytes]]:
        """Step to the lines of its log, in order; a log that is no step's has an empty name.

        A step that left none has no lines.

        Raises:
            LogRefused: it is barred; or, later, a line cannot be read.
        """
        if self.barred:
            raise LogRefused(self.barred, receipt=Receipt())
        logs = dict(self.steps)
        if self.path.is_file() and not (logs and filecmp.cmp(self.path, self._last, shallow=False)):
            logs[""] = self.path
        found = {step: lines_of(path) for step, path in logs.items()}
        if "" in found:
            found[""] = chain(found[""], *map(lines_of, self.parts))
        return {**{step: iter(()) for step in self.unlogged}, **found}

    def subagents(self) -> dict[str, Iterator[bytes]]:
        """The lines of the transcripts that lie beside it, by their names."""
        return {name: lines_of(path) for name, path in self.transcripts.items()}

    def events(self) -> list[dict[str, Any]] | None:
        """The harness's ``events.json`` with the time of each event; None where there is none.

        An unreadable one counts as none: it only adds times to a log that is complete without.
        """
        with suppress(InputError):
            found = read_document(self.events_file).value if self.events_file else None
            return found if isinstance(found, list) else None
        return None

    def first_ns(self) -> int | None:
        """The earliest time that it says, nanoseconds since the epoch; None where it says none."""
        if self.barred:
            return None
        logged = (event for log in self.lines().values() for event in _stamped(log))
        events = chain(logged, self.events() or ())
        stamps = (parse_time(mapping_of(each).get("timestamp")) for each in events)
        return next((stamp for stamp in stamps if stamp is not None), None)

    def modified_ns(self) -> int:
        """When the log was last written, nanoseconds since the epoch."""
        return (self.path.parent.lstat() if self.barred else self._last.stat()).st_mtime_ns

    def text(self) -> str | None:
        """Its begin as text, for who can make nothing else of it; None where there is none."""
        if not self.barred:
            with suppress(LogRefused), _opened(self._last) as file:
                return file.read(MOST_BYTES).decode("utf-8", "replace").strip() or None
        return None

    def failure(self) -> str:
        """Why the last session that ends in it failed; empty where it did not, or never ended."""
        failure = ""
        for event in map(_event_in, reversed(self._tail())):
            kind = event.get("type")
            if kind in {"turn.completed", "turn.failed"}:  # Codex's
                return failure or ("the last turn failed" if kind == "turn.failed" else "")
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

    def _tail(self) -> list[bytes]:
        if not self.barred:
            with suppress(LogRefused), _opened(self._last) as file:
                if isinstance(file, gzip.GzipFile):
                    return list(deque(lines_of(self._last), _TAIL_LINES))
                file.seek(max(0, self._last.stat().st_size - _TAIL_BYTES))
                return list(file.read().splitlines())
        return []

    @property
    def _last(self) -> Path:
        return list(self.steps.values())[-1] if self.steps else self.path


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A log's file, unpacked; refused where it cannot be read."""
    why, fix = "", "check its rights and the disk"
    try:
        with path.open("rb") as file:
            begin = file.read(max(map(len, _PACKED)))
            file.seek(0)
            if packed := next((_PACKED[magic] for magic in _PACKED if begin.startswith(magic)), ""):
                why, fix = f"it is compressed with {packed}", "decompress it, under the same name"
            else:
                yield gzip.GzipFile(fileobj=file) if begin.startswith(b"\x1f\x8b") else file
    except (gzip.BadGzipFile, EOFError, zlib.error):
        why, fix = "its compression is damaged or cut off", "take out what there is: gzip -dc"
    except OSError as error:
        why = str(error.strerror)
    if why:
        problem = Problem(f"the log cannot be read: {why}", str(path), fix=fix)
        raise LogRefused(problem, receipt=Receipt())


def lines_of(path: Path, longest: int | None = None) -> Iterator[bytes]:
    """A log's lines, unpacked.

    Raises:
        LogRefused: it cannot be read, or one is longer than so many bytes.
    """
    with _opened(path) as file:
        is_packed = isinstance(file, gzip.GzipFile)
        most = LONGEST_UNPACKED if is_packed and longest is None else longest
        while line := file.readline(-1 if most is None else most + 1):
            if most is not None and len(line) > most:
                what = f"has a line of more than {most >> 20} MB"
                raise LogRefused(Problem(what, str(path)), receipt=Receipt())
            yield line


def _stamped(lines: Iterator[bytes]) -> Iterator[Any]:
    """The events among these lines that may say when they were; a log may be one array of them."""
    with suppress(LogRefused):
        for line in lines:
            if b'"timestamp"' in line:  # quick, for logs are long
                with suppress(ValueError, RecursionError):
                    found = json.loads(line.strip(b" \t\r\n,"))
                    yield from found if isinstance(found, list) else [found]


def _event_in(line: bytes) -> Mapping[str, Any]:
    """The event that ends a line, also behind other text; empty where none does."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return mapping_of(msgspec.json.decode(line[max(0, line.find(b"{")) :]))
    return {}
