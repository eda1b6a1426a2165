import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Log a run", css_file="evalkit.css")

with app.setup:
    from dataclasses import replace

    import altair as alt
    import marimo as mo
    import pandas as pd

    from evalkit import log_results, reading
    from evalkit.cli import render
    from evalkit.feedback.trace_index import find_traces
    from evalkit.params import LogParams as Params
    from evalkit.ui import page, run_views
    from evalkit.ui.notebook import Host
    from evalkit.ui.trace_views import conversation, waterfall
    from evalkit.ui.wording import BLUE, GREEN, RED, dressed

    FEW = 8  # different answers that get a bar each; more are put into ranges, or under "other"
    MOST_BARS = 40
    MOST_JUDGES = 12


@app.function
def figure(value, form, nothing="-"):
    """A figure as people read it, words as they are; of what is not known, nothing."""
    if value is None or pd.isna(value):
        return nothing
    return value if isinstance(value, str) else form.format(value)


@app.function
def shown(form):
    """Shows a column's figures in that form."""
    return lambda value: figure(value, form, "")


@app.function
def answers(values):
    """What a chart counts: pass and fail, labels, numbers or ranges of them; of others, nothing."""
    kinds, values = {*map(type, values)}, pd.Series(values, dtype=object)
    if kinds == {bool}:
        return ["pass" if value else "fail" for value in values]
    if kinds != {str} and not kinds <= {int, float}:
        return []
    if kinds != {str} and values.nunique() > FEW:
        ranges = pd.cut(values.astype(float).sort_values(), FEW)
        return [f"{each.left:.3g} to {each.right:.3g}" for each in ranges]
    common = values.value_counts().index[:FEW] if kinds == {str} else values.unique()
    return [str(value) if value in common else "other" for value in values.sort_values()]


@app.function
def score_chart(judge, counted):
    """How many cases got which answer of a judge."""
    passes = alt.Scale(domain=["pass", "fail"], range=[GREEN, RED])
    colour = alt.Color("answer:N", legend=None, scale=passes)
    title = alt.TitleParams(judge, fontSize=12, limit=180)
    base = alt.Chart(pd.DataFrame({"answer": counted}), title=title, width=180, height=110)
    return base.mark_bar().encode(
        x=alt.X("answer:N", title=None, sort=None, axis=alt.Axis(labelAngle=0, labelLimit=90)),
        y=alt.Y("count():Q", title="cases", axis=alt.Axis(tickMinStep=1, tickCount=4)),
        color=colour if set(counted) <= {"pass", "fail"} else alt.value(BLUE),
        tooltip=["answer:N", alt.Tooltip("count():Q", title="cases")],
    )


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
    form = host.form("Use these settings")
    page.stack(host.header(), form)
    return form, host


@app.cell
def picking(form, host):
    chosen = host.settings(form)
    with host.step("Looking for runs"):
        workspace = chosen.workspace()
    picker = run_views.run_picker(host, workspace, chosen.run_id)
    picker
    return chosen, picker, workspace


@app.cell
def run(chosen, host, picker, workspace):
    asked = replace(chosen, run_id=run_views.picked_run(host, picker, chosen.run_id))
    with host.step("Reading the run"):
        found = workspace.run(asked.run_id)
        cases = reading.read_cases(found)
    return asked, cases, found


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 1. The run at a glance

    A **judge** scores every case: by code, or by asking a model. A **threshold** is what the run
    has to reach, as `eval.yaml` demands.
    """)
    return


@app.cell
def figures(cases, found):
    demands, usage = reading.threshold_frame(found), found.run.usage
    verdicts = demands["Verdict"].value_counts()
    unmeasured = f", {n} not measured" if (n := verdicts.get("not measured", 0)) else ""
    missed = f"of {len(demands)} in eval.yaml{unmeasured}"
    page.stack(
        run_views.failures(found.run),
        page.cards(
            ("Executions that failed", len(found.run.failed), f"of {len(cases)} cases"),
            ("Cases", len(cases), f"{sum(case.logged for case in cases)} with a log"),
            ("Thresholds that fail", verdicts.get("fails", 0), missed),
            ("Cost", figure(usage.cost_usd, "${:,.4g}"), "of the agent, in US dollars"),
            ("Duration", figure(usage.duration_s, "{:,.0f} s"), "all sessions added up"),
            ("Turns", figure(usage.num_turns, "{:g}"), found.run.model or "all cases"),
        ),
        page.table(
            demands,
            tint="Verdict",
            label="**Thresholds**",
            format_mapping={"The run has": shown("{:.3f}")},
            nothing="eval.yaml demands nothing: there are no thresholds in it.",
        ),
        page.table(
            reading.judge_frame(found),
            label="**Judges**",
            format_mapping={"Pass rate": shown("{:.0%}"), "Mean": shown("{:.3f}")},
            nothing="No judge has looked at this run.",
        ),
        page.table(
            reading.model_frame(found),
            label="**Models**",
            format_mapping={"USD": shown("${:,.4g}")}
            | dict.fromkeys(reading.TOKENS.values(), shown("{:,.0f}")),
            nothing="The run does not say what each model used.",
        ),
    )
    return


@app.cell
def spread(found):
    # lists and objects are in the table only, and so are judges beyond the first
    said = reading.score_frame(found).groupby("judge", sort=False)["value"].agg(list)
    drawn = {judge: counted for judge, values in said.items() if (counted := answers(values))}
    charts = [score_chart(*each) for each in list(drawn.items())[:MOST_JUDGES]]
    dressed(alt.concat(*charts, columns=4, title="How the scores spread")) if charts else None
    return


@app.cell
def durations(found):
    timed = reading.frame(found).dropna(subset="Seconds").sort_values("Seconds").tail(MOST_BARS)
    title, height = "How long the cases took, the longest first", 20 * len(timed)
    chart = alt.Chart(timed, title=title, width="container", height=height).mark_bar(color=BLUE)
    chart = chart.encode(
        x=alt.X("Seconds:Q", title="seconds"),
        y=alt.Y("Case:N", title=None, sort="-x", axis=alt.Axis(labelLimit=240)),
        tooltip=["Case:N", "Seconds:Q", alt.Tooltip("USD:Q", format=".4f")],
    )
    dressed(chart) if len(timed) else None
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 2. Case by case

    Select a case. On the left is what the judges said, on the right what the agent did: its words,
    with its thinking and its tools folded. Click to unfold them. Below is its **receipt**: what
    became of each line of the log, and whether tokens and cost add up to what the log says.
    """)
    return


