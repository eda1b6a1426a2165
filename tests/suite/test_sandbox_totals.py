"""What all processes of a sandbox may hold together, and that what they share counts once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandboxes import run

from evalkit.suite.sandbox import remove_tree

SMALL = {"processes": 40, "memory_mb": 200, "disk_mb": 60}
PROCESSES = "more than 40 processes and threads"
MEMORY = "more than 200 MiB of memory in all processes"
DISK = "more than 60 MiB of disk"
MANY = "import os, pathlib, mmap, threading, time\nheld = []\nfor i in range(4):\n    "
BYTES = "write(b'x' * (25 << 20))"

EXCESSES = {
    "processes": ("import os, time\nfor _ in range(100): os.fork() or time.sleep(99)", PROCESSES),
    "processes that multiply": ("import os\nwhile True: os.fork() or os.setsid()", PROCESSES),
    "memory": (
        (
            "import os, time\nfor _ in range(6):\n    if not os.fork():"
            " held = b'x' * (70 << 20); time.sleep(99)\ntime.sleep(99)"
        ),
        MEMORY,
    ),
    "memory of threads whose first is gone": (
        (
            "import ctypes, os, threading, time; os.fork(); os.fork()\ndef hold():\n"
            "    held = b'x' * (70 << 20); time.sleep(99)\n"
            "threading.Thread(target=hold).start(); ctypes.CDLL(None).syscall(60, 0)"
        ),
        MEMORY,
    ),
    "files": (MANY + f"open(str(i), 'wb').{BYTES}\ntime.sleep(99)", DISK),
    "files without a name": (
        MANY + f"held.append(open('f', 'wb')); held[i].{BYTES}; os.unlink('f')\ntime.sleep(99)",
        DISK,
    ),
    "files that are left": (MANY + f"open(str(i), 'wb').{BYTES}", DISK),
    "directories without an end": (
        (
            "import os, time\nfor _ in range(1500): os.mkdir('d' * 9); os.chdir('d' * 9)\n"
            "time.sleep(99)"
        ),
        "what it holds cannot be measured: File name too long",
    ),
}
HIDDEN = "import ctypes, time; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n"


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """How the program that exceeds each total ended; four at a time, for mostly they wait."""
    place = tmp_path_factory.mktemp("excesses")
    programs = {name: code for name, (code, _) in EXCESSES.items()}
    programs["hidden files"] = HIDDEN + programs["files without a name"]

    def start(name):
        workdir = place / name
        workdir.mkdir()
        return run(programs[name], workdir, **SMALL)

    with ThreadPoolExecutor(4) as pool:
        yield dict(zip(programs, pool.map(start, programs), strict=True))
    remove_tree(str(place))  # some of it is deeper than pytest can remove


@pytest.mark.parametrize("name", EXCESSES)
def test_all_together_are_limited_in(name, ended):
    assert ended[name].exceeded == EXCESSES[name][1]


def test_a_process_cannot_hide_what_it_holds(ended):
    seen = {DISK, "what it holds cannot be measured: Permission denied"}  # root sees all the same
    assert ended["hidden files"].exceeded in seen


def test_what_processes_share_counts_once(tmp_path):
    program = """
import mmap, os, time
shared = mmap.mmap(-1, 60 << 20)
for _ in range(60):
    shared.write(b"x" * (1 << 20))
for _ in range(6):
    if not os.fork():
        sum(shared[::4096]); time.sleep(0.6); os._exit(0)
print(sum(os.wait()[1] == 0 for _ in range(6)))
"""
    ended = run(program, tmp_path, **SMALL)
    assert (ended.stdout, ended.exceeded) == ("6\n", "")


def test_what_was_in_the_directory_before_does_not_count_and_the_home_is_gone_afterwards(tmp_path):
    (tmp_path / "input").write_bytes(bytes(80 << 20))
    program = """
import os, pathlib
os.chdir(pathlib.Path.home())
print(os.getcwd(), flush=True)
for _ in range(1500):
    os.mkdir("d" * 9, 0o700)
    os.chdir("d" * 9)
os.mkdir("shut", 0o000)
"""
    ended = run(program, tmp_path, disk_mb=60)
    home = Path(ended.stdout.strip())
    assert home.name.startswith("evalkit-home-")
    assert not home.exists()
    assert "MiB of disk" not in ended.exceeded
