"""Attempts to reach what is none of a program's business, each of which has to be refused.

All are made by one confined program. Without confinement those on things of the test's own succeed,
which shows that they are real ones.
"""

import ast
import json
import os
import socket
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sandboxes import run

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="its numbers of calls")

FILES = {
    "reads a file beside its directory": "open(o['secret']).read()",
    "reads it through a symbolic link": "os.symlink(o['secret'], 'soft'); open('soft').read()",
    "reads it through a hard link": "os.link(o['secret'], 'hard'); open('hard').read()",
    "reads the .env of a directory above": "open('../.env').read()",
    "lists the directory above": "os.listdir('..')",
    "reads the caller's environment": "open(f'/proc/{o[\"caller\"]}/environ').read()",
    "reads the caller's command line": "open(f'/proc/{o[\"caller\"]}/cmdline').read()",
    "reads the caller's shared memory": "open(o['shared'], 'rb').read()",
    "makes a file beside its directory": "open('../made', 'w')",
    "writes through a symbolic link": "os.symlink('../via', 'far'); open('far', 'w')",
    "changes a file that it may read": "open(o['readable'], 'a')",
    "empties a file that it may read": "os.truncate(o['readable'], 0)",
    "removes a file": "os.remove(o['doomed'])",
    "changes the mode of a file": "os.chmod(o['foreign'], 0o777); changed(o['foreign'])",
    "changes the mode of an open file": "os.fchmod(opened(), 0o777); changed(o['readable'])",
}
NETWORK = {
    "connects by TCP": "socket.create_connection(('127.0.0.1', o['tcp']), 5)",
    "sends by UDP": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', o['udp']))",
}
UNIX = {
    "connects to an abstract socket": "unix(socket.SOCK_STREAM).connect('\\0' + o['abstract'])",
    "connects to a socket in a directory": "unix(socket.SOCK_STREAM).connect(o['path'])",
    "sends a datagram through one of a pair": "pair(DATAGRAM)[0].connect('\\0' + o['letterbox'])",
    "signals the caller": "os.kill(o['caller'], 0)",
    "makes namespaces, where it would be root": "if libc.unshare(0x10000000): refuse()",
}
OWN = FILES | NETWORK | UNIX
SOCKETS = {
    f"a socket of {name}": f"socket.socket({family}, {kind}, {protocol})"
    for name, family, kind, protocol in (
        ("IPv4", 2, 1, 0),
        ("IPv6", 10, 1, 0),
        ("MPTCP", 2, 1, 262),
        ("raw IP", 2, 3, 1),
        ("netlink", 16, 3, 0),
        ("packets", 17, 3, 0),
        ("virtual machines", 40, 1, 0),
        ("Unix datagrams", 1, 2, 0),
    )
} | {
    "a pair of Unix packet sockets": "pair(socket.SOCK_SEQPACKET)",
    "a message that carries an open file": "socket.send_fds(pair()[0], [b'x'], [0])",
    "a socket by the numbers of x32": "call(0x40000000 + 41, 2, 1, 0)",
    "a ring of calls": "call(425, 8, bytes(120))",
}
# o['victim'] is a process of the same user outside.
PROCESSES = {
    "its environment": "open(f'/proc/{o[\"victim\"]}/environ').read() or refuse()",
    "its memory": "open(f'/proc/{o[\"victim\"]}/mem', 'rb')",
    "its open files": "os.listdir(f'/proc/{o[\"victim\"]}/fd')",
    "attaching to it": "call(101, 16, o['victim'], 0, 0)",
    "reading its memory": "call(310, o['victim'], words(0, 8), 1, words(0x10000, 8), 1, 0)",
    "a signal": "os.kill(o['victim'], 0)",
    "a signal to its thread": "call(234, o['victim'], o['victim'], 0)",
    "its limits": "resource.prlimit(o['victim'], resource.RLIMIT_CPU, (0, 0))",
    "its priority": "os.setpriority(os.PRIO_PROCESS, o['victim'], 19)",
    # Allowed or not: that it came to nothing is seen at the victim, which has to live on.
    "a signal through a socket": "signal_by_socket(o['victim']); refuse()",
}
KERNEL = {
    "user namespaces": "call(272, 0x10000000)",
    "a process in a user namespace": "call(56, 0x10000000 | 17, 0, 0, 0, 0)",
    "network namespaces": "call(272, 0x40000000)",
    "another process's namespaces": "call(308, os.open('/proc/self/ns/net', os.O_RDONLY), 0)",
    "a mount": "call(165, b'none', b'.', b'tmpfs', 0, 0)",
    "a root directory": "os.chroot('.')",
    "a program in the kernel": "call(321, 0, words(2, 4 << 32, 1, 0), 32)",
    "a key": "call(248, b'user', b'evalkit', b'x', 1, -3)",
    "hidden memory": "call(319, b'x', 0)",
    "secret memory": "call(447, 0)",
    "shared memory": "call(29, 4711, 4096, 0o1666)",
    "a message queue": "call(68, 4711, 0o1666)",
    "watching a directory": "call(254, call(294, 0), o['above'].encode(), 0xFFF)",
    "the kernel's log": "call(103, 3, bytes(100), 100)",
    "the clock": "time.clock_settime(time.CLOCK_REALTIME, time.time())",
    "a device": "os.mknod('disk', 0o60600, os.makedev(254, 0))",
    "typing into the terminal": "fcntl.ioctl(0, 0x5412, b'x')",
    "the terminal": "open('/dev/tty', 'w')",
}
OTHER_FILES = {
    "a set-user-id file": "os.open('suid', os.O_CREAT | os.O_WRONLY, 0o4755)",
    "the same by the newer call": "call(437, -100, b's', words(0o101, 0o4755, 0), 24)",
    "attributes of a file": "os.setxattr(o['readable'], 'user.x', b'x')",
    "flags of a file": "fcntl.ioctl(opened(), 0x40086602, words(0x40))",
    "times of a file": "os.utime(o['readable'], (1, 1)); about().st_mtime == 1 or refuse()",
    "the owner of a file": "os.chown(o['readable'], 99, 99); about().st_uid == 99 or refuse()",
    "the same by a link that leads round": "os.symlink('/', 'r'); os.listdir('r/root')",
    "a file in the folder for all": "open('/tmp/evalkit-left', 'w')",
    "passwords": "open('/etc/shadow')",
    "memory": "open('/dev/mem', 'rb')",
    "where cores go": "open('/proc/sys/kernel/core_pattern', 'w')",
    "being spared when memory runs out": "open('/proc/self/oom_score_adj', 'w')",
    "a control group": "os.mkdir('/sys/fs/cgroup/evalkit')",
}
ATTEMPTS = OWN | SOCKETS | PROCESSES | KERNEL | OTHER_FILES

