"""The process that confines: it starts the program, lets it not out of sight, and ends it.

Run by `execution` in an interpreter of its own (`enter_cell`), because what is given up here
cannot be had back, and because a process with threads must not do such things after a fork::

    keeper ── not confined: ends everything when the program ends or the caller goes away
      └─ first process of the namespaces, if there are any: when it ends, so does all in them
           └─ the program: limits, no capabilities, Landlock, seccomp, then `execv`
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from evalkit.adapters.confinement.cell import landlock, namespaces, privileges, seccomp
from evalkit.adapters.confinement.cell.plan import Plan
from evalkit.adapters.confinement.cell.sweeping import sweep
from evalkit.adapters.confinement.cell.waiting import children_ring, wait_or_kill

LINUX = sys.platform == "linux"
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# What tells of the machine, but not of other processes: their command lines may hold secrets.
OWN_PROCESS = "/proc/self"
MACHINE = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/version",
    "/proc/filesystems",
    "/proc/sys/kernel",
    "/proc/sys/vm",
)


def enter_cell(plan: Plan) -> None:
    """Run the plan to its end; what became of it goes to ``plan.status``."""
    if LINUX:
        privileges.adopt_orphans()
    if plan.namespaces:
        _or_say_why(plan, lambda: namespaces.enter(allow_network=plan.allow_network))
    bell = children_ring()
    below = _fork(plan, _first_process if plan.namespaces else _program)
    status = wait_or_kill(below, bell, plan.lifeline)
    if not plan.namespaces:
        _report(plan, status)
        sweep(below)


def _fork(plan: Plan, become: Callable[[Plan], None]) -> int:
    """Start a child that dies with this process; returns its process id."""
    child = os.fork()
    if child == 0:
        if LINUX:
            privileges.die_with_parent(signal.SIGKILL)
        _or_say_why(plan, lambda: become(plan))
        os._exit(0)
    return child


def _first_process(plan: Plan) -> None:
    namespaces.furnish()
    program = _fork(plan, _program)
    while (ended := os.wait())[0] != program:  # the others are orphans, which are its children too
        pass
    _report(plan, ended[1])


def _report(plan: Plan, status: int) -> None:
    with suppress(BrokenPipeError):  # the caller was killed; there is still sweeping to do
        os.write(plan.status, f"returncode {os.waitstatus_to_exitcode(status)}\n".encode())


def _program(plan: Plan) -> NoReturn:
    os.setsid()
    for descriptor in (plan.lifeline, plan.status):
        os.set_inheritable(descriptor, False)
    for name, (soft, hard) in plan.limits.items():
        _limit(getattr(resource, name), soft, hard)
    if LINUX:
        privileges.give_up()
    if plan.confined:
        _close_the_rest(plan)
    os.execv(plan.argv[0], plan.argv)  # noqa: S606 - the purpose of this process


def _limit(kind: int, soft: int, hard: int) -> None:
    """Lower a limit; one that is lower already stays."""
    given = resource.getrlimit(kind)[1]
    if given != resource.RLIM_INFINITY:
        soft, hard = min(soft, given), min(hard, given)
    resource.setrlimit(kind, (soft, hard))


def _close_the_rest(plan: Plan) -> None:
    readable, writable = [*plan.readable], [*plan.writable]
    if plan.namespaces:
        readable.append("/proc")
        writable.append(namespaces.SHARED_MEMORY)
    else:
        # Kept open: the kernel forgets the rule for a process's own entry with the entry itself.
        os.set_inheritable(os.open(OWN_PROCESS, os.O_PATH), True)
        readable += [OWN_PROCESS, *MACHINE]
    landlock.restrict(readable, writable, DEVICES)
    seccomp.restrict(allow_network=plan.allow_network)


def _or_say_why(plan: Plan, action: Callable[[], None]) -> None:
    """Do it, or report why not and end: a program is never run less confined than was planned."""
    try:
        action()
    except (OSError, ValueError) as error:
        os.write(plan.status, f"failed {error}\n".encode())
        os._exit(1)
