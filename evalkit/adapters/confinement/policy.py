"""What code that nobody has read may use, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Policy:
    """What a confined program may use.

    Attributes:
        timeout_s: Seconds by the clock, for the program and all that it starts.
        cpu_s: Seconds of processor time of each process.
        memory_mb: MiB of address space of each process.
        file_mb: MiB of the largest file it may write.
        open_files: How many files each process may have open at once.
        output_bytes: How much of each stream is kept, in bytes; the tail is.
        allow_network: Whether it may use the internet protocols. Unix sockets stay closed.
        env: What it gets beside a small allowlist (`PATH`, language, time zone, certificates).
        pass_env: Names copied from the caller's environment, where they are set.
        read_only: What it may read beside the interpreter, its packages and the system's libraries.
        require: Whether to refuse to run anything where files and network cannot be confined.
    """

    timeout_s: float = 300.0
    cpu_s: int = 300
    memory_mb: int = 4096
    file_mb: int = 256
    open_files: int = 1024
    output_bytes: int = 64_000
    allow_network: bool = False
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pass_env: tuple[str, ...] = ()
    read_only: tuple[Path, ...] = ()
    require: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a confined program ended.

    Attributes:
        returncode: Its exit code; the negative number of the signal that ended it.
        stdout: The tail of what it printed.
        stderr: The tail of what it printed to stderr.
        seconds: From the call until the last of its processes was gone.
        timed_out: Whether it was killed because its time was up.
        truncated: Whether it printed more than was kept.
        confinement: What was in force, in words for a report.
    """

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool
    truncated: bool
    confinement: str
