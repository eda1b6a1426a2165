import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Review a run", css_file="evalkit.css")

with app.setup:
    from dataclasses import dataclass, replace

    import altair as alt
    import marimo as mo
    import pandas as pd

    from evalkit import pull_feedback, push_feedback, reading
    from evalkit.arguments import param
    from evalkit.check_all import run_stages
    from evalkit.cli import render
    from evalkit.feedback import agreement, review_file
    from evalkit.params import RunParams
    from evalkit.runs.run_dir import list_runs
    from evalkit.ui import page, run_views
    from evalkit.ui.notebook import Host
    from evalkit.ui.trace_views import conversation
    from evalkit.ui.wording import GREEN, GREY, RED, dressed

    NO_TEXT = "This file is no text, or too large to show."
    NO_TRACES = (
        "MLflow has **no traces of this run**, so there is nothing to put feedback on. "
        "Log the run first."
    )

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
    form = host.form("Use these settings")
    page.stack(host.header(), form)
    return form, host


@app.cell
def picking(form, host):
    chosen = host.settings(form)
    with host.step("Looking for runs"):
        workspace = chosen.workspace()
    seen = host.selected("run")  # what was selected when the page was left
    named = chosen.run_id or (seen if seen in list_runs(workspace.files) else None)
    picker = run_views.run_picker(host, workspace, named)
    picker
    return chosen, picker, workspace


@app.cell
def run(chosen, host, picker, workspace):
    asked = replace(chosen, run_id=run_views.picked_run(host, picker, chosen.run_id))
    with host.step("Reading the run"):
        found = workspace.run(asked.run_id)
        cases = reading.read_cases(found)
        review, note_review = mo.state(review_file.read_review(found))
    if not cases:
        host.halt("This run has **no cases**: neither scores nor logs.", "Pick another run.")
    # executions that failed come first, then cases that a judge fails
    cases.sort(key=lambda each: (not each.failure, all(s.value is not False for s in each.scores)))
    run_views.failures(found.run)
    return asked, cases, found, note_review, review


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Review it

    All you say is saved at once. By keyboard: **j** and **k**, or the arrows, go to the next case
    and back, **n** to the next that is not reviewed, **a** accepts, **c** goes to the comment,
    **Ctrl Enter** saves it, **Esc** leaves it.
    """)
    return


@app.cell
def bar(cases, found, host):
    said_so_far = review_file.read_review(found).feedback
    names = [case.case_id for case in cases]
    bar = run_views.ReviewBar(names, said_so_far, host.selected("case"))
    reviewer_bar = mo.ui.anywidget(bar) if host.person else None
    return (reviewer_bar,)


@app.cell
def saving(asked, found, host, note_review, reviewer_bar):
    with host.step():
        saved = reviewer_bar is not None and reviewer_bar.widget.save(found, asked.reviewer)
    if saved:
        note_review(saved)
    return


@app.cell
def case(asked, cases, found, host, reviewer_bar, workspace):
    def case_view(case):
        """The bar and the scores, beside what was expected and what the agent did."""
        host.remember("run")(asked.run_id)
        host.remember("case")(case.case_id)
        trace, refusal = reading.open_case(found, case.case_id)
        task, expected, files = reading.around_case(workspace, found, case.case_id)
        talk = conversation(trace) if trace else page.problem(refusal)
        scores = run_views.scorecard(case.scores, title=case.case_id)
        made = (page.folded(name, text or NO_TEXT) for name, text in files.items())
        asked_for = page.folded("What was expected", expected, opened=True)
        around = [asked_for, page.folded("The task", task), talk, *made]
        return page.beside([reviewer_bar, scores], around, wide=1.9)

    None if reviewer_bar is None else case_view(cases[reviewer_bar.value["at"]])
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## To MLflow and back

    **Push** puts the judges' scores and your comments on the traces of their cases, and **pull**
    brings what people said in MLflow into `review.yaml`, under `mlflow_feedback`. Both can be
    repeated: only what is new or different is written. The run has to be logged before.
    """)
    return


@app.function
def stage(name, do, asked, workspace, host, button):
    """A stage's report by its name, where nobody looks also of an absent MLflow; None before."""
    if not host.is_due(button):
        return None
    with host.step(name.title(), ends=False) as say:
        step = {name: lambda: do(workspace, run_id=asked.run_id, say=say)}
        return {name: step[name]()} if host.person else run_stages(step)


@app.cell
def pressing(host):
    to_mlflow = host.button("Push to MLflow")
    to_mlflow
    return (to_mlflow,)


@app.cell
def pushing(asked, host, to_mlflow, workspace):
    sent = stage("push-feedback", push_feedback, asked, workspace, host, to_mlflow)
    return (sent,)


@app.cell
def pushed_feedback(sent):
    mo.stop(sent is None)
    stands = sent["push-feedback"]
    page.stack(
        page.cards(
            ("Judge scores", stands["judge"], "now on their traces"),
            ("Reviews", stands["human"], "now on their traces"),
            ("Traces", stands["traces"], "have feedback"),
            ("Without a trace", stands["unmatched"], "not pushed"),
        ),
        page.folded("Without a trace", stands["unmatched_names"]),
    ) if stands.get("traces") else page.callout(NO_TRACES, "warn")
    return


