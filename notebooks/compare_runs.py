import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Compare runs", css_file="evalkit.css")

with app.setup:
    import html
    from dataclasses import dataclass

    import altair as alt
    import marimo as mo
    import pandas as pd

    from evalkit import arms, gate_run, reading
    from evalkit.arguments import param
    from evalkit.cli import render
    from evalkit.params import ProjectParams
    from evalkit.runs import compare_rows as words
    from evalkit.runs.compare import FLIP_KINDS, flips, pair_scores
    from evalkit.runs.run_dir import list_runs
    from evalkit.ui import page
    from evalkit.ui.notebook import Host
    from evalkit.ui.wording import BLUE, GREEN, GREY, RED, dressed, marked

    @dataclass(frozen=True)
    class Params(ProjectParams):
        """Hold finished runs against a baseline, case by case."""

        baseline: tuple[str, ...] = param(
            (), "Runs to hold the others against; else the one before", shown="never"
        )
        candidate: tuple[str, ...] = param((), "Runs to judge; else the newest", shown="never")
        strict: bool = param(
            False,
            "Exit 1 where the candidate is worse or a threshold is missed, 3 where nobody can tell",
            shown="never",
        )

    HUES = {"better": GREEN, "worse": RED, "unknown": "#c2a15a"}
    TONES = {"better": "success", "same": "success", "worse": "danger", "unknown": "warn"}
    SIDES = ("Baseline", "Candidate")


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Compare runs

    May this be merged? Runs are held against a **baseline**, case by case. Several runs on a side
    are trials of the same thing: what they say of a case is pooled. MLflow need not be there.
    """)
    return


@app.cell
def opening():
    host = Host.open(Params, "compare_runs")
    host.header()
    return (host,)


@app.cell
def settings(host):
    form = host.form("Find the runs")
    form
    return (form,)


@app.cell
def finding(form, host):
    chosen = host.settings(form)
    with host.step("Looking for finished runs"):
        workspace = chosen.workspace()
        known = list_runs(workspace.files)
    return chosen, known, workspace


@app.cell
def picking(chosen, host, known, workspace):
    # what is picked and selected stands in the page's address: a link opens the same view
    named = [
        tuple(filter(None, (host.selected(name) or "").split(","))) or getattr(chosen, name)
        for name in ("baseline", "candidate")
    ]
    with host.step():
        old, new = gate_run.choose(workspace.files, *named)

    baseline, candidates = (
        mo.ui.multiselect(
            list(dict.fromkeys((*value, *known[::-1]))),
            value=value,
            label=name.title(),
            full_width=True,
            on_change=lambda run_ids, name=name: host.remember(name)(",".join(run_ids)),
        )
        for name, value in (("baseline", old), ("candidate", new))
    )
    mo.hstack([baseline, candidates], widths="equal", gap=2, wrap=True) if host.person else None
    return baseline, candidates


@app.cell
def comparison(baseline, candidates, host, workspace):
    if not (baseline.value and candidates.value):
        host.halt("Pick at least one run on each side.")
    with host.step("Reading the runs"):
        sides = gate_run.find_arms(workspace, baseline.value, candidates.value)
    report = gate_run.compare_arms(workspace, *sides)
    return report, sides


@app.cell
def answer(report):
    counts = pd.Series(report["counts"]).reindex(FLIP_KINDS, fill_value=0)
    before, after = report["executions"]
    missed = sum(each["verdict"] == "fails" for each in report["thresholds"])
    costs = [row for row in words.rows(report["figures"]) if row["Figure"] == "Cost"]
    first, *others = report["findings"]
    others += [f"{each}." for each in report["shortfalls"] if each not in first]
    page.stack(
        page.callout(f"**{page.quoted(first)}**", TONES[report["verdict"]]),
        page.cards(
            ("Merge it?", {"pass": "yes", "fail": "no"}.get(report["gate"], "cannot tell"), ""),
            (
                "Scores better : worse",
                f"{counts[['fixed', 'better']].sum()} : {counts[['broken', 'worse']].sum()}",
                f"of {counts.sum()}, case by case",
            ),
            (
                "Executions failed",
                f"{before['failed']} → {after['failed']}",
                f"of {before['total']} → of {after['total']}",
            ),
            ("Thresholds missed", missed, f"of {len(report['thresholds'])}"),
            *(("Cost a case", each["Change"], each["Baseline → candidate"]) for each in costs),
        ),
        mo.md("\n".join(f"- {page.quoted(each)}" for each in others)) if others else None,
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Judge by judge

    Over the cases that both sides have a score for; right of zero is better. A bar is the 95 %
    **interval**: how far the change could lie elsewhere, had other cases like these been chosen.
    **Same** means that it keeps within the shaded margin, unknown that it does not and chance could
    explain the change; a judge is better or worse where chance would show as much less than once
    in twenty times.
    """)
    return


