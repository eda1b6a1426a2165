"""The overview of an agent's traces: in the browser, headless, in Jupyter, and run by a program."""

import importlib.util
import shutil

import nbformat
import pytest
from shop_agent import ShopAgent

from evalkit import InputError, StoreAbsent, notebooks
from evalkit.adapters.store import connect
from evalkit.export import export
from evalkit.host import Host

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


def run(module, **parameters):
    """The names that the notebook defines when a program runs it with these parameters."""
    host = Host.of(module.Params(**parameters), "run_eval_agent")
    return module.app.run(defs={"host": host})[1]


def config(project):
    return str(project.root / "eval.yaml")


def test_a_person_sees_what_goes_wrong_and_reads_a_conversation(visitor, busy_project):
    visitor.open("run_eval_agent", config=config(busy_project))
    visitor.press("Look")
    visitor.cell("figures").get_by_text("22.2% of them").wait_for()
    errors = visitor.cell("errors").get_by_role("table")
    errors.get_by_text("ShopError: HTTP 429: retry in <n> s").wait_for()
    visitor.cell("error").get_by_text("retry in 1 s").wait_for()
    visitor.cell("tools").get_by_text("11.1%").wait_for()
    conversation = visitor.cell("conversation")
    conversation.get_by_text("Where is parcel").first.wait_for()
    failed = visitor.cell("sampled").get_by_role("row", name="order <id> not found")
    failed.get_by_role("checkbox").click()
    conversation.get_by_text("Who are you?").first.wait_for()
    conversation.get_by_text("failed").first.wait_for()


def test_a_newcomer_sees_what_the_demos_agent_did(visitor):
    visitor.open("run_eval_agent")
    visitor.sees("This is the demo project")
    visitor.cell("figures").get_by_text("9.7% of them").wait_for()
    visitor.cell("tools").get_by_role("table").get_by_text("track_parcel").wait_for()


def test_pages_that_have_nothing_to_show_say_what_to_do(visitor, stored_project):
    visitor.open("run_eval_agent", config=config(stored_project))
    visitor.press("Look")
    visitor.cell("watched").get_by_text("no traces").wait_for()
    visitor.fill("Experiment", "elsewhere")
    visitor.press("Look")
    visitor.cell("reading").get_by_text("there is no experiment 'elsewhere'").wait_for()
    stored_project.configure(mlflow={"tracking_uri": "http://127.0.0.1:9"})
    visitor.fill("Experiment", "support")
    visitor.press("Look")
    visitor.cell("reading").get_by_text("is not reachable").wait_for()
    visitor.cell("reading").get_by_text("start it there, or name another one").wait_for()


def test_as_a_script_it_needs_no_config_where_experiment_and_mlflow_are_named(
    script, busy_project, sqlite_uri
):
    del busy_project
    ended = script(NOTEBOOK, "--json", "--experiment=support", f"--tracking-uri={sqlite_uri}")
    assert ended.code == 0
    report = ended.report
    assert report["outcomes"] == {"ok": 7, "failed": 2}
    assert [(error["text"], error["traces"]) for error in report["errors"]] == [
        ("ShopError: HTTP 429: retry in <n> s", 2),
        ("ShopError: order <id> not found", 1),
    ]
    assert {tool["name"]: tool["failures"] for tool in report["tools"]} == {
        "policies": 0,
        "lookup": 1,
    }
    assert report["seconds"]["largest"] == 60
    assert "worth a look" in ended.err


def test_as_a_script_it_ends_as_the_other_stages_do(script, stored_project):
    root = stored_project.root
    empty = script(NOTEBOOK, cwd=root)
    assert (empty.code, "no traces in experiment support yet" in empty.out) == (0, True)
    nowhere = script(NOTEBOOK, "--experiment=elsewhere", cwd=root)
    assert (nowhere.code, "there is no experiment 'elsewhere'" in nowhere.err) == (2, True)
    absent = script(NOTEBOOK, "--tracking-uri=http://127.0.0.1:9", cwd=root)
    assert (absent.code, absent.out.count("\n")) == (0, 1)
    assert "skipped: MLflow at http://127.0.0.1:9 is not reachable" in absent.out


def test_exported_it_runs_in_jupyter(jupyter, tmp_path, busy_project):
    place = tmp_path / "only"
    place.mkdir()
    shutil.copy(NOTEBOOK, place)
    export(tmp_path / "out", place)
    notebook = nbformat.read(tmp_path / "out/run_eval_agent.ipynb", as_version=4)
    ended = jupyter.run(notebook, busy_project.root)
    assert "9 traces looked at" in str(ended.cells[-1].outputs)


def test_a_program_gets_everything_the_page_shows(module, busy_project):
    found = run(module, config=config(busy_project), traces=3)
    assert [glimpse.request for glimpse in found["traffic"].glimpses] == [
        "Who are you?",
        "Is it late?",
        "Is it late?",
    ]
    assert len(found["watch"].picks) == 3
    assert found["report"]["traces"] == 3


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"experiment": "elsewhere"}, InputError),
        ({"traces": 0}, InputError),
        ({"config": "nowhere.yaml"}, InputError),
        ({"config": "nowhere.yaml", "experiment": "support"}, InputError),
        ({"tracking_uri": "http://127.0.0.1:9"}, StoreAbsent),
    ],
)
def test_a_program_is_given_the_error(module, stored_project, wrong, error):
    with pytest.raises(error):
        run(module, **{"config": config(stored_project), **wrong})
