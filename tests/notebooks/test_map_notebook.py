"""The mapping notebook: in the browser, headless, and run by a program."""

import json


def where(project):
    return {
        "config": str(project.root / "eval.yaml"),
        "out": str(project.root / "tmp/schema_mapping.json"),
    }


def goes_to(visitor, field, side):
    dropdown = visitor.page.get_by_label(f"{field} goes to")
    visitor.change(lambda: dropdown.select_option(side))


def saved(project):
    return json.loads(project.read("tmp/schema_mapping.json"))


def test_a_newcomer_sees_the_demo_and_looks_through_its_cases(visitor):
    visitor.open("map_dataset")
    visitor.sees("This is the demo project")
    visitor.cell("schema").get_by_text("What dataset.schema in the config says").click()
    visitor.cell("schema").get_by_text("Every directory is one conversation").wait_for()
    visitor.cell("choosing").get_by_text("arguments take {message}").last.wait_for()
    visitor.cell("lacking").get_by_text("9 of 12 cases lack a field").wait_for()
    visitor.cell("standing").get_by_text("says exactly this").wait_for()
    record = visitor.cell("record")
    record.get_by_text("Inputs of change-address-before-dispatch").wait_for()
    rows = visitor.cell("lacking").get_by_role("row", name="charged-twice")
    rows.get_by_role("checkbox").click()
    record.get_by_text("Inputs of charged-twice").wait_for()
    assert "case=charged-twice" in visitor.page.url


def test_a_person_changes_a_mapping_sees_the_record_and_saves_it(visitor, project):
    expected = {"outcome": "expected.yaml:outcome"}
    by_hand = {"inputs": {"question": "input.yaml:prompt"}, "expectations": expected}
    project.write("tmp/schema_mapping.json", by_hand)
    project.add_case("delta", "please handle delta")
    project.write("cases/alpha/notes.md", "kept by hand")
    visitor.open("map_dataset", config=where(project)["config"])
    visitor.fill("Mapping", where(project)["out"])
    visitor.press("Propose")
    visitor.cell("beginning").get_by_label("the proposal").wait_for()
    visitor.cell("record").get_by_text("please handle alpha").first.wait_for()
    visitor.cell("lacking").get_by_text("1 of 4 cases lack a field").wait_for()
    visitor.cell("standing").get_by_text("says exactly this").wait_for()

    goes_to(visitor, "expected.yaml:outcome", "input")
    visitor.cell("revising").get_by_text("would show the skill what is expected").wait_for()
    goes_to(visitor, "expected.yaml:outcome", "leave out")
    goes_to(visitor, "notes.md:__file__", "expectation")
    visitor.cell("record").get_by_role("cell", name="kept by hand").wait_for()
    visitor.cell("lacking").get_by_text("3 of 4 cases lack a field").wait_for()
    visitor.cell("standing").get_by_text("says something else in 2 fields").wait_for()

    visitor.press("Save the mapping")
    visitor.cell("saving").get_by_text("differs from what would be written").wait_for()
    assert saved(project) == by_hand

    visitor.change(visitor.page.get_by_role("switch", name="Replace the file").click)
    visitor.press("Save the mapping")
    visitor.cell("outcome").get_by_text("Saved: 1 inputs and 1 expectations").wait_for()
    visitor.cell("standing").get_by_text("says exactly this").wait_for()
    assert saved(project) == {
        "_eval": "support",
        "inputs": {"question": "input.yaml:prompt"},
        "expectations": {"notes": "notes.md:__file__"},
    }


def test_a_page_lets_a_person_choose_where_the_rules_find_no_input(visitor, project):
    project.configure(dataset={"path": "cases"})
    for case in ("alpha", "beta", "gamma"):
        project.remove(f"cases/{case}/input.yaml")
    project.remove("tmp/schema_mapping.json")
    visitor.open("map_dataset", config=where(project)["config"])
    visitor.fill("Mapping", where(project)["out"])
    visitor.press("Propose")
    visitor.cell("schema").get_by_text("The config has no").wait_for()
    visitor.cell("revising").get_by_text("holds no inputs").wait_for()
    visitor.press("Save the mapping")
    visitor.cell("saving").get_by_text("nothing in the cases can be told").wait_for()
    assert not (project.root / "tmp/schema_mapping.json").exists()
    goes_to(visitor, "expected.yaml:outcome", "input")
    visitor.press("Save the mapping")
    visitor.cell("outcome").get_by_text("Saved: 1 inputs").wait_for()
    assert saved(project)["inputs"] == {"outcome": "expected.yaml:outcome"}
    # the next stage begins with the config that this one was given
    visitor.cell("ending").get_by_role("link", name="Next: Sync").click()
    visitor.page.wait_for_url("**file=sync_dataset.py**")
    visitor.sees("filled in config")
    named = visitor.page.get_by_role("textbox", name="Config").input_value()
    assert named == where(project)["config"]