@app.function
def intervals(changes, scale, title):
    """Changes as shares of a scale, with their intervals beside zero and their margins."""
    told = [each for each in changes if "difference" in each and each[scale]]
    if not told:
        return None
    frame = pd.DataFrame(words.rows(told))
    frame["Name"] = frame.iloc[:, 0]
    frame["Share"] = [each["difference"] / each[scale] for each in told]
    frame["Margin"] = [each["margin"] / each[scale] if "margin" in each else None for each in told]
    ends = [[end / each[scale] for end in each["interval"] or ()] for each in told]
    frame["Low"], frame["High"] = ([each[at] if each else None for each in ends] for at in (0, 1))
    verdicts = list(frame["Verdict"].unique())
    hues = alt.Scale(domain=verdicts, range=[HUES.get(each, GREY) for each in verdicts])
    names = alt.Axis(labelLimit=170, ticks=False)
    base = alt.Chart(frame).encode(
        y=alt.Y("Name:N", sort=list(frame["Name"]), title=None, axis=names),
        color=alt.Color("Verdict:N", scale=hues, legend=alt.Legend(title=None, orient="top")),
        tooltip=["Name", "Change", "Verdict", "Cases"],
    )
    percent = alt.X("Share:Q", title=None, axis=alt.Axis(format="+.0%", tickCount=6))
    points = base.mark_point(filled=True, size=110, opacity=1).encode(x=percent)
    lines = base.transform_filter("isValid(datum.Low)").mark_rule(strokeWidth=3, opacity=0.55)
    amounts = base.mark_text(dy=-11).encode(x="Share:Q", text="Change", color=alt.value(GREY))
    margins = (
        base.transform_filter("isValid(datum.Margin)")
        .transform_calculate(Least="-datum.Margin")
        .mark_bar(opacity=0.14, height=22)
        .encode(x="Least:Q", x2="Margin:Q", color=alt.value(GREY))
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=GREY).encode(x="zero:Q")
    chart = alt.layer(margins, zero, lines.encode(x="Low:Q", x2="High:Q"), points, amounts)
    height = 34 * max(3, len(frame))
    return dressed(chart.properties(title=title, width="container", height=height))


