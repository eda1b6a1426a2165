"""What all processes of a sandbox hold together, watched from outside of them, and their end.

Of memory, processes and disk the kernel has limits for each process, but none for their sum that
needs no privileges.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import select
import signal
import stat
import struct
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

TICK_S, SLOWEST_S = 0.2, 0.6
SHARE = 10  # so many times as long as a look takes is the pause after it
SWEEP_S = 0.005
RECEIVE, SEND, CONTINUE = 0xC0502100, 0xC0182101, 1  # of the kernel's gate of system calls
REQUEST_BYTES = 80
BLOCK = 512  # bytes, of which `stat` counts
ENTRY = 4096  # of disk, that the name of a file takes at the most
STATUS = re.compile(rb"^(VmRSS|VmSwap|VmPTE|Threads):\s+(\d+)", re.MULTILINE)
PROPORTIONAL = re.compile(rb"^(?:Pss|SwapPss):\s+(\d+)", re.MULTILINE)
MAPPED = re.compile(
    rb"^(\w+)-(\w+) \S+ \S+ \S+ (\d+) +/(?!dev/zero |memfd:|SYSV).* \(deleted\)$", re.MULTILINE
)


class Plan(NamedTuple):
    """One run of one program, as a JSON list on the command line.

    Attributes:
        argv: The program and its arguments; the first is the path of an executable.
        readable: Absolute paths that may be read, with all below them. Absent ones are passed over.
        writable: Absolute paths of directories that may be changed.
        namespaces: Whether it gets processes, shared memory and network devices of its own.
        confined: Whether Landlock and seccomp close what is not its own.
        allow_network: Whether it may use the internet protocols.
        cpu_s: Seconds of processor time of each process.
        memory: Bytes of memory of all together, and of address space of each.
        processes: How many processes and threads there may be.
        disk: Bytes that it may add to the writable places together.
        lifeline: A pipe to read; when something or its end arrives, everything is killed.
        status: A pipe to write; ``returncode N``, ``exceeded WHAT`` or ``failed WHY`` goes there.
    """

    argv: list[str]
    readable: list[str]
    writable: list[str]
    namespaces: bool
    confined: bool
    allow_network: bool
    cpu_s: int
    memory: int
    processes: int
    disk: int
    lifeline: int
    status: int

    def tell(self, word: str, what: object) -> None:
        """Report to the caller, if it still lives."""
        with suppress(BrokenPipeError):
            os.write(self.status, f"{word} {what}\n".encode())


def bell_of_children() -> int:
    """A descriptor that can be read from whenever a child of this process has ended.

    Without a thread: a process that asks for namespaces is not allowed any.
    """
    bell, clapper = os.pipe()
    os.set_blocking(bell, False)
    os.set_blocking(clapper, False)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    signal.set_wakeup_fd(clapper, warn_on_full_buffer=False)
    return bell


def watch(totals: Totals, program: int, bell: int, gate: Sequence[int]) -> None:
    """Wait until the program ends, the caller lets go of the lifeline or a total is exceeded."""
    plan, due, status = totals.plan, 0.0, None
    watched = [bell, plan.lifeline, *gate]
    while status is None and not totals.excess:
        ready, _, _ = select.select(watched, [], [], max(0.0, due - time.monotonic()))
        if plan.lifeline in ready:
            return
        if bell in ready:
            with suppress(BlockingIOError):
                os.read(bell, select.PIPE_BUF)
            status = _reap(program)
        if status is not None or time.monotonic() >= due:
            due = totals.measure()
        if gate and gate[0] in ready:
            totals.admit(gate[0])
    if totals.excess:
        plan.tell("exceeded", totals.excess)
    if status is not None:
        plan.tell("returncode", os.waitstatus_to_exitcode(status))


class Totals:
    """What all descendants of this process hold together, against the plan.

    Attributes:
        plan: What is allowed.
        excess: Which total is exceeded, in words; empty where none is.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.excess = plan, ""
        self._disk_at_start = _disk(plan.writable)
        self._too_many = f"more than {plan.processes} processes and threads"
        self._room = 0  # for processes and threads, before they have to be counted again
        self._too_large_since = 0.0

    def measure(self) -> float:
        """Look at all of it now; returns when to do so again, in seconds of the monotonic clock."""
        began = time.monotonic()
        try:
            below = {_speaker(process) for process in descendants(os.getpid())}
            self.excess = self._in_memory(below) or self._on_disk(below)
        except OSError as error:
            self.excess = f"what it holds cannot be measured: {error.strerror}"
        now = time.monotonic()
        return now + min(max(TICK_S, SHARE * (now - began)), SLOWEST_S)

    def admit(self, gate: int) -> None:
        """Let a process or thread be made; or not answer, where there would be too many."""
        if self._room <= 0:
            self.measure()
            if self._room <= 0:
                self.excess = self.excess or self._too_many
        if not self.excess:
            request = bytearray(REQUEST_BYTES)
            with suppress(FileNotFoundError, InterruptedError):  # it was killed meanwhile
                fcntl.ioctl(gate, RECEIVE, request)
                fcntl.ioctl(gate, SEND, struct.pack("=8sqiI", request[:8], 0, 0, CONTINUE))
                self._room -= 1

    def _in_memory(self, below: set[int]) -> str:
        counts: dict[bytes, int] = defaultdict(int)
        for process in below:
            for name, value in STATUS.findall(_read(f"/proc/{process}/status")):
                counts[name] += int(value)
        self._room = self.plan.processes - counts[b"Threads"]
        if self._room < 0:
            return self._too_many
        memory = (counts[b"VmRSS"] + counts[b"VmSwap"] + counts[b"VmPTE"]) << 10
        if memory > self.plan.memory:  # pages that several share were counted with each
            rolled_up = [_read(f"/proc/{process}/smaps_rollup") for process in below]
            memory = sum(int(kib) for text in rolled_up for kib in PROPORTIONAL.findall(text)) << 10
        if memory <= self.plan.memory:
            self._too_large_since = 0.0
        elif not self._too_large_since:  # a moment may be that of a `vfork`
            self._too_large_since = time.monotonic()
        elif time.monotonic() - self._too_large_since > TICK_S / 2:
            return f"more than {self.plan.memory >> 20} MiB of memory in all processes"
        return ""

    def _on_disk(self, below: set[int]) -> str:
        disk = _disk(self.plan.writable) - self._disk_at_start
        if self.plan.namespaces:
            shared = os.statvfs("/dev/shm")  # noqa: S108 - the sandbox's own
            disk += (shared.f_blocks - shared.f_bfree) * shared.f_bsize
        unlinked: dict[int, int] = {}
        for process in below:
            try:
                unlinked |= _unlinked(process)
            except PermissionError:
                if b"VmRSS" in _read(f"/proc/{process}/status"):  # else it is ending
                    return "a process hides what it holds"
        if disk + sum(unlinked.values()) > self.plan.disk:
            mib = self.plan.disk >> 20
            return f"more than {mib} MiB of disk in working directory, home and /dev/shm"
        return ""


