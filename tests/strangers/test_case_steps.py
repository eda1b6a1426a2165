"""A case that was done in several steps, each an agent session with a log of its own."""

import pytest
from agentlogs import SONNET, answer, as_lines, ask, finish, init, say, text, usage, use
from eval_project import RESULT, RUN

STEPS = ("plan", "act", "check")
"""Not in the alphabet's order."""
ALL = {f"step {step}": f"the {step}" for step in STEPS}


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
    """Logs the run, and tells what the trace of alpha shows: its steps with what they answered."""

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


def test_all_steps_are_in_the_trace_in_order_and_add_up_to_what_the_run_says(steps, project):
    tokens = {"token_usage": {"input": 60, "output": 30}}
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "per_case": {"alpha": tokens}})
    assert list(steps().items()) == list(ALL.items())
    info = steps.trace.info
    assert (info.request_preview, info.response_preview) == ("alpha: please plan", "the check")
    assert (info.token_usage["input_tokens"], info.tags["evalkit.receipt"]) == (60, "reconciled")
    tools = [span.outputs for span in steps.trace.data.spans if span.span_type == "TOOL"]
    assert tools == [f"{step} is done" for step in STEPS]
    assert steps.receipt["verdicts"] == {"reconciled": 3}
    project.remove(f"{project.run_dir}/run_result.json")
    steps.write(session="one")  # each resumes that before, and uses ever more that no log shows
    assert steps() == ALL
    assert steps.trace.info.token_usage["input_tokens"] == 360
    # the order is the run's own where the config has changed
    project.configure(execution={"steps": [{"id": "check"}, {"id": "act"}]})
    of_run = {"steps": {step: {"exit_code": 0} for step in STEPS}}
    project.write(f"{project.run_dir}/run_result.json", {"per_case": {"alpha": of_run}})
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
    case = f"{project.run_dir}/cases/alpha"
    project.write(f"{case}/steps/act/stdout.log", b"npm warn\n" + log_of_step("act"))
    event = {"type": "assistant", "sessionId": "act", "message": {"id": "x", "content": "looked"}}
    project.write(f"{case}/subagents/agent-9.jsonl", as_lines([event])[0])
    assert list(steps().values()) == [*ALL.values(), "the afterthought"]
    assert steps.receipt["unreadable"] == 1
    by_id = {span.span_id: span for span in steps.trace.data.spans}
    (agent,) = (span for span in by_id.values() if span.name == "subagent")
    assert by_id[by_id[agent.parent_id].parent_id].name == "step act"
