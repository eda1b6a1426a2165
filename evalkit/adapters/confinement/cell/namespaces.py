"""Namespaces: processes, shared memory and network devices of one's own.

Their first process is like `init`: when it ends, the kernel ends all the others, at once.
"""

from __future__ import annotations

import os
from pathlib import Path

from evalkit.adapters.confinement.cell.kernel import mount, unshare

NEW_MOUNTS, NEW_IPC = 0x00020000, 0x08000000
NEW_USER, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
PRIVATE = 0x4000 | 1 << 18  # MS_REC: what is mounted from here on stays here
PLAIN = 0x2 | 0x4 | 0x8  # no set-user-id, no devices, no executables

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the mount point, which gets a fresh file system


def enter(*, allow_network: bool) -> None:
    """Make the namespaces; the next child is the first process in them.

    Raises:
        OSError: The machine does not let this user have them.
    """
    user, group = os.geteuid(), os.getegid()
    network = 0 if allow_network else NEW_NETWORK
    unshare(NEW_USER | NEW_MOUNTS | NEW_IPC | NEW_PROCESSES | network)
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{user} {user} 1")
    (own / "gid_map").write_text(f"{group} {group} 1")


def furnish() -> None:
    """In the first process: show only what belongs to the namespaces.

    Raises:
        OSError: The machine does not let this user mount there.
    """
    mount("none", "/", PRIVATE)
    mount("proc", "/proc", PLAIN)
    mount("tmpfs", SHARED_MEMORY, PLAIN)
