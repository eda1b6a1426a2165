"""The process in which a user's agent runs, seen from the one that waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any

from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json

_LOAD_SECONDS = 300  # in which the agent has to be imported


class AgentDied(Exception):
    """The process ended in the middle of something."""


class PredictProcess:
    """A process that answers one case after the other; ``skipped`` are judges it cannot ask."""

    def __init__(self, setup: dict[str, Any], handle: int) -> None:
        """Start it, let it have an open handle, and wait until it has loaded the agent."""
        self._pipe, theirs = Pipe()
        self.is_late = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evalkit.suite.execution", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=2,  # ours is for the report
            start_new_session=True,
            pass_fds=(theirs.fileno(), handle),
        )
        theirs.close()
        try:
            said = self.ask(setup, _LOAD_SECONDS)
        except AgentDied as error:
            said = {"error": str(error)}
        if "error" in said:
            self.end()
            fix = f"evalkit imports it with {sys.executable}, which has to have what it needs"
            what = f"{setup['predict']} cannot be loaded: {said['error']}"
            raise InputError(Problem(what, field="--predict", fix=fix))
        self.skipped: dict[str, str] = said["skipped"]

    def ask(self, what: Json, seconds: float) -> Any:
        """Tell it something, unless that is None, and wait for what it says; it is killed then."""
        try:
            if what is not None:
                self._pipe.send(what)
            if not self._pipe.poll(seconds):
                self.is_late = True
                self.end()
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            self.end()
            why = f"its process ended with {self._process.returncode}"
            late = f"it did not end within {seconds:g} s, and was killed"
            raise AgentDied(late if self.is_late else why) from error

    def end(self) -> None:
        """Kill it with all that it started."""
        if self._process.returncode is None:  # else its id may be another's by now
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
