"""The process that confines a program and ends all of it; by the standard library alone.

`sandbox` runs it in an interpreter of its own, because what is given up here cannot be had back::

    keeper ── not confined; without namespaces it watches, and ends everything
      └─ first process of the namespaces, if there are any: watches; with it all in them ends
           └─ the program: limits, no capabilities, Landlock, seccomp, then `execv`
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
import stat
import struct
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from evalkit.suite.sandbox_rules import gate, machine, refusals
from evalkit.suite.sandbox_totals import Plan, Totals, bell_of_children, sweep, watch

LINUX = sys.platform == "linux"
OPEN_FILES = 1024
GRACE_S = 5  # between the signal that the processor time is used up and the one that kills

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the mount point, which gets a fresh file system
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# What tells of the machine, but not of other processes: their command lines may hold secrets.
MACHINE = (
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/loadavg"),
    *("/proc/version", "/proc/filesystems", "/proc/sys/kernel", "/proc/sys/vm"),
)

# Landlock: rights by the version that brought them.
READING = 1 << 0 | 1 << 2 | 1 << 3
OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
DEVICE = 1 << 1 | 1 << 2 | 1 << 15
EVERYTHING = (1 << 16) - 1
RIGHTS_SINCE = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
TRUNCATION, SCOPES = 3, 6  # from when on emptying a file is writing it; signals can be kept in


def main(plan: Plan) -> None:
    """Run the plan to its end; what became of it goes to ``plan.status``."""
    if LINUX:
        _prctl("subreaper", 36, 1)  # orphans become this process's children
    if plan.namespaces:
        _or_tell(plan, lambda: _enter_namespaces(allow_network=plan.allow_network))
        os.waitpid(_fork(plan, lambda: _first_process(plan)), 0)
    else:
        totals = Totals(plan)
        program, bell, listeners = _start_program(plan)
        try:
            watch(totals, program, bell, listeners)
        finally:
            sweep(program)


def _first_process(plan: Plan) -> None:
    _mount("none", "/", 0x4000 | 1 << 18)  # private: what is mounted from here on stays here
    for kind, place in (("proc", "/proc"), ("tmpfs", SHARED_MEMORY)):
        _mount(kind, place, 0x2 | 0x4 | 0x8, f"size={plan.disk}" if kind == "tmpfs" else "")
    watch(Totals(plan), *_start_program(plan))


def _fork(plan: Plan, become: Callable[[], None]) -> int:
    """Start a child that dies with this process; returns its process id."""
    child = os.fork()
    if child == 0:
        if LINUX:
            _prctl("pdeathsig", 1, signal.SIGKILL)
        _or_tell(plan, become)
        os._exit(0)
    return child


def _start_program(plan: Plan) -> tuple[int, int, list[int]]:
    """Its process id, the bell of children, and the gate that asks before each new process."""
    bell = bell_of_children()
    ours, its = socket.socketpair()  # closed by `execv`
    program = _fork(plan, lambda: _become_program(plan, its))
    its.close()
    listeners = socket.recv_fds(ours, 1, 1)[1]
    ours.recv(1)  # the end: until then it has more rights than it will, and nobody may look at it
    ours.close()
    return program, bell, listeners


def _or_tell(plan: Plan, action: Callable[[], None]) -> None:
    """Do it, or report why not and end: a program is never run less confined than was planned."""
    try:
        action()
    except (OSError, ValueError, OverflowError) as error:
        plan.tell("failed", error)
        os._exit(1)


def _become_program(plan: Plan, watcher: socket.socket) -> NoReturn:
    os.setsid()
    for descriptor in (plan.lifeline, plan.status):
        os.set_inheritable(descriptor, False)
    _limit(resource.RLIMIT_CPU, plan.cpu_s, plan.cpu_s + GRACE_S)
    _limit(resource.RLIMIT_FSIZE, plan.disk - plan.disk // 16)  # one file alone fails by itself
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    if LINUX:  # elsewhere the limit exists and setting it fails
        _limit(resource.RLIMIT_AS, plan.memory)
        with suppress(OSError):  # where memory runs out all the same, this goes first
            Path("/proc/self/oom_score_adj").write_text("1000")
        _give_up_privileges()
        try:
            socket.send_fds(watcher, [b"!"], [_filter_calls(gate(), listen=True)])
        except OSError as error:  # another listener is asked already, as in LXD: the watch is left
            if plan.confined and error.errno != errno.EBUSY:
                raise
    if plan.confined:
        _close_the_rest(plan)
    os.execv(plan.argv[0], plan.argv)  # noqa: S606 - the purpose of this process


def _limit(kind: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit; one that is lower already stays."""
    hard, given = soft if hard is None else hard, resource.getrlimit(kind)[1]
    if given != resource.RLIM_INFINITY:
        soft, hard = min(soft, given), min(hard, given)
    resource.setrlimit(kind, (soft, hard))


