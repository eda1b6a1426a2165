"""The process that starts a program confined, watches, and ends all of it; by the standard library.

It runs in an interpreter of its own and is not confined; the program below it is. The kernel limits
memory, processes and disk of each process, but without privileges not their sum: that is watched.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import select
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from evalkit.suite.sandbox_rules import call, confine

LINUX = sys.platform == "linux"
GRACE_S = 5  # between the signal that the processor time is used up and the one that kills
TICK_S, SLOWEST_S, SWEEP_S = 0.2, 0.6, 0.005
SHARE = 10  # so many times as long as a look takes is the pause after it
CHUNK = 1 << 20  # as much as a pipe holds
RECEIVE, SEND, CONTINUE = 0xC0502100, 0xC0182101, 1  # of the kernel's gate of system calls
BLOCK, ENTRY = 512, 4096  # bytes that `stat` counts in, and that a file's name takes of the disk
HELD = rb"(?m)^(?:Pss|SwapPss|VmPTE):\s+(\d+)"
MAPPED = rb"(?m)^(\w+)-(\w+) \S+ \S+ \S+ (\d+) +/(?!dev/zero |memfd:|SYSV).* \(deleted\)$"


class Policy(NamedTuple):
    """What a confined program may use; a limit is that of all its processes together."""

    unconfined: bool = False  # whether to run programs where nothing closes files and network
    allow_network: bool = False  # the internet protocols; Unix sockets stay closed
    pass_env: tuple[str, ...] = ()  # names copied from the caller's environment
    cpu_s: int = 300  # seconds of processor time of each process
    memory_mb: int = 4096  # MiB, and of address space of each
    processes: int = 256  # at once, threads included
    disk_mb: int = 1024  # MiB added to its directory and home
    output_bytes: int = 64_000  # of each stream, the end of which is kept


class Launch(NamedTuple):
    """One run of one program, as a JSON list on the command line; paths are absolute."""

    argv: list[str]
    readable: list[str]
    writable: list[str]
    confined: bool
    timeout_s: float
    policy: Policy


def main() -> None:
    """Run a `Launch` to its end, or until standard input ends, and print what became of it."""
    *given, policy = json.loads(sys.argv[2])
    plan = Launch._make([*given, Policy._make(policy)])
    if LINUX:
        call("prctl", 36, 1)  # orphans become this process's children
    ours, its = socket.socketpair()  # closed by `execv`
    (out, its_out), (err, its_err) = os.pipe(), os.pipe()
    watch = Supervisor(plan, (out, err))
    program = os.fork()
    if program == 0:
        try:  # a program is never run less confined than was planned
            _become_program(plan, its, (its_out, its_err))
        except (OSError, ValueError, OverflowError, KeyError) as error:
            its.send(str(error).encode())
        os._exit(1)
    its.close()
    try:
        said, gate, _, _ = socket.recv_fds(ours, CHUNK, 1)
        said += ours.recv(CHUNK)  # its end: until then it has more rights, and may not be looked at
        if why := said.removeprefix(b"!"):
            sys.exit(why.decode())
        returncode = watch.follow(program, gate)
    finally:
        _sweep(program)
    outcome = {"returncode": returncode, "exceeded": watch.excess}
    for name, stream in (("stdout", out), ("stderr", err)):
        outcome[name] = watch.read(stream).decode(errors="replace")
    print(json.dumps(outcome))  # noqa: T201


def _become_program(plan: Launch, watcher: socket.socket, streams: tuple[int, int]) -> None:
    policy = plan.policy
    os.setsid()
    _limit(resource.RLIMIT_CPU, policy.cpu_s, GRACE_S)
    _limit(resource.RLIMIT_FSIZE, (policy.disk_mb << 20) // 16 * 15)  # one alone fails by itself
    _limit(resource.RLIMIT_NOFILE, 1024)
    _limit(resource.RLIMIT_CORE, 0)
    if LINUX:  # elsewhere the limit exists and setting it fails
        _limit(resource.RLIMIT_AS, policy.memory_mb << 20)
        with suppress(OSError):  # where memory runs out all the same, this goes first
            Path("/proc/self/oom_score_adj").write_text("1000")
        call("prctl", 1, signal.SIGKILL)  # it ends with the process that watches
        for capability in range(64):  # more than there are
            with suppress(OSError):  # no such capability, or none to drop: the rest is enough
                call("prctl", 24, capability)
        call("prctl", 38, 1)  # no program that it runs has more privileges
        call("prctl", 47, 4)
        call("capset", struct.pack("=Ii", 0x20080522, 0), bytes(24))
    if plan.confined:
        confine(plan.readable, plan.writable, watcher, policy.allow_network)
    for number, stream in enumerate((os.open(os.devnull, os.O_RDONLY), *streams)):
        os.dup2(stream, number)
    os.execv(plan.argv[0], plan.argv)  # noqa: S606 - the purpose of this process


def _limit(kind: int, most: int, grace: int = 0) -> None:
    """Lower a limit; one that is lower already stays."""
    given = resource.getrlimit(kind)[1]
    hard = most + grace if given == resource.RLIM_INFINITY else min(most + grace, given)
    resource.setrlimit(kind, (min(most, hard), hard))


class Supervisor:
    """What all descendants of this process say and hold together, against the plan."""

    def __init__(self, plan: Launch, streams: tuple[int, int]) -> None:
        self.excess = ""
        self._plan, self._policy, self._tails = plan, plan.policy, dict.fromkeys(streams, b"")
        self._disk_at_start = _disk(plan.writable)
        self._room = 0  # for processes and threads, before they have to be counted again
        self._is_too_large = False
        for stream in streams:
            os.set_blocking(stream, False)

    def follow(self, program: int, gate: list[int]) -> int:
        """Wait until the program ends or has to; returns its exit code, or that of being killed."""
        due, deadline, status = 0.0, time.monotonic() + self._plan.timeout_s, None
        watched = [0, *gate]
        with suppress(AttributeError, OSError):  # without it the end is seen at the next look
            watched.append(os.pidfd_open(program))
        while status is None and not self.excess:
            pause = max(0.0, min(due, deadline) - time.monotonic())
            ready, _, _ = select.select([*watched, *self._tails], [], [], pause)
            if 0 in ready:  # the caller lets go of it
                break
            for stream in self._tails.keys() & ready:
                self.read(stream)
            status = _reap(program)
            if status is not None or time.monotonic() >= due:
                due = self._measure()
            if status is None and time.monotonic() > deadline:
                self.excess = f"more than {self._plan.timeout_s:g} seconds"
            if gate and gate[0] in ready:
                self._admit(gate[0])
        return -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)

    def read(self, stream: int) -> bytes:
        """Read on, as far as there is something; returns the last bytes that there is room for."""
        with suppress(BlockingIOError):
            tail = self._tails[stream] + os.read(stream, CHUNK)
            self._tails[stream] = tail[-self._policy.output_bytes :]
        return self._tails[stream]

    def _measure(self, more: int = 0) -> float:
        """Look at all of it, and ``more`` processes; returns when, by the clock, to do so again."""
        began, policy, before = time.monotonic(), self._policy, self._is_too_large
        try:
            held = [_held(process) for process in _descendants()]
            disk = _disk(self._plan.writable) - self._disk_at_start
        except OSError as error:
            self.excess = f"what it holds cannot be measured: {error.strerror}"
            return 0.0
        self._room = policy.processes - sum(threads for threads, _, _ in held)
        self._is_too_large = sum(kib for _, kib, _ in held) > policy.memory_mb << 10
        disk += sum({inode: size for _, _, files in held for inode, size in files}.values())
        totals = {
            f"{policy.processes} processes and threads": self._room < more,
            # Once alone may be the moment of a `vfork`, when two hold the same.
            f"{policy.memory_mb} MiB of memory in all processes": self._is_too_large and before,
            f"{policy.disk_mb} MiB of disk": disk > policy.disk_mb << 20,
        }
        self.excess = next((f"more than {total}" for total, is_so in totals.items() if is_so), "")
        return time.monotonic() + min(max(TICK_S, SHARE * (time.monotonic() - began)), SLOWEST_S)

    def _admit(self, gate: int) -> None:
        """Let a process or thread be made; or not answer, where there would be too many."""
        if self._room <= 0:
            self._measure(more=1)
        if not self.excess:
            request = bytearray(80)
            with suppress(FileNotFoundError, InterruptedError):  # it was killed meanwhile
                fcntl.ioctl(gate, RECEIVE, request)
                fcntl.ioctl(gate, SEND, struct.pack("=8sqiI", request[:8], 0, 0, CONTINUE))
                self._room -= 1


def _descendants() -> set[int]:
    """The living descendants of this process and those that nobody waited for."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc") if LINUX else []:  # noqa: PTH208
        # The name stands in parentheses and may hold any character; the parent is after state.
        after = _read(f"/proc/{name}/stat").rpartition(b")")[2].split(None, 2)
        if name.isdigit() and after:
            parents[int(name)] = int(after[1])
    found, generation = set[int](), {os.getpid()}
    while generation:
        generation = {child for child, parent in parents.items() if parent in generation} - found
        found |= generation
    return found


