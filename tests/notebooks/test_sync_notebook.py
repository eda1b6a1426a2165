"""The sync notebook: in the browser, headless, and run by a program."""

from servers import Proxy

from evalkit import Workspace, sync_dataset
from evalkit.dataset.sync import read_dataset


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
    visitor.unfold("opened with")
    config = visitor.page.get_by_role("textbox", name="Config").input_value()
    assert rows(config) == {}

    visitor.press("Sync the dataset")
    visitor.cell("outcome").get_by_text("12 created").wait_for()
    visitor.cell("dataset").get_by_text("charged-twice").wait_for()
    assert len(rows(config)) == 12

    visitor.press("Compare")
    visitor.page.get_by_role("button", name="Sync the dataset", disabled=True).wait_for()

    visitor.unfold("More settings")
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
    with Proxy() as listener:
        for case, bait in BAITS.items():
            said = bait.format(to=listener.uri)
            stored_project.write(f"cases/{case}/input.yaml", {"prompt": said})
        config, mapping = where(stored_project).values()
        sync_dataset(Workspace.open(config), mapping=mapping)
        visitor.open("sync_dataset", config=config)
        visitor.fill("Mapping", mapping)
        visitor.press("Compare")
        for case in BAITS:
            row = visitor.cell("dataset").get_by_role("row", name=case)
            row.wait_for()
            for cell in row.get_by_role("cell").all():
                cell.click()
        visitor.page.wait_for_timeout(1500)
        assert listener.paths() == []


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
