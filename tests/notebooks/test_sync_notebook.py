"""The sync notebook: in the browser, headless, and run by a program."""

import importlib.util
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from in_mlflow import InMlflow

from evalkit import InputError, StoreAbsent, Workspace, sync_dataset, ui
from evalkit.dataset.sync import read_dataset
from evalkit.ui.notebook import Host

NOTEBOOK = ui.folder() / "sync_dataset.py"
SCRATCH = "✓ dataset scratch: would be 3 created"


@pytest.fixture(scope="session")
def module():
    spec = importlib.util.spec_from_file_location("sync_dataset", NOTEBOOK)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def run(module, **parameters):
    """The names that the notebook defines when a program runs it with these parameters."""
    host = Host.of(module.Params(**parameters), "sync_dataset")
    return module.app.run(defs={"host": host})[1]


def rows(config):
    return {
        row.tags["evalkit.case"]: (dict(row.inputs), dict(row.expectations))
        for row in read_dataset(Workspace.open(config))
    }


def where(project):
    return {
        "config": str(project.root / "eval.yaml"),
        "mapping": str(project.root / "tmp/schema_mapping.json"),
    }


def test_a_newcomer_sees_the_demo_and_syncs_it_into_no_store_but_its_own(visitor, sqlite_uri):
    visitor.open("sync_dataset")
    visitor.sees("This is the demo project")
    visitor.cell("changes").get_by_role("table").get_by_text("charged-twice").wait_for()
    visitor.cell("detail").get_by_text("inputs.message").wait_for()
    config = visitor.page.get_by_role("textbox", name="Config").input_value()
    assert rows(config) == {}

    visitor.press("Sync the dataset")
    visitor.cell("outcome").get_by_text("12 created").wait_for()
    visitor.cell("rows_table").get_by_text("charged-twice").wait_for()
    assert len(rows(config)) == 12

    visitor.press("Compare")
    visitor.page.get_by_role("button", name="Sync the dataset", disabled=True).wait_for()

    visitor.page.get_by_role("group").get_by_text("More settings").click()
    visitor.fill("Tracking URI", sqlite_uri)
    visitor.press("Compare")
    visitor.cell("comparing").get_by_text("writes into no other").wait_for()
    assert visitor.page.get_by_role("button", name="Sync the dataset").count() == 0


BAIT = "# hello\n<b>x</b> {more} [go]({to}/x) ![a]({to}/pic.png) <img src='{to}/tag.png'> <svg>"


BAITS = {
    "alpha": BAIT.replace("{more}", "many words " * 30),
    "beta": "{to}/alone.png",
    "gamma": '{{"picture": "text/html:<img src={to}/json.png>", "link": "{to}/json"}}',
}


def test_what_a_case_says_makes_no_browser_fetch_an_address(visitor, stored_project):
    fetched = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            fetched.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        for case, bait in BAITS.items():
            said = bait.format(to=f"http://127.0.0.1:{listener.server_port}")
            stored_project.write(f"cases/{case}/input.yaml", {"prompt": said})
        config, mapping = where(stored_project).values()
        sync_dataset(Workspace.open(config), mapping=mapping)
        visitor.open("sync_dataset", config=config)
        visitor.fill("Mapping", mapping)
        visitor.press("Compare")
        for case in BAITS:
            row = visitor.cell("rows_table").get_by_role("row", name=case)
            row.wait_for()
            for cell in row.get_by_role("cell").all():
                cell.click()
        visitor.page.wait_for_timeout(1500)
        listener.shutdown()
    assert fetched == []


