"""The review notebook: in the browser, headless, and run by a program."""

import pytest
import yaml
from commands import until
from eval_project import RUN_ID
from in_mlflow import InMlflow

from evalkit import Workspace, log_results

REVIEW = "# by hand\nreviewer: ann\nfeedback:\n  alpha: ''  # fine\n"


@pytest.fixture
def logged(stored_project, sqlite_uri):
    """A project whose run stands in MLflow, where a person has called one case cold."""
    log_results(Workspace.open(stored_project.root / "eval.yaml"), run_id=RUN_ID)
    InMlflow(sqlite_uri).say("alpha", "tone", "cold", who="jo", rationale="read aloud")
    stored_project.review.write_text(REVIEW)
    return stored_project


def test_a_person_reviews_by_keyboard_pushes_and_pulls(visitor, logged, sqlite_uri):
    visitor.open("review_feedback", config=str(logged.root / "eval.yaml"))
    visitor.press("Use these settings")
    bar = visitor.cell("case")
    bar.get_by_text("1 of 3 reviewed").wait_for()
    visitor.cell("case").get_by_text("beta is fine").first.wait_for(state="attached")
    visitor.page.keyboard.press("c")
    visitor.page.keyboard.type("jak: greet first")
    visitor.page.keyboard.press("Control+Enter")
    bar.get_by_text("2 of 3 reviewed").wait_for()
    visitor.cell("case").get_by_text("gamma is fine").first.wait_for(state="attached")
    visitor.page.wait_for_url(f"**run={RUN_ID}&case=gamma*")
    visitor.page.keyboard.press("a")
    bar.get_by_text("That was the last one").wait_for()
    bar.get_by_text("saved in review.yaml").wait_for()
    reviewed = REVIEW + "  beta: 'jak: greet first'\n  gamma: ''\n"
    assert logged.review.read_text() == f"{reviewed}run_id: {RUN_ID}\n"
    visitor.cell("disagreements").get_by_text("jak: greet first").first.wait_for()

    visitor.press("Push to MLflow")
    visitor.cell("pushed_feedback").get_by_text("Judge scores").wait_for()
    traces = InMlflow(sqlite_uri).traces().items()
    said = {(c, a.value) for c, t in traces for a in t.info.assessments if a.name == "human_review"}
    assert said == {("alpha", True), ("beta", False), ("gamma", True)}

    visitor.press("Pull from MLflow")
    visitor.cell("pulled_feedback").get_by_text("read aloud").wait_for()
    visitor.cell("trusting").get_by_text("annotations", exact=True).wait_for()
    text = logged.review.read_text()
    assert text.startswith(reviewed)
    assert [(a["name"], a["value"]) for a in yaml.safe_load(text)["mlflow_feedback"]] == [
        ("tone", "cold")
    ]


def test_a_comment_is_not_lost_to_a_wrong_key(visitor, logged):
    logged.review.write_text("feedback:\n  alpha: greet first\n")
    visitor.open("review_feedback", config=str(logged.root / "eval.yaml"))
    visitor.press("Use these settings")
    bar, box = visitor.cell("case"), visitor.page.get_by_role("textbox", name="Comment")
    bar.get_by_text("1 of 3 reviewed").wait_for()
    visitor.page.keyboard.press("j")
    bar.get_by_text("commented", exact=True).wait_for()
    visitor.page.keyboard.press("a")
    bar.get_by_text("its earlier comment waits").wait_for()
    visitor.page.keyboard.press("k")
    assert box.input_value() == "greet first"
    visitor.page.keyboard.press("a")
    bar.get_by_text("There is a comment that is not saved").wait_for()
    visitor.press("Save comment")
    bar.get_by_text("1 commented").wait_for()
    visitor.page.keyboard.press("k")
    visitor.press("Take back")
    bar.get_by_text("0 of 3 reviewed").wait_for()


def test_who_speaks_of_a_case_after_somebody_else_sees_their_words_and_chooses(
    visitor, stored_project
):
    def read():
        return stored_project.review.read_text().replace(f"run_id: {RUN_ID}\n", "")

    visitor.open("review_feedback", config=str(stored_project.root / "eval.yaml"))
    visitor.fill("Your name", "ann")
    visitor.press("Use these settings")
    bar = visitor.cell("case")
    bar.get_by_text("0 of 3 reviewed").wait_for()
    meanwhile = "reviewer: bea\nfeedback:\n  beta: do not ship\n"
    stored_project.review.write_text(meanwhile)
    visitor.page.keyboard.press("a")
    bar.get_by_text("“do not ship”").wait_for()
    bar.get_by_text("not saved: beta").wait_for()
    assert read() == meanwhile
    visitor.press("Keep theirs")
    bar.get_by_text("saved in review.yaml").wait_for()
    bar.get_by_text("1 of 3 reviewed").wait_for()
    assert read() == meanwhile

    visitor.page.keyboard.press("j")
    visitor.cell("case").get_by_text("alpha is fine").first.wait_for(state="attached")
    meanwhile += "  alpha: nor this\n"
    stored_project.review.write_text(meanwhile)
    visitor.page.keyboard.press("a")
    bar.get_by_text("“nor this”").wait_for()
    visitor.press("Replace with mine")
    mine = meanwhile.replace("nor this", "''") + "reviewers:\n  alpha: ann\n"
    until(lambda: read() == mine)
    bar.get_by_text("2 of 3 reviewed").wait_for()
