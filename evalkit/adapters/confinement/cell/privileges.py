"""What root could do beside reading files: given up, for this process and all that it starts."""

from __future__ import annotations

import struct

from evalkit.adapters.confinement.cell.kernel import capset, prctl

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER = 1, 24, 36
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, CLEAR_ALL = 38, 47, 4
CAPABILITIES = 64  # more than there are
VERSION_3 = 0x20080522


def give_up() -> None:
    """Drop every capability and the way to gain one by running a program."""
    for capability in range(CAPABILITIES):
        try:
            prctl("capbset", PR_CAPBSET_DROP, capability)
        except OSError:  # no such capability, or none to drop: then the next line is enough
            continue
    prctl("no_new_privs", PR_SET_NO_NEW_PRIVS, 1)
    prctl("ambient", PR_CAP_AMBIENT, CLEAR_ALL)
    capset(struct.pack("=Ii", VERSION_3, 0), bytes(24))


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    prctl("subreaper", PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal: int) -> None:
    """Have the kernel send a signal when the parent ends, however it ends."""
    prctl("pdeathsig", PR_SET_PDEATHSIG, signal)
