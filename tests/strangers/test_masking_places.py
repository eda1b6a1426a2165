"""No secret reaches MLflow, in whichever place of the project it stands: one table of both."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from agentlogs import as_lines, ask, finish, init, say, text
from eval_project import RESULT, RUN_ID, scores_of

BODY = "Zx9" + "kQ4vL2mWb7TnYr8s"
RUN = ("--run-id", RUN_ID)
SECRETS = {
    "by form": "sk-ant-" + "api03-{place}" + BODY,
    "by name": "DB_PASSWORD={place}" + BODY,
    "in a URL": "https://bob:{place}" + BODY + "@example.org/x",
    "in a command": "curl -u bob:{place}" + BODY,
}
PLACES = (
    "tag", "input", "reference", "rationale", "score", "error", "model", "agent", "usage",
    "reviewer", "comment", "verdict", "request", "answer", "summary", "case",
)  # fmt: skip


@pytest.fixture(params=SECRETS.values(), ids=SECRETS)
def filled(request, project):
    """The project with a secret of its own in each place."""

    def of(place):
        return "see " + request.param.format(place=place)

    project.configure(mlflow={"tags": {"note": of("tag")}})
    project.add_case("alpha", of("input"), of("reference"))
    scores = {case: scores_of(case) for case in ("alpha", "beta", "gamma")}
    scores["alpha"]["polite"] = {"value": of("score"), "rationale": of("rationale")}
    scores["alpha"]["broken"] = {"value": None, "error": of("error")}
    project.summarise(scores, notes=of("summary"))
    figures = {"input": 1, "output": 1, "cost_usd": 0.1}
    more = {"model": of("model"), "agent": of("agent"), "per_model_usage": {of("usage"): figures}}
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, **more})
    review = {
        "reviewer": of("reviewer"),
        "feedback": {"alpha": of("comment")},
        "verdicts": {"alpha": {"polite": of("verdict")}},
    }
    project.write(f"{project.run_dir}/review.yaml", review)
    log = [init(), ask(of("request")), say("m1", text(of("answer"))), finish(of("answer"))]
    project.log("alpha", b"".join(as_lines(log)))
    return project


@pytest.mark.usefixtures("filled")
def test_every_place_is_masked_and_named(evalkit, database_uri):
    said = [evalkit("sync-dataset"), evalkit("log-results", *RUN), evalkit("push-feedback", *RUN)]
    assert [done.code for done in said] == [0, 0, 0]
    folder = Path(database_uri.removeprefix("sqlite:///")).parent
    kept = b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        kept += "\n".join(database.iterdump()).encode()
    assert [place for place in PLACES if (place + BODY).encode() in kept] == []
    told = said[1].report["masked"]
    assert {"logs", "params", "tags", "metrics", "artifacts", "assessments"} <= set(told)
    assert "secrets were masked: " in said[1].err
    assert "secrets are masked: 1 in inputs, 1 in expectations" in said[0].err
    assert said[2].report["masked"] >= 4

    again = [evalkit("sync-dataset"), evalkit("log-results", *RUN), evalkit("push-feedback", *RUN)]
    assert again[0].report["unchanged"] == 3
    assert again[1].report["written"] is False
    assert (again[2].report["created"], again[2].report["updated"]) == (0, 0)
