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

    from evalkit import InputError, reading
    from evalkit.arguments import param
    from evalkit.cli import render
    from evalkit.params import ProjectParams
    from evalkit.runs import arms, compare
    from evalkit.runs import compare_report as words
    from evalkit.ui import page
    from evalkit.ui.notebook import Host
    from evalkit.ui.wording import GREEN, GREY, RED, as_text, dressed, marked

    @dataclass(frozen=True)
    class Params(ProjectParams):
        """Hold finished runs against a baseline, case by case."""

        baseline: str | None = param(
            None, "Run to hold the others against; else the one before", shown="never"
        )
        candidate: str | None = param(
            None, "Run or runs, separated by commas; else the newest", shown="never"
        )
        strict: bool = param(
            False,
            "Exit 1 also where an execution or threshold fails, or a judge is worse beyond chance",
            shown="never",
        )

    HUES = {"better": GREEN, "worse": RED, "too few cases": "#c2a15a"}
    SHOWN = {
        "All that changed": compare.FLIP_KINDS[:-1],
        "Broken or worse": ("broken", "worse"),
        "Fixed or better": ("fixed", "better"),
        "Changed otherwise": ("changed",),
        "Only in one run": ("only in baseline", "only in candidate"),
        "The same": ("same",),
    }


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Compare runs

    Is the newer run better, or does it only look so? Finished runs are held against a **baseline**,
    case by case. MLflow need not be there.
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
        known = arms.run_ids(workspace.files)
    read = functools.cache(workspace.run)
    return chosen, known, read


@app.cell
def picking(chosen, host, known):
    # what is picked and selected stands in the page's address: a link opens the same view
    named = [host.selected(name) or getattr(chosen, name) for name in ("baseline", "candidate")]
    with host.step():
        first, *others = arms.choose(known, *(name or "" for name in named))
    baseline = mo.ui.dropdown(
        known[::-1],
        value=first,
        label="Baseline",
        allow_select_none=False,
        searchable=True,
        on_change=host.remember("baseline"),
    )
    candidates = mo.ui.multiselect(
        known[::-1],
        value=others,
        label="Candidates",
        on_change=lambda run_ids: host.remember("candidate")(",".join(run_ids)),
    )
    mo.hstack([baseline, candidates], justify="start", gap=2, wrap=True) if host.person else None
    return baseline, candidates


@app.cell
def comparison(baseline, candidates, host, known, read):
    if not candidates.value:
        host.halt("Pick at least one run to hold against the baseline.")
    with host.step("Reading the runs"):
        runs = arms.load(read, arms.choose(known, baseline.value, ",".join(candidates.value)))
    report = words.report(runs[0].project, [each.run for each in runs])
    return report, runs


@app.cell
def candidate_table(report):
    several = page.table(
        [
            {"Candidate": each["candidate"], "Answer": words.conclusion(each)}
            for each in report["comparisons"]
        ],
        select="single",
        show_search=False,
        wrapped_columns=["Answer"],
    )
    several if len(report["comparisons"]) > 1 else None
    return (several,)


@app.cell
def answer(report, runs, several):
    (shown,) = page.chosen(several, report["comparisons"]) or report["comparisons"][:1]
    pair = (runs[0], next(each for each in runs if each.run.run_id == shown["candidate"]))

    verdicts = [judge["verdict"] for judge in shown["judges"]]
    counts = pd.Series(shown["counts"]).reindex(compare.FLIP_KINDS, fill_value=0)
    before, after = (ended["failed"] for ended in shown["executions"])
    missed = [sum(each.run.run_id in b["fails_in"] for b in report["thresholds"]) for each in pair]
    cost = [row for row in words.rows(shown["usage"]) if row["Figure"] == "Cost"]
    findings = [page.quoted(each) for each in shown["findings"]]
    answered = shown["findings"].index(words.conclusion(shown)) + 1
    is_bad = "worse" in verdicts or after > before
    page.stack(
        page.callout(
            "\n\n".join(f"**{each}**" for each in findings[:answered]),
            "danger" if is_bad else "success" if "better" in verdicts else "info",
        ),
        page.cards(
            (
                "Judges better : worse",
                f"{verdicts.count('better')} : {verdicts.count('worse')}",
                f"beyond chance, of {len(verdicts)}",
            ),
            (
                "Scores better : worse",
                f"{counts[['fixed', 'better']].sum()} : {counts[['broken', 'worse']].sum()}",
                f"of {counts.sum()}, case by case",
            ),
            ("Executions failed", f"{before} → {after}", "in the baseline → in the candidate"),
            ("Thresholds failed", missed[1], f"in the candidate; {missed[0]} in the baseline"),
            *(("Cost a case", each["Change"], each["Baseline → candidate"]) for each in cost),
        ),
        mo.md("\n".join(f"- {each}" for each in findings[answered:]))
        if findings[answered:]
        else None,
    )
    return pair, shown


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Judge by judge

    Over the cases that both runs have a score for; right of zero is better. A bar is the 95 %
    **interval**: how far the change could lie elsewhere, had other cases like these been chosen.
    Where it touches zero, the two runs may well be equally good. A judge is better or worse only
    where chance would show such a difference less than once in twenty times.
    """)
    return


@app.function
def bar(change, candidate, row, scale):
    """A line of a chart of intervals: the change as a share of the whole."""
    low, high = change["interval"] or (None, None)
    return {
        "Name": change.get("judge") or change["figure"],
        "Candidate": candidate,
        "Share": change["difference"] / scale,
        "Low": low and low / scale,
        "High": high and high / scale,
        **{name: row[name] for name in ("Verdict", "Change", "Cases")},
    }


@app.function
def intervals(rows, title):
    """Changes with their intervals beside zero; None where there are none."""
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    names, candidates = (list(frame[name].unique()) for name in ("Name", "Candidate"))
    verdicts = list(frame["Verdict"].unique())
    hues = alt.Scale(domain=verdicts, range=[HUES.get(each, GREY) for each in verdicts])
    legend = alt.Legend(title=None, orient="top", columns=2)
    among = alt.Legend(title=None, orient="bottom") if len(candidates) > 1 else None
    base = alt.Chart(frame).encode(
        y=alt.Y("Name:N", sort=names, title=None, axis=alt.Axis(labelLimit=170, ticks=False)),
        yOffset=alt.YOffset("Candidate:N", sort=candidates),
        color=alt.Color("Verdict:N", scale=hues, legend=legend),
        tooltip=["Name", "Candidate", "Change", "Verdict", "Cases"],
    )
    points = base.mark_point(filled=True, size=110, opacity=1).encode(
        x=alt.X("Share:Q", title=None, axis=alt.Axis(format="+.0%", tickCount=6)),
        shape=alt.Shape("Candidate:N", sort=candidates, legend=among),
    )
    lines = base.transform_filter("isValid(datum.Low)").mark_rule(strokeWidth=3, opacity=0.55)
    amounts = base.mark_text(dy=-11).encode(x="Share:Q", text="Change", color=alt.value(GREY))
    zero = alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=GREY).encode(x="zero:Q")
    chart = alt.layer(zero, lines.encode(x="Low:Q", x2="High:Q"), points, amounts)
    height = 34 * max(3, len(names) * len(candidates))
    return dressed(chart.properties(title=title, width="container", height=height))


@app.cell
def judge_chart(report):
    intervals(
        [
            bar(judge, each["candidate"], row, judge["scale"])
            for each in report["comparisons"]
            for judge, row in zip(each["judges"], words.rows(each["judges"]), strict=True)
            if "difference" in judge
        ],
        "Change, in percent of the scale",
    )
    return


@app.cell
def judges(shown):
    page.table(words.rows(shown["judges"]), tint="Verdict", page_size=50, show_search=False)
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Case by case

    Every score that is not what it was. Select one to read both sides.
    """)
    return


