import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Compare runs", css_file="evalkit.css")

with app.setup:
    import functools
    import html
    from dataclasses import dataclass

    import altair as alt
    import marimo as mo
    import pandas as pd

    from evalkit import gate_comment, gate_run
    from evalkit.arguments import param
    from evalkit.cli import render
    from evalkit.params import ProjectParams
    from evalkit.runs import compare_rows as words
    from evalkit.runs.compare_report import report as report_of
    from evalkit.runs.trials import FLIP_KINDS, flips
    from evalkit.ui import page
    from evalkit.ui.notebook import Host
    from evalkit.ui.wording import BLUE, GREEN, GREY, RED, as_text, dressed, marked

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
    SHOWN = {
        "All that changed": FLIP_KINDS[:-1],
        "Broken or worse": ("broken", "worse"),
        "Fixed or better": ("fixed", "better"),
        "Changed otherwise": ("changed",),
        "Only in one arm": ("only in baseline", "only in candidate"),
        "The same": ("same",),
    }


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
        known = gate_run.run_ids(workspace.files)
    return chosen, known, workspace


@app.cell
def picking(chosen, host, known):
    # what is picked and selected stands in the page's address: a link opens the same view
    named = [
        tuple(filter(None, (host.selected(name) or "").split(","))) or getattr(chosen, name)
        for name in ("baseline", "candidate")
    ]
    with host.step():
        old, new = gate_run.choose(known, *named)

    def picker(label, name, value):
        return mo.ui.multiselect(
            list(dict.fromkeys((*value, *known[::-1]))),
            value=value,
            label=label,
            on_change=lambda run_ids: host.remember(name)(",".join(run_ids)),
        )

    baseline, candidates = (
        picker("Baseline", "baseline", old),
        picker("Candidate", "candidate", new),
    )
    mo.hstack([baseline, candidates], justify="start", gap=2, wrap=True) if host.person else None
    return baseline, candidates


@app.cell
def comparison(baseline, candidates, host, known, workspace):
    if not (baseline.value and candidates.value):
        host.halt("Pick at least one run on each side.")
    with host.step("Reading the runs"):
        names = gate_run.choose(known, baseline.value, candidates.value)
        finder = gate_run.finder_of(workspace)
        sides = [
            finder.trials(side, role)
            for side, role in zip(names, ("baseline", "candidate"), strict=True)
        ]
    pair = [[trial.run for trial in side] for side in sides]
    report = report_of(workspace.files.project, *pair)
    return pair, report, sides


@app.cell
def answer(report):
    counts = pd.Series(report["counts"]).reindex(FLIP_KINDS, fill_value=0)
    before, after = report["executions"]
    missed = sum(each["verdict"] == "fails" for each in report["thresholds"])
    cost = [row for row in words.rows(report["figures"]) if row["Figure"] == "Cost"]
    first, *others = [page.quoted(each) for each in report["findings"]]
    others += [
        page.quoted(f"{each}.")
        for each in report["shortfalls"]
        if each not in report["findings"][0]
    ]
    page.stack(
        page.callout(f"**{first}**", TONES[report["verdict"]]),
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
            *(("Cost a case", each["Change"], each["Baseline → candidate"]) for each in cost),
        ),
        mo.md("\n".join(f"- {each}" for each in others)) if others else None,
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
def bar(change, row, scale):
    """A line of a chart of intervals: the change as a share of the whole."""
    low, high = change["interval"] or (None, None)
    return {
        "Name": change.get("judge") or change["figure"],
        "Share": change["difference"] / scale,
        "Low": low and low / scale,
        "High": high and high / scale,
        "Margin": change["margin"] / scale if "margin" in change else None,
        **{name: row[name] for name in ("Verdict", "Change", "Cases")},
    }


@app.function
def intervals(rows, title):
    """Changes with their intervals beside zero and their margins; None where there are none."""
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    verdicts = list(frame["Verdict"].unique())
    hues = alt.Scale(domain=verdicts, range=[HUES.get(each, GREY) for each in verdicts])
    base = alt.Chart(frame).encode(
        y=alt.Y(
            "Name:N",
            sort=list(frame["Name"]),
            title=None,
            axis=alt.Axis(labelLimit=170, ticks=False),
        ),
        color=alt.Color("Verdict:N", scale=hues, legend=alt.Legend(title=None, orient="top")),
        tooltip=["Name", "Change", "Verdict", "Cases"],
    )
    points = base.mark_point(filled=True, size=110, opacity=1).encode(
        x=alt.X("Share:Q", title=None, axis=alt.Axis(format="+.0%", tickCount=6))
    )
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
def judge_chart(report):
    intervals(
        [
            bar(judge, row, judge["scale"])
            for judge, row in zip(report["judges"], words.rows(report["judges"]), strict=True)
            if "difference" in judge
        ],
        "Change, in percent of the scale",
    )
    return


