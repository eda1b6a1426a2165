"""What a confined program cannot reach: each attempt is made, at every mechanism.

Where nothing is confined the same attempts succeed, which shows that they are real ones.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest
from sandboxes import EACH, EACH_CONFINED, run

from evalkit.suite.sandbox import Mechanism, Sandbox

FILES = {
    "reads a file beside its directory": "open(o['secret']).read()",
    "reads it through a symbolic link": "os.symlink(o['secret'], 'soft'); open('soft').read()",
    "reads it through a hard link": "os.link(o['secret'], 'hard'); open('hard').read()",
    "reads the .env of a directory above": "open('../.env').read()",
    "reads the credentials in the caller's home": "open(o['credentials']).read()",
    "lists the directory above": "os.listdir('..')",
    "reads the caller's environment": "open(f'/proc/{o[\"caller\"]}/environ').read()",
    "reads the caller's command line": "open(f'/proc/{o[\"caller\"]}/cmdline').read()",
    "lists the caller's open files": "os.listdir(f'/proc/{o[\"caller\"]}/fd')",
    "reads the caller's shared memory": "open('/dev/shm/' + o['shared'], 'rb').read()",
    "makes a file beside its directory": "open('../made', 'w')",
    "writes through a symbolic link": "os.symlink('../via', 'far'); open('far', 'w')",
    "changes a file that it may read": "open(o['readable'], 'a')",
    "empties a file that it may read": "os.truncate(o['readable'], 0)",
    "removes a file": "os.remove(o['doomed'])",
    "moves a file in": "os.rename(o['movable'], 'moved')",
    "makes a directory elsewhere": "os.mkdir('../directory')",
    "changes the mode of a file": "os.chmod(o['foreign'], 0o777); changed(o['foreign'])",
    "changes the mode of an open file": (
        "os.fchmod(os.open(o['readable'], os.O_RDONLY), 0o777); changed(o['readable'])"
    ),
}
NETWORK = {
    "connects by TCP": "socket.create_connection(('127.0.0.1', o['tcp']), 5)",
    "sends by UDP": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', o['udp']))",
}
UNIX = {
    "connects to an abstract socket": "unix(socket.SOCK_STREAM).connect('\\0' + o['abstract'])",
    "connects to a socket in a directory": "unix(socket.SOCK_STREAM).connect(o['path'])",
    "sends a datagram through one of a pair": (
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].connect('\\0' + o['letterbox'])"
    ),
    "signals the caller": "os.kill(o['caller'], 0)",
    "makes namespaces, where it would be root": (
        "if ctypes.CDLL(None).unshare(0x10000000): raise OSError('refused')"
    ),
}
ATTEMPTS = FILES | NETWORK | UNIX

PROGRAM = """
import ctypes, json, os, socket, sys
o, attempts = json.loads(sys.argv[1])

def unix(kind):
    return socket.socket(socket.AF_UNIX, kind)

def changed(path):
    if os.stat(path).st_mode & 0o777 != 0o777:
        raise OSError("it says it did, and did not")

outcome = {}
for name, code in attempts.items():
    try:
        exec(code)
        outcome[name] = "reached"
    except OSError as error:
        outcome[name] = f"refused: {error}"