def _close_the_rest(plan: Plan) -> None:
    readable, writable = [*plan.readable], [*plan.writable]
    if plan.namespaces:
        readable.append("/proc")
        writable.append(SHARED_MEMORY)
    else:
        # Kept open: the kernel forgets the rule for a process's own entry with the entry itself.
        os.set_inheritable(os.open("/proc/self", os.O_PATH), True)
        readable += ["/proc/self", *MACHINE]
    landlock(((readable, READING), (writable, EVERYTHING), (DEVICES, DEVICE)))
    scoped = plan.namespaces or landlock_version() >= SCOPES
    _filter_calls(b"".join(refusals(scoped=scoped, network=plan.allow_network)))


def _filter_calls(code: bytes, *, listen: bool = False) -> int:
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    return _syscall("seccomp", machine()[0], 1, 8 if listen else 0, header)


def landlock_version() -> int:
    """The version of Landlock in this kernel; 0 where there is none."""
    try:
        return _syscall("landlock", 444, None, 0, 1)
    except (OSError, AttributeError):
        return 0


def landlock(allowed: Iterable[tuple[Iterable[str], int]]) -> None:
    """Refuse every file but these, for this process and all that it starts, for ever.

    From version 6 on it also keeps in signals and abstract sockets, and always the memory and
    environment of processes outside.

    Raises:
        OSError: This kernel has no Landlock, or refused.
    """
    version = landlock_version()
    known = sum(rights for since, rights in RIGHTS_SINCE.items() if since <= version)
    attributes = struct.pack("=QQQ", known, 0, 3)[: 24 if version >= SCOPES else 8]
    ruleset = _syscall("landlock_create_ruleset", 444, attributes, len(attributes), 0)
    for paths, rights in allowed:
        for path in paths:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:  # where there is nothing, there is nothing to allow
                continue
            of = known if stat.S_ISDIR(os.fstat(place).st_mode) else known & OF_FILES
            rule = struct.pack("=Qi", rights & of, place)
            _syscall(f"landlock_add_rule {path}", 445, ruleset, 1, rule, 0)
            os.close(place)
    _syscall("landlock_restrict_self", 446, ruleset, 0)
    os.close(ruleset)


def _enter_namespaces(*, allow_network: bool) -> None:
    """Leave users, mounts, IPC, network; the next child is the first process of its own ones."""
    user, group = os.geteuid(), os.getegid()
    flags = 0x10000000 | 0x00020000 | 0x08000000 | 0x20000000 | (0 if allow_network else 0x40000000)
    _checked(_libc().unshare(flags), "unshare")
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{user} {user} 1")
    (own / "gid_map").write_text(f"{group} {group} 1")


def _give_up_privileges() -> None:
    """Drop every capability and the way to gain one by running a program."""
    for capability in range(64):  # more than there are
        with suppress(OSError):  # no such capability, or none to drop: then the rest is enough
            _prctl("capbset", 24, capability)
    _prctl("no_new_privs", 38, 1)
    _prctl("ambient", 47, 4)
    _checked(_libc().capset(struct.pack("=Ii", 0x20080522, 0), bytes(24)), "capset")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    """The result of a call, or the error that it left behind."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _syscall(what: str, number: int, *arguments: int | bytes | None) -> int:
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc().syscall(ctypes.c_long(number), *words), what)


def _prctl(what: str, option: int, *arguments: int) -> int:
    words = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_libc().prctl(option, *words), what)


def _mount(kind: str, target: str, flags: int, data: str = "") -> None:
    name, place = kind.encode(), target.encode()
    result = _libc().mount(name, place, name, ctypes.c_ulong(flags), data.encode() or None)
    _checked(result, f"mount {target}")
