"""The agent's page: in the browser, headless, in Jupyter, and run by a program."""

import importlib.util
import json
import re

import nbformat
import pytest
from mlflow import MlflowClient
from shop_agent import ANSWERS, ShopAgent

from evalkit import InputError, StoreAbsent, Unfinished, notebooks
from evalkit.adapters.store import connect
from evalkit.host import Host

pytestmark = pytest.mark.timeout(1200)  # a whole suite is built, twice

NOTEBOOK = notebooks.folder() / "run_eval_agent.py"


@pytest.fixture(scope="session")
def module():
    spec = importlib.util.spec_from_file_location("run_eval_agent", NOTEBOOK)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def busy_project(stored_project, sqlite_uri):
    """A project whose experiment an agent has been at work in: nine questions, three failures."""
    agent = ShopAgent(sqlite_uri, connect(sqlite_uri).experiment("support", create=True))
    for number in range(6):
        agent.answer(f"Where is parcel {number}?", seconds=2 + number)
    for number in range(2):
        agent.answer("Is it late?", error=f"HTTP 429: retry in {number} s")
    agent.answer("Who are you?", tool_error="order QM-20001 not found", seconds=60)
    return stored_project


@pytest.fixture
def shop_project(stored_project, sqlite_uri):
    """A project whose experiment holds a few good answers, as much as a suite needs."""
    agent = ShopAgent(sqlite_uri, connect(sqlite_uri).experiment("support", create=True))
    for question, answer in ANSWERS.items():
        agent.answer(question, answer)
    return stored_project


def run(module, **parameters):
    """The names that the notebook defines when a program runs it with these parameters."""
    host = Host.of(module.Params(**parameters), "run_eval_agent")
    return module.app.run(defs={"host": host})[1]


def config(project):
    return str(project.root / "eval.yaml")


# -- in the browser ---------------------------------------------------------------------------


def test_a_person_sees_what_goes_wrong_and_reads_a_conversation(visitor, busy_project):
    visitor.open("run_eval_agent", config=config(busy_project))
    visitor.press("Look")
    visitor.cell("figures").get_by_text("22.2% of them").wait_for()
    visitor.tab("What goes wrong")
    errors = visitor.cell("sight").get_by_role("table")
    errors.get_by_text("ShopError: HTTP 429: retry in <n> s").wait_for()
    visitor.cell("sight_detail").get_by_text("retry in 1 s").wait_for()
    visitor.tab("Tools")
    visitor.cell("sight").get_by_text("11.1%").wait_for()
    visitor.tab("Conversations")
    conversation = visitor.cell("sight_detail")
    conversation.get_by_text("Where is parcel").first.wait_for()
    failed = visitor.cell("sight").get_by_role("row", name="order <id> not found")
    failed.get_by_role("checkbox").click()
    conversation.get_by_text("Who are you?").first.wait_for()
    conversation.get_by_text("failed").first.wait_for()


def test_a_person_has_a_suite_built_stops_and_goes_on_reads_it_and_runs_it(
    visitor, shop_project, sqlite_uri, tmp_path
):
    base = tmp_path / "base"
    visitor.page.set_default_timeout(600_000)
    visitor.open("run_eval_agent", config=config(shop_project))
    visitor.fill("Model", "offline")
    visitor.page.get_by_role("group").get_by_text("More settings").click()
    visitor.fill("Volume path", str(base))
    visitor.press("Look")
    visitor.cell("pressing").get_by_text("rules, no model, no cost").wait_for()
    assert not base.exists()

    visitor.press("Let the agent work")
    at_work = visitor.cell("building")
    at_work.get_by_text("hold exactly what traces of the experiment hold").first.wait_for()
    # whichever is seen: on a quick machine one lasts no longer than the page takes to show it
    at_work.get_by_text(re.compile(r"Session ([3-9]|1\d)")).first.wait_for()
    visitor.press("Cancel")
    at_work.get_by_text("starting again finishes the rest").wait_for()
    visitor.cell("standing").get_by_text("not finished").wait_for()
    (folder,) = (base / "sessions").iterdir()
    assert statuses(folder)["dataset"] == "done"
    assert statuses(folder)["validate"] == "pending"
    answered = len(list(folder.glob("state/journal/*/0*.json")))

    visitor.press("Let the agent work")
    visitor.cell("standing").get_by_text("The suite is verified").wait_for()
    assert set(statuses(folder).values()) == {"done"}
    assert [each.name for each in (base / "sessions").iterdir()] == [folder.name]
    assert len(list(folder.glob("state/journal/*/0*.json"))) > answered
    (run,) = runs_of(sqlite_uri, "support-evalkit")
    assert run.data.tags["evalkit.session"] == folder.name
    visitor.cell("standing").get_by_text(run.info.run_id).wait_for()

    suite = visitor.cell("suite_view")
    visitor.tab("Cases")
    suite.get_by_text("Can I return a lamp?").wait_for()
    visitor.tab("Scorers")
    suite.get_by_text("half an answer").first.wait_for()
    visitor.tab("Code")
    suite.get_by_text("scorers.py").click()
    suite.get_by_text("SCORERS").filter(visible=True).first.wait_for()

    visitor.press("Run the suite")
    scores = visitor.cell("scores")
    scores.get_by_text("4 of 4 rows judged").wait_for()
    scores.get_by_role("table").get_by_text("no_error").first.wait_for()
    assert len(runs_of(sqlite_uri, "support-evalkit")) == 1


def statuses(folder):
    tasks = json.loads((folder / "eval_tasks.json").read_text("utf-8"))["tasks"]
    return {task["task_id"]: task["status"] for task in tasks}


