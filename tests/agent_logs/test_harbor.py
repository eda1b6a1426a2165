"""Runs of the harness's Harbor runner: each case's log lies in the job's folder, a trial a case."""

import json

import pytest
from agentlogs import answer, as_lines, ask, finish, init, say, text, use
from eval_project import CASES, RESULT, RUN, scores_of


def stream(words):
    called = [say("m1", use("t1", "Bash", command="ls")), answer("t1", "a.txt")]
    return b"".join(as_lines([init(), ask("go"), *called, say("m2", text(words)), finish(words)]))


def trajectory(*words, first=True):
    steps = [{"step_id": 1, "source": "user", "message": "go", "is_copied_context": not first}]
    steps += [
        {"step_id": n, "source": "agent", "message": each} for n, each in enumerate(words, start=2)
    ]
    agent = {"name": "terminus-2", "version": "2.0.0", "model_name": "openai/gpt-4o"}
    return {"schema_version": "ATIF-v1.6", "session_id": "s", "agent": agent, "steps": steps}


@pytest.fixture
def trial(project):
    """Writes a trial of a case into the job that the run names, which has no other logs."""
    project.unlog(*CASES)

    def name_job(job):
        named = {**RESULT, "execution_mode": "harbor", "harbor_job_dir": job}
        del named["exit_code"]
        project.write(f"{project.run_dir}/run_result.json", named)

    def write(case, name, files, **more):
        ran = {"started_at": "2026-03-12T12:08:35Z", "finished_at": "2026-03-12T12:09:35Z"}
        used = {"n_input_tokens": 110, "n_cache_tokens": 10, "n_output_tokens": 50}
        about = {"id": f"id-{case}-{name}", "task_name": f"suite/{case}", "trial_name": name}
        about |= {"finished_at": ran["finished_at"], "agent_execution": ran, "agent_result": used}
        for path, content in {"result.json": about | more, **files}.items():
            project.write(f"jobs/j1/{case}__{name}/{path}", content)

    name_job("jobs/j1")
    write.name_job = name_job
    return write


def test_each_trial_of_a_job_is_the_trace_of_its_case(evalkit, trial, mlflow):
    streamed, other = stream("of alpha"), trajectory("not this")
    trial("alpha", "x", {"agent/claude-code.txt": streamed, "agent/trajectory.json": other})
    indented = json.dumps(trajectory("one", "two"), indent=2)
    rest = trajectory("of beta", first=False)
    trial(
        *("beta", "x"),
        {"agent/trajectory.json": indented, "agent/trajectory.cont-1.json": rest},
    )
    raised = {"exception_type": "AgentTimeoutError", "exception_message": "after 900 s"}
    for name in "xy":
        trial("gamma", name, {}, exception_info=raised)
    done = evalkit("all", *RUN)
    report = done.report["log-results"]
    failed = {"gamma": "AgentTimeoutError: after 900 s"}
    assert (done.code, report["executions"]["names"]) == (0, failed)
    assert "gamma has several trials: gamma__x stands for it" in done.err
    assert "harbor_job_dir" not in done.err
    found = {case: each.info for case, each in mlflow.traces().items()}
    assert {case: (info.state, info.response_preview) for case, info in found.items()} == {
        "alpha": ("OK", "of alpha"), "beta": ("OK", "of beta"), "gamma": ("ERROR", ""),
    }  # fmt: skip
    tokens = json.loads(found["beta"].trace_metadata["mlflow.trace.tokenUsage"])
    assert (tokens["input_tokens"], tokens["output_tokens"]) == (100, 50)
    assert "there is no log" in found["gamma"].tags["evalkit.stub"]
    assert found["gamma"].execution_duration == 60_000
    assert set(mlflow.values("beta")) >= scores_of("beta").keys()
    assert evalkit("log-results", *RUN).report["written"] is False


def test_the_steps_of_a_trial_follow_each_other(evalkit, trial, mlflow):
    steps = {f"steps/{step}/agent/claude-code.txt": stream(step) for step in ("write", "plan")}
    order = [{"step_name": "plan"}, {"step_name": "write"}]
    trial("beta", "x", steps, step_results=order)
    report = evalkit("log-results", *RUN).report
    assert report["receipt"]["missing"] == ["alpha", "gamma"]
    assert mlflow.traces()["beta"].info.response_preview == "write"


@pytest.mark.parametrize("job", ["jobs/none", "../../../../../..", "elsewhere"])
def test_a_job_that_is_not_in_the_project_is_named_and_not_followed(
    evalkit, project, trial, tmp_path, job
):
    trial.name_job(job)
    (tmp_path / "outside/beta__x/agent").mkdir(parents=True)
    (tmp_path / "outside/beta__x/agent/claude-code.txt").write_bytes(stream("not ours"))
    (project.root / "elsewhere").symlink_to(tmp_path / "outside")
    done = evalkit("log-results", *RUN)
    assert (done.code, "harbor_job_dir" in done.err) == (0, True)
    assert done.report["receipt"]["missing"] == [*CASES]
