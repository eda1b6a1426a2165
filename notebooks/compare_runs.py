import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Compare runs", css_file="evalkit.css")

with app.setup:
    from dataclasses import dataclass

    import marimo as mo

    from evalkit import comparing, rendering
    from evalkit import comparison_tables as tables
    from evalkit.core.findings import findings
    from evalkit.host import Host, contest, page
    from evalkit.host.intervals import diagonal, intervals
    from evalkit.params import Project, param

    @dataclass(frozen=True)
    class Params(Project):
        """Hold finished runs against a baseline, case by case."""

        baseline: str | None = param(
            None, "Run to hold the others against; else the one before", link=True, shown="never"
        )
        candidate: str | None = param(
            None, "Run or runs, separated by commas; else the newest", link=True, shown="never"
        )
        strict: bool = param(
            False,
            "Exit 1 also where an execution or threshold fails, or a judge is worse beyond chance",
            shown="never",
        )


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Compare runs

    Is the newer run better, or does it only look so? This page holds finished runs against a
    **baseline**, case by case, and says which differences are larger than chance explains. It
    reads the run folders alone, so MLflow need not be there.
    """)
    return


@app.cell
def opening():
    host = Host.open(Params, "compare_runs")
    host.header()
    return (host,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 1. Settings
    """)
    return


@app.cell
def settings(host):
    form = host.form("Find the runs")
    form
    return (form,)


@app.cell
def finding(form, host):
    chosen = host.settings(form)
    with host.step("Looking for finished runs"):
        shelf = comparing.open_shelf(chosen.workspace())
    return chosen, shelf


@app.cell
def picking(chosen, host, shelf):
    baseline, candidates = contest.run_pickers(host, shelf, chosen.baseline, chosen.candidate)
    contest.beside(baseline, candidates)
    return baseline, candidates


@app.cell
def comparison(baseline, candidates, host, shelf):
    choice = contest.picked_runs(host, shelf, baseline, candidates)
    with host.step("Reading the runs"):
        found = comparing.compare_runs(shelf, choice)
    return (found,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 2. At a glance

    A judge counts as better or worse only where chance would show such a difference less than
    once in twenty times. With several candidates, select the one to look at.
    """)
    return


@app.cell
def runs(found):
    run_table = contest.run_table(found)
    run_table
    return (run_table,)


@app.cell
def headline(found, run_table):
    shown = contest.shown_run(found, run_table)
    said = findings(shown)
    page.stack(
        contest.conclusion(said),
        page.cards(*tables.headline(found, shown)),
        contest.in_words(said),
    )
    return (shown,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. Judge by judge

    Only cases that both runs have a score for are counted. A bar is the 95 % interval: how far
    the change could lie elsewhere, had other cases like these been chosen. Where it touches
    zero, the two runs may well be equally good. What one case varies from run to run, only
    running again can tell.
    """)
    return


@app.cell
def judge_chart(found):
    intervals(
        tables.judge_bars(found),
        title="Change against the baseline, right of zero is better",
        axis="change, in percent of the judge's scale",
    )
    return


@app.cell
def judges(shown):
    page.stack(
        contest.sheet(tables.judge_rows(shown), tint="Verdict"),
        contest.sheet(tables.move_rows(shown), title="Labels that changed"),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 4. Case by case

    Every score that is not what it was. Select one to read what the judge said both times.
    """)
    return


@app.cell
def filters(host, shown):
    wanted, of_judge = contest.flip_filters(host, shown)
    contest.beside(wanted, of_judge)
    return of_judge, wanted


@app.cell
def flips(of_judge, shown, wanted):
    listed = tables.filtered(shown, wanted.value, of_judge.value)
    flip_table = contest.flip_table(listed)
    flip_table
    return flip_table, listed


@app.cell
def both_sides(flip_table, listed, shown):
    page.stack(*(contest.both_sides(each, shown) for each in page.chosen(flip_table, listed)))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 5. Cost and time

    The same for what the agent consumed: less is better. In the lower charts each dot is a case;
    above the dashed line it took more than in the baseline.
    """)
    return


@app.cell
def usage_chart(found):
    intervals(
        tables.usage_bars(found),
        title="Change a case against the baseline, left of zero is better",
        axis="change, in percent of the baseline's mean a case",
    )
    return


@app.cell
def usage(shown):
    page.stack(
        contest.sheet(tables.usage_rows(shown), tint="Verdict"),
        contest.charts(
            *(
                diagonal(tables.usage_points(each), title=f"{each.name} by case", unit=each.unit)
                for each in shown.usage
                if each.unit
            )
        ),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 6. Thresholds

    What `eval.yaml` demands, and what each run has.
    """)
    return


@app.cell
def thresholds(found):
    contest.sheet(tables.threshold_rows(found))
    return


@app.cell
def ending(chosen, found, host):
    report = comparing.report(found)
    host.finish(chosen, report, rendering.compared)
    return (report,)


if __name__ == "__main__":
    app.run()
