"""The process in which a user's agent runs, seen from the one that waits for it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json
from evalkit.store.internals import DEFAULTS

_LOAD_SECONDS = 300  # in which the agent has to be imported
_WAITS = 50  # tenths of a second in which the processes of a run that was killed have to end


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """The handle of a lock on a folder, which nobody else has.

    Raises:
        InputError: somebody else goes on having it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        for left in range(_WAITS, -1, -1):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not left:
                    what = "another process is at work here"
                    raise InputError(Problem(what, str(folder), fix="wait for it")) from error
                time.sleep(0.1)
        yield handle
    finally:
        os.close(handle)


class AgentDied(Exception):
    """The process ended in the middle of something."""


class PredictProcess:
    """A process that answers one case after the other.

    Attributes:
        skipped: The judges that it cannot ask, and why.
        is_late: Whether it was killed because it took too long.
    """

    def __init__(self, setup: Mapping[str, Any], handle: int) -> None:
        """Start it, let it have an open handle, and wait until it has loaded the agent.

        Raises:
            InputError: the agent cannot be loaded.
        """
        self.is_late = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evalkit.suite.execution"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**DEFAULTS, **os.environ, **setup["environment"]},
            start_new_session=True,
            pass_fds=(handle,),
        )
        try:
            said = self.ask(setup, _LOAD_SECONDS)
        except AgentDied as error:
            said = {"error": str(error)}
        if "error" in said:
            self.close()
            fix = f"evalkit imports it with {sys.executable}, which has to have what it needs"
            what = f"{setup['predict']} cannot be loaded: {said['error']}"
            raise InputError(Problem(what, field="--predict", fix=fix))
        self.skipped: dict[str, str] = said["skipped"]

    def ask(self, what: Json, seconds: float) -> Any:
        """Tell it something, unless that is None, and wait for what it says; it is killed then.

        Raises:
            AgentDied: it ended, or was killed.
        """
        assert self._process.stdin  # noqa: S101 - both are pipes
        assert self._process.stdout  # noqa: S101
        if what is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(what) + "\n")
                self._process.stdin.flush()
        timer = Timer(seconds, self.kill, kwargs={"is_late": True})
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if line:
            return json.loads(line)
        self.close()
        late = f"it did not end within {seconds:g} s, and was killed"
        raise AgentDied(
            late if self.is_late else f"its process ended with {self._process.returncode}"
        )

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def kill(self, *, is_late: bool = False) -> None:
        """End it with all that it started."""
        self.is_late = self.is_late or is_late
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it, once nobody waits for its answers any more."""
        self.kill()
        with suppress(BrokenPipeError), self._process:
            pass