@app.cell
def explorer(found):
    digits = {"Seconds": shown("{:.1f}"), "USD": shown("{:.4f}"), "Turns": shown("{:.0f}")}
    table = page.table(reading.frame(found), select="single", page_size=12, format_mapping=digits)
    table
    return (table,)


@app.cell
def opened_case(cases, found, table):
    case = next(iter(page.chosen(table, cases)), None)
    trace, refusal = reading.open_case(found, case.case_id) if case else (None, None)

    def case_view():
        """The case's scores beside its conversation, or beside the reason why there is none."""
        talk = conversation(trace) if trace else None
        why = page.problem(refusal) if refusal else None
        scores = run_views.scorecard(case.scores, title=case.case_id)
        return page.beside([scores], [talk, why], wide=1.9)

    case_view() if case else None
    return case, refusal, trace


@app.cell
def steps(refusal, trace):
    waterfall(trace) if trace and not refusal else None
    return


@app.cell
def receipt(case, refusal, trace):
    def receipt_view(receipt):
        """What became of the log's lines, and which figures do not add up."""
        if receipt is None:
            return page.callout("This case has no log, so there is nothing to account for.")
        rows = [
            {
                "What does not add up": each.what.replace("_", " "),
                "Model": each.model or "all",
                "The spans add up to": f"{each.spans:,.6g}",
                "The result says": f"{each.result:,.6g}",
                "Why": each.why,
            }
            for each in receipt.differences
        ]
        table = page.table(rows, wrapped_columns=["Why"]) if rows else None
        return page.stack(page.record(receipt.in_words(), title="Receipt"), table)

    told_by = refusal or trace  # a log that was refused has a receipt, one that is missing has none
    receipt_view(getattr(told_by, "receipt", None)) if case else None
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. Log it

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
    named = {name: getattr(asked, name) for name in ("run_id", "names", "dataset_name")}
    report = None
    if host.is_due(go):
        with host.step("Logging", ends=False) as say:
            report = log_results(workspace, **named, say=say)
    return (report,)


@app.cell
def result(report):
    mo.stop(report is None, mo.md("*Here you will find the run in MLflow, once it is logged.*"))
    receipt_, notes_ = report["receipt"], report["notes"]
    verdicts_ = "; ".join(f"{count} {verdict}" for verdict, count in receipt_["verdicts"].items())
    lost = {f"No steps in the trace of {case}": why for case, why in receipt_["refused"].items()}
    lost |= {"No log for": ", ".join(receipt_["missing"])} if receipt_["missing"] else {}
    lost |= {f"Note {number}": note for number, note in enumerate(notes_, start=1)}
    stands = "The run is in MLflow." if report["written"] else "MLflow had it all already."
    page.stack(
        page.callout(stands, "success"),
        page.cards(
            ("Traces", report["traces"], f"{report['spans']:,} spans"),
            ("Judges' feedback", report["assessments"], "on the traces of their cases"),
            ("Metrics", report["metrics"], f"and {report['params']} params"),
            ("Log lines", f"{receipt_['lines']:,}", verdicts_ or "no logs"),
            ("Masked", receipt_["masked"], "secrets that stayed here"),
        ),
        page.record(lost, title="To know") if lost else None,
    )
    return


@app.cell
def seen(case, found, host, report, workspace):
    mo.stop(report is None)
    ways = [page.link(report["url"], "the run")] if report["url"] else []
    if ways and case:
        with host.step("Looking for the trace in MLflow"):
            store = workspace.store
            experiment_id = store.experiment(workspace.files.project.experiment, create=False)
            stored = find_traces(found, store).of(case.case_id)
        url = store.url(experiment_id, "traces", stored.trace_id) if stored else None
        ways += [page.link(url, "the trace of the case selected above")] if url else []
    links = page.callout("In MLflow: " + ", ".join(ways)) if ways else None
    links or page.in_mlflow(None, workspace.tracking)
    return


@app.cell
def ending(asked, host, report):
    mo.stop(report is None)
    host.finish(asked, report, "log-results", render.tell)
    return


if __name__ == "__main__":
    app.run()
