"""How confined programs end: by themselves, at a limit, out of time, or with their caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sandboxes import EACH, run

from evalkit.core.errors import InputError, Unfinished
from evalkit.suite.sandbox import Mechanism, Policy, Sandbox

# A grandchild in a session of its own whose parent is gone; its heart beats into a file.
HEART = """
import os, subprocess, sys, time
BEAT = '''
import os, time
os.setsid()
if os.fork():
    os._exit(0)
while True:
    with open("beats", "a") as beats:
        beats.write("x")
    time.sleep(0.02)
'''
subprocess.run([sys.executable, "-I", "-S", "-c", BEAT], check=True)
while not os.path.exists("beats"):
    time.sleep(0.01)
print("it beats")
"""
FOREVER = HEART + "time.sleep(60)\n"


def stopped(workdir: Path) -> bool:
    """Whether a heart that beat has ceased to."""
    before = (workdir / "beats").stat().st_size
    time.sleep(0.2)
    return before > 0 and (workdir / "beats").stat().st_size == before


@EACH
def test_what_it_says_and_how_it_ends_is_told(mechanism, tmp_path):
    program = "import sys; print('häßlich'); print('so', file=sys.stderr); sys.exit(3)"
    ended = run(program, tmp_path, mechanism)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "häßlich\n", "so\n")
    assert (ended.timed_out, ended.exceeded) == (False, "")
    assert 0 < ended.seconds < 10


@EACH
def test_a_signal_that_ends_it_is_told(mechanism, tmp_path):
    assert run("import os; os.abort()", tmp_path, mechanism).returncode == -signal.SIGABRT


@EACH
def test_a_file_in_its_directory_is_run_with_arguments(mechanism, tmp_path):
    (tmp_path / "greet.py").write_text("import sys; print('hello', *sys.argv[1:])")
    sandbox = Sandbox(Policy(unconfined=True), mechanism=mechanism)
    ended = sandbox.run(["greet.py", "you", "there"], tmp_path, timeout_s=30)
    assert ended.stdout == "hello you there\n"


@EACH
def test_nothing_outlives_a_program_that_ends_by_itself(mechanism, tmp_path):
    ended = run(HEART, tmp_path, mechanism)
    assert (ended.stdout, ended.returncode) == ("it beats\n", 0)
    assert stopped(tmp_path)


@EACH
def test_nothing_outlives_a_program_whose_time_is_up(mechanism, tmp_path):
    ended = run(FOREVER, tmp_path, mechanism, timeout_s=1.0)
    assert ended.timed_out
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == "it beats\n"
    assert ended.seconds < 8
    assert stopped(tmp_path)


CALLER = """
import sys
from pathlib import Path
from evalkit.suite.sandbox import Mechanism, Policy, Sandbox
sandbox = Sandbox(Policy(unconfined=True), mechanism=Mechanism[sys.argv[1]])
try:
    sandbox.run(["-c", sys.argv[3]], Path(sys.argv[2]), timeout_s=60)
except KeyboardInterrupt:
    sys.exit(77)
"""


@EACH
@pytest.mark.parametrize(
    ("sent", "returncode"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 77)]
)
def test_nothing_outlives_its_caller(sent, returncode, mechanism, tmp_path):
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, mechanism.name, str(tmp_path), FOREVER],
        env=os.environ | {"TMPDIR": str(tmp_path)},  # nobody is left to remove the private home
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "beats").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    caller.send_signal(sent)
    assert caller.wait(10) == returncode
    while not stopped(tmp_path):
        assert time.monotonic() < deadline


@EACH
def test_processes_that_multiply_are_all_killed(mechanism, tmp_path):
    program = """
import os, time
for _ in range(6):
    if not os.fork():
        os.setpgid(0, 0)
while True:
    with open("beats", "a") as beats:
        beats.write("x")
    time.sleep(0.05)
"""
    assert run(program, tmp_path, mechanism, timeout_s=1.5).timed_out
    assert stopped(tmp_path)


LIMITS = {
    "memory": ("bytearray(600 << 20)", {"memory_mb": 500}, 1, "MemoryError"),
    "processor time": ("while True: pass", {"cpu_s": 1}, -signal.SIGXCPU, ""),
    "the size of a file": (
        "open('large', 'wb').write(bytes(2 << 20))",
        {"disk_mb": 1},
        1,
        "File too large",
    ),
    "open files": (
        "keep = [open('/dev/null') for _ in range(1100)]",
        {},
        1,
        "Too many open files",
    ),
}


@EACH
@pytest.mark.parametrize(("code", "policy", "returncode", "said"), LIMITS.values(), ids=LIMITS)
def test_there_is_a_limit_to(code, policy, returncode, said, mechanism, tmp_path):
    ended = run(code, tmp_path, mechanism, **policy)
    assert ended.returncode == returncode
    assert said in ended.stderr


@EACH
def test_of_a_flood_on_both_streams_the_tails_are_kept(mechanism, tmp_path):
    program = """
import sys
for number in range(40_000):
    print("out", number)
    print("err", number, file=sys.stderr)
"""
    ended = run(program, tmp_path, mechanism, output_bytes=1000)
    assert ended.returncode == 0
    assert ended.stdout.endswith("\nout 39998\nout 39999\n")
    assert ended.stderr.endswith("\nerr 39998\nerr 39999\n")
    assert len(ended.stdout) == len(ended.stderr) == 1000


def test_a_stream_that_never_ends_is_cut_off_when_time_is_up(tmp_path):
    ended = run("while True: print('y' * 1000)", tmp_path, timeout_s=0.5, output_bytes=5000)
    assert ended.timed_out
    assert len(ended.stdout) == 5000


def test_a_directory_that_is_not_there_is_no_place_to_run(tmp_path):
    with pytest.raises(FileNotFoundError):
        run("print(1)", tmp_path / "nowhere")


def test_a_program_that_cannot_be_started_as_planned_is_not_started(tmp_path):
    with pytest.raises(Unfinished, match="could not be started"):
        run("open('ran', 'w')", tmp_path, Mechanism.NONE, cpu_s=1 << 70)
    assert not (tmp_path / "ran").exists()


def test_a_mechanism_that_does_not_hold_is_refused_with_what_stands_against_it_and_advice():
    with pytest.raises(InputError, match="landlock: .*too large") as refused:
        Sandbox(Policy(cpu_s=1 << 70), mechanism=Mechanism.LANDLOCK)
    (problem,) = refused.value.problems
    assert problem.field == "--unconfined"
    assert "Linux container" in problem.fix


def test_without_confinement_nothing_runs_unless_that_was_asked_for():
    with pytest.raises(InputError, match="cannot be confined here"):
        Sandbox(mechanism=Mechanism.NONE)
    weak = Sandbox(Policy(unconfined=True), mechanism=Mechanism.NONE)
    assert weak.name.startswith("limits only: files, network and secrets")


def test_the_strongest_mechanism_that_works_is_chosen_and_named():
    found = Sandbox(Policy(unconfined=True))
    assert found.mechanism is Mechanism.NAMESPACES
    assert found.name.startswith("namespaces and landlock (abi ")
    assert found.name.endswith("): own files, no network")
    allowed = Sandbox(Policy(allow_network=True), mechanism=Mechanism.LANDLOCK)
    assert allowed.name.endswith("): own files, network allowed")
