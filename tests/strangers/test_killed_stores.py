"""A kill in the middle of a write never locks an SQLite store for good."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from eval_project import RUN_ID

from evalkit.store import probe

HALF_A_WRITE = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("pragma cache_size=1")
store.execute("begin immediate")
for number in range(2000):
    row = (f"k{number}", "x" * 400, 0)
    store.execute("insert into experiment_tags(key, value, experiment_id) values (?, ?, ?)", row)
print("half", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def killed(sqlite_uri):
    """The path of a store in which a process was killed half-way through a write."""
    path = sqlite_uri.removeprefix("sqlite:///")
    writer = subprocess.Popen(
        [sys.executable, "-c", HALF_A_WRITE, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert writer.stdout
    assert writer.stdout.readline() == b"half\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    assert Path(path + "-journal").stat().st_size
    return path


@pytest.mark.parametrize(
    "stage", [["sync-dataset"], ["log-results", "--run-id", RUN_ID], ["check"]], ids=lambda s: s[0]
)
def test_what_was_half_written_is_rolled_back_and_the_command_goes_on(evalkit, killed, stage):
    assert probe(f"sqlite:///{killed}").ok
    assert evalkit(*stage, uri=f"sqlite:///{killed}").code == 0
    with closing(sqlite3.connect(killed)) as store:
        assert store.execute("select count(*) from experiment_tags").fetchone() == (0,)


def test_a_store_that_another_program_writes_to_is_busy_and_not_broken(evalkit, sqlite_uri):
    with closing(sqlite3.connect(sqlite_uri.removeprefix("sqlite:///"))) as other:
        other.execute("begin exclusive")
        done = evalkit("sync-dataset", uri=sqlite_uri)
    assert done.code == 1
    assert "another program writes to it; run the same command again" in done.report["error"]


@pytest.mark.parametrize("left", ["nothing", "half a store", "an empty file"])
def test_a_new_store_comes_into_being_whole(evalkit, tmp_path, left):
    """Killed while it was made, it lies beside where it is to be, and is made anew."""
    path = tmp_path / "new" / "mlflow.db"
    path.parent.mkdir()
    if left == "half a store":
        with closing(sqlite3.connect(path.with_name(".mlflow.db.new"))) as half:
            half.execute("create table latest_metrics (key text)")
    if left == "an empty file":
        path.touch()
    assert evalkit("sync-dataset", uri=f"sqlite:///{path}").report["created"] == 3
    assert evalkit("sync-dataset", uri=f"sqlite:///{path}").report["unchanged"] == 3
    assert [each.name for each in path.parent.iterdir() if each.is_file()] == ["mlflow.db"]
