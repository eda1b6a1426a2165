"""Every case of a run has a trace, whatever became of it, and failure is told first."""

import json

import pytest
from agentlogs import as_lines, finish, init, say, text
from eval_project import CASES, RESULT, RUN_ID, scores_of
from in_mlflow import InMlflow

RUN = ("--run-id", RUN_ID)


@pytest.fixture
def mlflow(database_uri):
    return InMlflow(database_uri)


def usage(code=0, seconds=60.0, cost=0.25, **more):
    tokens = {"input": 100, "output": 50, "cache_read": 10, "cache_create": 5}
    return {
        "exit_code": code,
        "duration_s": seconds,
        "cost_usd": cost,
        "num_turns": 3,
        "token_usage": tokens,
        **more,
    }


def result(project, **per_case):
    ended = max(each.get("exit_code") or 0 for each in per_case.values())
    whole = {**RESULT, "exit_code": ended, "per_case": per_case}
    project.write(f"{project.run_dir}/run_result.json", whole)


RUNNERS = {
    "a program that prints": (b"starting\nforty-two\n", {}, "forty-two", "plain text"),
    "a program that leaves a file": (
        b"starting\n",
        {"output/answer.md": "forty-two"},
        "forty-two",
        "plain text",
    ),
    "several files": (None, {"a.md": "forty-two", "b/c.txt": "more"}, "b/c.txt", "no log"),
    "elsewhere, as Harbor does": (None, {}, "", "no log"),
    "an empty log": (b"", {}, "", "empty"),
    "a log of bytes": (b"\xff\xfe\x00\x01garbage\x00", {"output/a.md": "of beta"}, "of beta", ""),
}


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_case_without_steps_carries_what_the_run_says_of_it(evalkit, project, mlflow, runner):
    log, files, output, why = RUNNERS[runner]
    project.unlog("beta")
    if log is not None:
        project.log("beta", log)
    for name, content in files.items():
        project.write(f"{project.run_dir}/cases/beta/{name}", content)
    result(project, alpha=usage(), beta=usage(seconds=120.5, cost=0.75), gamma=usage())
    project.review.write_text("feedback: {beta: too short}\n")
    assert evalkit("all", *RUN).code == 0
    info = mlflow.traces()["beta"].info
    assert info.state == "OK"
    assert info.execution_duration == 120_500
    assert "please handle beta" in info.request_preview
    assert output in (info.response_preview or "")
    assert why in info.tags["evalkit.stub"]
    assert json.loads(info.trace_metadata["mlflow.trace.cost"])["total_cost"] == 0.75
    tokens = json.loads(info.trace_metadata["mlflow.trace.tokenUsage"])
    assert (tokens["input_tokens"], tokens["output_tokens"]) == (100, 50)
    assert set(mlflow.values("beta")) == {*scores_of("beta"), "human_review"}
    assert evalkit("log-results", *RUN).report["written"] is False


def codex(*ends):
    command = {"type": "command_execution", "id": "i1", "command": "ls", "exit_code": 0}
    said = {"type": "agent_message", "id": "i2", "text": "forty-two"}
    items = [{"type": "item.completed", "item": item} for item in (command, said)]
    events = [{"type": "thread.started", "thread_id": "t"}, *items, *ends]
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def test_a_log_of_codex_is_read_as_any(evalkit, project, mlflow):
    used = {"input_tokens": 110, "cached_input_tokens": 10, "output_tokens": 50}
    project.log("beta", codex({"type": "turn.completed", "usage": used}))
    project.log("gamma", codex({"type": "turn.failed", "error": {"message": "no credit"}}))
    result(project, alpha=usage(), beta=usage(seconds=120.5, cost=0.75), gamma={})
    done = evalkit("all", *RUN)
    assert done.code == 0
    assert list(done.report["log-results"]["executions"]["names"]) == ["gamma"]
    assert not done.report["log-results"]["receipt"]["refused"]
    traces = mlflow.traces()
    assert {case: trace.info.state for case, trace in traces.items()} == {
        "alpha": "OK", "beta": "OK", "gamma": "ERROR",
    }  # fmt: skip
    info = traces["beta"].info
    assert (info.execution_duration, info.response_preview) == (120_500, "forty-two")
    assert "please handle beta" in info.request_preview
    assert json.loads(info.trace_metadata["mlflow.trace.cost"])["total_cost"] == 0.75
    tokens = json.loads(info.trace_metadata["mlflow.trace.tokenUsage"])
    assert (tokens["input_tokens"], tokens["output_tokens"]) == (100, 50)
    assert "evalkit.stub" not in info.tags
    assert done.report["log-results"]["spans"] > len(traces) * 3
    assert set(mlflow.values("beta")) >= scores_of("beta").keys()
    assert evalkit("log-results", *RUN).report["written"] is False


