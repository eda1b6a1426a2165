"""``evalkit demo`` as a stranger runs it: all stages, a suite at the end, again the same."""

import json
import re
from pathlib import Path

import pytest
from guarded import guarded
from mlflow import MlflowClient
from mlflow.tracing.client import TracingClient

from evalkit.demo.project import PRODUCTION, RECORDED, production_traces

pytestmark = pytest.mark.timeout(900)  # a tour takes a minute or two where nothing else runs

STAGES = ["map", "sync-dataset", "log-results", "push-feedback", "pull-feedback", "agent"]


README = Path(__file__).parents[2] / "README.md"


def run(where):
    done = guarded("demo", "here", "--json", cwd=where)
    assert done.returncode == 0, done.stderr
    return done


def reports_of(done):
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    return tmp_path_factory.mktemp("tour")


@pytest.fixture(scope="module")
def demo(where):
    """The first tour."""
    return run(where)


@pytest.fixture(scope="module")
def reports(demo):
    return reports_of(demo)


def counted(where):
    """How many traces and runs each experiment holds, by its name."""
    uri = f"sqlite:///{where}/here/mlflow.db"
    client, tracing = MlflowClient(uri), TracingClient(uri)
    return {
        each.name: (
            len(tracing.search_traces([each.experiment_id], max_results=500, include_spans=False)),
            len(client.search_runs([each.experiment_id])),
        )
        for each in client.search_experiments()
    }


def test_it_contacts_nobody(demo):
    assert json.loads(demo.stderr.splitlines()[-1]) == []


def test_every_stage_has_its_report(reports):
    assert list(reports) == STAGES
    assert reports["log-results"]["traces"] == 12
    assert reports["pull-feedback"]["annotations"] == 2


def test_it_ends_with_a_verified_suite_that_notices_damage(reports):
    agent = reports["agent"]
    assert agent["verified"]
    assert {task["status"] for task in agent["tasks"]} == {"done"}
    found = agent["validation"]
    assert {"answered", "shape_kept", "figures_grounded"} <= set(found["scorers"])
    rejected = found["people"]["rejected"]
    assert rejected["failed"] >= 2
    assert rejected["failed"] + rejected["in_limits"] == rejected["answers"] == 4
    noticed, copies = (sum(each[at] for each in found["faults"].values()) for at in (0, 1))
    assert noticed >= 0.7 * copies > 0


def test_what_it_says_is_calm(demo):
    lines = demo.stderr.splitlines()[:-1]
    about_agent = lines[lines.index("agent") + 1 :]
    assert f"{len(production_traces(RECORDED))} traces written to {PRODUCTION}" in about_agent[0]
    assert about_agent[1] == "Write a suite by rules"
    assert len(about_agent) < 90


def test_the_readme_shows_what_it_says(demo):
    shown = README.read_text("utf-8").partition("```text\nagent\n")[2].partition("```")[0]
    told = demo.stderr.replace("here/sessions", "evalkit-demo/sessions")
    # in a checkout that uv runs, as the README has it; here no shell finds this Python by its name
    told = re.sub(r"(run it again with: )\S+ ", r"\1uv run python ", told)
    told = re.sub(r"sqlite:///\S+/here/", "sqlite:////home/me/evalkit-demo/", told)
    # figures move with every better check, words are held
    said, shown = (re.sub(r"\d+(\.\d+)?", "#", text).splitlines() for text in (told, shown))
    places = [said.index(line) for line in shown]
    assert places
    assert places == sorted(places)


def test_the_experiment_that_was_looked_at_holds_what_it_held(where, reports):
    assert reports["agent"]["experiment"] == PRODUCTION
    assert counted(where)[PRODUCTION] == (len(production_traces(RECORDED)), 0)


def test_again_finds_everything_done(where, reports):
    before = counted(where)

    again = reports_of(run(where))

    assert counted(where) == before
    assert again["agent"]["verified"]
    assert again["agent"]["sessions_run"] == 0
    assert again["agent"]["kept"] == reports["agent"]["kept"]
