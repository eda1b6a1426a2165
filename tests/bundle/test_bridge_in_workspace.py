"""The bridge's job into the workspace's own MLflow: killed, run again, scores never doubled."""

import pytest
from commands import until
from eval_project import CASES, RUN, RUN_ID, scores_of
from in_mlflow import InMlflow
from tasks import started

EXPERIMENT = "/Users/dev/support"
TABLE = "main.evals.support_cases"


@pytest.mark.timeout(300)
def test_the_bridge_completes_in_the_workspace_after_a_kill_and_again(
    bundle, installed, workspace, project, evalkit, tmp_path
):
    project.configure(mlflow={"experiment": EXPERIMENT})
    at = {"var.volume_path": str(tmp_path)}
    tasks = started(bundle, "eval_bridge_job", at, input=RUN_ID, dataset_name=TABLE)
    job = {"cwd": tmp_path, "DATABRICKS_HOST": workspace.url}
    first = installed.start(tasks["run"], **job)
    until(lambda: first.poll() is not None or workspace.seen("POST .*/assessments$"), 100)
    first.kill()
    first.communicate()

    code, said = installed.run(tasks["sync"], tasks["run"], **job)
    assert code == 0, said
    rows = workspace.datasets.rows(TABLE)
    assert {row["tags"]["evalkit.case"] for row in rows} == set(CASES)
    there = InMlflow("databricks", EXPERIMENT)
    assert set(there.traces()) == set(CASES) == {c for c in CASES if there.feedback(c)}
    assert set(there.feedback("alpha")) == set(scores_of("alpha"))

    there.say("alpha", "would_send", False, who="ann@team.example")
    project.summarise({case: scores_of(case, number=1) for case in CASES})
    for expected in ({"updated": 6, "created": 0}, {"updated": 0, "created": 0}):
        pushed = evalkit("push-feedback", *RUN, uri="databricks")
        assert pushed.code == 0, pushed.err
        assert pushed.report.items() >= expected.items()
    assert there.feedback("alpha")["polite"].value is False
    pulled = evalkit("pull-feedback", *RUN, uri="databricks")
    assert (pulled.code, pulled.report["annotations"]) == (0, 1), pulled.err
