"""The agent's page: in the browser, headless, in Jupyter, and run by a program."""

from dataclasses import replace

import pytest
from commands import until
from in_mlflow import InMlflow
from shop_agent import ANSWERS, REJECTED, ShopAgent

from evalkit import InputError
from evalkit.agent.plan import Budget, Limits, Task
from evalkit.agent.request import Request
from evalkit.agent.session import start_session
from evalkit.store import connect
from evalkit.ui import agent_live

pytestmark = pytest.mark.timeout(600)  # suites are built, on a machine that may be busy


@pytest.fixture
def shop(sqlite_uri):
    """An agent that answers into the experiment of the project."""
    return ShopAgent(sqlite_uri, connect(sqlite_uri).experiment("support", create=True))


@pytest.fixture
def shop_project(stored_project, shop):
    """A project whose experiment holds as many good answers as a suite needs."""
    for question, answer in ANSWERS.items():
        shop.answer(question, answer)
    return stored_project


def config(project):
    return str(project.root / "eval.yaml")


def look(visitor, *, model="", tracking_uri="", volume_path=""):
    """Fill in the form's fields, and look at the traces."""
    if model:
        visitor.fill("Model offline for rules", model)
    if tracking_uri or volume_path:
        visitor.unfold("More settings")
    if tracking_uri:
        visitor.fill("Tracking URI", tracking_uri)
    if volume_path:
        visitor.fill("Volume path", volume_path)
    visitor.press("Look")


# -- in the browser ---------------------------------------------------------------------------


def test_a_person_sees_what_goes_wrong_and_reads_a_conversation(visitor, stored_project, shop):
    visitor.open("run_eval_agent", config=config(stored_project))
    look(visitor)
    visitor.cell("figures").get_by_text("no traces").wait_for()
    for number in range(6):
        shop.answer(f"Where is parcel {number}?", seconds=2 + number)
    for number in range(2):
        shop.answer("Is it late?", error=f"HTTP 429: retry in {number} s")
    shop.answer("Who are you?", tool_error="order QM-20001 not found", seconds=60)
    visitor.press("Look again")
    visitor.cell("figures").get_by_text("22.2% of them").wait_for()
    errors = visitor.cell("sight").get_by_role("table")
    errors.get_by_text("ShopError: HTTP 429: retry in <n> s").wait_for()
    visitor.cell("sight_detail").get_by_text("retry in 1 s").wait_for()
    visitor.tab("Tools")
    visitor.cell("sight").get_by_text("11.1%").wait_for()
    visitor.tab("Conversations")
    conversation = visitor.cell("sight_detail")
    conversation.get_by_text("Is it late?").first.wait_for()  # what fails comes first
    failed = visitor.cell("sight").get_by_role("row", name="order <id> not found")
    failed.get_by_role("checkbox").click()
    conversation.get_by_text("Who are you?").first.wait_for()
    conversation.get_by_text("failed").first.wait_for()


def test_a_person_has_a_suite_built_stops_and_goes_on(visitor, shop_project, sqlite_uri, tmp_path):
    base = tmp_path / "base"
    visitor.open("run_eval_agent", config=config(shop_project))
    look(visitor, model="offline", volume_path=str(base))
    visitor.cell("pressing").get_by_text("rules, no model, no cost").wait_for()
    assert not base.exists()

    visitor.press("Let the agent work")
    at_work = visitor.cell("watching")
    at_work.get_by_text("the scorers are tried on 11 answers").first.wait_for()
    visitor.press("Cancel")
    at_work.get_by_text("starting again finishes the rest").wait_for()
    visitor.cell("standing").get_by_text("not finished").wait_for()
    (folder,) = (base / "sessions").iterdir()
    assert not (folder / "state/validation_results.json").exists()

    visitor.press("Let the agent work")
    visitor.cell("standing").get_by_text("hold on 11 good of 11 rows").nth(1).wait_for()
    assert [each.name for each in (base / "sessions").iterdir()] == [folder.name]
    (run,) = InMlflow(sqlite_uri, "support-evalkit").runs()
    visitor.cell("verdict").get_by_text(run.info.run_id).wait_for()


def test_a_person_reads_a_suite(visitor, finished_session):
    known = dict(finished_session.parameters)
    visitor.open("run_eval_agent", experiment_id="support", session=known.pop("session"))
    look(visitor, model="offline", **known)
    verdict = visitor.cell("verdict")
    verdict.get_by_text("Answers that people rejected").wait_for()
    stands = "It stands on 13 traces, 11 of them good answers to 11 different requests"
    verdict.get_by_text(stands).wait_for()
    verdict.get_by_text("0 of 1", exact=True).wait_for()  # only people knew that it is wrong
    verdict.get_by_text("fail some scorer; 1 named in LIMITS.md").wait_for()
    suite = visitor.cell("suite_view").get_by_role("tabpanel")
    suite.get_by_text("figures_grounded", exact=True).wait_for()
    visitor.tab("Cases")
    suite.get_by_role("row").nth(1).get_by_text(REJECTED[0]).wait_for()  # people come first
    visitor.tab("Findings")
    suite.get_by_text("Nothing beyond what section 1 counts").wait_for()
    visitor.tab("Files")
    suite.get_by_text("Learned by rules from 11 good answers").first.wait_for()


def test_a_newcomer_sees_what_the_demos_agent_did_and_pays_nothing(visitor):
    visitor.open("run_eval_agent")
    visitor.sees("This is the demo project")
    visitor.cell("figures").get_by_text("9.7% of them").wait_for()
    terms = visitor.cell("pressing")
    terms.get_by_text("because a look at the demo is to cost nothing").wait_for()
    visitor.cell("standing").get_by_text("not started").wait_for()


# -- run by a program -------------------------------------------------------------------------


def test_the_agent_outlives_a_page_and_is_followed_by_the_next_until_it_is_stopped(
    shop_project, sqlite_uri, tmp_path
):
    asked = {"config": config(shop_project), "volume_path": str(tmp_path), "model": "offline"}
    request = Request(experiment_id="support", session="s", tracking_uri=sqlite_uri, **asked)

    agent = agent_live.start(request)
    until(lambda: "Write a suite by rules" in "".join(agent.lines))
    assert agent_live.start(request) is agent_live.at_work(request) is agent
    agent.stop()
    assert agent_live.at_work(request) is None
    refused = agent_live.start(replace(request, max_cost=0.0))
    until(lambda: not refused.is_at_work)
    with pytest.raises(InputError, match="is no budget"):
        refused.report()


def test_what_the_agent_says_and_does_never_becomes_markup(tmp_path):
    odd = "<img src=x onerror=alert(1)>"
    agent = agent_live.start(Request(session=odd, volume_path=str(tmp_path)))
    until(lambda: not agent.is_at_work)
    task = Task("t", odd, "", status="blocked", failure=odd)
    start_session(str(tmp_path), "s", odd, "1", "sqlite://").save_tasks([task])
    agent.lines.append(f"read {odd}")
    agent.request = replace(agent.request, session="s")
    parts = agent_live.live(agent, Budget(Limits(), Limits(usd=5.0)))
    shown = "".join(each.text for each in parts)
    assert "<img" not in shown
    assert shown.count("&lt;img") >= 4
