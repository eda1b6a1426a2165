"""Waiting for a child and for the caller's word at once.

Without a thread: a process that has asked for namespaces is not allowed any.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress


def children_ring() -> int:
    """A descriptor that can be read from whenever a child of this process has ended."""
    bell, clapper = os.pipe()
    os.set_blocking(bell, False)
    os.set_blocking(clapper, False)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    signal.set_wakeup_fd(clapper, warn_on_full_buffer=False)
    return bell


def wait_or_kill(child: int, bell: int, lifeline: int) -> int:
    """The exit status of a child, which is killed as soon as the lifeline is let go of.

    ``bell`` was made by `children_ring` before the child was.
    """
    watched = [bell, lifeline]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if lifeline in ready:
            os.kill(child, signal.SIGKILL)
            watched = [bell]
        if bell in ready:
            with suppress(BlockingIOError):
                os.read(bell, select.PIPE_BUF)
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status
