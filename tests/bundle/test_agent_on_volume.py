"""The agent's job against a workspace's MLflow: killed, and the run repaired."""

import json

import pytest
from commands import until
from mlflow.entities import TraceData
from mlflow.tracing.client import TracingClient
from shop_agent import ShopAgent
from tasks import started

from evalkit.store import connect

SHOP, OWN = "/Users/dev/shop", "/Users/dev/evalkit-agent"
RUN_OF_THE_JOB = "4711"
TRACES = 11


@pytest.fixture
def shop(server, workspace):
    """The workspace with an agent's traces, enough of them good for a suite to be verified."""
    agent = ShopAgent(server.uri, connect("databricks").experiment(SHOP, create=True))
    there, here = TracingClient("databricks"), TracingClient(server.uri)
    for number in range(TRACES):
        answer = f"Parcel {number} is on its way to you. Thank you for your patience, {number}."
        trace_id = agent.answer(f"where is parcel {number}?", answer)
        spans = TraceData(here.get_trace(trace_id).data.spans)
        there._upload_trace_data(there.get_trace_info(trace_id), spans)
    return workspace


@pytest.mark.timeout(600)
def test_a_killed_agent_goes_on_in_the_repaired_run_with_what_lies_on_the_volume(
    bundle, installed, shop, tmp_path
):
    volume = tmp_path / "volume"
    chosen = {"experiment_id": SHOP, "volume_path": str(volume), "model": "offline"}
    tasks = started(bundle, "eval_agent_job", mlflow_agent_experiment_id=OWN, **chosen)
    job = {"cwd": tmp_path, "DATABRICKS_HOST": shop.url}
    session = volume / "sessions" / RUN_OF_THE_JOB
    first = installed.start(tasks["agent"], **job)
    until(lambda: first.poll() is not None or (session / "state/session.json").exists(), 200)
    first.kill()
    first.communicate()
    about = (session / "state/session.json").read_bytes()
    code, said = installed.run(tasks["agent"], **job)
    assert code == 0, said
    assert about == (session / "state/session.json").read_bytes()
    assert [each.name for each in session.parent.iterdir()] == [RUN_OF_THE_JOB]
    found = json.loads((session / "state/validation_results.json").read_text("utf-8"))
    assert found["word"] == "verified"
    assert (session / "evaluation/scorers.py").exists()
    kept = json.loads((session / "state/kept.json").read_text("utf-8"))["kept"]
    assert kept["values"] >= TRACES, "each scorer's feedback lies on copies"
    store = connect("databricks")
    assert len(list(store.observe(store.find_experiment(SHOP)[0], most=50))) == TRACES
