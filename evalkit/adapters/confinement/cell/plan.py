"""What the confining process is told: the one value that crosses into it, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of one program.

    Attributes:
        argv: The program and its arguments; the first is the path of an executable.
        readable: Absolute paths that may be read, with all below them. Absent ones are passed over.
        writable: Absolute paths of directories that may be changed.
        limits: For each ``RLIMIT_…`` of `resource`, the soft and the hard limit.
        namespaces: Whether it gets processes, shared memory and network devices of its own.
        confined: Whether Landlock and seccomp close what is not its own.
        allow_network: Whether it may use the internet protocols.
        lifeline: A pipe to read; when something or its end arrives, everything is killed.
        status: A pipe to write; ``returncode N`` or ``failed WHY`` goes there.
    """

    argv: tuple[str, ...]
    readable: tuple[str, ...]
    writable: tuple[str, ...]
    limits: dict[str, tuple[int, int]]
    namespaces: bool
    confined: bool
    allow_network: bool
    lifeline: int
    status: int

    def to_json(self) -> str:
        """The plan as one argument of a command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan that `to_json` wrote; tuples come back as lists, which serves as well."""
        return Plan(**json.loads(text))