@pytest.mark.parametrize(
    ("code", "logged", "state"),
    [
        (0, False, "OK"),
        (1, False, "ERROR"),
        (124, False, "ERROR"),
        (-9, False, "ERROR"),
        (None, False, "STATE_UNSPECIFIED"),
        (0, True, "OK"),
        (124, True, "ERROR"),
        (None, True, "OK"),
    ],
)
def test_the_state_comes_from_the_exit_code_and_the_log(
    evalkit, project, mlflow, code, logged, state
):
    if not logged:
        project.unlog("beta")
    result(project, alpha=usage(), beta=usage(code), gamma=usage())
    report = evalkit("log-results", *RUN).report
    assert mlflow.traces()["beta"].info.state == state
    assert report["executions"]["failed"] == (state == "ERROR")
    run = mlflow.run()
    assert run.data.metrics["executions_failed"] == (state == "ERROR")
    assert run.info.status == "FINISHED"


def test_a_run_failed_where_all_did_also_when_only_their_folders_say_so(evalkit, project, mlflow):
    project.remove(f"{project.run_dir}/run_result.json")
    project.unlog("beta")
    for case in CASES:
        project.write(f"{project.run_dir}/cases/{case}/run_result.json", usage(137, 7.5))
    assert evalkit("log-results", *RUN).report["executions"]["failed"] == 3
    assert mlflow.run().info.status == "FAILED"
    assert {trace.info.state for trace in mlflow.traces().values()} == {"ERROR"}
    assert mlflow.traces()["beta"].info.execution_duration == 7500


def test_a_batch_run_without_a_log_has_one_trace_for_all_cases(evalkit, project, mlflow):
    project.make_batch()
    project.remove(f"{project.run_dir}/stdout.log")
    batch = {**RESULT, "execution_mode": "batch", "exit_code": 3}
    project.write(f"{project.run_dir}/run_result.json", batch)
    report = evalkit("log-results", *RUN).report
    assert (report["traces"], report["unmatched"]) == (1, 0)
    assert report["executions"] == {
        "total": 1,
        "failed": 1,
        "names": {"(whole run)": "exit code 3"},
    }
    info = mlflow.traces()[RUN_ID].info
    assert (info.state, info.execution_duration) == ("ERROR", 30_000)


@pytest.mark.parametrize("stage", ["log-results", "push-feedback", "pull-feedback"])
def test_failed_executions_are_the_first_line(evalkit, project, stage):
    result(project, alpha=usage(124), beta=usage(1), gamma=usage())
    evalkit("log-results", *RUN)
    done = evalkit(stage, *RUN)
    first, *_ = (line for line in done.err.splitlines() if "traces written" not in line)
    told = "2 of 3 executions failed: alpha (exit code 124), beta (exit code 1)"
    assert first == f"! {told}"
    assert done.report["executions"]["failed"] == 2
    strict = evalkit(stage, *RUN, "--strict")
    assert strict.code == (stage == "log-results")


# -- a stub gives way -----------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["log-results", "push-feedback", "pull-feedback"])
def test_a_stub_gives_way_to_a_recorded_trace_with_all_that_was_said_of_it(
    evalkit, project, mlflow, stage
):
    project.unlog("beta")
    project.review.write_text("feedback: {beta: too short}\n")
    evalkit("all", *RUN)
    mlflow.say("beta", "helpful", False, who="ann", rationale="it says nothing")
    before = mlflow.values("beta")
    live = mlflow.record("live", eval_run_id=RUN_ID, eval_case_id="beta")
    done = evalkit(stage, *RUN)
    assert done.code == 0
    assert "gave way" in done.err
    assert set(mlflow.traces()) == {"alpha", "live", "gamma"}
    assert mlflow.values("live") == before
    assert mlflow.feedback("live")["helpful"].source.source_id == "ann"
    info = mlflow.traces()["live"].info
    assert info.trace_id == live
    assert info.trace_metadata["mlflow.sourceRun"] == mlflow.run().info.run_id
    evalkit("log-results", *RUN)
    assert evalkit("log-results", *RUN).report["written"] is False
    assert evalkit("push-feedback", *RUN).report["created"] == 0
    assert evalkit("pull-feedback", *RUN).report["annotations"] == 1
    assert mlflow.values("live") == before


