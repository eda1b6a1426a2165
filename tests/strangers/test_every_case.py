"""Every case of a run has a trace, whatever became of it, and failure is told first."""

import json

import pytest
from agentlogs import as_lines, finish, init, say, text
from eval_project import CASES, RESULT, RUN, RUN_ID, log_of, scores_of


def usage(code=0, seconds=120.5, cost=0.75):
    tokens = {"input": 100, "output": 50, "cache_read": 10, "cache_create": 5}
    figures = {"duration_s": seconds, "cost_usd": cost, "num_turns": 3, "token_usage": tokens}
    return {"exit_code": code, **figures}


def result(project, per_case):
    ended = max(each.get("exit_code") or 0 for each in per_case.values())
    whole = {**RESULT, "exit_code": ended, "per_case": per_case}
    project.write(f"{project.run_dir}/run_result.json", whole)


def codex(*ends):
    command = {"type": "command_execution", "id": "i1", "command": "ls", "exit_code": 0}
    said = {"type": "agent_message", "id": "i2", "text": "forty-two"}
    items = [{"type": "item.completed", "item": item} for item in (command, said)]
    events = [{"type": "thread.started", "thread_id": "t"}, *items, *ends]
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


CODEX = {"input_tokens": 110, "cached_input_tokens": 10, "output_tokens": 50}
RUNNERS = {  # the log, other files, what of it is the answer, why there are no steps
    "a program that prints": (b"starting\nforty-two\n", {}, "forty-two", "plain text"),
    "one that leaves a file": (b"starting\n", {"output/a.md": "forty-two"}, "forty-two", "plain"),
    "several files": (None, {"a.md": "forty-two", "b/c.txt": "more"}, "b/c.txt", "no log"),
    "elsewhere, as Harbor does": (None, {}, "", "no log"),
    "an empty log": (b"", {}, "", "empty"),
    "a log of bytes": (b"\xff\xfe\x00\x01garbage\x00", {"output/a.md": "its answer"}, "its", ""),
    "codex": (codex({"type": "turn.completed", "usage": CODEX}), {}, "forty-two", None),
}


def test_a_case_carries_what_the_run_says_of_it_with_steps_or_without(evalkit, project, mlflow):
    for name, (log, files, *_) in RUNNERS.items():
        project.add_case(name, f"please handle {name}")
        if log is not None:
            project.log(name, log)
        for file, content in files.items():
            project.write(f"{project.run_dir}/cases/{name}/{file}", content)
    project.summarise({name: scores_of(name) for name in RUNNERS})
    result(project, dict.fromkeys([*RUNNERS, *CASES], usage()))
    project.write(str(project.review), {"feedback": dict.fromkeys(RUNNERS, "too short")})
    done = evalkit("all", *RUN)
    assert done.code == 0
    assert "2 logs are plain text" in done.err
    traces = mlflow.traces()
    for name, (_, _, output, why) in RUNNERS.items():
        info = traces[name].info
        assert (info.state, info.execution_duration) == ("OK", 120_500)
        assert f"please handle {name}" in info.request_preview
        assert output in (info.response_preview or "")
        stub = info.tags.get("evalkit.stub")
        assert stub is None if why is None else why in stub
        assert json.loads(info.trace_metadata["mlflow.trace.cost"])["total_cost"] == 0.75
        tokens = json.loads(info.trace_metadata["mlflow.trace.tokenUsage"])
        assert (tokens["input_tokens"], tokens["output_tokens"]) == (100, 50)
        assert set(mlflow.values(name)) == {*scores_of(name), "human_review"}
    assert traces["a program that prints"].info.tags["evalkit.receipt"] == "text"
    assert evalkit("log-results", *RUN).report["written"] is False


GOOD, BAD = finish("done"), finish("done", subtype="error_max_turns", is_error=True)


def ending(*events):
    return b"".join(as_lines([init(), say("m", text("done")), *events]))


UNKNOWN, NO_CREDIT = "STATE_UNSPECIFIED", {"type": "turn.failed", "error": {"message": "no credit"}}
STATES = {  # the exit code, the log, the state
    "0 without a log": (0, None, "OK"),
    "124 without a log": (124, None, "ERROR"),
    "-9 without a log": (-9, None, "ERROR"),
    "nothing at all": (None, None, UNKNOWN),
    "124": (124, log_of("x"), "ERROR"),
    "a log": (None, log_of("x"), "OK"),
    "well, then badly": (0, ending(GOOD, BAD), "OK"),
    "badly, then well in a second session": (0, ending(BAD, init(), GOOD), "OK"),
    "well, then badly in a second session": (0, ending(GOOD, init(), BAD), "ERROR"),
    "badly, and a second session without an end": (0, ending(BAD, init()), "OK"),
    "codex failed": (None, codex(NO_CREDIT), "ERROR"),
}


