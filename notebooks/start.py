import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="evalkit", css_file="evalkit.css")

with app.setup:
    from html import escape
    from urllib.parse import urlencode

    import marimo as mo

    from evalkit import check, ui
    from evalkit.params import ProjectParams
    from evalkit.ui import page
    from evalkit.ui.notebook import Host


@app.cell(hide_code=True)
def _():
    mo.md("""
    # evalkit

    You evaluate an agent with **cases** on disk, and people look at it in **MLflow**. evalkit joins
    the two, both ways.
    """)
    return


@app.cell
def opening():
    host = Host.open(ProjectParams, "start")
    form = host.form("Look at this one")
    return form, host


@app.cell
def looking(form, host):
    chosen = host.settings(form)
    checked = host.work(
        "Looking",
        lambda _: check(chosen.config, tracking_uri=chosen.tracking_uri, runs_dir=chosen.runs_dir),
    )
    return checked, chosen


@app.function
def state_of(report, *, is_mapped):
    """What there is for each stage, by the name of its notebook."""
    runs, cases = report.get("run_ids", []), report["cases"]
    return {
        "map_dataset": "the mapping is there" if is_mapped else "no mapping yet",
        "sync_dataset": f"{cases} cases on disk" if cases else "no cases found",
        "log_results": f"{len(runs)} finished runs, last {runs[-1]}" if runs else "no finished run",
        "review_feedback": f"{report.get('reviews', 0)} of {len(runs)} runs have a review.yaml",
        "compare_runs": f"{len(runs)} runs to compare" if len(runs) > 1 else "needs two runs",
        "run_eval_agent": f"experiment {report['experiment']}" if report["experiment"] else "",
    }


@app.function
def next_step(report, *, is_mapped):
    """The notebook to go on with, and why."""
    runs = report.get("run_ids", [])
    if not is_mapped:
        return "map_dataset", "Say which fields of a case the skill receives."
    if not runs:
        return "sync_dataset", "Bring the cases to MLflow, then run your evaluation."
    if not report.get("reviews"):
        return "log_results", f"Look at {runs[-1]} and log it; then people can review it."
    return "review_feedback", "People have reviewed a run: see where they and the judges differ."


@app.cell
def state(checked, chosen, host):
    report = host.outcome(checked, "Looking at what there is.")
    is_mapped = host.is_sample(chosen) or bool(report.get("places", {}).get("mapping"))
    onward, why = next_step(report, is_mapped=is_mapped)
    if host.is_sample(chosen):
        onward, why = "map_dataset", "Begin with the mapping, and go through the stages in order."
    found = state_of(report, is_mapped=is_mapped)
    named = {} if chosen.config == host.start.values.config else {"config": chosen.config}
    address = {each.name: "?" + urlencode({"file": each.file, **named}) for each in ui.NOTEBOOKS}
    where = "The **demo project**: a support agent. Nothing here can break."
    if not host.is_sample(chosen):
        where = f"The project of **{page.quoted(report['config'])}**."
    mlflow = page.quoted(f"{report['tracking_uri']}: {report.get('detail', '')}")
    problems = [
        "- " + page.quoted(f"{each['file']}:{each['line'] or ''} {each['field']} {each['message']}")
        for each in report["problems"]
    ]
    page.stack(
        page.callout(f"{where} MLflow is {mlflow}", "info" if report["reachable"] else "warn"),
        page.callout("\n".join(["**What is wrong:**", "", *problems]), "danger")
        if problems
        else page.callout(
            f'**Next: <a href="{escape(address[onward])}">{escape(why)}</a>**', "success"
        ),
    )
    return address, found, onward


@app.cell
def stage_cards(address, found, onward):
    cards = [
        f'<a href="{escape(address[each.name])}" style="display: block; text-decoration: none; '
        f"color: inherit; {page.BOX}; "
        f'{"border-color: var(--grass-9, #46a758)" if each.name == onward else ""}">'
        f'<div style="font-size: 1.1rem; font-weight: 600">'
        f'<span style="{page.MUTED}">{number}</span> {each.title}</div>'
        f'<div style="{page.MUTED}">{each.about}</div>'
        f'<div style="margin-top: 0.5rem">{escape(found[each.name])}</div></a>'
        for number, each in enumerate(ui.NOTEBOOKS, 1)
    ]
    page.side_by_side(*map(mo.Html, cards), least_px=300)
    return


@app.cell
def settings(form):
    form
    return


if __name__ == "__main__":
    app.run()
