"""How much a machine lets us confine, strongest first, and the words for it."""

from __future__ import annotations

from enum import Enum

TRUNCATION = 3  # the Landlock ABI from which on emptying a file counts as writing it


class Level(Enum):
    """How a program is confined.

    Attributes:
        NAMESPACES: As LANDLOCK, and processes, shared memory and network devices of its own.
        LANDLOCK: The kernel refuses files (Landlock) and sockets (seccomp) that are not its own.
        LIMITS: Limits, a bare environment and a private home. Neither files nor network are closed.
    """

    NAMESPACES = "namespaces and landlock"
    LANDLOCK = "landlock"
    LIMITS = "limits only"

    @property
    def confines(self) -> bool:
        """Whether the kernel is asked to refuse what is not the program's own."""
        return self is not Level.LIMITS


def in_words(level: Level, abi: int, *, allow_network: bool) -> str:
    """What is in force, such as ``landlock (abi 7): own files, no network``."""
    if not level.confines:
        return "limits only: files, network and secrets of the caller are within reach"
    network = "network allowed" if allow_network else "no network"
    but = "" if abi >= TRUNCATION else "; it could empty files that it may read"
    return f"{level.value} (abi {abi}): own files, {network}{but}"


def is_strong(level: Level, abi: int) -> bool:
    """Whether files, secrets and network of the caller are really out of reach."""
    return level.confines and abi >= TRUNCATION
