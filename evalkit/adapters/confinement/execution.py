"""Running one plan in a process of its own: reading along, keeping time, ending it for certain."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from evalkit.adapters.confinement.cell.plan import Plan
from evalkit.core.errors import Unfinished

ROOT = Path(__file__).parents[3]
# Isolated and without packages, so that it starts in no time; evalkit alone is put on its path.
ENTER_CELL = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from evalkit.adapters.confinement.cell import enter_cell;"
    "from evalkit.adapters.confinement.cell.plan import Plan;"
    "enter_cell(Plan.from_json(sys.argv[2]))"
)
CHUNK = 65_536
PATIENCE_S = 10.0  # for a killed tree of processes to be gone


class Tail:
    """The last bytes of a stream that may be endless."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.cut = False

    def add(self, chunk: bytes) -> None:
        """Take in what came, and let go of what is too long ago."""
        self._kept += chunk
        if len(self._kept) > self._limit:
            del self._kept[: len(self._kept) - self._limit]
            self.cut = True

    def text(self) -> str:
        """What is left, as text; bytes that are none show as question marks."""
        return self._kept.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a plan ended.

    Attributes:
        returncode: The program's exit code; the negative number of the signal that ended it.
        stdout: What it printed last.
        stderr: What it printed to stderr last.
        timed_out: Whether it was killed because its time was up.
    """

    returncode: int
    stdout: Tail
    stderr: Tail
    timed_out: bool


Streams = Mapping[FileIO, Tail]
Ready = list[tuple[selectors.SelectorKey, int]]


def execute(
    make_plan: Callable[[int, int], Plan],
    *,
    workdir: Path,
    env: Mapping[str, str],
    timeout_s: float,
    output_bytes: int,
) -> Ending:
    """Run a plan, made for the two pipe ends it is given (lifeline, status), until all has ended.

    Raises:
        Unfinished: The program could not be started as planned.
    """
    stdout, stderr, said = Tail(output_bytes), Tail(output_bytes), Tail(CHUNK)
    with ExitStack() as opened:
        lifeline, hand = _pipe(opened)
        ear, status = _pipe(opened)
        out, to_out = _pipe(opened)
        err, to_err = _pipe(opened)
        plan = make_plan(lifeline.fileno(), status.fileno())
        opened.enter_context(_cell(plan, hand, (to_out, to_err), workdir, env))
        for its_end in (lifeline, status, to_out, to_err):
            its_end.close()
        streams = {out: stdout, err: stderr, ear: said}
        timed_out = not _follow(streams, ear, timeout_s)
        if timed_out:
            _end(hand)
            _follow(streams, ear, PATIENCE_S)
    return Ending(_returncode(said.text()), stdout, stderr, timed_out)


def _pipe(opened: ExitStack) -> tuple[FileIO, FileIO]:
    """A pipe, to read and to write, closed with the stack and not inherited."""
    read, write = os.pipe()
    return opened.enter_context(FileIO(read)), opened.enter_context(FileIO(write, "w"))


@contextmanager
def _cell(
    plan: Plan,
    hand: FileIO,
    streams: tuple[FileIO, FileIO],
    workdir: Path,
    env: Mapping[str, str],
) -> Iterator[None]:
    """The process that confines; whatever happens meanwhile, it and all below it ends."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", ENTER_CELL, str(ROOT), plan.to_json()],
        cwd=workdir,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=streams[0],
        stderr=streams[1],
        pass_fds=(plan.lifeline, plan.status),
        start_new_session=True,
    ) as process:
        try:
            yield
        finally:
            _end(hand)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _end(hand: FileIO) -> None:
    """Let go of the lifeline: the cell kills everything below it, unless it is gone already."""
    with suppress(BrokenPipeError):
        hand.write(b"!")


def _follow(streams: Streams, ear: FileIO, seconds: float) -> bool:
    """Read along until the ear hears the end of the cell; False where the time is up before that.

    The streams themselves may stay open for longer: what is in them by then is what counts.
    """
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for stream, tail in streams.items():
            selector.register(stream, selectors.EVENT_READ, tail)
        while selector.get_map().get(ear.fileno()):
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready or time.monotonic() > deadline:
                return False
            _read(selector, ready)
        while ready := selector.select(0):
            _read(selector, ready)
    return True


def _read(selector: selectors.BaseSelector, ready: Ready) -> None:
    for key, _ in ready:
        if chunk := os.read(key.fd, CHUNK):
            key.data.add(chunk)
        else:
            selector.unregister(key.fileobj)


def _returncode(said: str) -> int:
    """What the cell said of the program; where it was killed before it could, that.

    Raises:
        Unfinished: It said that it could not start the program.
    """
    for line in said.splitlines():
        word, _, rest = line.partition(" ")
        if word == "failed":
            raise Unfinished(f"the confined program could not be started: {rest}")
        if word == "returncode":
            return int(rest)
    return -signal.SIGKILL