def test_the_state_comes_from_the_exit_code_and_the_log_and_failure_is_told_first(
    evalkit, project, mlflow
):
    project.unlog(*CASES)
    for name, (_, log, _) in STATES.items():
        if log is not None:
            project.log(name, log)
    project.summarise({name: scores_of(name) for name in STATES})
    result(project, {name: usage(code) for name, (code, *_) in STATES.items()})
    project.review.write_text("feedback: {omega: fine}\n")
    states = {name: state for name, (*_, state) in STATES.items()}
    failed = sorted(name for name, state in states.items() if state == "ERROR")
    for stage in ("log-results", "push-feedback", "pull-feedback"):
        done = evalkit(stage, *RUN)
        executions = done.report["executions"]
        assert (sorted(executions["names"]), executions["failed"]) == (failed, len(failed))
        first, *_ = (line for line in done.err.splitlines() if "traces written" not in line)
        assert first.startswith(f"! {len(failed)} of {len(states)} executions failed: -9 without")
        assert evalkit(stage, *RUN, "--strict").code == (stage != "pull-feedback")
        assert (stage == "push-feedback") == ("that the run does not have: omega" in done.err)
    assert executions["names"]["well, then badly in a second session"] == "error_max_turns"
    assert {name: trace.info.state for name, trace in mlflow.traces().items()} == states
    run = mlflow.run()
    assert (run.data.metrics["executions_failed"], run.info.status) == (len(failed), "FINISHED")


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
    failed = {"total": 1, "failed": 1, "names": {"(whole run)": "exit code 3"}}
    assert report["executions"] == failed
    info = mlflow.traces()[RUN_ID].info
    assert (info.state, info.execution_duration) == ("ERROR", 30_000)


@pytest.mark.parametrize("per_case", [None, {c: {"exit_code": 0} for c in CASES}])
def test_a_run_that_failed_is_never_silent_and_no_equal_in_a_comparison(evalkit, project, per_case):
    cases = {} if per_case is None else {"per_case": per_case}
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "exit_code": 2, **cases})
    logged = evalkit("log-results", *RUN, "--strict")
    assert (logged.code, "0 of 3 executions failed" in logged.err) == (1, False)
    assert [line for line in logged.err.splitlines() if "exit code 2" in line], logged.err
    before = f"eval/runs/{project.name}/before"
    project.write(f"{before}/run_result.json", RESULT)
    project.write(f"{before}/summary.yaml", project.read(project.summary))
    compared = evalkit("compare", RUN_ID, "--baseline", "before", "--strict")
    assert (compared.code, compared.report["verdict"]) == (1, "worse")
    assert "exit code 2" in compared.report["findings"][0]


# -- a stub gives way, and what it shows ----------------------------------------------------------


def test_a_stub_gives_way_to_a_recorded_trace_or_a_log_with_all_that_was_said_of_it(
    evalkit, project, mlflow
):
    log = (project.root / project.run_dir / "cases/gamma/stdout.log").read_bytes()
    project.add_case("delta", "please handle delta", "delta is handled")
    project.summarise({case: scores_of(case) for case in (*CASES, "delta")})
    project.unlog(*CASES)
    comments = dict.fromkeys((*CASES, "delta"), "too short")
    project.write(str(project.review), {"feedback": comments})
    evalkit("all", *RUN)
    for case in comments:
        mlflow.say(case, "helpful", False, who="ann", rationale="it says nothing")
    before = {case: mlflow.values(case) for case in comments}
    stages = {"alpha": "log-results", "beta": "push-feedback", "delta": "pull-feedback"}
    for case, stage in stages.items():
        live = mlflow.record(f"live {case}", eval_run_id=RUN_ID, eval_case_id=case)
        done = evalkit(stage, *RUN)
        assert (done.code, "gave way" in done.err) == (0, True)
        assert case not in mlflow.traces()
        assert mlflow.values(f"live {case}") == before[case]
        assert mlflow.feedback(f"live {case}")["helpful"].source.source_id == "ann"
        info = mlflow.traces()[f"live {case}"].info
        assert info.trace_id == live
        assert info.trace_metadata["mlflow.sourceRun"] == mlflow.run().info.run_id
    project.log("gamma", log)
    assert evalkit("log-results", *RUN).report["receipt"]["missing"] == []
    tags = mlflow.traces()["gamma"].info.tags
    assert ("evalkit.stub" in tags, tags["evalkit.receipt"]) == (False, "reconciled")
    assert evalkit("log-results", *RUN).report["written"] is False
    assert evalkit("push-feedback", *RUN).report["created"] == 0
    assert evalkit("pull-feedback", *RUN).report["annotations"] == 4
    live = {case: f"live {case}" if case in stages else case for case in before}
    assert {case: mlflow.values(live[case]) for case in before} == before


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