def test_a_stub_gives_way_to_a_log_with_all_that_was_said_of_it(evalkit, project, mlflow):
    log = (project.root / project.run_dir / "cases/beta/stdout.log").read_bytes()
    project.unlog("beta")
    evalkit("log-results", *RUN)
    mlflow.say("beta", "helpful", False, who="ann")
    project.log("beta", log)
    assert evalkit("log-results", *RUN).report["receipt"]["missing"] == []
    assert mlflow.values("beta")["helpful"] is False
    assert "evalkit.stub" not in mlflow.traces()["beta"].info.tags
    assert mlflow.traces()["beta"].info.tags["evalkit.receipt"] == "reconciled"


def test_a_push_says_why_feedback_has_no_trace(evalkit, project):
    assert f"evalkit log-results --run-id {RUN_ID}" in evalkit("push-feedback", *RUN).err
    project.review.write_text("feedback: {omega: fine}\n")
    evalkit("log-results", *RUN)
    assert "cases that the run does not have: omega" in evalkit("push-feedback", *RUN).err


@pytest.mark.parametrize(
    ("events", "failed"),
    [
        (["good", "bad"], False),
        (["bad", "init", "good"], False),
        (["good", "init", "bad"], True),
        (["bad", "init"], False),
    ],
    ids=str,
)
def test_how_a_log_ends_is_the_same_for_the_run_and_for_the_trace(
    evalkit, project, mlflow, events, failed
):
    bad = finish("done", subtype="error_max_turns", is_error=True)
    lines = {"good": finish("done"), "bad": bad, "init": init()}
    log = [init(), say("m", text("done")), *(lines[each] for each in events)]
    project.log("beta", b"".join(as_lines(log)))
    report = evalkit("log-results", *RUN).report
    assert report["executions"]["failed"] == failed
    assert report["executions"]["names"] == ({"beta": "error_max_turns"} if failed else {})
    assert (mlflow.traces()["beta"].info.state == "ERROR") == failed


# -- what a case without a log was asked ----------------------------------------------------------


@pytest.mark.parametrize("mapped", [True, False])
def test_a_stub_has_the_input_that_the_mapping_selects_or_that_lies_there(
    evalkit, project, mlflow, mapped
):
    project.unlog("beta")
    project.remove("cases/beta/input.yaml")
    if mapped:
        project.write("cases/beta/ticket.json", {"question": "where is my parcel?"})
        project.write("cases/beta/prompt.md", "handle beta, please")
        mapping = {"inputs": {"question": "ticket.json:question"}, "expectations": {}}
        project.write("tmp/schema_mapping.json", mapping)
    else:
        project.remove("tmp/schema_mapping.json")
        project.write("cases/beta/input.json", {"prompt": "where is my parcel?"})
    assert evalkit("log-results", *RUN).code == 0
    trace = mlflow.client.get_trace(mlflow.traces()["beta"].info.trace_id)
    assert "where is my parcel?" in trace.data.request


def test_every_case_recorded_before_anything_is_logged_is_used(evalkit, mlflow):
    evalkit("sync-dataset")
    ids = {case: mlflow.record(case, eval_run_id=RUN_ID, eval_case_id=case) for case in CASES}
    assert evalkit("push-feedback", *RUN).report["traces"] == 3
    evalkit("log-results", *RUN)
    assert {c: t.info.trace_id for c, t in mlflow.traces().items()} == ids
    assert mlflow.values("gamma")["quality"] == 5


# -- a run that failed while no case says which ---------------------------------------------------


@pytest.mark.parametrize("per_case", [None, {}, {c: {"exit_code": 0} for c in CASES}])
def test_a_run_that_failed_is_never_silent_and_no_equal_in_a_comparison(evalkit, project, per_case):
    cases = {} if per_case is None else {"per_case": per_case}
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "exit_code": 2, **cases})
    logged = evalkit("log-results", *RUN, "--strict")
    assert logged.code == 1
    assert [line for line in logged.err.splitlines() if "exit code 2" in line], logged.err
    assert "0 of 3 executions failed" not in logged.err
    before = f"eval/runs/{project.name}/before"
    project.write(f"{before}/run_result.json", RESULT)
    project.write(f"{before}/summary.yaml", project.read(project.summary))
    compared = evalkit("compare", RUN_ID, "--baseline", "before", "--strict")
    assert (compared.code, compared.report["verdict"]) == (1, "worse")
    assert "exit code 2" in compared.report["findings"][0]