@app.cell
def judges(report):
    page.table(words.rows(report["judges"]), tint="Verdict", page_size=50, show_search=False)
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Case by case

    Every score that is not what it was. Select one to read both sides.
    """)
    return


@app.cell
def filters(host, report):
    counted = {
        f"{name} ({sum(report['counts'].get(kind, 0) for kind in kinds)})": name
        for name, kinds in SHOWN.items()
    }
    by_judge = {"All judges": "", **{each["judge"]: each["judge"] for each in report["judges"]}}
    wanted, of_judge = (
        mo.ui.dropdown(
            options,
            value=next((k for k, v in options.items() if v == host.selected(name)), None)
            or next(iter(options)),
            label=label,
            allow_select_none=False,
            on_change=host.remember(name),
        )
        for name, label, options in (("show", "Show", counted), ("judge", "of", by_judge))
    )
    mo.hstack([wanted, of_judge], justify="start", gap=2, wrap=True) if host.person else None
    return of_judge, wanted


@app.function
def said(scores):
    """What a judge said of a case as people read it, trial by trial, or why there is nothing."""
    texts = [
        "judge failed"
        if score.error
        else "no value"
        if score.value is None
        else {True: "pass", False: "fail"}[score.value]
        if isinstance(score.value, bool)
        else as_text(score.value)
        for score in scores
    ]
    return ", ".join(texts) or "not judged"


@app.cell
def flipping(host, of_judge, pair, wanted):
    kinds = SHOWN[wanted.value]
    listed = [
        flip for flip in flips(*pair) if flip.kind in kinds and of_judge.value in {"", flip.judge}
    ]
    listed.sort(key=lambda flip: kinds.index(flip.kind))
    places = [f"{flip.case_id}/{flip.judge}" for flip in listed]
    flip_table = page.table(
        [
            {
                "Case": flip.case_id,
                "Judge": flip.judge,
                "Baseline": said(flip.before),
                "Candidate": said(flip.after),
                "What happened": flip.kind,
            }
            for flip in listed
        ],
        select="single",
        initial_selection=[places.index(each) if (each := host.selected("flip")) in places else 0],
        tint="What happened",
        page_size=10,
        nothing="No score is like that.",
        on_change=lambda rows: [host.remember("flip")(places[row]) for row in rows.index],
    )
    flip_table
    return flip_table, listed


@app.function
def both_sides(flip, sides, workspace):
    """Both sides beside each other, or below each other where it is narrow; differences marked."""
    scores = flip.before, flip.after
    said_by = functools.partial(gate_comment.answer_of, workspace, case=flip.case_id)
    answers = [next(filter(None, map(said_by, side)), "") for side in sides]
    texts = {
        "Score": [said(side) for side in scores],
        "Rationale": ["\n\n".join(each.rationale for each in side) for side in scores],
        "Error": ["\n\n".join(filter(None, (each.error for each in side))) for side in scores],
        "Answer": answers,
    }
    rows = [(name, marked(*both)) for name, both in texts.items() if any(both)]
    boxes = [
        f'<div style="{page.BOX}"><div style="{page.TITLE}">{role}</div>'
        + "".join(
            f'<div style="{page.MUTED}; font-size: 0.8rem; margin-top: 0.5rem">{name}</div>'
            f'<div style="{page.TEXT}">{both[side]}</div>'
            for name, both in rows
        )
        + "</div>"
        for side, role in enumerate(("Baseline", "Candidate"))
    ]
    title = html.escape(f"{flip.case_id} · {flip.judge}: {flip.kind}")
    wanted = gate_comment.expected_of(workspace, flip.case_id)
    expected = page.folded("What was expected", [f"{n}: {as_text(v)}" for n, v in wanted.items()])
    return page.stack(
        mo.Html(f'<div style="{page.TITLE}">{title}</div>'),
        expected,
        page.side_by_side(*map(mo.Html, boxes), least_px=330),
    )


@app.cell
def flipped(flip_table, listed, sides, workspace):
    page.stack(*(both_sides(flip, sides, workspace) for flip in page.chosen(flip_table, listed)))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Cost and time

    What the agent consumed, over executions that ended well; left of zero is
    better.
    """)
    return


@app.cell
def usage_chart(report):
    intervals(
        [
            bar(usage, row, usage["before"])
            for usage, row in zip(report["figures"], words.rows(report["figures"]), strict=True)
            if usage.get("before")
        ],
        "Change a case, in percent",
    )
    return


@app.cell
def usage(report):
    page.table(words.rows(report["figures"]), tint="Verdict", page_size=50, show_search=False)
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Thresholds

    What `eval.yaml` demands, and what each run has.
    """)
    return


@app.cell
def thresholds(report):
    page.table(words.threshold_rows(report), nothing="There are none.", show_search=False)
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
    judge_over_time = mo.ui.dropdown(
        [each["judge"] for each in report["judges"]],
        value=next(
            (j["judge"] for j in report["judges"] if j["judge"] == host.selected("history")), None
        ),
        label="Judge",
        on_change=host.remember("history"),
    )
    judge_over_time if host.person else None
    return (judge_over_time,)


@app.function
def over_time(past):
    """A judge's figures over the logged runs, as a chart."""
    frame = pd.DataFrame(
        [
            {
                "Logged": pd.Timestamp(each["time_ms"], unit="ms"),
                "Run": each["run_id"],
                "Commit": each["commit"][:10] or "not known",
                "Value": each.get("pass_rate", each.get("mean")),
                "Low": (each["interval"] or (None, None))[0],
                "High": (each["interval"] or (None, None))[1],
            }
            for each in past["runs"]
        ]
    )
    line = alt.Chart(frame).encode(
        x=alt.X("Logged:T", title=None), tooltip=["Run", "Commit", "Value", "Low", "High"]
    )
    reach = line.mark_rule(strokeWidth=3, opacity=0.55, color=GREY).encode(
        y=alt.Y("Low:Q", title=past["judge"], scale=alt.Scale(zero=False)), y2="High:Q"
    )
    value = line.mark_line(point=True, color=BLUE).encode(y="Value:Q")
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
    host.finish(chosen, report, render.compared)
    return


if __name__ == "__main__":
    app.run()
