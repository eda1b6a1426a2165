"""Calls to the Linux kernel that Python has no function for. Failing, they raise OSError."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> int:
    """The result of a call, or the error that it left behind."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(what: str, number: int, *arguments: int | bytes | None) -> int:
    """A system call by number; integers are passed as words, bytes as a pointer to them."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return checked(_libc.syscall(ctypes.c_long(number), *words), what)


def prctl(what: str, option: int, *arguments: int) -> int:
    """One of the operations on the calling process."""
    words = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    return checked(_libc.prctl(option, *words), what)


def unshare(flags: int) -> None:
    """Leave some of the namespaces that are shared with the parent."""
    checked(_libc.unshare(flags), "unshare")


def mount(kind: str, target: str, flags: int) -> None:
    """Mount a fresh file system of a kind, or change how a mount is shared (`none`)."""
    place, name = target.encode(), kind.encode()
    checked(_libc.mount(name, place, name, ctypes.c_ulong(flags), None), f"mount {target}")


def capset(header: bytes, sets: bytes) -> None:
    """Set the capabilities of the calling thread."""
    checked(_libc.capset(header, sets), "capset")


def address_of(buffer: ctypes.Array[ctypes.c_char]) -> int:
    """Where a buffer lies, for structures that point to others; it must be kept alive."""
    return ctypes.addressof(buffer)
