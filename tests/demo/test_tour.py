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
    """What a tour says, its reports, and how many traces and runs each experiment then holds."""
    done = guarded("demo", "here", "--json", cwd=where)
    assert done.returncode == 0, done.stderr
    *said, contacted = done.stderr.splitlines()
    assert json.loads(contacted) == []
    uri = f"sqlite:///{where}/here/mlflow.db"
    client, tracing = MlflowClient(uri), TracingClient(uri)
    found = {each.name: each.experiment_id for each in client.search_experiments()}
    options = {"max_results": 500, "include_spans": False}
    counted = {
        name: (len(tracing.search_traces([key], **options)), len(client.search_runs([key])))
        for name, key in found.items()
    }
    return said, json.loads(done.stdout.splitlines()[-1]), counted


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    return tmp_path_factory.mktemp("tour")


@pytest.fixture(scope="module")
def tour(where):
    """The first one."""
    return run(where)


def test_every_stage_has_its_report_and_what_was_looked_at_holds_what_it_held(tour):
    _, reports, counted = tour
    assert list(reports) == STAGES
    told = (reports["log-results"]["traces"], reports["pull-feedback"]["annotations"])
    assert (*told, reports["agent"]["experiment"]) == (12, 2, PRODUCTION)
    assert counted[PRODUCTION] == (len(production_traces(RECORDED)), 0)


def test_it_ends_with_a_verified_suite_that_notices_damage(tour):
    agent = tour[1]["agent"]
    assert agent["verified"]
    assert {task["status"] for task in agent["tasks"]} == {"done"}
    found = agent["validation"]
    assert {"answered", "shape_kept", "figures_grounded"} <= set(found["scorers"])
    rejected = found["people"]["rejected"]
    assert rejected["failed"] >= 2
    assert rejected["failed"] + rejected["in_limits"] == rejected["answers"] == 4
    noticed, copies = (sum(each[at] for each in found["faults"].values()) for at in (0, 1))
    assert noticed >= 0.7 * copies > 0


def test_what_it_says_is_calm_and_what_the_readme_shows(tour):
    said = tour[0]
    about_agent = said[said.index("agent") + 1 :]
    assert f"{len(production_traces(RECORDED))} traces written to {PRODUCTION}" in about_agent[0]
    assert about_agent[1] == "Write a suite by rules"
    assert len(about_agent) < 90
    shown = README.read_text("utf-8").partition("```text\nagent\n")[2].partition("```")[0]
    told = "\n".join(said).replace("here/sessions", "evalkit-demo/sessions")
    # in a checkout that uv runs, as the README has it; here no shell finds this Python by its name
    told = re.sub(r"(run it again with: )\S+ ", r"\1uv run python ", told)
    told = re.sub(r"sqlite:///\S+/here/", "sqlite:////home/me/evalkit-demo/", told)
    # figures move with every better check, words are held
    said, shown = (re.sub(r"\d+(\.\d+)?", "#", text).splitlines() for text in (told, shown))
    places = [said.index(line) for line in shown]
    assert places == sorted(places) != []


def test_again_finds_everything_done(where, tour):
    _, before, counted = tour
    _, again, recounted = run(where)
    assert recounted == counted
    assert (again["agent"]["verified"], again["agent"]["sessions_run"]) == (True, 0)
    assert again["agent"]["kept"] == before["agent"]["kept"]
