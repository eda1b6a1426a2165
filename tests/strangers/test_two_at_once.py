"""Two who do the same at the same moment leave what one would have left."""

import os
import time

import pytest
from eval_project import RUN_ID, scores_of
from in_mlflow import InMlflow
from servers import Proxy

from evalkit.cli import main

STAGES = {
    "/runs/create": ["log-results", "--run-id", RUN_ID],
    "/datasets/create": ["sync-dataset"],
}


@pytest.mark.parametrize("path", STAGES)
@pytest.mark.parametrize("times", range(3))
def test_on_a_server_another_who_was_quicker_by_a_moment_has_done_the_same(
    evalkit, fresh_server, path, times
):
    del times  # which id is the smaller is a matter of luck
    other = []

    def be_quicker(number):
        if proxy.requests[number - 1].path.endswith(path) and not other:
            other.append(main([*STAGES[path], "--tracking-uri", fresh_server.uri]))

    with Proxy(fresh_server.uri) as proxy:
        proxy.on_request = be_quicker
        done = evalkit(*STAGES[path], uri=proxy.uri)
    assert (done.code, other) == (0, [0]), done.err
    for _ in range(2):
        found = InMlflow(fresh_server.uri)
        if path == "/runs/create":
            run_id = found.run().info.run_id
            assert len(found.traces()) == 3
            for trace in found.traces().values():
                assert trace.info.trace_metadata["mlflow.sourceRun"] == run_id
        else:
            assert found.datasets() == ["support"]
            assert len(found.rows()) == 3
        assert evalkit(*STAGES[path], uri=fresh_server.uri).code == 0


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage[0])
def test_on_a_database_they_take_turns(evalkit, sqlite_uri, stage):
    evalkit("check", uri=sqlite_uri)
    begin = time.time() + 0.5
    pids = []
    for _ in range(2):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                time.sleep(max(begin - time.time(), 0))
                code = main([*stage, "--tracking-uri", sqlite_uri])
            finally:
                os._exit(code)
        pids.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0]
    found = InMlflow(sqlite_uri)
    if stage[0] == "sync-dataset":
        assert found.datasets() == ["support"]
        assert len(found.rows()) == 3
    else:
        assert found.run()
        assert {case: len(found.feedback(case)) for case in found.traces()} == dict.fromkeys(
            ("alpha", "beta", "gamma"), 4
        )


@pytest.mark.parametrize("value", [2**53 + 1, -(2**60), 10**29, [2**53 + 1, 3], {"id": 2**64}])
def test_whole_numbers_that_a_float_cannot_hold_are_text_and_said_to_be(
    evalkit, project, database_uri, value
):
    project.summarise({"alpha": {**scores_of("alpha"), "order": {"value": value}}})
    done = evalkit("log-results", "--run-id", RUN_ID)
    assert "beyond 2^53, which MLflow would round, are text there: alpha/order" in done.err
    for _ in range(2):
        report = evalkit("push-feedback", "--run-id", RUN_ID).report
        assert (report["created"], report["updated"], report["deleted"]) == (0, 0, 0)
    kept = {int: str, list: lambda v: [str(v[0]), 3], dict: lambda v: {"id": str(v["id"])}}
    assert InMlflow(database_uri).values("alpha")["order"] == kept[type(value)](value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--config", "x" * 300 + ".yaml"],
        ["check", "--runs-dir", "x" * 300],
        ["map", "--out", "x" * 300],
    ],
    ids=lambda arguments: arguments[1],
)
def test_a_name_that_no_file_can_have_is_wrong_input_in_one_line(evalkit, arguments):
    done = evalkit(*arguments)
    assert done.code == 2
    assert "File name too long" in done.err
    assert "Traceback" not in done.err


def test_a_link_to_itself_and_a_name_beyond_255_bytes_end_in_one_line(evalkit, project):
    loop = project.root / "cases/alpha/loop.yaml"
    loop.symlink_to(loop)
    for stage in (["check"], ["map", "--force"], ["sync-dataset"]):
        assert "Traceback" not in evalkit(*stage).err
    loop.unlink()
    project.configure(name="\u8a55" * 100)
    done = evalkit("check")
    assert done.code in (0, 2)
    assert "Traceback" not in done.err
