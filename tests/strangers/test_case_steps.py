"""A case that was done in several steps, each an agent session with a log of its own."""

import pytest
from agentlogs import SONNET, answer, as_lines, ask, finish, init, say, text, usage, use
from eval_project import RUN

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
def steps(evalkit, project, mlflow):
    """Logs the run, and tells what the trace of alpha shows: its steps with their tool calls."""

    def log():
        outcome = evalkit("log-results", *RUN)
        assert outcome.code == 0
        trace = mlflow.client.get_trace(mlflow.traces()["alpha"].info.trace_id)
        (root,) = (span for span in trace.data.spans if span.parent_id is None)
        below = [span for span in trace.data.spans if span.parent_id == root.span_id]
        log.trace, log.receipt = trace, outcome.report["receipt"]
        return {span.name: span.outputs for span in below if span.span_type == "AGENT"}

    def write(**more):
        for number, step in enumerate(STEPS):
            given = {"session": more["session"], "unseen": 100 * number} if more else {}
            path = f"{project.run_dir}/cases/alpha/steps/{step}/stdout.log"
            project.log("alpha", project.write(path, log_of_step(step, **given)).read_bytes())

    write()
    log.write = write
    project.configure(execution={"steps": [{"id": step, "prompt": step} for step in STEPS]})
    return log


ALL = {f"step {step}": f"the {step}" for step in STEPS}
TOKENS = "mlflow.trace.tokenUsage"


def test_all_steps_are_in_the_trace_in_order_and_add_up(steps):
    assert list(steps().items()) == list(ALL.items())
    info = steps.trace.info
    assert (info.request_preview, info.response_preview) == ("alpha: please plan", "the check")
    assert '"input_tokens": 60' in info.trace_metadata[TOKENS]
    tools = [span.outputs for span in steps.trace.data.spans if span.span_type == "TOOL"]
    assert tools == [f"{step} is done" for step in STEPS]
    assert steps.receipt["verdicts"] == {"reconciled": 3}
    steps.write(session="one")  # each resumes that before, and uses ever more that no log shows
    assert steps() == ALL
    assert '"input_tokens": 360' in steps.trace.info.trace_metadata[TOKENS]


def test_the_order_is_the_runs_own_where_the_config_has_changed(steps, project):
    project.configure(execution={"steps": [{"id": "check"}, {"id": "act"}]})
    project.write(
        f"{project.run_dir}/run_result.json",
        {"per_case": {"alpha": {"steps": {step: {"exit_code": 0} for step in STEPS}}}},
    )
    assert list(steps()) == list(ALL)


@pytest.mark.parametrize("kept", [None, 0, 300])
def test_a_run_that_was_killed_in_a_step_keeps_the_steps_before(steps, project, kept):
    """Without the step's log it stays open how the case ended."""
    project.remove(f"{project.run_dir}/cases/alpha/stdout.log")
    folder = f"{project.run_dir}/cases/alpha/steps/check"
    if kept is None:
        project.remove(folder)
    else:
        project.write(f"{folder}/stdout.log", log_of_step("check")[:kept])
    found = list(steps())
    assert (found[:2], len(found)) == (list(ALL)[:2], 3 if kept else 2)
    assert kept is not None or steps.trace.info.state == "STATE_UNSPECIFIED"


def test_what_lies_beside_the_steps_is_not_lost(steps, project):
    """An unreadable line, a subagent of one step's session, a log that is no copy of a step."""
    project.log("alpha", log_of_step("afterthought"))
    project.write(
        f"{project.run_dir}/cases/alpha/steps/act/stdout.log", b"npm warn\n" + log_of_step("act")
    )
    event = {"type": "assistant", "sessionId": "act", "message": {"id": "x", "content": "looked"}}
    path = f"{project.run_dir}/cases/alpha/subagents/agent-9.jsonl"
    project.write(path, as_lines([event])[0])
    assert list(steps().values()) == [*ALL.values(), "the afterthought"]
    assert steps.receipt["unreadable"] == 1
    by_id = {span.span_id: span for span in steps.trace.data.spans}
    (agent,) = (span for span in by_id.values() if span.name == "subagent")
    tool = by_id[agent.parent_id]
    assert by_id[tool.parent_id].name == "step act"
