"""What the agent's page is made of: progress noted, sessions found, data that stays data."""

import threading

import pytest

from evalkit.adapters.files.local_folder import LocalFolder
from evalkit.agency import placing
from evalkit.agency.bench import SuiteRun
from evalkit.agency.following import STEPS_KEPT, Progress
from evalkit.agency.overview import overview, overviews
from evalkit.core.agent.analysis import Analysis, PlannedScorer
from evalkit.core.agent.budget import Budget, Limits, Spent
from evalkit.core.agent.suite import Row, Score, ScriptRun
from evalkit.core.agent.task import plan_of
from evalkit.core.agent.verdicts import Caught, DamageTable
from evalkit.flows.agent.directory import SessionDirectory
from evalkit.flows.agent.events import Event
from evalkit.host import agent_live, page, suite_charts, suite_views

SCORER = PlannedScorer("polite", "Says please.", "people like it", ("tr-1",))
ANALYSIS = Analysis("few traces", "traces", "they are enough", (SCORER,))
PLAN = plan_of(ANALYSIS)
URI = "sqlite:///shop.db"


def session(base, name, experiment_id="7"):
    """The directory of a session that has begun."""
    about = placing.About(name, "shop", experiment_id, URI)
    return SessionDirectory(placing.begin(str(base), about))


def test_progress_shows_the_session_its_tasks_its_last_steps_and_what_was_spent(tmp_path):
    directory = session(tmp_path, "s")
    progress = Progress(str(tmp_path), "s")
    progress(Event("session", "Analyse the traces", 1))
    assert progress.moment().plan is None
    directory.save_plan(PLAN.begun("dataset"))
    progress(Event("session", "Write the dataset", 2, "dataset"))
    progress(Event("words", "I look.", 2, "dataset"))
    progress(Event("tool", "read_file {}", 2, "dataset"))
    progress(Event("result", "there is none", 2, "dataset", Spent(turns=3)))
    moment = progress.moment()
    assert (moment.session, moment.doing, moment.spent.turns) == (2, "Write the dataset", 3)
    assert moment.plan.of("dataset").status == "in progress"
    told = [(step.kind, step.text, step.outcome) for step in moment.steps]
    assert told == [("words", "I look.", ""), ("tool", "read_file {}", "there is none")]


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
    half = session(tmp_path, "20260103-shop")
    half.save_analysis(ANALYSIS)
    half.save_plan(PLAN.done("dataset", ["2 rows"]))
    (tmp_path / "sessions" / "no session").mkdir()
    listed = overviews(str(tmp_path), "7", URI)
    found = {each.about.session_id: each.state for each in listed}
    assert found == {"20260103-shop": "1 of 4 tasks done", "20260101-shop": "analysing"}
    assert list(found) == sorted(found, reverse=True)
    assert overview(str(tmp_path), "20260109-shop") is None
    assert not (tmp_path / "sessions" / "20260109-shop").exists()


def test_a_session_is_verified_when_every_task_is_over(tmp_path):
    directory, plan = session(tmp_path, "s"), PLAN
    for task in PLAN.tasks:
        plan = plan.done(task.task_id, ["it holds"])
    directory.save_plan(plan)
    assert overview(str(tmp_path), "s").state == "verified"


ODD = "<img src=x onerror=alert(1)>"


def test_what_the_agent_says_and_does_never_becomes_markup(tmp_path):
    directory = session(tmp_path, "s")
    directory.save_plan(PLAN.failed("dataset", ODD))
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


def test_the_chart_counts_what_each_scorer_notices():
    table = DamageTable({"polite": {"emptied": Caught(3, 4)}}, {"emptied": Caught(4, 4)})
    (data,) = suite_charts.damage_chart(table).to_dict()["datasets"].values()
    told = [(cell["scorer"], cell["damage"], cell["told"]) for cell in data]
    assert told == [("polite", "no answer", "3/4"), ("any of them", "no answer", "4/4")]


def test_without_damage_there_is_a_word_and_no_chart():
    assert "damaged" in suite_charts.damage_chart(DamageTable({}, {})).text


ROWS = (
    Row({"question": "Where is it?"}, "Here.", {}, "tr-1"),
    Row({"question": "Who?", "who": "Jo"}, None, {}, None),
)
RUN = ScriptRun(
    mlflow_runs=1,
    scores={
        "tr-1": [Score("polite", True, "it says please"), Score("length", 0.2)],
        "row-1": [Score("polite", "no")],
    },
)


def test_rows_are_shown_with_the_scorers_that_they_fail_at():
    done = SuiteRun(ROWS, RUN)
    judged = list(done.judged())
    rows = suite_charts.row_scores(judged).to_dict("records")
    assert [(row["Asked"], row["Verdict"], row["Fails at"]) for row in rows] == [
        ("Where is it?", "failed", "length"),
        ("question: Who? who: Jo", "failed", "polite"),
    ]
    scorers = suite_charts.scorer_scores(done).to_dict("records")
    assert [(each["Scorer"], each["Pass rate"]) for each in scorers] == [
        ("polite", "50%"),
        ("length", "0%"),
    ]
    said = suite_charts.score_view(judged[0][2]).to_numpy().tolist()
    assert ["polite", "yes\nit says please"] in said


def test_a_script_that_failed_says_why():
    failed = suite_charts.run_view(SuiteRun(ROWS, ScriptRun(error="it ended with exit code 3")))
    assert any("exit code 3" in part.text for part in failed.parts)


def test_parts_are_shown_below_each_other_without_marimo():
    assert page.stack(None, None) is None
    assert page.stack("a", None, "b").parts == ("a", "b")


def test_a_folder_without_sessions_is_no_error(tmp_path):
    LocalFolder.make(tmp_path / "sessions" / "half-made")
    assert list(overviews(str(tmp_path), "7", URI)) == []


def test_every_store_counts_from_1_so_a_session_of_another_one_is_not_listed(tmp_path):
    session(tmp_path, "s")
    assert [each.about.session_id for each in overviews(str(tmp_path), "7", URI)] == ["s"]
    assert list(overviews(str(tmp_path), "7", "http://127.0.0.1:5001")) == []
