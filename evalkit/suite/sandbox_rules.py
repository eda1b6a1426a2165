"""What the kernel is asked to refuse a program for ever: files by Landlock, calls by seccomp.

The filter of calls closes what Landlock leaves open: sockets, changes to the mode, owner, times and
attributes of files, other processes' limits and turns, namespaces, and memory that nobody counts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import stat
import struct
from collections.abc import Sequence

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# Rights of Landlock, and since when it keeps in emptying files, devices, and signals with sockets.
READING, DEVICE, EVERYTHING = 1 << 0 | 1 << 2 | 1 << 3, 1 << 1 | 1 << 2 | 1 << 15, (1 << 16) - 1
OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
TRUNCATION, DEVICE_CALLS, SCOPES = 3, 5, 6

ALLOW, ASK, FAIL, KILL = 0x7FFF0000, 0x7FC00000, 0x00050000, 0x80000000
DENIED, LACKING = FAIL | errno.EPERM, FAIL | errno.ENOSYS
ANY, NEW_NAMESPACE, SET_ID = 0xFFFFFFFF, 0x7E020000, 0o6000
STREAM = 1  # a pair of these only talks to itself; datagrams of a pair can be sent elsewhere
INTERNET = (2, 10, 16)  # IPv4, IPv6, and netlink, which is how names are resolved
# Copying a file calls these and fails otherwise: they seem to succeed, and change nothing.
MODES = """chmod:90: fchmod:91:52 fchmodat:268:53 fchmodat2:452:452 chown:92: lchown:94:
    fchown:93:55 fchownat:260:54 utime:132: utimes:235: futimesat:261: utimensat:280:88"""
ATTRIBUTES = """setxattr:188:5 lsetxattr:189:6 fsetxattr:190:7 setxattrat:463:463 removexattr:197:14
    lremovexattr:198:15 fremovexattr:199:16 removexattrat:466:466 file_setattr:469:469
    fallocate:285:47"""
# What has another way that the caller takes by itself, or would hold memory that nobody counts.
AVOIDABLE = """clone3:435:435 openat2:437:437 memfd_create:319:279 memfd_secret:447:447
    inotify_add_watch:254:27 fanotify_init:300:262 io_uring_setup:425:425"""
# Keys, queues and memory shared with the caller; other processes; the kernel.
SHARED = """add_key:248:217 request_key:249:218 keyctl:250:219 shmget:29:194 semget:64:190
    msgget:68:186 mq_open:240:180 ptrace:101:117 migrate_pages:256:238 move_pages:279:239
    ioprio_set:251:30 setns:308:268 unshare:272:97 perf_event_open:298:241 bpf:321:280
    userfaultfd:323:282 syslog:103:116"""
OF_PROCESS = """prlimit64:302:261 setpriority:141:140 sched_setparam:142:118
    sched_setscheduler:144:119 sched_setaffinity:203:122 sched_setattr:314:274"""
MESSAGES = "sendmsg:46:211 sendmmsg:307:269"  # may carry open files, which are seen nowhere then
SIGNALS = """kill:62:129 tkill:200:130 tgkill:234:131 rt_sigqueueinfo:129:138
    rt_tgsigqueueinfo:297:240 pidfd_send_signal:424:424"""
# Calls by name, number on x86_64 and number on aarch64, which lacks the older ones; then: these
# bits of this argument have to have one of these values, and what comes of it otherwise.
Rule = tuple[str, int, int, tuple[int, ...], int]
MAKES_PROCESS: Rule = ("clone:56:220 fork:57: vfork:58: clone3:435:435", 0, ANY, (), ASK)
REFUSED: tuple[Rule, ...] = (
    (MODES, 0, ANY, (), FAIL),
    (ATTRIBUTES, 0, ANY, (), FAIL | errno.EOPNOTSUPP),
    (AVOIDABLE, 0, ANY, (), LACKING),
    (SHARED, 0, ANY, (), DENIED),
    ("clone:56:220", 0, NEW_NAMESPACE, (0,), DENIED),
    (OF_PROCESS, 0, ANY, (0,), DENIED),
    ("setpriority:141:140", 1, ANY, (0,), DENIED),
    ("socketpair:53:199", 1, 0xF, (STREAM,), FAIL | errno.EACCES),
    # Of terminals and sockets; others change attributes of files that may only be read.
    ("ioctl:16:29", 1, 0xFF00, (0x5400, 0x8900), FAIL | errno.ENOTTY),
    # A set-user-id file would outlive the sandbox.
    ("creat:85: mknod:133:", 1, SET_ID, (0,), DENIED),
    ("open:2: mknodat:259:33", 2, SET_ID, (0,), DENIED),
    ("openat:257:56", 3, SET_ID, (0,), DENIED),
)
# The call that sets a filter, the place of numbers above, and the kernel's word for the machine.
MACHINES = {"x86_64": (317, 1, 0xC000003E), "aarch64": (277, 2, 0xC00000B7)}
X32 = 0x40000000  # 64-bit calls under other numbers, by which a filter could be passed
LOAD, AND, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06


def confine(readable: list[str], writable: list[str], gate: socket.socket, network: bool) -> None:
    """Refuse this process and all below it what is not theirs; by the gate new ones are counted."""
    version = _close_files(readable, writable)
    try:
        socket.send_fds(gate, [b"!"], [_filter_calls([MAKES_PROCESS], 8)])
    except OSError as error:  # another is asked already, as in LXD: counting is left
        if error.errno != errno.EBUSY:
            raise
    more = ("" if network else MESSAGES) + " " + ("" if version >= SCOPES else SIGNALS)
    sockets = ("socket:41:198", 0, ANY, INTERNET if network else (), FAIL | errno.EACCES)
    _filter_calls([*REFUSED, (more, 0, ANY, (), DENIED), sockets])


def _close_files(readable: Sequence[str], writable: Sequence[str]) -> int:
    """Have Landlock refuse every file but those below these places; returns its version."""
    if (version := call("syscall", 444, None, 0, 1)) < TRUNCATION:
        raise OSError(f"this kernel's Landlock is version {version}, not {TRUNCATION}")
    known = EVERYTHING if version >= DEVICE_CALLS else EVERYTHING >> 1
    attributes = struct.pack("=QQQ", known, 0, 3)[: 24 if version >= SCOPES else 8]
    ruleset = call("syscall", 444, attributes, len(attributes), 0)
    # Kept open: the kernel forgets the rule for a process's own entry with the entry itself.
    os.set_inheritable(os.open("/proc/self", os.O_PATH), True)
    for paths, rights in ((readable, READING), (writable, known), (DEVICES, DEVICE)):
        for path in paths:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:  # where there is nothing, there is nothing to allow
                continue
            of = known if stat.S_ISDIR(os.fstat(place).st_mode) else known & OF_FILES
            call("syscall", 445, ruleset, 1, struct.pack("=Qi", rights & of, place), 0)
            os.close(place)
    call("syscall", 446, ruleset, 0)
    os.close(ruleset)
    return version


def _filter_calls(rules: Sequence[Rule], flags: int = 0) -> int:
    """Add a filter, in the kernel's instructions of eight bytes each."""
    seccomp, column, word = MACHINES[os.uname().machine]
    steps = [_step(LOAD, 4), _step(IF_EQUAL, word, 1, 0), _step(RETURN, KILL)]
    steps += [_step(LOAD, 0), _step(IF_AT_LEAST, X32, 0, 1), _step(RETURN, LACKING)]
    for names, argument, mask, allowed, otherwise in rules:
        body = [_step(LOAD, 16 + 8 * argument), _step(AND, mask)]
        body += [_step(IF_EQUAL, value, len(allowed) - i) for i, value in enumerate(allowed)]
        body += [_step(RETURN, otherwise), _step(LOAD, 0)]
        for name in names.split():
            if number := name.split(":")[column]:
                steps += [_step(IF_EQUAL, int(number), 0, len(body)), *body]
    code = b"".join([*steps, _step(RETURN, ALLOW)])
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    return call("syscall", seccomp, 1, flags, header)


def _step(code: int, operand: int, skip_if: int = 0, skip_unless: int = 0) -> bytes:
    return struct.pack("HBBI", code, skip_if, skip_unless, operand)


def call(name: str, *arguments: int | bytes | None) -> int:
    """A function of the C library, with zeros after its arguments; raises the error it left."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in (*arguments, 0, 0, 0, 0)]
    result = int(getattr(ctypes.CDLL(None, use_errno=True), name)(*words))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name} {arguments[0]!r}: {os.strerror(number)}")
    return result
