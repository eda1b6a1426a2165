"""Runs of the harness's Harbor runner: each case's log lies in the job's folder, a trial a case."""

import json

import pytest
from agentlogs import answer, as_lines, ask, finish, init, say, text, use
from eval_project import RESULT, RUN_ID, scores_of
from in_mlflow import InMlflow

RUN = ("--run-id", RUN_ID)


@pytest.fixture
def mlflow(database_uri):
    return InMlflow(database_uri)


def stream(words):
    called = [say("m1", use("t1", "Bash", command="ls")), answer("t1", "a.txt")]
    return b"".join(as_lines([init(), ask("go"), *called, say("m2", text(words)), finish(words)]))


def trajectory(*words, first=True, **more):
    steps = [{"step_id": 1, "source": "user", "message": "go", "is_copied_context": not first}]
    called = {"tool_call_id": "c", "function_name": "bash", "arguments": {"of": "ls"}}
    steps += [
        {"step_id": n, "source": "agent", "message": each, "tool_calls": [called]}
        for n, each in enumerate(words, start=2)
    ]
    agent = {"name": "terminus-2", "version": "2.0.0", "model_name": "openai/gpt-4o"}
    head = {"schema_version": "ATIF-v1.6", "session_id": "s", "agent": agent}
    return {**head, "steps": steps, **more}


def trial(project, case, name, **files):
    folder = f"jobs/j1/{case}__{name}"
    ran = {"started_at": "2026-03-12T12:08:35Z", "finished_at": "2026-03-12T12:09:35Z"}
    about = {"id": f"id-{case}-{name}", "task_name": f"suite/{case}", "trial_name": name,
             "finished_at": ran["finished_at"], "agent_execution": ran,
             "agent_result": {"n_input_tokens": 110, "n_cache_tokens": 10, "n_output_tokens": 50},
             "verifier_result": {"rewards": {"reward": 0.5}}, "exception_info": None}  # fmt: skip
    project.write(f"{folder}/result.json", about | files.pop("result", {}))
    for path, content in files.items():
        project.write(f"{folder}/{path}", content)


def harbored(project, job="jobs/j1"):
    for case in ("alpha", "beta", "gamma"):
        project.unlog(case)
    named = {k: v for k, v in RESULT.items() if k not in {"per_case", "exit_code"}}
    project.write(
        f"{project.run_dir}/run_result.json",
        {**named, "execution_mode": "harbor", "harbor_job_dir": job},
    )


def test_each_trial_of_a_job_is_the_trace_of_its_case(evalkit, project, mlflow):
    harbored(project)
    trial(project, "alpha", "x", **{"agent/claude-code.txt": stream("of alpha"),
                                    "agent/trajectory.json": trajectory("not this")})  # fmt: skip
    trial(project, "beta", "x", **{
        "agent/trajectory.json": json.dumps(trajectory("one", "two"), indent=2).encode(),
        "agent/trajectory.cont-1.json": trajectory("of beta", first=False),
    })  # fmt: skip
    raised = {"exception_type": "AgentTimeoutError", "exception_message": "after 900 s"}
    trial(project, "gamma", "x", result={"exception_info": raised})
    trial(project, "gamma", "y", result={"exception_info": raised})
    done = evalkit("all", *RUN)
    assert done.code == 0
    report = done.report["log-results"]
    assert report["executions"]["names"] == {"gamma": "AgentTimeoutError: after 900 s"}
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


def test_the_steps_of_a_trial_follow_each_other(evalkit, project, mlflow):
    harbored(project)
    steps = {f"steps/{step}/agent/claude-code.txt": stream(step) for step in ("write", "plan")}
    order = [{"step_name": "plan"}, {"step_name": "write"}]
    trial(project, "beta", "x", result={"step_results": order}, **steps)
    report = evalkit("log-results", *RUN).report
    assert report["receipt"]["missing"] == ["alpha", "gamma"]
    assert mlflow.traces()["beta"].info.response_preview == "write"


@pytest.mark.parametrize("job", ["jobs/none", "../../../../../..", "elsewhere"])
def test_a_job_that_is_not_in_the_project_is_named_and_not_followed(
    evalkit, project, mlflow, tmp_path_factory, job
):
    harbored(project, job)
    outside = tmp_path_factory.mktemp("outside")
    (outside / "beta__x" / "agent").mkdir(parents=True)
    (outside / "beta__x" / "agent" / "claude-code.txt").write_bytes(stream("not ours"))
    (project.root / "elsewhere").symlink_to(outside)
    done = evalkit("log-results", *RUN)
    assert done.code == 0
    assert "harbor_job_dir" in done.err
    assert done.report["receipt"]["missing"] == ["alpha", "beta", "gamma"]
    assert set(mlflow.traces()) == {"alpha", "beta", "gamma"}
