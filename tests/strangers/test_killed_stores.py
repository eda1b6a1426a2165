"""Kills in the middle of a write, and two at once: what is left is what one alone leaves."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from eval_project import CASES, RUN
from in_mlflow import InMlflow
from servers import Proxy

from evalkit.cli import main

LOG, SYNC = ("log-results", *RUN), ("sync-dataset",)
HALF_A_WRITE = """
import os, signal, sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("pragma journal_mode=" + sys.argv[2])
store.execute("pragma cache_size=1")
store.execute("begin immediate")
add = "insert into experiment_tags(key, value, experiment_id) values (?, ?, 0)"
for number in range(2000):
    store.execute(add, (f"k{number}", "x" * 400))
if sys.argv[2] == "wal":
    store.execute("rollback")
    store.execute(add, ("kept", "x"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_what_was_half_written_is_rolled_back_whatever_the_journal(mode, evalkit, sqlite_uri):
    path = sqlite_uri.removeprefix("sqlite:///")
    subprocess.run([sys.executable, "-c", HALF_A_WRITE, path, mode], check=False)
    assert mode == "wal" or Path(path + "-journal").stat().st_size
    for stage in (("check",), LOG):
        assert evalkit(*stage, uri=sqlite_uri).code == 0
    with closing(sqlite3.connect(path)) as store:
        kept = store.execute("select key from experiment_tags where experiment_id = 0").fetchall()
    assert kept == ([("kept",)] if mode == "wal" else [])


def test_a_new_store_comes_into_being_whole(evalkit, tmp_path):
    """Killed while it was made, it lies beside where it is to be, and is made anew."""
    path = tmp_path / "new" / "mlflow.db"
    path.parent.mkdir()
    path.touch()
    with closing(sqlite3.connect(path.with_name(".mlflow.db.new"))) as half:
        half.execute("create table latest_metrics (key text)")
    assert evalkit(*SYNC, uri=f"sqlite:///{path}").report["created"] == 3
    assert [each.name for each in path.parent.iterdir() if each.is_file()] == ["mlflow.db"]


def forked(act):
    """A process that does this and ends with the code that it gives."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = act()
        finally:
            os._exit(code)
    return pid


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_what_a_kill_left_beside_a_file_goes_with_the_next_write(
    project, evalkit, database_uri, monkeypatch
):
    """A pull, a map and a session are killed as they put a file in its place, and run again."""
    evalkit(*LOG)
    InMlflow(database_uri).say("alpha", "nice", value=True, who="ada")
    monkeypatch.chdir(project.root)
    session = ("agent", "-e", "support", "--model", "offline", "--max-iterations", "1")
    commands = (("pull-feedback", *RUN), ("map", "--force"), (*session, "--session", "one"))
    foreign = project.write(f"{project.run_dir}/.review.yaml.swp", "an editor's")

    def killed_at_rename(*command):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        return main((*command, "--tracking-uri", database_uri))

    def left():
        hidden = ("eval", "tmp", "sessions")
        return [each.name for folder in hidden for each in Path(folder).rglob(".*.*")]

    for command in commands:
        assert ended(forked(lambda given=command: killed_at_rename(*given))) == -signal.SIGKILL
    assert len(left()) == 1 + len(commands), left()
    for command in commands:
        evalkit(*command)  # the agent has more to do than its one iteration
    assert left() == [foreign.name]


# -- two who do the same at the same moment ---------------------------------------------------


def stands_once(uri, stage):
    """Whether MLflow holds just what one alone leaves."""
    found = InMlflow(uri)
    if stage == SYNC:
        return (found.datasets(), len(found.rows())) == (["support"], 3)
    traces, run_id = found.traces(), found.run().info.run_id
    sources = {trace.info.trace_metadata["mlflow.sourceRun"] for trace in traces.values()}
    said = {case: len(found.feedback(case)) for case in traces}
    return (sources, said) == ({run_id}, dict.fromkeys(CASES, 4))


@pytest.mark.parametrize(("stage", "path"), [(LOG, "/runs/create"), (SYNC, "/datasets/create")])
@pytest.mark.parametrize("times", range(2))
def test_on_a_server_another_who_was_quicker_by_a_moment_has_done_the_same(
    evalkit, fresh_server, stage, path, times
):
    del times  # which id is the smaller is a matter of luck
    other = []

    def be_quicker(number):
        if proxy.requests[number - 1].path.endswith(path) and not other:
            other.append(main([*stage, "--tracking-uri", fresh_server.uri]))

    with Proxy(fresh_server.uri) as proxy:
        proxy.on_request = be_quicker
        done = evalkit(*stage, uri=proxy.uri)
    assert (done.code, other) == (0, [0]), done.err
    assert stands_once(fresh_server.uri, stage)
    assert evalkit(*stage, uri=fresh_server.uri).code == 0
    assert stands_once(fresh_server.uri, stage)


@pytest.mark.parametrize("stage", [LOG, SYNC], ids=lambda stage: stage[0])
def test_on_a_database_they_take_turns(evalkit, sqlite_uri, stage):
    evalkit("check", uri=sqlite_uri)
    begin = time.time() + 0.5

    def act():
        time.sleep(max(begin - time.time(), 0))
        return main([*stage, "--tracking-uri", sqlite_uri])

    assert [ended(pid) for pid in [forked(act), forked(act)]] == [0, 0]
    assert stands_once(sqlite_uri, stage)
