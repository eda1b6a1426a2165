"""Landlock: from here on this process and its children touch only the files they were given.

Beside opening, making, linking and removing files, it closes (from ABI 6 on) signals to and
abstract sockets of processes outside, and always the memory and environment of those. It leaves
`chmod` and its like alone; seccomp sees to them.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable

from evalkit.adapters.confinement.cell.kernel import syscall

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION = 1
PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
READING = EXECUTE | READ_FILE | READ_DIR
OF_FILES = EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV
RIGHTS_SINCE = {1: (1 << 13) - 1, 2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}
EVERYTHING = REFER | TRUNCATE | IOCTL_DEV | RIGHTS_SINCE[1]

SCOPES_SINCE = 6
ABSTRACT_SOCKETS, SIGNALS = 1 << 0, 1 << 1


def abi() -> int:
    """The version of Landlock in this kernel; 0 where there is none."""
    try:
        return syscall("landlock", CREATE_RULESET, None, 0, VERSION)
    except OSError:
        return 0


def restrict(readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]) -> None:
    """Refuse every file but these, for this process and all that it starts, for ever.

    Raises:
        OSError: This kernel has no Landlock, or refused.
    """
    version = abi()
    known = sum(rights for since, rights in RIGHTS_SINCE.items() if since <= version)
    ruleset = _ruleset(version, known)
    for paths, rights in (
        (readable, READING),
        (writable, EVERYTHING),
        (devices, READ_FILE | WRITE_FILE | IOCTL_DEV),
    ):
        for path in paths:
            _allow(ruleset, path, rights & known)
    syscall("landlock_restrict_self", RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _ruleset(version: int, known: int) -> int:
    if version >= SCOPES_SINCE:
        attributes = struct.pack("=QQQ", known, 0, ABSTRACT_SOCKETS | SIGNALS)
    else:
        attributes = struct.pack("=Q", known)
    return syscall("landlock_create_ruleset", CREATE_RULESET, attributes, len(attributes), 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Give the rights for a path and all below it; where there is nothing, there is no need."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(place).st_mode):
        rights &= OF_FILES
    rule = struct.pack("=Qi", rights, place)
    syscall(f"landlock_add_rule {path}", ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
    os.close(place)