PROGRAM = """
import ctypes, fcntl, json, os, resource, signal, socket, struct, sys, time
o, attempts = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in (number, *arguments)]
    if (made := libc.syscall(*words)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return made

def words(*values):
    return struct.pack(f"{len(values)}Q", *values)

DATAGRAM = socket.SOCK_DGRAM

def unix(kind):
    return socket.socket(socket.AF_UNIX, kind)

def pair(kind=socket.SOCK_STREAM):
    return socket.socketpair(type=kind)

def opened():
    return os.open(o["readable"], os.O_RDONLY)

def about():
    return os.stat(o["readable"])

def changed(path):
    if os.stat(path).st_mode & 0o777 != 0o777:
        raise OSError("it says it did, and did not")

def signal_by_socket(process):
    near, far = pair()
    fcntl.fcntl(near, 10, signal.SIGKILL)
    fcntl.fcntl(near, fcntl.F_SETOWN, process)
    fcntl.fcntl(near, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    far.send(b"x")

def refuse():
    raise OSError("nothing came of it")

def made(code):
    try:
        exec(code)
    except OSError as error:
        return f"refused: {error}"
    return "reached"

print(json.dumps({name: made(code) for name, code in attempts.items()}))
"""


@contextmanager
def outside(place):
    """A directory to work in, with files around it and servers that listen."""
    workdir = place / "session" / "work"
    workdir.mkdir(parents=True)
    mine = f"evalkit-{os.getpid()}-{place.name}"
    files = {name: place / name for name in ("secret", "doomed", "foreign", "readable")}
    files |= {"dotenv": workdir.parent / ".env", "shared": Path("/dev/shm", mine)}  # noqa: S108
    with ExitStack() as opened:
        for path in files.values():
            path.write_text("sk-not-for-you")
            opened.callback(path.unlink, missing_ok=True)

        def bound(family, kind, address):
            server = opened.enter_context(socket.socket(family, kind))
            server.bind(address)
            if kind == socket.SOCK_STREAM:
                server.listen()
            return server.getsockname()

        victim = opened.enter_context(
            subprocess.Popen(["sleep", "600"], env={"SECRET": "sk-not-for-you"})
        )
        opened.callback(victim.kill)
        datagram, stream = socket.SOCK_DGRAM, socket.SOCK_STREAM
        bound(socket.AF_UNIX, stream, f"\0{mine}")
        bound(socket.AF_UNIX, datagram, f"\0letter-{mine}")
        yield (
            workdir,
            {
                **{name: str(path) for name, path in files.items()},
                "above": str(place),
                "caller": os.getpid(),
                "victim": victim.pid,
                "abstract": mine,
                "letterbox": f"letter-{mine}",
                "path": bound(socket.AF_UNIX, stream, str(place / "socket")),
                "tcp": bound(socket.AF_INET, stream, ("127.0.0.1", 0))[1],
                "udp": bound(socket.AF_INET, datagram, ("127.0.0.1", 0))[1],
            },
        )
        assert victim.poll() is None