@app.cell
def asking(host):
    from_mlflow = host.button("Pull from MLflow")
    from_mlflow
    return (from_mlflow,)


@app.cell
def pulling(asked, from_mlflow, host, workspace):
    came = stage("pull-feedback", pull_feedback, asked, workspace, host, from_mlflow)
    return (came,)


@app.cell
def pulled_feedback(came, found):
    mo.stop(came is None)
    annotations = pd.DataFrame(review_file.read_review(found).annotations)
    page.table(
        annotations.drop(columns="trace_id", errors="ignore"),
        nothing="Nobody has said anything about this run in MLflow yet.",
        wrapped_columns=["rationale"],
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Where people and judges disagree

    For this comparison, an accepted case is a *pass* and a comment a *fail*. A judge that says
    true or false is taken by its word, a number is a pass from the judge's threshold on, else from
    the middle of its range. What people said in MLflow under a judge's own name is compared with
    it value by value. First come the cases that a judge let pass and a person did not.
    """)
    return


@app.cell
def comparing(came, found, host, review):
    came  # compared again once people's annotations are there
    with host.step("Comparing people with judges"):
        review()  # what was said on this page since
        pairs, judges = agreement.agreement_frames(found)
    return judges, pairs


@app.cell
def disagreements(pairs):
    differing = pairs[pairs.said != pairs.judged].sort_values(
        ["judged", "judge", "case_id"], ascending=[False, True, True]
    )
    shown = ["case_id", "judge", "score", "judged", "word", "said", "person", "basis"]
    table = page.table(
        differing[shown].rename(columns={"score": "the judge's value", "word": "a person's word"}),
        select="single",
        nothing="Nowhere, as far as both have said anything.",
        page_size=10,
    )
    table
    return differing, table


@app.cell
def disagreement(differing, table):
    page.stack(
        *(
            page.record({name: value for name, value in pair.items() if value not in ("", None)})
            for pair in page.chosen(table, differing.to_dict("records"))
        )
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Which judges to trust

    **Kappa** says how far people and a judge agree beyond chance: 1 is always, 0 is no more than
    two who guess. The interval says how sure that is, and as long as it reaches down to 0, the
    agreement may be chance. Select a judge to see where it errs.
    """)
    return


@app.cell
def trusting(judges):
    digits = dict.fromkeys(("kappa", "low", "high"), lambda kappa: kappa and f"{kappa:.2f}")
    judge_table = page.table(
        pd.DataFrame(judges),
        select="single",
        nothing="No judge has looked at this run.",
        wrapped_columns=["reading"],
        format_mapping=digits,
    )
    judge_table
    return (judge_table,)


@app.function
def matrix_chart(judge, basis, both):
    """How often people gave which label where the judge gave which; None without labels."""
    if both.empty:
        return None
    cells = both.groupby(["said", "judged"], as_index=False).size()
    cells["same"] = cells.said == cells.judged
    labels = {*both.said, *both.judged}
    order = sorted(labels, key=lambda label: (label != "pass", len(label), label))
    side, most = min(84 * len(order), 520), int(cells["size"].max())
    axis = alt.Axis(labelAngle=0, labelLimit=160, domain=False, ticks=False)
    scale = alt.Scale(domain=order)
    title = alt.TitleParams(
        f"{judge} beside the {basis}",
        subtitle="number of cases; green: both said the same, red: they differ",
    )
    base = alt.Chart(cells).encode(
        x=alt.X("judged:N", scale=scale, title=f"{judge} said", axis=axis),
        y=alt.Y("said:N", scale=scale, title="people said", axis=axis),
        tooltip=["said", "judged", "size"],
    )
    shades = alt.Scale(domain=[0, most], range=[0.15, 0.9])
    fields = base.mark_rect(cornerRadius=4).encode(
        color=alt.condition("datum.same", alt.value(GREEN), alt.value(RED)),
        opacity=alt.Opacity("size:Q", scale=shades, legend=None),
    )
    ink = alt.condition(alt.datum.size > 0.4 * most, alt.value("white"), alt.value(GREY))
    numbers = base.mark_text(fontSize=16, fontWeight=600).encode(text="size:Q", color=ink)
    return dressed((fields + numbers).properties(width=side, height=side, title=title))


@app.cell
def matrix(judge_table, judges, pairs):
    page.stack(
        *(
            matrix_chart(judge, basis, pairs[(pairs.judge == judge) & (pairs.basis == basis)])
            for judge, basis in (
                (row["judge"], row["basis"]) for row in page.chosen(judge_table, judges)
            )
        )
    )
    return


@app.cell
def ending(asked, came, host, judges, sent):
    mo.stop(came is None or sent is None)
    report = {**sent, **came, "agreement": judges}
    host.finish(asked, report, "review", render.tell)
    return (report,)


if __name__ == "__main__":
    app.run()
