"""The log notebook: in the browser, headless, and run by a program."""

from agentlogs import answer, as_lines, ask, finish, init, say, text, use
from eval_project import RUN_ID, score
from in_mlflow import InMlflow

from evalkit import Workspace

PATIENCE_MS = 120_000
"""The first stage of a server imports MLflow, which takes long on a busy machine."""
HOSTILE = '<script>window.broken = 1</script><img src=x onerror="window.broken = 2"> **not bold**'


def where(project):
    return {"config": str(project.root / "eval.yaml"), "run_id": RUN_ID}


def select(visitor, case):
    row = visitor.cell("explorer").get_by_role("row").filter(has_text=case)
    row.get_by_role("checkbox").click()
    visitor.cell("opened_case").get_by_text(case, exact=True).wait_for()


def log(visitor, run_id):
    visitor.press(f"Log {run_id}")
    done = visitor.cell("result").get_by_text("The run is in MLflow.")
    done.wait_for(timeout=PATIENCE_MS)


def test_a_newcomer_looks_at_a_case_of_the_demo_and_logs_the_run(visitor):
    visitor.open("log_results")
    visitor.sees("This is the demo project")
    select(visitor, "flicker-after-fourteen-months")
    talk = visitor.cell("opened_case")
    talk.get_by_text("OverloadedError").wait_for()
    subagents = talk.get_by_text("Subagent general-purpose")
    assert subagents.count() == 2
    result = talk.get_by_text("1 x LMP-077 Heron floor lamp").first
    assert not result.is_visible()
    talk.locator("summary", has_text="bin/orders show").click()
    assert result.is_visible()
    visitor.cell("receipt").get_by_text("30 lines: 30 became part").wait_for()

    visitor.unfold("opened with")
    config = visitor.page.get_by_role("textbox", name="Config").input_value()
    log(visitor, "2026-05-12-sonnet-v2")
    visitor.cell("seen").get_by_text("mlflow ui --backend-store-uri sqlite:").wait_for()
    workspace = Workspace.open(config)
    stored = InMlflow(workspace.tracking.uri, workspace.files.project.experiment)
    assert len(stored.traces()) == 12
    assert stored.run().data.metrics["cost_budget/pass_rate"] == 0.9


def test_a_log_full_of_markup_is_shown_as_text_and_logged(visitor, project, server):
    project.configure(mlflow={"tracking_uri": server.uri, "experiment": "markup"})
    events = [
        init(),
        ask(f"asked {HOSTILE}"),
        say("m1", use("t1", HOSTILE, command=HOSTILE)),
        answer("t1", HOSTILE),
        say("m2", text(f"said {HOSTILE}")),
        finish(f"said {HOSTILE}"),
    ]
    project.log("alpha", b"".join(as_lines(events)))
    project.summarise({"alpha": {HOSTILE: score(HOSTILE, HOSTILE)}})
    visitor.open("log_results", config=where(project)["config"])
    visitor.press("Use these settings")
    talk = visitor.cell("opened_case")
    talk.get_by_text(f"said {HOSTILE}").wait_for()
    visitor.cell("steps").locator("canvas, svg").first.wait_for()
    assert talk.locator("script, img, strong strong, a").count() == 0
    assert visitor.page.evaluate("window.broken") is None

    log(visitor, RUN_ID)
    links = visitor.cell("seen").get_by_role("link")
    links.first.wait_for()
    stored = InMlflow(server.uri, "markup")
    trace_id = stored.traces()["alpha"].info.trace_id
    hrefs = [link.get_attribute("href") for link in links.all()]
    assert hrefs[0].endswith(f"/runs/{stored.run().info.run_id}")
    assert hrefs[1].endswith(f"selectedEvaluationId={trace_id}")


def test_what_is_missing_is_shown_as_what_it_is_and_what_to_do(visitor, stored_project):
    link = {"config": "nowhere/eval.yaml", "tracking_uri": "http://attacker.invalid"}
    visitor.open("log_results", **link)
    visitor.sees("The address of this page filled in config. Check it, then go on.")
    visitor.unfold("More settings")
    assert visitor.page.get_by_role("textbox", name="Tracking URI").input_value() == ""
    visitor.press("Use these settings")
    visitor.cell("picking").get_by_text("there is no such file").wait_for()
    stored_project.unlog("beta")
    stored_project.configure(mlflow={"tracking_uri": "http://127.0.0.1:9"})
    visitor.fill("Config The evaluation", where(stored_project)["config"])
    visitor.press("Use these settings")
    select(visitor, "beta")
    visitor.cell("opened_case").get_by_text("beta was greeted").wait_for()
    visitor.cell("opened_case").get_by_text("there is no log of beta").wait_for()
    visitor.cell("receipt").get_by_text("This case has no log").wait_for()
    visitor.press(f"Log {RUN_ID}")
    visitor.cell("logging").get_by_text("is not reachable").wait_for()
    stored_project.remove("eval/runs")
    visitor.press("Look again")
    visitor.cell("picking").get_by_text("no finished run").wait_for()
