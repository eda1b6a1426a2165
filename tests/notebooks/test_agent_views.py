"""What the agent's page is made of: progress noted, sessions found, data that stays data."""

import threading
from dataclasses import replace

import pytest
from evalkit.adapters.files.local_folder import LocalFolder

from evalkit.agent import location
from evalkit.agent.location import sessions_about
from evalkit.agent.plan import Budget, Limits, Plan, Proposal, ProposedTask, Spent
from evalkit.agent.session import ABOUT_FILE, FORM, VALIDATION_FILE, About
from evalkit.agent.work import Event
from evalkit.host import agent_live, suite_views
from evalkit.host.agent_live import STEPS_KEPT, Progress, state_of
from evalkit.ui import page

URI = "sqlite:///shop.db"


def plan(first="pending", last="pending", failure=""):
    """A plan of two tasks, with their statuses."""
    made = Plan.of(Proposal((ProposedTask("Write polite", {"polite": "says please"}),)))
    tasks = zip(made.tasks, (first, last), (failure, ""), strict=True)
    return Plan(tuple(replace(t, status=status, failure=why) for t, status, why in tasks))


def session(base, name, experiment_id="7"):
    """The directory of a session that has started."""
    about = About(name, "shop", experiment_id, URI, FORM)
    return location.start_session(str(base), about)


def test_progress_shows_the_session_its_tasks_its_last_steps_and_what_was_spent(tmp_path):
    directory = session(tmp_path, "s")
    progress = Progress(str(tmp_path), "s")
    progress(Event("session", "Look at the traces", 1))
    assert progress.moment().plan is None
    directory.save_plan(plan("in progress"))
    progress(Event("session", "Write polite", 2))
    progress(Event("words", "I look.", 2))
    progress(Event("tool", "python {}", 2))
    progress(Event("result", "there is none", 2, Spent(turns=3)))
    moment = progress.moment()
    assert (moment.session, moment.doing, moment.spent.turns) == (2, "Write polite", 3)
    assert moment.plan.tasks[0].status == "in progress"
    told = [(step.kind, step.text, step.outcome) for step in moment.steps]
    assert told == [("words", "I look.", ""), ("tool", "python {}", "there is none")]


def test_progress_keeps_the_last_steps_only_whoever_asks_meanwhile():
    progress, asked = Progress(None, None), []
    asking = threading.Thread(target=lambda: asked.extend(progress.moment() for _ in range(500)))
    asking.start()
    for number in range(500):
        progress(Event("words", str(number), 1))
    asking.join()
    assert [step.text for step in progress.moment().steps][-1] == "499"
    assert {len(moment.steps) for moment in asked} <= set(range(STEPS_KEPT + 1))


def test_the_sessions_about_an_experiment_are_found_with_their_state(tmp_path):
    session(tmp_path, "20260101-shop")
    session(tmp_path, "20260102-other", experiment_id="8")
    session(tmp_path, "20260103-shop").save_plan(plan("done"))
    few = session(tmp_path, "20260104-shop")
    few.save_plan(plan("done", "done"))
    few.save(VALIDATION_FILE, {"word": "too few traces"})
    (tmp_path / "sessions" / "no session").mkdir()
    of_old = tmp_path / "sessions" / "20260105-shop" / ABOUT_FILE
    of_old.parent.mkdir(parents=True)
    of_old.write_text(
        '{"session_id": "", "experiment": "", "experiment_id": "7", "tracking_uri": ""}'
    )
    found = {s.about.session_id: state_of(s) for s in sessions_about(str(tmp_path), "7", URI)}
    assert found == {
        "20260104-shop": "too few traces",
        "20260103-shop": "1 of 2 tasks done",
        "20260101-shop": "looking at traces",
    }
    assert list(found) == sorted(found, reverse=True)
    assert location.find_session(str(tmp_path), "20260109-shop") is None
    assert not (tmp_path / "sessions" / "20260109-shop").exists()
    assert list(sessions_about(str(tmp_path), "7", "http://127.0.0.1:5001")) == []


def test_a_folder_without_sessions_is_no_error(tmp_path):
    LocalFolder.make(tmp_path / "sessions" / "half-made")
    assert list(sessions_about(str(tmp_path), "7", URI)) == []


ODD = "<img src=x onerror=alert(1)>"


def test_what_the_agent_says_and_does_never_becomes_markup(tmp_path):
    directory = session(tmp_path, "s")
    directory.save_plan(plan(failure=ODD))
    progress = Progress(str(tmp_path), "s")
    progress(Event("session", ODD, 1))
    for kind in ("words", "tool", "result"):
        progress(Event(kind, f"read {ODD}", 1))
    shown = agent_live.live(progress.moment(), Budget(Limits(), Limits(usd=5.0))).text
    assert "<img" not in shown
    assert shown.count("&lt;img") >= 4


@pytest.mark.parametrize("code", ["```\n<img src=x>", "x = '````'\n# </pre><img src=x>"])
def test_code_stays_code_whatever_stands_in_it(code):
    shown = suite_views.code({"evaluation/scorers.py": code.encode()}).text
    assert "<img" not in shown


def test_parts_are_shown_below_each_other_without_marimo():
    assert page.stack(None, None) is None
    assert page.stack("a", None, "b").parts == ("a", "b")
