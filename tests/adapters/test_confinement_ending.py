"""How confined programs end: by themselves, at a limit, out of time, or with their caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evalkit.adapters.confinement import Confinement, Level, Outcome, Policy
from evalkit.core.errors import InputError, Unfinished

EVERY_LEVEL = pytest.mark.parametrize("level", Level, ids=lambda level: level.value)

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


def run(code: str, workdir: Path, level: Level | None = None, **policy) -> Outcome:
    return Confinement(Policy(**policy), level=level).run(["-c", code], workdir)


@EVERY_LEVEL
def test_what_it_says_and_how_it_ends_is_told(level, tmp_path):
    program = "import sys; print('häßlich'); print('so', file=sys.stderr); sys.exit(3)"
    outcome = run(program, tmp_path, level)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (3, "häßlich\n", "so\n")
    assert not outcome.timed_out
    assert not outcome.truncated
    assert 0 < outcome.seconds < 10
    assert outcome.confinement == Confinement(level=level).name


@EVERY_LEVEL
def test_a_signal_that_ends_it_is_told(level, tmp_path):
    assert run("import os; os.abort()", tmp_path, level).returncode == -signal.SIGABRT


@EVERY_LEVEL
def test_a_file_in_its_directory_is_run_with_arguments(level, tmp_path):
    (tmp_path / "greet.py").write_text("import sys; print('hello', *sys.argv[1:])")
    outcome = Confinement(level=level).run(["greet.py", "you", "there"], tmp_path)
    assert outcome.stdout == "hello you there\n"


@EVERY_LEVEL
def test_nothing_outlives_a_program_that_ends_by_itself(level, tmp_path):
    outcome = run(HEART, tmp_path, level)
    assert (outcome.stdout, outcome.returncode) == ("it beats\n", 0)
    assert stopped(tmp_path)


@EVERY_LEVEL
def test_nothing_outlives_a_program_whose_time_is_up(level, tmp_path):
    outcome = run(FOREVER, tmp_path, level, timeout_s=1.0)
    assert outcome.timed_out
    assert outcome.returncode == -signal.SIGKILL
    assert outcome.stdout == "it beats\n"
    assert outcome.seconds < 8
    assert stopped(tmp_path)


def test_a_single_call_may_have_less_time(tmp_path):
    outcome = Confinement().run(["-c", "import time; time.sleep(60)"], tmp_path, timeout_s=0.3)
    assert outcome.timed_out


CALLER = """
import sys
from pathlib import Path
from evalkit.adapters.confinement import Confinement, Level
try:
    Confinement(level=Level[sys.argv[1]]).run(["-c", sys.argv[3]], Path(sys.argv[2]))
except KeyboardInterrupt:
    sys.exit(77)
"""


@EVERY_LEVEL
@pytest.mark.parametrize(
    ("sent", "returncode"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 77)]
)
def test_nothing_outlives_its_caller(sent, returncode, level, tmp_path):
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, level.name, str(tmp_path), FOREVER],
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


@EVERY_LEVEL
def test_processes_that_multiply_are_all_killed(level, tmp_path):
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
    assert run(program, tmp_path, level, timeout_s=1.5).timed_out
    assert stopped(tmp_path)


LIMITS = {
    "memory": ("bytearray(600 << 20)", {"memory_mb": 500}, 1, "MemoryError"),
    "processor time": ("while True: pass", {"cpu_s": 1}, -signal.SIGXCPU, ""),
    "the size of a file": (
        "open('large', 'wb').write(bytes(2 << 20))",
        {"file_mb": 1},
        1,
        "File too large",
    ),
    "open files": (
        "keep = [open('/dev/null') for _ in range(50)]",
        {"open_files": 40},
        1,
        "Too many open files",
    ),
}


@EVERY_LEVEL
@pytest.mark.parametrize(("code", "policy", "returncode", "said"), LIMITS.values(), ids=LIMITS)
def test_there_is_a_limit_to(code, policy, returncode, said, level, tmp_path):
    outcome = run(code, tmp_path, level, **policy)
    assert outcome.returncode == returncode
    assert said in outcome.stderr


@EVERY_LEVEL
def test_of_a_flood_on_both_streams_the_tails_are_kept(level, tmp_path):
    program = """
import sys
for number in range(40_000):
    print("out", number)
    print("err", number, file=sys.stderr)
"""
    outcome = run(program, tmp_path, level, output_bytes=1000)
    assert outcome.returncode == 0
    assert outcome.truncated
    assert outcome.stdout.endswith("\nout 39998\nout 39999\n")
    assert outcome.stderr.endswith("\nerr 39998\nerr 39999\n")
    assert len(outcome.stdout) == len(outcome.stderr) == 1000


def test_a_stream_that_never_ends_is_cut_off_when_time_is_up(tmp_path):
    outcome = run("while True: print('y' * 1000)", tmp_path, timeout_s=0.5, output_bytes=5000)
    assert outcome.timed_out
    assert len(outcome.stdout) == 5000


def test_strong_confinement_may_be_required():
    required = Policy(require=True)
    assert Confinement(required, level=Level.LANDLOCK).strong
    with pytest.raises(InputError) as refused:
        Confinement(required, level=Level.LIMITS)
    (problem,) = refused.value.problems
    assert problem.field == "--require-sandbox"
    assert "limits only" in problem.message
    assert problem.fix


def test_limits_only_are_called_so():
    weak = Confinement(level=Level.LIMITS)
    assert not weak.strong
    assert weak.name.startswith("limits only: files, network and secrets")


def test_allowed_network_is_said():
    allowed = Confinement(Policy(allow_network=True), level=Level.LANDLOCK)
    assert allowed.strong
    assert allowed.name.endswith("): own files, network allowed")


def test_a_directory_that_is_not_there_is_no_place_to_run(tmp_path):
    with pytest.raises(FileNotFoundError):
        run("print(1)", tmp_path / "nowhere")


def test_a_program_that_cannot_be_started_as_planned_is_not_started(tmp_path):
    with pytest.raises(Unfinished, match="could not be started"):
        run("open('ran', 'w')", tmp_path, Level.LIMITS, open_files=-5)
    assert not (tmp_path / "ran").exists()


def test_a_level_that_does_not_hold_is_refused_with_what_stands_against_it():
    with pytest.raises(InputError, match="landlock: .* not allowed to raise maximum limit"):
        Confinement(Policy(open_files=-5), level=Level.LANDLOCK)
