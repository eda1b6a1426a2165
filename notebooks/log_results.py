import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Log a run", css_file="evalkit.css")

with app.setup:
    from dataclasses import replace

    import altair as alt
    import marimo as mo
    import pandas as pd

    from evalkit import context, log_results, reading
    from evalkit.cli import render
    from evalkit.params import LogParams as Params
    from evalkit.ui import page, run_views
    from evalkit.ui.notebook import Host
    from evalkit.ui.waterfall import waterfall
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
def rounded(digits):
    """Shows a column's figures with that many decimals."""
    return lambda value: figure(value, f"{{:.{digits}f}}", "")


@app.function
def answers(values):
    """What a chart counts: pass and fail, labels, numbers or ranges of them; of others, nothing."""
    shape, values = reading.shape_of(values), pd.Series(values, dtype=object)
    if shape == "other":
        return []
    if shape == "pass":
        return ["pass" if value else "fail" for value in values]
    if shape == "number" and values.nunique() > FEW:
        ranges = pd.cut(values.astype(float).sort_values(), FEW)
        return [f"{each.left:.3g} to {each.right:.3g}" for each in ranges]
    common = values.value_counts().index[:FEW] if shape == "label" else values.unique()
    return [str(value) if value in common else "other" for value in values.sort_values()]


@app.function
def score_chart(judge, counted):
    """How many cases got which answer of a judge."""
    passes = alt.Scale(domain=["pass", "fail"], range=[GREEN, RED])
    colour = alt.Color("answer:N", legend=None, scale=passes)
    return (
        alt.Chart(
            pd.DataFrame({"answer": counted}),
            title=alt.TitleParams(judge, fontSize=12, limit=180),
        )
        .mark_bar()
        .encode(
            x=alt.X("answer:N", title=None, sort=None, axis=alt.Axis(labelAngle=0, labelLimit=90)),
            y=alt.Y("count():Q", title="cases", axis=alt.Axis(tickMinStep=1, tickCount=4)),
            color=colour if set(counted) <= {"pass", "fail"} else alt.value(BLUE),
            tooltip=["answer:N", alt.Tooltip("count():Q", title="cases")],
        )
        .properties(width=180, height=110)
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
    ## 2. The run at a glance

    A **judge** scores every case: by code, or by asking a model. A **threshold** is what the run
    has to reach, as `eval.yaml` demands.
    """)
    return


@app.cell
def figures(cases, found):
    demands, usage = reading.threshold_frame(found), found.run.usage
    verdicts = demands["Verdict"].value_counts()
    unmeasured = f", {n} not measured" if (n := verdicts.get("not measured", 0)) else ""
    page.stack(
        run_views.failures(found.run),
        page.cards(
            ("Executions that failed", len(found.run.failed), f"of {len(cases)} cases"),
            ("Cases", len(cases), f"{sum(case.logged for case in cases)} with a log"),
            (
                "Thresholds that fail",
                verdicts.get("fails", 0),
                f"of {len(demands)} in eval.yaml{unmeasured}",
            ),
            ("Cost", figure(usage.cost_usd, "${:,.4g}"), "of the agent, in US dollars"),
            ("Duration", figure(usage.duration_s, "{:,.0f} s"), "all sessions added up"),
            ("Turns", figure(usage.num_turns, "{:g}"), found.run.model or "all cases"),
        ),
        page.table(
            demands,
            tint="Verdict",
            label="**Thresholds**",
            format_mapping={"The run has": rounded(3)},
            nothing="eval.yaml demands nothing: there are no thresholds in it.",
        ),
    )
    return


@app.cell
def judged(found):
    judges = reading.judge_frame(found)
    looks = {"Pass rate": lambda share: figure(share, "{:.0%}", ""), "Mean": rounded(3)}
    page.table(
        judges,
        label="**Judges**",
        format_mapping=looks,
        nothing="No judge has looked at this run.",
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
def consumption(found):
    counts = dict.fromkeys(reading.TOKENS.values(), lambda count: figure(count, "{:,.0f}"))
    page.table(
        reading.model_frame(found),
        label="**Models**",
        format_mapping=counts | {"USD": lambda usd: figure(usd, "${:,.4g}")},
        nothing="The run does not say what each model used.",
    )
    return


@app.cell
def durations(found):
    timed = reading.frame(found).dropna(subset="Seconds").sort_values("Seconds").tail(MOST_BARS)
    chart = alt.Chart(timed, title="How long the cases took, the longest first").mark_bar(
        color=BLUE
    )
    chart = chart.encode(
        x=alt.X("Seconds:Q", title="seconds"),
        y=alt.Y("Case:N", title=None, sort="-x", axis=alt.Axis(labelLimit=240)),
        tooltip=["Case:N", "Seconds:Q", alt.Tooltip("USD:Q", format=".4f")],
    )
    dressed(chart.properties(width="container", height=20 * len(timed))) if len(timed) else None
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
def explorer(found):
    looks_of_cases = {"Seconds": rounded(1), "USD": rounded(4), "Turns": rounded(0)}
    table = page.table(
        reading.frame(found), select="single", page_size=12, format_mapping=looks_of_cases
    )
    table
    return (table,)


@app.cell
def opened_case(cases, found, table):
    opened = [reading.open_case(found, case) for case in page.chosen(table, cases)]
    page.stack(*map(run_views.case_view, opened))
    return (opened,)


@app.cell
def steps(opened):
    page.stack(*(waterfall(each.trace) for each in opened if each.trace and not each.refusal))
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
    page.stack(*map(run_views.receipt_view, opened))
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
        lambda say: log_results(
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
    receipt_, noted = report["receipt"], enumerate(report["notes"], start=1)
    verdicts_ = "; ".join(f"{count} {verdict}" for verdict, count in receipt_["verdicts"].items())
    lost = {f"No steps in the trace of {case}": why for case, why in receipt_["refused"].items()}
    lost |= {"No log for": ", ".join(receipt_["missing"])} if receipt_["missing"] else {}
    lost |= {f"Note {number}": note for number, note in noted}
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
    return (report,)


@app.cell
def seen(asked, host, opened, report, workspace):
    with host.step("Looking for the run in MLflow"):
        where = context.whereabouts(workspace, asked.run_id, report["mlflow_run_id"])
    trace = where.trace(opened[0].case.case_id if opened else "")
    ways = [page.link(where.run, "the run")] if where.run else []
    ways += [page.link(trace, "the trace of the case selected above")] if ways and trace else []
    links = page.callout("In MLflow: " + ", ".join(ways)) if ways else None
    pages = page.stack(
        page.callout("This MLflow is a database. Start its pages, then open their address:"),
        page.text(where.command),
    )
    pages if where.command else links
    return


@app.cell
def ending(asked, host, report):
    host.finish(asked, report, render.logged)
    return


if __name__ == "__main__":
    app.run()
