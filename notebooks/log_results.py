import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Log a run", css_file="evalkit.css")

with app.setup:
    from dataclasses import replace

    import marimo as mo

    from evalkit import context, reading, stages
    from evalkit.cli import render
    from evalkit.core import overview
    from evalkit.host import glance
    from evalkit.host.case import case_view, receipt_view
    from evalkit.host.picking import picked_run, run_picker
    from evalkit.host.run_charts import durations_chart, models_chart, scores_chart
    from evalkit.host.waterfall import waterfall
    from evalkit.params import LogParams as Params
    from evalkit.ui import page
    from evalkit.ui.notebook import Host


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Log a run

    Your evaluation has run: scores, costs and the agent's logs lie in a **run directory**. Look at
    it here, case by case. Then log it, and MLflow holds the same: figures, files, and a **trace**
    of each case, which is the agent's work step by step.
    """)
    return


@app.cell
def opening():
    host = Host.open(Params, "log_results")
    host.header()
    return (host,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 1. Pick a run
    """)
    return


@app.cell
def settings(host):
    form = host.form("Use these settings")
    form
    return (form,)


@app.cell
def picking(form, host):
    chosen = host.settings(form)
    with host.step("Looking for runs"):
        workspace = chosen.workspace()
    picker = run_picker(host, workspace, chosen.run_id)
    picker
    return chosen, picker, workspace


@app.cell
def run(chosen, host, picker, workspace):
    asked = replace(chosen, run_id=picked_run(host, picker, chosen.run_id))
    with host.step("Reading the run"):
        found = workspace.run(asked.run_id)
        cases = reading.read_cases(found)
    return asked, cases, found


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 2. The run at a glance

    A **judge** scores every case: by code, or by asking a model. A **threshold** is what the run
    has to reach, as `eval.yaml` demands.
    """)
    return


@app.cell
def figures(cases, found):
    demands = overview.demands(found.project, found.run)
    page.stack(
        glance.failures(found.run),
        glance.figures(found.run, cases, demands),
        glance.threshold_table(demands),
    )
    return


@app.cell
def judged(found):
    judges = overview.judges(found.run)
    page.stack(glance.judge_table(judges), scores_chart(judges))
    return


@app.cell
def consumption(cases, found):
    page.stack(
        glance.model_table(found.run.usage), models_chart(found.run.usage), durations_chart(cases)
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. Case by case

    Select a case. On the left is what the judges said, on the right what the agent did: its words,
    with its thinking and its tools folded. Click to unfold them.
    """)
    return


@app.cell
def explorer(cases):
    table = glance.case_table(cases)
    table
    return (table,)


@app.cell
def opened_case(cases, found, table):
    opened = [reading.open_case(found, case) for case in page.chosen(table, cases)]
    page.stack(*map(case_view, opened))
    return (opened,)


@app.cell
def steps(opened):
    page.stack(*(waterfall(each.trace) for each in opened if each.trace))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ### The receipt

    Every trace comes with a receipt: what became of each line of the log, and whether tokens and
    cost add up to what the log says of itself. Nothing vanishes unsaid.
    """)
    return


@app.cell
def receipt(opened):
    page.stack(*map(receipt_view, opened))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 4. Log it

    Logging twice changes nothing: only what is new or different is written. If you stop half-way,
    log again, and the rest is done.
    """)
    return


@app.cell
def pressing(found, host):
    go = host.button(f"Log {found.run.run_id}")
    go
    return (go,)


@app.cell
def logging(asked, go, host, workspace):
    logged = host.work(
        "Log",
        lambda say: stages.log_results(
            workspace,
            run_id=asked.run_id,
            names=asked.names,
            dataset_name=asked.dataset_name,
            say=say,
        ),
        go,
    )
    return (logged,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 5. The run in MLflow
    """)
    return


@app.cell
def result(host, logged):
    report = host.outcome(logged, "Here you will find it, once it is logged.")
    glance.logged(report)
    return (report,)


@app.cell
def seen(asked, host, opened, report, workspace):
    with host.step("Looking for the run in MLflow"):
        where = context.whereabouts(workspace, asked.run_id, report["mlflow_run_id"])
    glance.links(where, opened[0].case.case_id if opened else "")
    return


@app.cell
def ending(asked, host, report):
    host.finish(asked, report, render.logged)
    return


if __name__ == "__main__":
    app.run()