@app.cell
def filters(host, shown):
    counted = {
        f"{name} ({sum(shown['counts'].get(kind, 0) for kind in kinds)})": name
        for name, kinds in SHOWN.items()
    }
    by_judge = {"All judges": "", **{each["judge"]: each["judge"] for each in shown["judges"]}}
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
def said(score):
    """A judge's value as people read it, or why there is none."""
    if score is None or score.error or score.value is None:
        return "not judged" if score is None else "judge failed" if score.error else "no value"
    if isinstance(score.value, bool):
        return "pass" if score.value else "fail"
    return as_text(score.value)


@app.cell
def flips(host, of_judge, pair, wanted):
    kinds = SHOWN[wanted.value]
    listed = [
        flip
        for flip in compare.flips(*(each.run for each in pair))
        if flip.kind in kinds and of_judge.value in {"", flip.judge}
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
def answer_of(found, case_id):
    """What the agent answered, as its log tells; empty where the case has no log of its own."""
    try:
        return "" if found.run.mode == "batch" else reading.read_trace(found, case_id).response
    except InputError:
        return ""


@app.function
def both_sides(flip, pair):
    """Both runs beside each other, or below each other where it is narrow; differences marked."""
    scores = flip.before, flip.after
    texts = {
        "Score": [said(score) for score in scores],
        "Rationale": [score.rationale if score else "" for score in scores],
        "Error": [score.error if score else "" for score in scores],
        "Answer": [answer_of(found, flip.case_id) for found in pair],
    }
    rows = [(name, marked(*both)) for name, both in texts.items() if any(both)]
    heads = [
        f"{found.run.run_id} ({role})"
        for found, role in zip(pair, ("baseline", "candidate"), strict=True)
    ]
    sides = [
        f'<div style="{page.BOX}"><div style="{page.TITLE}">{html.escape(head)}</div>'
        + "".join(
            f'<div style="{page.MUTED}; font-size: 0.8rem; margin-top: 0.5rem">{name}</div>'
            f'<div style="{page.TEXT}">{both[side]}</div>'
            for name, both in rows
        )
        + "</div>"
        for side, head in enumerate(heads)
    ]
    title = html.escape(f"{flip.case_id} · {flip.judge}: {flip.kind}")
    return page.stack(
        mo.Html(f'<div style="{page.TITLE}">{title}</div>'),
        page.side_by_side(*map(mo.Html, sides), least_px=330),
    )


@app.cell
def flipped(flip_table, listed, pair):
    page.stack(*(both_sides(flip, pair) for flip in page.chosen(flip_table, listed)))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Cost and time

    What the agent consumed, over cases that failed in neither run; left of zero is better.
    """)
    return


@app.cell
def usage_chart(report):
    intervals(
        [
            bar(usage, each["candidate"], row, usage["before"])
            for each in report["comparisons"]
            for usage, row in zip(each["usage"], words.rows(each["usage"]), strict=True)
            if usage.get("before")
        ],
        "Change a case, in percent",
    )
    return


@app.cell
def usage(shown):
    page.table(words.rows(shown["usage"]), tint="Verdict", page_size=50, show_search=False)
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


@app.cell
def ending(chosen, host, report):
    host.finish(chosen, report, render.compared)
    return


if __name__ == "__main__":
    app.run()