def _processes() -> list[int]:
    names = os.listdir("/proc") if os.path.isdir("/proc") else []  # noqa: PTH112, PTH208
    return [int(name) for name in names if name.isdigit()]


def _speaker(process: int) -> int:
    """The process, or a thread of it where its first one has ended: it shows nothing any more."""
    if b"VmRSS" not in _read(f"/proc/{process}/status"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for thread in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208
                if b"VmRSS" in _read(f"/proc/{thread}/status"):
                    return int(thread)
    return process


def descendants(ancestor: int) -> set[int]:
    """The living descendants of a process and those that nobody waited for; as /proc lists them."""
    children = defaultdict(set)
    for process in _processes():
        # The name stands in parentheses and may hold any character; the parent is after state.
        if after := _read(f"/proc/{process}/stat").rpartition(b")")[2].split(None, 2):
            children[int(after[1])].add(process)
    found: set[int] = set()
    to_visit = {ancestor}
    while to_visit:
        to_visit = set().union(*(children[process] for process in to_visit)) - found
        found |= to_visit
    return found


def sweep(group: int) -> None:
    """Kill a process group, then all descendants, until none is left.

    Needs orphans to be adopted; where that does not exist, the group is all.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    while left := descendants(os.getpid()):
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        _reap()
        time.sleep(SWEEP_S)


def _reap(program: int = 0) -> int | None:
    """Take notice of all children that ended; the status of the program, if it is among them."""
    found = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found = ended[1] if ended[0] == program else found
    return found


def _disk(places: list[str]) -> int:
    """Bytes that the files below these directories take, entries of directories included."""
    total, left = 0, [*places]
    while left:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    total += ENTRY + entry.stat(follow_symlinks=False).st_blocks * BLOCK
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
    return total


def remove_tree(place: str) -> None:
    """Remove what a program left: it may be deeper than paths can say, or closed to its owner."""
    number, to_top = itertools.count(), f"{place}/{os.urandom(16).hex()}-"
    with suppress(OSError):  # of what cannot be removed, no more is to be had
        while entries := [*os.scandir(place)]:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108
                    continue
                os.chmod(entry.path, stat.S_IRWXU)  # noqa: PTH101
                for inner in [*os.scandir(entry.path)]:
                    if inner.is_dir(follow_symlinks=False):
                        os.chmod(inner.path, stat.S_IRWXU)  # noqa: PTH101
                    os.rename(inner.path, f"{to_top}{next(number)}")  # noqa: PTH104
                os.rmdir(entry.path)  # noqa: PTH106
        os.rmdir(place)  # noqa: PTH106


def _unlinked(process: int) -> dict[int, int]:
    """Bytes of files without a name that a process holds open or mapped, by inode."""
    maps = _read(f"/proc/{process}/maps")
    mapped = MAPPED.findall(maps) if b"(deleted)" in maps else ()  # of thousands, mostly none
    found = {int(inode): int(end, 16) - int(start, 16) for start, end, inode in mapped}
    with suppress(FileNotFoundError, ProcessLookupError):
        for name in os.listdir(f"/proc/{process}/fd"):  # noqa: PTH208 - there may be very many
            with suppress(FileNotFoundError):
                held = os.stat(f"/proc/{process}/fd/{name}")  # noqa: PTH116
                if held.st_nlink == 0 and stat.S_ISREG(held.st_mode):
                    found[held.st_ino] = held.st_blocks * BLOCK
    return found


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    with suppress(OSError), open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123
        return file.readall()
    return b""