def _sweep(group: int) -> None:
    """Kill a process group, then all descendants, until none is left; elsewhere it is all."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    while left := _descendants():
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


def _held(process: int) -> tuple[int, int, list[tuple[int, int]]]:
    """Threads, KiB of memory, and files that have no name any more, by inode and bytes."""
    threads: list[str] = []
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        threads = os.listdir(f"/proc/{process}/task")  # noqa: PTH208
        for thread in threads:  # each shows what all hold, but for a first one that has ended
            if b"VmRSS" in (status := _read(f"/proc/{thread}/status")):
                sizes = re.findall(HELD, status + _read(f"/proc/{thread}/smaps_rollup"))
                return len(threads), sum(map(int, sizes)), [*_unlinked(thread)]
    return len(threads), 0, []


def _unlinked(process: str) -> Iterator[tuple[int, int]]:
    maps = _read(f"/proc/{process}/maps")
    for start, end, inode in re.findall(MAPPED, maps) if b"(deleted)" in maps else ():
        yield int(inode), int(end, 16) - int(start, 16)
    try:
        for name in os.listdir(f"/proc/{process}/fd"):  # noqa: PTH208 - there may be very many
            with suppress(FileNotFoundError):
                file = os.stat(f"/proc/{process}/fd/{name}")  # noqa: PTH116
                if file.st_nlink == 0 and stat.S_ISREG(file.st_mode):
                    yield file.st_ino, file.st_blocks * BLOCK
    except PermissionError:
        if b"VmRSS" in _read(f"/proc/{process}/status"):  # it hides, else it is ending
            raise


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


def _read(path: str) -> bytes:
    with suppress(OSError), open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.readall()
    return b""
