"""Seccomp: the system calls that are refused, as a filter the kernel runs before each call.

It closes what Landlock leaves open: sockets of every kind, and changes to a file's mode, owner,
times and attributes, which would reach files outside. Those of mode, owner and times *seem* to
succeed, since copying a file calls them and fails otherwise; they change nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from evalkit.adapters.confinement.cell.kernel import address_of, prctl

PR_SET_SECCOMP, MODE_FILTER = 22, 2

LOAD, AND, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000

X86_64, AARCH64 = "x86_64", "aarch64"
AUDIT_ARCHITECTURE = {X86_64: 0xC000003E, AARCH64: 0xC00000B7}
X32 = 0x40000000  # 64-bit calls under other numbers, by which a filter could be passed

SOCKET = {X86_64: 41, AARCH64: 198}
SOCKETPAIR = {X86_64: 53, AARCH64: 199}
SOCKET_KIND = 0xF  # the rest of the argument are flags

# chmod fchmod chown fchown lchown utime utimes fchownat futimesat fchmodat utimensat fchmodat2;
# the newer architecture has only those that take a descriptor
MODE_OWNER_TIMES = {
    X86_64: (90, 91, 92, 93, 94, 132, 235, 260, 261, 268, 280, 452),
    AARCH64: (52, 53, 54, 55, 88, 452),
}
# (l|f)setxattr (l|f)removexattr setxattrat removexattrat file_setattr
ATTRIBUTES = {
    X86_64: (188, 189, 190, 197, 198, 199, 463, 466, 469),
    AARCH64: (5, 6, 7, 14, 15, 16, 463, 466, 469),
}
# io_uring_setup (sockets by another door), keys, System V and POSIX queues that are shared with
# the caller, perf_event_open, userfaultfd, setns, unshare
NOT_ITS_OWN = {
    X86_64: (425, 248, 249, 250, 29, 64, 68, 240, 298, 323, 308, 272),
    AARCH64: (425, 217, 218, 219, 194, 190, 186, 180, 241, 282, 268, 97),
}

INTERNET = (socket.AF_INET, socket.AF_INET6, 16)  # the last, netlink, is how names are resolved


@dataclass(frozen=True, slots=True)
class Refusal:
    """A system call that is not made.

    Attributes:
        number: The call.
        error: What the caller sees; 0 is seeming success.
        argument: The argument that decides, counted from 0.
        mask: The bits of that argument that count.
        unless: The values with which the call is made all the same.
    """

    number: int
    error: int
    argument: int = 0
    mask: int = 0xFFFFFFFF
    unless: tuple[int, ...] = ()


def restrict(*, allow_network: bool) -> None:
    """Refuse these calls for this process and all that it starts, for ever.

    Raises:
        OSError: The kernel has no such filter, or the machine is of a kind we know no numbers of.
    """
    machine = os.uname().machine
    if machine not in AUDIT_ARCHITECTURE:
        raise OSError(errno.ENOSYS, f"no system call filter for {machine}")
    program = b"".join(filter_for(machine, refusals(machine, allow_network=allow_network)))
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, address_of(code))
    pointer = ctypes.create_string_buffer(header, len(header))
    prctl("seccomp", PR_SET_SECCOMP, MODE_FILTER, address_of(pointer))


def refusals(machine: str, *, allow_network: bool) -> Iterator[Refusal]:
    """What is refused on a kind of machine."""
    families = INTERNET if allow_network else ()
    yield Refusal(SOCKET[machine], errno.EACCES, unless=families)
    # A pair of stream sockets only talks to itself; datagrams of a pair can be sent elsewhere.
    yield Refusal(
        SOCKETPAIR[machine], errno.EACCES, 1, SOCKET_KIND, unless=(socket.SOCK_STREAM.value,)
    )
    for error, numbers in (
        (0, MODE_OWNER_TIMES),
        (errno.EOPNOTSUPP, ATTRIBUTES),
        (errno.EPERM, NOT_ITS_OWN),
    ):
        yield from (Refusal(number, error) for number in numbers[machine])


def filter_for(machine: str, refused: Iterator[Refusal]) -> Iterator[bytes]:
    """The filter in the kernel's instructions, eight bytes each."""
    yield _step(LOAD, ARCHITECTURE_AT)
    yield _step(IF_EQUAL, AUDIT_ARCHITECTURE[machine], skip_unless=0, skip_if=1)
    yield _step(RETURN, KILL)
    yield _step(LOAD, NUMBER_AT)
    if machine == X86_64:
        yield _step(IF_AT_LEAST, X32, skip_unless=1)
        yield _step(RETURN, FAIL | errno.ENOSYS)
    for refusal in refused:
        body = tuple(_refuse(refusal))
        yield _step(IF_EQUAL, refusal.number, skip_unless=len(body))
        yield from body
    yield _step(RETURN, ALLOW)


def _refuse(refusal: Refusal) -> Iterator[bytes]:
    if refusal.unless:
        yield _step(LOAD, ARGUMENTS_AT + 8 * refusal.argument)
        yield _step(AND, refusal.mask)
    for value in refusal.unless:
        yield _step(IF_EQUAL, value, skip_unless=1)
        yield _step(RETURN, ALLOW)
    yield _step(RETURN, FAIL | refusal.error)


def _step(code: int, operand: int, *, skip_if: int = 0, skip_unless: int = 0) -> bytes:
    return struct.pack("HBBI", code, skip_if, skip_unless, operand)
