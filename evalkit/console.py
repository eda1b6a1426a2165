"""Where a terminal's lines go, also when nobody reads them to the end."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

import rich.console


class Console(rich.console.Console):
    """A console that loses what it cannot show, and never stops the work over it.

    A character that the terminal's encoding lacks becomes a question mark. When the reader goes
    away, as ``head`` does in ``evalkit … | head``, the rest is written to nowhere.
    """

    def __init__(self, *, stderr: bool) -> None:
        stream = sys.stderr if stderr else sys.stdout
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        super().__init__(stderr=stderr, highlight=False, soft_wrap=True, emoji=False)

    def on_broken_pipe(self) -> None:
        """Go on in silence."""
        self.quiet = True
        turn_to_nowhere(sys.stderr if self.stderr else sys.stdout)


def turn_to_nowhere(stream: TextIO) -> None:
    """Let the stream swallow what is still to come, instead of failing at the program's end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