print(json.dumps(outcome))
"""


@dataclass(frozen=True)
class Outside:
    """Things of the caller's that are none of a program's business."""

    workdir: Path
    readable: Path
    things: dict[str, str | int]

    def attempts(self, mechanism: Mechanism, *, allow_network: bool = False) -> dict[str, str]:
        """What became of each attempt: ``reached``, or ``refused: …``."""
        what = json.dumps([self.things, ATTEMPTS])
        policy = {"read_only": (self.readable,), "allow_network": allow_network}
        outcome = run(PROGRAM, self.workdir, mechanism, what, **policy)
        assert outcome.returncode == 0, outcome.stderr
        return json.loads(outcome.stdout)


@contextmanager
def outside(place: Path) -> Iterator[Outside]:
    """A directory to work in, with files around it and servers that listen."""
    workdir, readable = place / "session" / "work", place / "readable"
    workdir.mkdir(parents=True)
    readable.mkdir()
    files = {
        "secret": place / "secret.txt",
        "credentials": place / "home" / ".aws" / "credentials",
        "doomed": place / "doomed",
        "movable": place / "movable",
        "foreign": place / "foreign",
        "readable": readable / "module.py",
        "dotenv": workdir.parent / ".env",
    }
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("sk-not-for-you")
    abstract, letterbox = (
        f"evalkit-{os.getpid()}-{place.name}",
        f"letter-{os.getpid()}-{place.name}",
    )
    with ExitStack() as opened:

        def listening(family: socket.AddressFamily, kind: socket.SocketKind, address):
            server = opened.enter_context(socket.socket(family, kind))
            server.bind(address)
            return server

        tcp = listening(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        udp = listening(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        for address in (f"\0{abstract}", str(place / "socket")):
            listening(socket.AF_UNIX, socket.SOCK_STREAM, address).listen()
        listening(socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{letterbox}")
        tcp.listen()
        memory = SharedMemory(create=True, size=64)
        opened.callback(memory.unlink)
        opened.callback(memory.close)
        things = {name: str(path) for name, path in files.items()} | {
            "caller": os.getpid(),
            "shared": memory.name,
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "abstract": abstract,
            "letterbox": letterbox,
            "path": str(place / "socket"),
        }
        yield Outside(workdir, readable, things)


@pytest.fixture(scope="module")
def became(tmp_path_factory: pytest.TempPathFactory) -> dict[Mechanism, dict[str, str]]:
    """What became of every attempt, at every mechanism."""
    all_of_it = {}
    for mechanism in Mechanism:
        with outside(tmp_path_factory.mktemp(mechanism.name.lower())) as things:
            all_of_it[mechanism] = things.attempts(mechanism)
    return all_of_it


@pytest.mark.parametrize("attempt", ATTEMPTS)
@EACH_CONFINED
def test_a_confined_program_never(attempt, mechanism, became):
    assert became[mechanism][attempt].startswith("refused")


# Where the caller is root, having given up root's capabilities is enough to be refused this.
@pytest.mark.parametrize("attempt", sorted(set(ATTEMPTS) - {"reads the caller's environment"}))
def test_with_limits_only_a_program(attempt, became):
    assert became[Mechanism.NONE][attempt] == "reached"


@EACH_CONFINED
def test_with_network_allowed_it_gets_the_internet_protocols_and_no_more(mechanism, tmp_path):
    with outside(tmp_path) as things:
        became = things.attempts(mechanism, allow_network=True)
    reached = {attempt for attempt, what in became.items() if what == "reached"}
    assert reached == set(NETWORK)


def test_its_standard_input_is_empty(tmp_path):
    stderr = run("print(repr(input()))", tmp_path).stderr
    assert stderr.endswith("EOFError: EOF when reading a line\n")


@EACH
def test_it_gets_a_bare_environment_and_what_was_passed(mechanism, tmp_path, monkeypatch):
    monkeypatch.setenv("EVALKIT_MADE_UP_TOKEN", "sk-not-for-you")
    monkeypatch.setenv("EVALKIT_MADE_UP_REGION", "nowhere-1")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    outcome = run(
        "import json, os; print(json.dumps(dict(os.environ)))",
        tmp_path,
        mechanism,
        env={"FROM_CALL": "2", "HOME": "/root"},
        pass_env=("EVALKIT_MADE_UP_REGION", "EVALKIT_NOT_THERE"),
    )
    got = json.loads(outcome.stdout)
    assert {"FROM_CALL": "2", "TZ": "Asia/Tokyo"}.items() <= got.items()
    assert got["EVALKIT_MADE_UP_REGION"] == "nowhere-1"
    assert "sk-not-for-you" not in outcome.stdout
    assert not {"EVALKIT_MADE_UP_TOKEN", "EVALKIT_NOT_THERE", "USER", "PWD"} & set(got)
    assert got["HOME"] == got["TMPDIR"] != "/root"


@EACH
def test_its_home_is_its_own_and_gone_afterwards(mechanism, tmp_path):
    program = (
        "import pathlib, tempfile; home = pathlib.Path.home(); (home / 'note').write_text('x');"
        "tempfile.mkdtemp(); (home / 'shut').mkdir(mode=0o000); print(home)"
    )
    home = Path(run(program, tmp_path, mechanism).stdout.strip())
    assert home.name.startswith("evalkit-home-")
    assert not home.exists()


@EACH
def test_what_programs_rely_on_works(mechanism, tmp_path):
    program = """
import asyncio, concurrent.futures, json, locale, os, pathlib, shutil, sqlite3, subprocess, sys
import tempfile, threading, zoneinfo
import pandas

locale.setlocale(locale.LC_ALL, "")
zoneinfo.ZoneInfo("Europe/Berlin")
pathlib.Path(os.devnull).write_text("gone")
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert sum(pool.map(len, ["a"] * 100)) == 100
assert asyncio.run(asyncio.to_thread(lambda: 1)) == 1
with sqlite3.connect("own.db") as database:
    database.execute("create table t (x)")
pathlib.Path("made.txt").write_text("x")
shutil.copy2("made.txt", "copied.txt")
os.replace("copied.txt", "moved.txt")
assert subprocess.check_output([sys.executable, "-c", "print(1)"]) == b"1\\n"
assert os.cpu_count() and os.listdir("/proc/self/task")
print(pandas.DataFrame({"x": [1, 2]}).x.sum(), tempfile.gettempdir() == os.environ["TMPDIR"])
"""
    outcome = run(program, tmp_path, mechanism)
    assert (outcome.stdout, outcome.stderr, outcome.returncode) == ("3 True\n", "", 0)
    assert (tmp_path / "moved.txt").read_text() == "x"


def test_processes_share_semaphores_where_they_have_memory_of_their_own(tmp_path):
    program = "import multiprocessing; print(multiprocessing.Lock().acquire())"
    outcome = run(program, tmp_path, Mechanism.NAMESPACES)
    assert (outcome.stdout, outcome.stderr) == ("True\n", "")


def test_a_program_may_be_run_by_many_threads_at_once(tmp_path):
    sandbox, outputs = Sandbox(), {}

    def start(number: int) -> None:
        workdir = tmp_path / str(number)
        workdir.mkdir()
        ended = sandbox.run(["-c", f"print({number})"], workdir, timeout_s=60)
        outputs[number] = ended.stdout

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == {number: f"{number}\n" for number in range(8)}
