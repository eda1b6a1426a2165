import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Review a run", css_file="evalkit.css")

with app.setup:
    from dataclasses import dataclass, replace

    import marimo as mo

    from evalkit import reading, reviewing
    from evalkit.arguments import param
    from evalkit.cli import render
    from evalkit.host import agreement_views, glance, review_bar
    from evalkit.host.case import case_view
    from evalkit.host.picking import picked_run, run_picker
    from evalkit.host.surroundings import files_view, task_view
    from evalkit.params import RunParams
    from evalkit.ui import page
    from evalkit.ui.notebook import Host

    @dataclass(frozen=True)
    class Params(RunParams):
        """Review a run, bring the feedback to MLflow and back, compare people with judges."""

        reviewer: str = param("", "Noted in review.yaml beside what you say", label="Your name")


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Review a run

    Judges score every case, but do they see what you see? Read what the agent did, case by case,
    and **accept** it or say what should be better. Your words are kept in `review.yaml`, go to
    MLflow beside the judges' scores, and show at the end which judges you can trust.
    """)
    return


@app.cell
def opening():
    host = Host.open(Params, "review_feedback")
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
        review, note_review = mo.state(reviewing.read_review(found))
    if not cases:
        host.halt("This run has **no cases**: neither scores nor logs.", "Pick another run.")
    glance.failures(found.run)
    return asked, cases, found, note_review, review


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 2. Review it

    All you say is saved at once. By keyboard: **j** and **k**, or the arrows, go to the next case
    and back, **n** to the next that is not reviewed, **a** accepts, **c** goes to the comment,
    **Ctrl Enter** saves it, **Esc** leaves it.
    """)
    return


@app.cell
def bar(cases, found, host):
    reviewer_bar = review_bar.review_bar(
        host, [case.case_id for case in cases], reviewing.read_review(found).feedback
    )
    reviewer_bar
    return (reviewer_bar,)


@app.cell
def saving(asked, found, host, note_review, reviewer_bar):
    with host.step():
        saved = review_bar.save(reviewer_bar, found, asked.reviewer)
    if saved:
        note_review(saved)
    return


@app.cell
def case(cases, found, reviewer_bar, workspace):
    shown = review_bar.shown(reviewer_bar, cases)
    opened = [reading.open_case(found, each) for each in shown]
    around = [reviewing.read_surroundings(workspace, found, each.case_id) for each in shown]
    page.stack(*map(task_view, around), *map(case_view, opened), *map(files_view, around))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. To MLflow and back

    **Push** puts the judges' scores and your comments on the traces of their cases, and **pull**
    brings what people said in MLflow into `review.yaml`, under `mlflow_feedback`. Both can be
    repeated: only what is new or different is written. The run has to be logged before.
    """)
    return


@app.cell
def pressing(host):
    to_mlflow = host.button("Push to MLflow")
    to_mlflow
    return (to_mlflow,)


@app.cell
def pushing(asked, host, to_mlflow, workspace):
    pushed = host.work(
        "Push",
        lambda say: reviewing.push(workspace, asked.run_id, absent_ok=not host.person, say=say),
        to_mlflow,
    )
    return (pushed,)


@app.cell
def pushed_feedback(host, pushed):
    sent = host.outcome(pushed)
    agreement_views.pushed(sent["push-feedback"])
    return (sent,)


@app.cell
def asking(host):
    from_mlflow = host.button("Pull from MLflow")
    from_mlflow
    return (from_mlflow,)


@app.cell
def pulling(asked, from_mlflow, host, workspace):
    pulled = host.work(
        "Pull",
        lambda say: reviewing.pull(workspace, asked.run_id, absent_ok=not host.person, say=say),
        from_mlflow,
    )
    return (pulled,)


@app.cell
def pulled_feedback(found, host, pulled):
    came = host.outcome(pulled)
    agreement_views.pulled(reviewing.read_review(found))
    return (came,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 4. Where people and judges disagree

    For this comparison, an accepted case is a *pass* and a comment a *fail*. A judge that says
    true or false is taken by its word, a number is a pass from the judge's threshold on, else from
    the middle of its range. What people said in MLflow under a judge's own name is compared with
    it value by value. First come the cases that a judge let pass and a person did not.
    """)
    return


@app.cell
def comparing(found, host, pulled, review):
    host.settled(pulled)
    with host.step("Comparing people with judges"):
        review()  # what was said on this page since
        compared = reviewing.compare(found)
    return (compared,)


@app.cell
def disagreements(compared):
    differing = compared.disagreements
    table = agreement_views.disagreement_table(differing)
    table
    return differing, table


@app.cell
def disagreement(differing, table):
    page.stack(*map(agreement_views.both_sides, page.chosen(table, differing)))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 5. Which judges to trust

    **Kappa** says how far people and a judge agree beyond chance: 1 is always, 0 is no more than
    two who guess. The interval says how sure that is, and as long as it reaches down to 0, the
    agreement may be chance. Select a judge to see where it errs.
    """)
    return


@app.cell
def judges(compared):
    judge_table = agreement_views.agreement_table(compared.judges)
    judge_table
    return (judge_table,)


@app.cell
def matrix(compared, judge_table):
    page.stack(*map(agreement_views.matrix_chart, page.chosen(judge_table, compared.judges)))
    return


@app.cell
def ending(asked, came, compared, host, sent):
    report = {**sent, **came, "agreement": compared.as_report()}
    host.finish(asked, report, render.reviewed)
    return (report,)


if __name__ == "__main__":
    app.run()
