"""How confined programs end: by themselves, at a limit, out of time, or with their caller."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from sandboxes import EACH, run

from evalkit.errors import InputError, Unfinished
from evalkit.suite.sandbox import Policy, Sandbox

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
FOREVER = f"{HEART}time.sleep(600)\n"


def stopped(workdir):
    """Whether a heart that beat has ceased to."""
    before = (workdir / "beats").stat().st_size
    time.sleep(0.2)
    return before > 0 and (workdir / "beats").stat().st_size == before


ENDS = {
    "by itself": ("print('so', file=sys.stderr); sys.exit(3)", 60, 3, "", "so\n"),
    "out of time": ("time.sleep(600)", 1.0, -signal.SIGKILL, "more than 1 seconds", ""),
}


@EACH
@pytest.mark.parametrize("how", ENDS)
def test_how_it_ended_is_told_and_nothing_outlives_it(how, confine, tmp_path):
    last, timeout_s, *expected = ENDS[how]
    ended = run(
        f"{HEART}print('häßlich', flush=True)\n{last}",
        tmp_path,
        confine=confine,
        timeout_s=timeout_s,
    )
    assert [ended.returncode, ended.exceeded, ended.stderr] == expected
    assert ended.stdout == "it beats\nhäßlich\n"
    assert stopped(tmp_path)


CALLER = """
import sys
from pathlib import Path
from evalkit.suite.sandbox import Policy, Sandbox
sandbox = Sandbox(Policy(unconfined=True), confine=sys.argv[1] == "True")
try:
    sandbox.run(["-c", sys.argv[3]], Path(sys.argv[2]), timeout_s=600)
except KeyboardInterrupt:
    sys.exit(77)
"""


@EACH
@pytest.mark.parametrize(
    ("sent", "returncode"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 77)]
)
def test_nothing_outlives_its_caller(sent, returncode, confine, tmp_path):
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(confine), str(tmp_path), FOREVER],
        env=os.environ | {"TMPDIR": str(tmp_path)},  # nobody is left to remove the private home
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "beats").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    caller.send_signal(sent)
    assert caller.wait(60) == returncode
    while not stopped(tmp_path):
        assert time.monotonic() < deadline


LIMITS = {
    "memory": ("bytearray(600 << 20)", {"memory_mb": 500}, 1, "MemoryError"),
    "processor time": ("while True: pass", {"cpu_s": 1}, -signal.SIGXCPU, ""),
    "a file's size": ("open('x', 'wb').write(bytes(2 << 20))", {"disk_mb": 1}, 1, "too large"),
    "open files": ("[open('/dev/null') for _ in range(1100)]", {}, 1, "Too many open files"),
}


@pytest.mark.parametrize(("code", "policy", "returncode", "said"), LIMITS.values(), ids=LIMITS)
def test_there_is_a_limit_to(code, policy, returncode, said, tmp_path):
    ended = run(code, tmp_path, **policy)
    assert ended.returncode == returncode
    assert said in ended.stderr


def test_of_a_flood_on_both_streams_the_tails_are_kept(tmp_path):
    program = """
import sys
for number in range(40_000):
    print("out", number)
    print("err", number, file=sys.stderr)
"""
    ended = run(program, tmp_path, output_bytes=1000)
    assert ended.returncode == 0
    assert ended.stdout.endswith("\nout 39998\nout 39999\n")
    assert ended.stderr.endswith("\nerr 39998\nerr 39999\n")
    assert len(ended.stdout) == len(ended.stderr) == 1000


def test_nothing_runs_less_confined_than_was_planned_unless_that_was_asked_for(tmp_path):
    with pytest.raises(Unfinished, match="could not be started"):
        run("open('ran', 'w')", tmp_path, confine=False, cpu_s=1 << 70)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(InputError, match="cannot be confined here: .*too large") as refused:
        Sandbox(Policy(cpu_s=1 << 70))
    (problem,) = refused.value.problems
    assert problem.field == "--unconfined"
    assert "Linux container" in problem.fix
    with pytest.raises(InputError, match="cannot be confined here"):
        Sandbox(confine=False)
    weak = Sandbox(Policy(unconfined=True), confine=False)
    assert weak.name.startswith("limits only: files, network and secrets")
    assert Sandbox(Policy(unconfined=True)).name == "landlock and seccomp: own files, no network"


@EACH
def test_it_gets_a_bare_environment_and_what_was_passed(confine, tmp_path, monkeypatch):
    monkeypatch.setenv("EVALKIT_MADE_UP_TOKEN", "sk-not-for-you")
    monkeypatch.setenv("EVALKIT_MADE_UP_REGION", "nowhere-1")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    outcome = run(
        "import json, os; print(json.dumps(dict(os.environ)))",
        tmp_path,
        confine=confine,
        env={"FROM_CALL": "2", "HOME": "/root"},
        pass_env=("EVALKIT_MADE_UP_REGION", "EVALKIT_NOT_THERE"),
    )
    got = json.loads(outcome.stdout)
    assert {"FROM_CALL": "2", "TZ": "Asia/Tokyo"}.items() <= got.items()
    assert got["EVALKIT_MADE_UP_REGION"] == "nowhere-1"
    assert "sk-not-for-you" not in outcome.stdout
    assert not {"EVALKIT_MADE_UP_TOKEN", "EVALKIT_NOT_THERE", "USER", "PWD"} & set(got)
    assert got["HOME"] == got["TMPDIR"] != "/root"


def test_what_programs_rely_on_works(tmp_path):
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
    outcome = run(program, tmp_path)
    assert (outcome.stdout, outcome.stderr, outcome.returncode) == ("3 True\n", "", 0)
    assert (tmp_path / "moved.txt").read_text() == "x"