def attempted(place, attempts, **how):
    """What became of each attempt: ``reached``, or ``refused: …``."""
    with outside(place) as (workdir, things), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", things["readable"])  # which it may read
        ended = run(PROGRAM, workdir, json.dumps([things, attempts]), **how)
    assert ended.returncode == 0, ended
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def became(tmp_path_factory):
    return attempted(tmp_path_factory.mktemp("confined"), ATTEMPTS)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_confined_program_does_not_get_at(attempt, became):
    assert became[attempt].startswith("refused")


def test_with_limits_only_it_reaches_what_is_the_callers(tmp_path):
    became = attempted(tmp_path, OWN, confine=False)
    refused = {attempt for attempt, what in became.items() if what != "reached"}
    # Where the caller is root, having given up root's capabilities is enough to be refused this.
    assert refused <= {"reads the caller's environment"}


def test_with_network_allowed_it_gets_the_internet_protocols_and_no_more(tmp_path):
    became = attempted(tmp_path, OWN | SOCKETS, allow_network=True)
    reached = {attempt for attempt, what in became.items() if what == "reached"}
    assert reached >= {*NETWORK, "a socket of IPv4"}
    assert not reached & {*FILES, *UNIX, "a socket of packets", "a socket of Unix datagrams"}
    assert "a ring of calls" not in reached


def test_a_confined_program_inherits_no_file_but_its_streams(tmp_path):
    program = """
import os
names = [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
print({name: os.readlink(f"/proc/self/fd/{name}") for name in names})
"""
    found = ast.literal_eval(run(program, tmp_path).stdout)
    beyond = {place for number, place in found.items() if int(number) > 2}
    # Its own entry in /proc is open as a mere path.
    assert all(place.startswith("/proc/") for place in beyond)
    assert found["0"] == "/dev/null"


def test_calls_of_another_kind_of_machine_end_the_program(tmp_path):
    program = """
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))  # getpid as on i386
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
print("reached", ctypes.CFUNCTYPE(ctypes.c_int)(address)())
"""
    ended = run(program, tmp_path)
    assert (ended.returncode < 0, ended.stdout) == (True, "")
