"""What a confined program finds and is refused: places, environment and system calls.

The filter of calls closes what Landlock leaves open: sockets, changes to the mode, owner, times and
attributes of files, other processes' limits and turns, namespaces, and memory that nobody counts.
"""

from __future__ import annotations

import errno
import os
import site
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
ALLOWED = ("PATH", "LANG", "LC_ALL", "TZ", *CERTIFICATES)
FRUGAL = {
    # Each thread and each core reserves address space, of which the policy gives so much.
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "2",
    # What it printed before it was killed is what explains it.
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
    *("/etc/timezone", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/hosts"),
    *("/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/mime.types"),
    *("/sys/devices/system/cpu", "/sys/fs/cgroup"),
)
PACKAGES = ("site-packages", "dist-packages")

# System calls by name, number on x86_64 and number on aarch64, which lacks the older ones.
REFUSED = {
    # Copying a file calls these and fails otherwise: they seem to succeed, and change nothing.
    0: """chmod:90: fchmod:91:52 fchmodat:268:53 fchmodat2:452:452 chown:92: lchown:94: fchown:93:55
        fchownat:260:54 utime:132: utimes:235: futimesat:261: utimensat:280:88""",
    errno.EOPNOTSUPP: """setxattr:188:5 lsetxattr:189:6 fsetxattr:190:7 setxattrat:463:463
        removexattr:197:14 lremovexattr:198:15 fremovexattr:199:16 removexattrat:466:466
        file_setattr:469:469 fallocate:285:47""",
    # What has another way that the caller takes by itself, or would hold memory that nobody counts.
    errno.ENOSYS: """clone3:435:435 openat2:437:437 memfd_create:319:279 memfd_secret:447:447
        inotify_add_watch:254:27 fanotify_init:300:262 io_uring_setup:425:425""",
    # Keys, queues and memory shared with the caller; other processes; the kernel.
    errno.EPERM: """add_key:248:217 request_key:249:218 keyctl:250:219 shmget:29:194 semget:64:190
        msgget:68:186 mq_open:240:180 ptrace:101:117 migrate_pages:256:238 move_pages:279:239
        ioprio_set:251:30 setns:308:268 unshare:272:97 perf_event_open:298:241 bpf:321:280
        userfaultfd:323:282 syslog:103:116""",
}
MESSAGES = "sendmsg:46:211 sendmmsg:307:269"  # may carry open files, which are seen nowhere then
SIGNALS = """kill:62:129 tkill:200:130 tgkill:234:131 rt_sigqueueinfo:129:138
    rt_tgsigqueueinfo:297:240 pidfd_send_signal:424:424"""
MAKE_PROCESS = "clone:56:220 fork:57: vfork:58: clone3:435:435"
NEW_NAMESPACE, SET_ID, ANY = 0x7E020000, 0o6000, 0xFFFFFFFF
INTERNET = (2, 10, 16)  # IPv4, IPv6, and netlink, which is how names are resolved
STREAM = 1  # a pair of these only talks to itself; datagrams of a pair can be sent elsewhere
# Calls that are made only where these bits of this argument have one of these values.
ONLY = (
    ("socketpair:53:199", 1, 0xF, (STREAM,), errno.EACCES),
    ("clone:56:220", 0, NEW_NAMESPACE, (0,), errno.EPERM),
    ("prlimit64:302:261", 0, ANY, (0,), errno.EPERM),
    ("setpriority:141:140", 0, ANY, (0,), errno.EPERM),
    ("setpriority:141:140", 1, ANY, (0,), errno.EPERM),
    ("sched_setparam:142:118", 0, ANY, (0,), errno.EPERM),
    ("sched_setscheduler:144:119", 0, ANY, (0,), errno.EPERM),
    ("sched_setaffinity:203:122", 0, ANY, (0,), errno.EPERM),
    ("sched_setattr:314:274", 0, ANY, (0,), errno.EPERM),
    # Of terminals and sockets; others change attributes of files that may only be read.
    ("ioctl:16:29", 1, 0xFF00, (0x5400, 0x8900), errno.ENOTTY),
    # A set-user-id file would outlive the sandbox.
    ("open:2:", 2, SET_ID, (0,), errno.EPERM),
    ("creat:85:", 1, SET_ID, (0,), errno.EPERM),
    ("openat:257:56", 3, SET_ID, (0,), errno.EPERM),
    ("mknod:133:", 1, SET_ID, (0,), errno.EPERM),
    ("mknodat:259:33", 2, SET_ID, (0,), errno.EPERM),
)
# The call that sets a filter, the place of numbers above, and the kernel's word for the machine.
MACHINES = {"x86_64": (317, 1, 0xC000003E), "aarch64": (277, 2, 0xC00000B7)}
X32 = 0x40000000  # 64-bit calls under other numbers, by which a filter could be passed
LOAD, AND, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
ALLOW, ASK, FAIL, KILL = 0x7FFF0000, 0x7FC00000, 0x00050000, 0x80000000


def machine() -> tuple[int, int, int]:
    """The row of `MACHINES` for this one.

    Raises:
        OSError: The numbers of its calls are not known.
    """
    if (name := os.uname().machine) not in MACHINES:
        raise OSError(errno.ENOSYS, f"no system call filter for {name}")
    return MACHINES[name]


def gate() -> bytes:
    """A filter that has a listener asked before each new process and thread."""
    column = machine()[1]
    numbers = [int(number) for name in MAKE_PROCESS.split() if (number := name.split(":")[column])]
    steps = [_step(IF_EQUAL, number, left) for left, number in _counted_down(numbers)]
    return b"".join((_step(LOAD, 0), *steps, _step(RETURN, ALLOW), _step(RETURN, ASK)))


def refusals(*, scoped: bool, network: bool) -> Iterator[bytes]:
    """The filter in the kernel's instructions, eight bytes each.

    ``scoped``: signals are kept in by other means. ``network``: internet protocols are allowed.
    """
    _, column, word = machine()
    yield _step(LOAD, 4) + _step(IF_EQUAL, word, 1, 0) + _step(RETURN, KILL)
    yield _step(LOAD, 0) + _step(IF_AT_LEAST, X32, 0, 1) + _step(RETURN, FAIL | errno.ENOSYS)
    refused = dict(REFUSED)
    refused[errno.EPERM] += ("" if network else " " + MESSAGES) + ("" if scoped else " " + SIGNALS)
    for error, names in refused.items():
        for name in names.split():
            if number := name.split(":")[column]:
                yield _step(IF_EQUAL, int(number), 0, 1) + _step(RETURN, FAIL | error)
    only = (("socket:41:198", 0, ANY, INTERNET if network else (), errno.EACCES), *ONLY)
    for name, argument, mask, values, error in only:
        if number := name.split(":")[column]:
            body = _step(LOAD, 16 + 8 * argument) + _step(AND, mask)
            for left, value in _counted_down(values):
                body += _step(IF_EQUAL, value, left)
            body += _step(RETURN, FAIL | error) + _step(LOAD, 0)
            yield _step(IF_EQUAL, int(number), 0, len(body) // 8) + body
    yield _step(RETURN, ALLOW)


def _counted_down(values: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each with how many steps to skip if it is the one: those that are left, and one more."""
    return zip(range(len(values), 0, -1), values, strict=True)


def _step(code: int, operand: int, skip_if: int = 0, skip_unless: int = 0) -> bytes:
    return struct.pack("HBBI", code, skip_if, skip_unless, operand)


def readable(asked_for: Sequence[Path]) -> list[str]:
    """Every place that may be read, as absolute paths; some may not exist.

    Editable installs are left out: their folder is a working tree, with whatever else lies in it.
    """
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    prefixes.add(str(Path(sys.executable).resolve().parent))
    packages = {place for place in sys.path if Path(place).name in PACKAGES}
    certificates = {os.environ[name] for name in CERTIFICATES if name in os.environ}
    asked = {str(path.absolute()) for path in asked_for}
    return [*SYSTEM, *sorted(prefixes | packages | certificates | asked)]


def environment(passed: Sequence[str], env: Mapping[str, str], home: str) -> dict[str, str]:
    """The whole environment of a run: nothing of the caller's but what is named here."""
    copied = {name: os.environ[name] for name in (*ALLOWED, *passed) if name in os.environ}
    # Where `pip install --user` put packages; without it they are sought in the private home.
    user_packages = {"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}
    return {**FRUGAL, **user_packages, **copied, **env, "HOME": home, "TMPDIR": home}
