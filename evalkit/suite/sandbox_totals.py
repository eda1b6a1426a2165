"""What all processes of a sandbox hold together, watched from outside of them, and their end.

Of memory, processes and disk the kernel has limits for each process, but none for their sum that
needs no privileges.
"""

from __future__ import annotations

import os
import re
import select
import signal
import stat
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICK_S, SLOWEST_S = 0.1, 0.6
SHARE = 5  # so many times as long as a look takes is the pause after it
SWEEP_S = 0.005
ENTRY = 4096  # of disk, that the name of a file takes at the most
STATUS = re.compile(r"^(VmRSS|VmSwap|VmPTE|Threads):\s+(\d+)", re.MULTILINE)
PROPORTIONAL = re.compile(r"^(?:Pss|SwapPss):\s+(\d+)", re.MULTILINE)
MAPPED = re.compile(
    r"^(\w+)-(\w+) \S+ \S+ \S+ (\d+) +/(?!dev/zero |memfd:|SYSV).* \(deleted\)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of one program, as JSON on the command line.

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


def watch(plan: Plan, program: int, bell: int) -> None:
    """Wait until the program ends, the caller lets go of the lifeline or a total is exceeded."""
    at_start, due, status = _disk(plan.writable), 0.0, None
    while status is None:
        pause = max(0.0, due - time.monotonic())
        ready, _, _ = select.select([bell, plan.lifeline], [], [], pause)
        if plan.lifeline in ready:
            return
        if bell in ready:
            with suppress(BlockingIOError):
                os.read(bell, select.PIPE_BUF)
            status = reap(program)
        if status is not None or time.monotonic() >= due:
            began = time.monotonic()
            if excess := exceeded(plan, at_start):
                plan.tell("exceeded", excess)
                break
            now = time.monotonic()
            due = now + min(max(TICK_S, SHARE * (now - began)), SLOWEST_S)
    if status is not None:
        plan.tell("returncode", os.waitstatus_to_exitcode(status))


def reap(program: int = 0) -> int | None:
    """Take notice of all children that ended; the status of the program, if it is among them."""
    found = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found = ended[1] if ended[0] == program else found
    return found


def exceeded(plan: Plan, at_start: int) -> str:
    """Which total is exceeded, in words; empty where none is."""
    below = descendants(os.getpid())
    counts: dict[str, int] = defaultdict(int)
    for process in below:
        for name, value in STATUS.findall(_read(f"/proc/{process}/status")):
            counts[name] += int(value)
    if counts["Threads"] > plan.processes:
        return f"more than {plan.processes} processes and threads"
    memory = (counts["VmRSS"] + counts["VmSwap"] + counts["VmPTE"]) << 10
    if memory > plan.memory:  # pages that several share were counted with each
        rolled_up = [_read(f"/proc/{process}/smaps_rollup") for process in below]
        if all(rolled_up):
            memory = sum(int(kib) << 10 for text in rolled_up for kib in PROPORTIONAL.findall(text))
    if memory > plan.memory:
        return f"more than {plan.memory >> 20} MiB of memory in all processes"
    try:
        disk = _disk(plan.writable) - at_start
    except RecursionError:
        return "directories too deep to be measured"
    if plan.namespaces:
        shared = os.statvfs("/dev/shm")  # noqa: S108 - the sandbox's own
        disk += (shared.f_blocks - shared.f_bfree) * shared.f_bsize
    unlinked = dict(file for process in below for file in _unlinked(process))
    if disk + sum(unlinked.values()) > plan.disk:
        return f"more than {plan.disk >> 20} MiB of disk in working directory, home and /dev/shm"
    return ""


def descendants(ancestor: int) -> set[int]:
    """The living descendants of a process and those that nobody waited for; as /proc lists them."""
    children = defaultdict(set)
    for place in Path("/proc").glob("[0-9]*/stat"):
        # The name stands in parentheses and may hold any character; the parent is after state.
        if after := _read(str(place)).rpartition(")")[2].split():
            children[int(after[1])].add(int(place.parent.name))
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
        reap()
        time.sleep(SWEEP_S)


def _disk(places: list[str]) -> int:
    """Bytes that the files below these directories take, entries of directories included."""
    total, left = 0, [*places]
    while left:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    total += ENTRY + entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
    return total


def _unlinked(process: int) -> Iterator[tuple[int, int]]:
    """Files without a name that a process holds open or mapped: inode and bytes."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for start, end, inode in MAPPED.findall(_read(f"/proc/{process}/maps")):
            yield int(inode), int(end, 16) - int(start, 16)
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            found = descriptor.stat()
            if found.st_nlink == 0 and stat.S_ISREG(found.st_mode):
                yield found.st_ino, found.st_blocks * 512


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode(errors="replace")
    except OSError:
        return ""