@app.cell
def judges(report):
    page.stack(
        intervals(words.telling(report["judges"])[0], "scale", "Change, in percent of the scale"),
        page.table(words.rows(report["judges"]), tint="Verdict", page_size=50, show_search=False),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Case by case

    Every score that is not what it was, what broke first. Select one to read both sides; the
    search finds a case, a judge, or what happened.
    """)
    return


@app.function
def said(scores):
    """What a judge said of a case, trial by trial, or why there is nothing."""
    texts = ["judge failed" if each.error else words.value_words(each.value) for each in scores]
    return ", ".join(texts) or "not judged"


@app.cell
def flipping(host, sides):
    pairs = pair_scores(*([trial.run for trial in side] for side in sides))
    scores = {each.judge: each.scores for each in pairs}
    listed = [
        flip | dict(zip(SIDES, scores[flip["judge"]][flip["case"]], strict=True))
        for flip in sorted(flips(pairs), key=lambda each: FLIP_KINDS.index(each["kind"]))
        if flip["kind"] != "same"
    ]
    places = [f"{flip['case']}/{flip['judge']}" for flip in listed]
    rows = [
        {
            "Case": flip["case"],
            "Judge": flip["judge"],
            **{side: said(flip[side]) for side in SIDES},
            "What happened": flip["kind"],
        }
        for flip in listed
    ]
    flip_table = page.table(
        rows,
        select="single",
        initial_selection=[places.index(each) if (each := host.selected("flip")) in places else 0],
        tint="What happened",
        page_size=10,
        nothing="No score changed.",
        on_change=lambda rows: [host.remember("flip")(places[row]) for row in rows.index],
    )
    flip_table
    return flip_table, listed


@app.function
def both_sides(flip, sides, workspace):
    """Both sides beside each other, or below each other where it is narrow; differences marked."""
    scores = [flip[side] for side in SIDES]
    texts = {
        "Score": map(said, scores),
        "Rationale": ["\n\n".join(each.rationale for each in side) for side in scores],
        "Error": ["\n\n".join(filter(None, (each.error for each in side))) for side in scores],
        "Answer": arms.answers(workspace, sides, flip["case"], flip["judge"]),
    }
    boxes = [f'<div style="{page.TITLE}">{side}</div>' for side in SIDES]
    for name, both in texts.items():
        head = f'<div style="{page.MUTED}; font-size: 0.8rem; margin-top: 0.5rem">{name}</div>'
        for side, text in enumerate(marked(*both)):
            boxes[side] += f'{head}<div style="{page.TEXT}">{text}</div>' if text else ""
    title = html.escape(f"{flip['case']} · {flip['judge']}: {flip['kind']}")
    _, wanted = reading.case_fields(workspace, flip["case"])
    return page.stack(
        mo.Html(f'<div style="{page.TITLE}">{title}</div>'),
        page.folded("What was expected", wanted),
        page.side_by_side(
            *(mo.Html(f'<div style="{page.BOX}">{each}</div>') for each in boxes), least_px=330
        ),
    )


@app.cell
def flipped(flip_table, listed, sides, workspace):
    page.stack(*(both_sides(flip, sides, workspace) for flip in page.chosen(flip_table, listed)))
    return


@app.cell
def usage(report):
    page.stack(
        mo.md(
            "## Cost and time\n\nWhat the agent consumed, over executions that ended well; left of"
            " zero is better."
        ),
        intervals(report["figures"], "before", "Change a case, in percent"),
        page.table(words.rows(report["figures"]), tint="Verdict", page_size=50, show_search=False),
    )
    return


@app.cell
def thresholds(report):
    page.stack(
        mo.md("## Thresholds\n\nWhat `eval.yaml` demands, and what each run has."),
        page.table(words.threshold_rows(report), nothing="There are none.", show_search=False),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## History

    A judge over the runs that were logged, with their commits; the band is the 95 % interval.
    """)
    return


@app.cell
def history_judge(host, report):
    names = [each["judge"] for each in report["judges"]]
    judge_over_time = mo.ui.dropdown(
        names,
        value=next((each for each in names if each == host.selected("history")), None),
        label="Judge",
        on_change=host.remember("history"),
    )
    judge_over_time if host.person else None
    return (judge_over_time,)


@app.function
def over_time(past):
    """A judge's figures over the logged runs, as a chart."""
    frame = pd.DataFrame(past["runs"])
    frame["logged"] = pd.to_datetime(frame["time_ms"], unit="ms")
    frame["value"] = frame.filter(["pass_rate", "mean"]).bfill(axis=1).iloc[:, 0]
    frame["low"], frame["high"] = (frame["interval"].str[at] for at in (0, 1))
    told = ["run_id", "commit", "dataset", "value", "low", "high"]
    line = alt.Chart(frame).encode(x=alt.X("logged:T", title=None), tooltip=told)
    low = alt.Y("low:Q", title=past["judge"], scale=alt.Scale(zero=False))
    reach = line.mark_rule(strokeWidth=3, opacity=0.55, color=GREY).encode(y=low, y2="high:Q")
    value = line.mark_line(point=True, color=BLUE).encode(y="value:Q")
    return dressed(alt.layer(reach, value).properties(width="container", height=260))


@app.cell
def history(host, judge_over_time, workspace):
    chart = None
    if host.person and judge_over_time.value:
        with host.step("Reading the logged runs"):
            chart = over_time(gate_run.history(workspace, judge=judge_over_time.value))
    chart
    return


@app.cell
def ending(chosen, host, report):
    host.finish(chosen, report, "compare", render.tell)
    return


if __name__ == "__main__":
    app.run()