def test_a_person_looks_at_an_edit_before_syncing_it_and_again(visitor, stored_project):
    config, mapping = where(stored_project).values()
    sync_dataset(Workspace.open(config), mapping=mapping)
    stored_project.remove("cases/gamma")
    visitor.open("sync_dataset", config=config)
    visitor.fill("Mapping", mapping)
    visitor.press("Compare")
    visitor.cell("changes").get_by_role("table").get_by_text("gamma").wait_for()
    stored_project.add_case("beta", "please handle beta soon", "beta is handled")
    visitor.press("Look again")  # nothing in the form has changed
    detail = visitor.cell("detail")
    detail.get_by_text("please handle beta").first.wait_for()
    assert detail.locator("ins").all_inner_texts() == [" soon"]
    visitor.press("Sync the dataset")
    visitor.cell("outcome").get_by_text("1 deleted").wait_for()
    assert {case: inputs["prompt"] for case, (inputs, _) in rows(config).items()} == {
        "alpha": "please handle alpha",
        "beta": "please handle beta soon",
    }


def test_a_page_that_cannot_go_on_says_what_to_do(visitor, stored_project):
    stored_project.configure(mlflow={"tracking_uri": "http://127.0.0.1:9"})
    visitor.open("sync_dataset", config="nowhere/eval.yaml")
    visitor.press("Compare")
    visitor.cell("comparing").get_by_text("there is no such file").wait_for()
    visitor.fill("Config", where(stored_project)["config"])
    visitor.fill("Mapping", where(stored_project)["mapping"])
    visitor.press("Compare")
    visitor.cell("comparing").get_by_text("is not reachable").wait_for()


def test_as_a_script_it_syncs_and_ends_with_its_report(script, stored_project):
    ended = script(NOTEBOOK, "--json", cwd=stored_project.root)
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert ended.report["created"] == 3
    assert "the first case, alpha, becomes" in ended.err
    assert set(rows(where(stored_project)["config"])) == {"alpha", "beta", "gamma"}


@pytest.mark.parametrize("name", ["Kopie von sync_dataset.py", "eval"])
def test_a_copy_under_another_name_takes_its_arguments(
    script, stored_project, sqlite_uri, tmp_path, name
):
    copy = tmp_path / name
    shutil.copy(NOTEBOOK, copy)
    shutil.copy(NOTEBOOK.with_name("evalkit.css"), tmp_path)
    planned = script(copy, "--dry-run", "--dataset-name", "scratch", cwd=stored_project.root)
    assert (planned.code, planned.out.splitlines()[-1]) == (0, SCRATCH)
    assert InMlflow(sqlite_uri).datasets() == []
    wrong = script(copy, "--no-such-flag", cwd=stored_project.root)
    assert wrong.code == 2
    assert "unrecognized arguments: --no-such-flag" in wrong.err


def test_as_a_script_it_never_falls_back_to_the_demo(script):
    ended = script(NOTEBOOK)
    assert (ended.code, ended.out) == (2, "")
    assert "eval.yaml: there is no such file" in ended.err


def test_as_a_script_it_skips_where_mlflow_is_absent(script, stored_project):
    ended = script(NOTEBOOK, "--tracking-uri", "http://127.0.0.1:9", cwd=stored_project.root)
    assert ended.code == 0
    assert len(ended.out.splitlines()[-1:]) == 1
    assert "skipped: MLflow at http://127.0.0.1:9 is not reachable" in ended.out


def test_a_program_gets_everything_the_page_shows(module, stored_project):
    found = run(module, **where(stored_project))
    assert [change.kind for change in found["plan"].changes] == ["created"] * 3
    assert list(found["table"]["Case"]) == ["alpha", "beta", "gamma"]
    assert found["report"]["created"] == len(found["rows"]) == 3


def test_a_dry_run_shows_the_changes_and_writes_nothing(module, stored_project):
    found = run(module, **where(stored_project), dry_run=True)
    assert found["report"]["created"] == 3
    assert rows(where(stored_project)["config"]) == {}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"config": "nowhere.yaml"}, InputError),
        ({"mapping": "nowhere.json"}, InputError),
        ({"tracking_uri": "http://127.0.0.1:9"}, StoreAbsent),
    ],
)
def test_a_program_is_given_the_error(module, stored_project, wrong, error):
    with pytest.raises(error):
        run(module, **{**where(stored_project), **wrong})