def runs_of(uri, experiment):
    client = MlflowClient(uri)
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def test_a_newcomer_sees_what_the_demos_agent_did_and_pays_nothing(visitor):
    visitor.open("run_eval_agent")
    visitor.sees("This is the demo project")
    visitor.cell("figures").get_by_text("9.7% of them").wait_for()
    terms = visitor.cell("pressing")
    terms.get_by_text("because a look at the demo is to cost nothing").wait_for()
    visitor.cell("standing").get_by_text("not begun").wait_for()


@pytest.mark.usefixtures("busy_project")
def test_an_experiment_can_be_looked_at_without_any_project(visitor, sqlite_uri):
    visitor.open("run_eval_agent", experiment_id="support")
    visitor.sees("The address of this page filled in")
    visitor.page.get_by_role("group").get_by_text("More settings").click()
    visitor.fill("Tracking URI", sqlite_uri)
    visitor.press("Look")
    visitor.cell("figures").get_by_text("22.2% of them").wait_for()


def test_pages_that_have_nothing_to_show_say_what_to_do(visitor, stored_project):
    visitor.open("run_eval_agent", config=config(stored_project))
    visitor.press("Look")
    visitor.cell("figures").get_by_text("no traces").wait_for()
    visitor.fill("Experiment", "elsewhere")
    visitor.press("Look")
    visitor.cell("reading").get_by_text("there is no experiment 'elsewhere'").wait_for()
    stored_project.configure(mlflow={"tracking_uri": "http://127.0.0.1:9"})
    visitor.fill("Experiment", "support")
    visitor.press("Look")
    visitor.cell("reading").get_by_text("is not reachable").wait_for()
    visitor.cell("reading").get_by_text("start it there, or name another one").wait_for()


# -- headless ---------------------------------------------------------------------------------


def test_as_a_script_it_goes_on_with_a_session_and_ends_with_its_report(script, finished_session):
    ended = script(NOTEBOOK, "--json", "--model=offline", *finished_session.flags)
    assert ended.code == 0
    report = ended.report
    assert (report["verified"], report["sessions_run"]) == (True, 0)
    assert report["session"] == str(finished_session.folder)
    assert {task["status"] for task in report["tasks"]} == {"done"}
    assert report["kept"]["mlflow_run_id"]
    assert "the suite is verified; run it again with: " in ended.err


def test_as_a_script_without_a_proven_suite_it_says_how_to_go_on(script, shop_project, sqlite_uri):
    flags = ("--experiment-id=support", f"--tracking-uri={sqlite_uri}", "--session=short")
    limits = ("--model=offline", "--max-iterations=1", "--json")
    ended = script(NOTEBOOK, *flags, *limits, cwd=shop_project.root)
    assert ended.code == 1
    assert ended.report["error"].startswith("the budget of 1 sessions is spent")
    assert ended.report["error"].endswith("evalkit agent --session short")
    assert ended.report["sessions_run"] == 1
    assert statuses(shop_project.root / "sessions/short")["dataset"] == "pending"
    assert "session 1: Analyse the traces and plan the suite" in ended.err


def test_as_a_script_it_ends_as_the_command_does(script, stored_project):
    root = stored_project.root
    unwritten = script(NOTEBOOK, cwd=root)
    assert (unwritten.code, "there is no experiment 'support'" in unwritten.err) == (2, True)
    nowhere = script(NOTEBOOK, "--experiment-id=elsewhere", cwd=root)
    assert (nowhere.code, "there is no experiment 'elsewhere'" in nowhere.err) == (2, True)
    absent = script(NOTEBOOK, "--tracking-uri=http://127.0.0.1:9", cwd=root)
    assert (absent.code, absent.out.count("\n")) == (0, 1)
    assert "skipped: MLflow at http://127.0.0.1:9 is not reachable" in absent.out


def test_in_jupyter_it_shows_the_finished_suite(jupyter, exported, finished_session, tmp_path):
    notebook = nbformat.read(exported / "run_eval_agent.ipynb", as_version=4)
    told = {"model": "offline", **finished_session.parameters}
    assert "the suite is verified" in jupyter.says(notebook, told, tmp_path)


# -- run by a program -------------------------------------------------------------------------


def test_a_program_gets_everything_the_page_shows(module, finished_session):
    found = run(module, model="offline", traces=3, **finished_session.parameters)
    assert list(found["watch"].traces["asked"]) == ["Hello?", *list(ANSWERS)[:1:-1]]
    assert found["session"].is_verified
    assert {row.inputs["question"] for row in found["contents"].rows} == {*ANSWERS, "Hello?"}
    assert found["report"]["verified"]
    assert re.fullmatch(r"[0-9a-f]{32}", found["report"]["kept"]["mlflow_run_id"])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"experiment_id": "elsewhere"}, InputError),
        ({"traces": 0}, InputError),
        ({"max_cost": 0.0}, InputError),
        ({"session": "../elsewhere"}, InputError),
        ({"config": "nowhere.yaml"}, InputError),
        ({"config": "nowhere.yaml", "experiment_id": "support"}, InputError),
        ({"tracking_uri": "http://127.0.0.1:9"}, StoreAbsent),
        ({"max_iterations": 1, "model": "offline"}, Unfinished),
    ],
)
def test_a_program_is_given_the_error(module, shop_project, tmp_path, wrong, error):
    given = {"config": config(shop_project), "volume_path": str(tmp_path / "base"), **wrong}
    with pytest.raises(error):
        run(module, **given)
