"""The agent's job against a workspace: its MLflow, its volume; killed, and gone on with."""

import json

import pytest
from commands import until
from managed_server import managed_mlflow
from mlflow.entities import TraceData
from mlflow.tracing.client import TracingClient
from shop_agent import ShopAgent
from task_argv import AS_DEPLOYED, task_argv, wheel_tasks
from workspace_server import PAT

from evalkit.adapters.store import connect

SHOP, OWN = "/Users/dev/shop", "/Users/dev/evalkit-agent"
VOLUME = "/Volumes/main/evals/agent"


@pytest.fixture
def workspace(server, monkeypatch):
    """A workspace with an agent's traces, and no volume yet."""
    with managed_mlflow(server.uri) as running:
        monkeypatch.setenv("DATABRICKS_HOST", running.url)
        monkeypatch.setenv("DATABRICKS_TOKEN", PAT)
        agent = ShopAgent(server.uri, connect("databricks").experiment(SHOP, create=True))
        there, here = TracingClient("databricks"), TracingClient(server.uri)
        for number in range(6):
            trace_id = agent.answer(f"where is order {number}?")
            spans = TraceData(here.get_trace(trace_id).data.spans)
            there._upload_trace_data(there.get_trace_info(trace_id), spans)
        yield running


@pytest.fixture
def start(bundle, installed, workspace, tmp_path):
    """Starts ``eval_agent_job`` with the arguments that it gets; ``chosen`` are its parameters."""
    (task,) = (task for job, task in wheel_tasks(bundle) if job == "eval_agent_job")
    wheel = task["python_wheel_task"]
    env = {"DATABRICKS_RUNTIME_VERSION": "17.3", "DATABRICKS_HOST": workspace.url}

    def start(**chosen):
        given = {"experiment_id": SHOP, "volume_path": VOLUME, "model": "offline", **chosen}
        given["mlflow_agent_experiment_id"] = OWN
        argv = task_argv(bundle, "eval_agent_job", task, AS_DEPLOYED, **given)
        started = (wheel["package_name"], wheel["entry_point"], argv)
        return installed.start_task(started, cwd=tmp_path, env=env)

    return start


def content(workspace, part):
    """The files on the volume whose path has that part, by name."""
    return {name: data for name, data in dict(workspace.files).items() if part in name}


@pytest.mark.timeout(600)
def test_a_killed_agent_goes_on_with_what_lies_on_the_volume(start, workspace):
    first = start(max_iterations="2")
    until(lambda: first.poll() is not None or content(workspace, "journal/002/"), 200)
    first.kill()
    _, said = first.communicate()
    assert "main.evals.agent" in workspace.volumes, said
    before = content(workspace, "journal/001/")
    assert before, said
    session = next(iter(before)).removeprefix(f"{VOLUME}/sessions/").split("/")[0]

    second = start(max_iterations="1", session=session)
    _, said = second.communicate(timeout=200)
    assert second.returncode == 1
    assert "EvalkitError: agent: the budget of 1 session" in said
    assert content(workspace, "journal/001/") == before
    (plan,) = content(workspace, f"{session}/eval_tasks.json").values()
    assert json.loads(plan)["tasks"][0]["status"] == "done"
    assert content(workspace, f"{session}/evaluation/eval_dataset.py")

    store = connect("databricks")
    own, _ = store.find_experiment(OWN)
    assert all(trace.spans for trace in store.observe(own, most=10))
    assert len(list(store.observe(own, most=10))) >= 2
    looked_at, _ = store.find_experiment(SHOP)
    assert len(list(store.observe(looked_at, most=10))) == 6
