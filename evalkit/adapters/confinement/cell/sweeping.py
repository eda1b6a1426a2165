"""Ending every process below this one, also those that left its session or lost their parent."""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

PAUSE_S = 0.005


def sweep(group: int) -> None:
    """Kill a process group, then all descendants, until none is left.

    Needs orphans to be adopted (see `privileges`); where that does not exist, the group is all.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    while left := descendants(os.getpid()):
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        _reap()
        time.sleep(PAUSE_S)


def descendants(ancestor: int) -> set[int]:
    """The living descendants of a process and those that nobody waited for; as /proc lists them."""
    children = defaultdict(set)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name stands in parentheses and may hold any character; the parent is after state.
            parent = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
            children[parent].add(int(entry.parent.name))
    found: set[int] = set()
    to_visit = {ancestor}
    while to_visit:
        to_visit = set().union(*(children[process] for process in to_visit)) - found
        found |= to_visit
    return found


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
