"""The compare notebook: in the browser, headless, and run by a program."""

import importlib.util
import json
from pathlib import Path

import nbformat
import pytest

from evalkit import InputError, ui
from evalkit.demo.project import write_project
from evalkit.ui.notebook import Host

GOLDEN = Path(__file__).parents[1] / "golden" / "compare.json"
NOTEBOOK = ui.folder() / "compare_runs.py"
OLDER, NEWER = "2026-05-05-sonnet-v1", "2026-05-12-sonnet-v2"


@pytest.fixture(scope="session")
def module():
    spec = importlib.util.spec_from_file_location("compare_runs", NOTEBOOK)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The demo project's eval.yaml; nothing here writes to it."""
    return str(write_project(tmp_path_factory.mktemp("demo")))


def run(module, **parameters):
    """The names that the notebook defines when a program runs it with these parameters."""
    host = Host.of(module.Params(**parameters), "compare_runs")
    return module.app.run(defs={"host": host})[1]


def add_run(project, run_id, passes, cost=0.5):
    """A finished run of twelve cases, of which so many pass."""
    cases = [f"case-{number:02}" for number in range(12)]
    per_case = {
        case: {"polite": {"value": place < passes, "rationale": f"{run_id} on {case}"}}
        for place, case in enumerate(cases)
    }
    folder = f"eval/runs/{project.name}/{run_id}"
    judges = {"polite": {"mean": passes / 12, "pass_rate": passes / 12}}
    project.write(f"{folder}/summary.yaml", {"judges": judges, "per_case": per_case})
    usage = {case: {"cost_usd": cost + place / 100} for place, case in enumerate(cases)}
    project.write(f"{folder}/run_result.json", {"per_case": usage})


@pytest.fixture
def three_runs(project):
    """A project with a good run, one that is much worse, and one that is hardly so."""
    project.configure(thresholds={"polite": {"min_pass_rate": 0.7}})
    project.remove("eval/runs")
    add_run(project, "run-1", passes=11)
    add_run(project, "run-2", passes=2, cost=0.3)
    add_run(project, "run-3", passes=10)
    return project


def test_a_newcomer_sees_the_demos_two_runs_compared(visitor):
    visitor.open("compare_runs")
    visitor.sees("This is the demo project")
    answer = visitor.cell("answer")
    answer.get_by_text("Worse: 3 of 12 executions failed").wait_for()
    visitor.cell("judge_chart").locator("canvas, svg").first.wait_for()
    visitor.cell("judges").get_by_text("1,290").wait_for()
    visitor.cell("thresholds").get_by_text("policy_grounding").first.wait_for()


def test_a_person_compares_two_runs_and_reads_what_broke(visitor, three_runs):
    visitor.open("compare_runs", config=str(three_runs.root / "eval.yaml"))
    visitor.press("Find the runs")
    answer = visitor.cell("answer")
    answer.get_by_text("Better: polite 17% → 83% over 12 cases").wait_for()

    picking = visitor.cell("picking")
    for before, after in (("run-2", "run-1"), ("run-3", "run-2")):
        picking.get_by_text(before).click()
        visitor.change(visitor.page.get_by_role("option", name=after).click)
        visitor.change(visitor.page.get_by_role("option", name=before).click)
        visitor.page.keyboard.press("Escape")
    answer.get_by_text("Worse: polite 92% → 17% over 12 cases").wait_for()

    flips = visitor.cell("flipping")
    show = visitor.cell("filters").get_by_role("combobox").first
    show.select_option(label="Fixed or better (0)")
    flips.get_by_text("No score is like that").wait_for()
    show.select_option(label="Broken or worse (9)")
    flips.get_by_text("case-07").wait_for()
    flips.get_by_role("row", name="case-07").get_by_role("checkbox").click()
    both = visitor.cell("flipped")
    both.get_by_text("run-1 on case-07").wait_for()
    both.get_by_text("run-2 on case-07").wait_for()

    link = visitor.page.url
    assert "baseline=run-1" in link
    assert "candidate=run-2" in link
    visitor.page.goto("about:blank")
    visitor.page.goto(link)
    visitor.press("Find the runs")
    answer.get_by_text("Worse: polite 92% → 17% over 12 cases").wait_for()
    both.get_by_text("run-2 on case-07").wait_for()


def rounded(value):
    """The same, with as many digits as libraries agree on."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def test_as_a_script_it_says_what_the_page_says(script, demo):
    ended = script(NOTEBOOK, "--config", demo, "--baseline", OLDER, "--candidate", NEWER, "--json")
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert rounded(ended.report) == json.loads(GOLDEN.read_text("utf-8"))
    assert f"{NEWER} against {OLDER}" in ended.err


def test_strictly_a_failing_threshold_or_a_regression_is_an_error(script, three_runs):
    ended = script(
        NOTEBOOK, "--candidate=run-2", "--baseline=run-1", "--strict", "--json", cwd=three_runs.root
    )
    assert ended.code == 1
    assert "polite fails pass rate at least 0.7, it has 0.167" in ended.report["error"]
    assert "polite 92% → 17%" in ended.report["error"]
    open_ = script(
        NOTEBOOK, "--candidate=run-3", "--baseline=run-1", "--strict", cwd=three_runs.root
    )
    assert (open_.code, "about 129 cases would tell" in open_.out) == (3, True)


def test_in_jupyter_it_shows_its_tables_and_charts(jupyter, exported, three_runs):
    notebook = nbformat.read(exported / "compare_runs.ipynb", as_version=4)
    ended = jupyter.run(notebook, three_runs.root)
    shown = json.dumps([cell.get("outputs") for cell in ended.cells])
    assert "Better: polite 17%" in shown
    assert "altair-viz" in shown
    assert "run-3 against run-2" in shown


def test_a_program_gets_everything_the_page_shows(module, demo):
    found = run(module, config=demo)
    assert found["report"]["baseline"] == [OLDER]
    assert [flip.kind for flip in found["listed"]].count("broken") == 2
    assert found["report"]["candidate"] == [NEWER]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"config": "nowhere.yaml"}, "there is no such file"),
        ({"baseline": ("none",), "candidate": ("other",)}, "no finished run 'none'"),
        ({"baseline": (NEWER,), "candidate": (NEWER,)}, "compared with itself"),
        ({"runs_dir": "elsewhere"}, "needs two finished runs, there is none"),
    ],
)
def test_a_program_is_given_the_error(module, demo, wrong, message):
    with pytest.raises(InputError, match=message):
        run(module, **{"config": demo, **wrong})


@pytest.mark.parametrize(
    ("baseline", "candidate", "meant"),
    [
        ((), (), (["run-2"], ["run-3"])),
        ((), ("run-2",), (["run-1"], ["run-2"])),
        ((), ("run-1",), (["run-3"], ["run-1"])),
        (("run-3",), (), (["run-3"], ["run-2"])),
        (("run-1",), ("run-3", "run-2", "run-3"), (["run-1"], ["run-3", "run-2"])),
    ],
)
def test_runs_that_are_not_named_are_the_newest_and_the_one_before(
    module, three_runs, baseline, candidate, meant
):
    config = str(three_runs.root / "eval.yaml")
    report = run(module, config=config, baseline=baseline, candidate=candidate)["report"]
    assert (report["baseline"], report["candidate"]) == meant
