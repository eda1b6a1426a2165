"""A case that was done in several steps, each an agent session with a log of its own."""

import pytest
from agentlogs import SONNET, answer, as_lines, ask, finish, init, say, text, usage, use
from eval_project import RUN_ID
from in_mlflow import InMlflow

RUN = ("--run-id", RUN_ID)
STEPS = ("plan", "act", "check")
"""Not in the alphabet's order."""


def log_of_step(step, session="", unseen=0):
    """A question, a tool call and an answer; ids are those of every other step."""
    events = [
        init(session or step),
        ask(f"please {step}"),
        say("m1", use("t1", "Bash", command=step), used=usage(10, 5), stop="tool_use"),
        answer("t1", f"{step} is done"),
        say("m2", text(f"the {step}"), used=usage(10, 5), stop="end_turn"),
        finish(f"the {step}", models={SONNET: usage(20 + unseen, 10)}, main=usage(20, 10)),
    ]
    return b"".join(as_lines({**event, "session_id": session or step} for event in events))


@pytest.fixture
def steps(evalkit, project, database_uri):
    """Logs the run, and tells what the trace of alpha shows: its steps with their tool calls."""

    def log():
        outcome = evalkit("log-results", *RUN)
        assert outcome.code == 0
        mlflow = InMlflow(database_uri)
        trace = mlflow.client.get_trace(mlflow.traces()["alpha"].info.trace_id)
        (root,) = (span for span in trace.data.spans if span.parent_id is None)
        below = [span for span in trace.data.spans if span.parent_id == root.span_id]
        project.trace, project.receipt = trace, outcome.report["receipt"]
        return {span.name: span.outputs for span in below if span.span_type == "AGENT"}

    for step in STEPS:
        project.write(f"{project.run_dir}/cases/alpha/steps/{step}/stdout.log", log_of_step(step))
    project.log("alpha", log_of_step(STEPS[-1]))
    project.configure(execution={"steps": [{"id": step, "prompt": step} for step in STEPS]})
    return log


ALL = {f"step {step}": f"the {step}" for step in STEPS}


def test_all_steps_are_in_the_trace_in_order_and_add_up(steps, project):
    assert list(steps().items()) == list(ALL.items())
    info = project.trace.info
    assert (info.request_preview, info.response_preview) == ("alpha: please plan", "the check")
    assert '"input_tokens": 60' in info.trace_metadata["mlflow.trace.tokenUsage"]
    tools = [span.outputs for span in project.trace.data.spans if span.span_type == "TOOL"]
    assert tools == [f"{step} is done" for step in STEPS]
    assert project.receipt["verdicts"] == {"reconciled": 3}


def test_what_a_step_used_is_its_own_however_much_more_than_the_step_before(steps, project):
    for number, step in enumerate(STEPS):
        path = f"{project.run_dir}/cases/alpha/steps/{step}/stdout.log"
        project.write(path, log_of_step(step, session="one", unseen=100 * number))
    project.log("alpha", log_of_step(STEPS[-1], session="one", unseen=200))
    steps()
    assert '"input_tokens": 360' in project.trace.info.trace_metadata["mlflow.trace.tokenUsage"]


def test_the_order_is_the_runs_own_where_the_config_has_changed(steps, project):
    project.configure(execution={"steps": [{"id": "check"}, {"id": "act"}]})
    project.write(
        f"{project.run_dir}/run_result.json",
        {"per_case": {"alpha": {"steps": {step: {"exit_code": 0} for step in STEPS}}}},
    )
    assert list(steps()) == list(ALL)


def test_a_step_that_resumes_the_session_of_the_one_before_is_a_step_all_the_same(steps, project):
    for step in STEPS:
        path = f"{project.run_dir}/cases/alpha/steps/{step}/stdout.log"
        project.write(path, log_of_step(step, session="one"))
    project.log("alpha", log_of_step(STEPS[-1], session="one"))
    assert steps() == ALL


@pytest.mark.parametrize("kept", [0, 300])
def test_a_run_that_was_killed_in_a_step_keeps_the_steps_before(steps, project, kept):
    project.remove(f"{project.run_dir}/cases/alpha/stdout.log")
    path = f"{project.run_dir}/cases/alpha/steps/check/stdout.log"
    project.write(path, log_of_step("check")[:kept])
    assert list(steps())[:2] == list(ALL)[:2]
    assert len(steps()) == (3 if kept else 2)


def test_a_step_that_left_no_log_leaves_open_how_the_case_ended(steps, project):
    project.remove(f"{project.run_dir}/cases/alpha/stdout.log")
    project.remove(f"{project.run_dir}/cases/alpha/steps/check")
    assert list(steps()) == list(ALL)[:2]
    assert project.trace.info.state == "STATE_UNSPECIFIED"


def test_a_log_of_the_case_that_is_no_copy_of_a_step_is_not_lost(steps, project):
    project.log("alpha", log_of_step("afterthought"))
    assert list(steps().values()) == [*ALL.values(), "the afterthought"]


def test_lines_that_cannot_be_read_are_named_with_their_step(steps, project):
    path = f"{project.run_dir}/cases/alpha/steps/act/stdout.log"
    project.write(path, b"npm warn\n" + log_of_step("act"))
    assert steps() == ALL
    assert project.receipt["unreadable"] == 1


def test_a_subagents_transcript_belongs_to_the_step_of_its_session(steps, project):
    event = {"type": "assistant", "sessionId": "act", "message": {"id": "x", "content": "looked"}}
    path = f"{project.run_dir}/cases/alpha/subagents/agent-9.jsonl"
    project.write(path, as_lines([event])[0])
    steps()
    by_id = {span.span_id: span for span in project.trace.data.spans}
    (agent,) = (span for span in by_id.values() if span.name == "subagent")
    tool = by_id[agent.parent_id]
    assert by_id[tool.parent_id].name == "step act"
