import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="evalkit", css_file="evalkit.css")

with app.setup:
    from html import escape

    import marimo as mo

    from evalkit import EvalkitError, InputError, Problem, check, sync_dataset, ui
    from evalkit.demo.project import sample_mapping
    from evalkit.params import ProjectParams
    from evalkit.ui import page
    from evalkit.ui.notebook import Host, address

    BEGINNINGS = (
        (
            "Traces of an agent in MLflow",
            "evalkit agent -e EXPERIMENT",
            "A suite is built from them and proven on them: the Agent page.",
        ),
        (
            "A project of agent-eval-harness",
            "evalkit check\nevalkit all --run-id RUN",
            "Name its eval.yaml in the settings below, and go through the stages.",
        ),
        (
            "Claude's evals: evals.json, or claude plugin eval",
            "evalkit import evals/",
            "They become such a project, their results runs: log, review, compare, gate.",
        ),
        (
            "Sessions of Claude Code or Codex",
            "evalkit import ~/.claude/projects -e my-sessions",
            "Each becomes a trace; then the Agent page works on them.",
        ),
        (
            "A table of questions",
            "evalkit import questions.csv\nevalkit run --predict module:function",
            "It becomes cases; your function answers them, and the run is logged like any other.",
        ),
    )
    CODE = "white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.8rem; margin: 0.5rem 0"


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


@app.function
def pending_changes(host, chosen):
    """How many cases a sync would create, update or delete; None where nobody can tell."""
    mapping = str(sample_mapping(host.sample)) if host.is_sample(chosen) else None
    try:
        found = sync_dataset(chosen.workspace(), mapping=mapping, dry_run=True)
    except EvalkitError:
        return None
    return {kind: found[kind] for kind in ("created", "updated", "deleted") if found[kind]}


@app.cell
def looking(form, host):
    chosen = host.settings(form)
    with host.step("Looking at what there is"):
        report = check(chosen.config, tracking_uri=chosen.tracking_uri, runs_dir=chosen.runs_dir)
        pending = pending_changes(host, chosen) if report.get("asked") else None
    return chosen, pending, report


@app.function
def state_of(report, pending):
    """What is open in each stage, by the name of its notebook."""
    runs, cases = report.get("open", []), report["cases"]
    waiting = ", ".join(f"{count} to be {kind}" for kind, count in (pending or {}).items())
    synced = "all in MLflow as they are on disk" if pending == {} else waiting or "not synced yet"
    logged = [run["logged"] for run in runs]
    told = "not known" if None in logged else f"{sum(logged)} of {len(runs)}"
    mapped = report.get("places", {}).get("mapping")
    return {
        "map_dataset": "the mapping is there" if mapped else "no mapping yet",
        "sync_dataset": f"{cases} cases, {synced}" if cases else "no cases found",
        "log_results": f"finished runs in MLflow: {told}" if runs else "no finished run",
        "review_feedback": f"{report.get('reviews', 0)} of {len(runs)} runs have a review",
        "compare_runs": f"{len(runs)} runs to compare" if len(runs) > 1 else "needs two runs",
        "run_eval_agent": f"experiment {report['experiment']}" if report["experiment"] else "",
    }


@app.function
def next_step(report, pending):
    """The notebook to go on with, and why."""
    runs = report.get("open", [])
    if not report.get("places", {}).get("mapping"):
        return "map_dataset", "Say which fields of a case the skill receives."
    if pending:
        return "sync_dataset", "Bring what changed in the cases to MLflow."
    if not runs:
        return "sync_dataset", "Bring the cases to MLflow, then run your evaluation."
    if not runs[-1]["logged"]:
        return "log_results", f"Look at {runs[-1]['run_id']} and log it; then people can review it."
    if not runs[-1]["reviewed"]:
        return "review_feedback", f"{runs[-1]['run_id']} is logged, and nobody has reviewed it."
    return "review_feedback", "People have reviewed a run: see where they and the judges differ."


@app.cell
def state(chosen, host, pending, report):
    onward, why = next_step(report, pending)
    where = f"The project of **{page.quoted(report['config'])}**."
    if host.is_sample(chosen):
        onward, why = "map_dataset", "Begin with the mapping, and go through the stages in order."
        where = "The **demo project**: a support agent. Nothing here can break."
    named = "" if chosen.config == host.start.values.config else chosen.config
    ways = {each.name: address(each.file, named) for each in ui.NOTEBOOKS}
    if report["tracking_uri"]:  # unknown where the config cannot be read
        said = f"{report['tracking_uri']}: {report.get('detail', '')}"
        where += f" MLflow is {page.quoted(said)}"
    go_on = page.callout(f'**Next: <a href="{ways[onward]}">{escape(why)}</a>**', "success")
    problems = [Problem(**each) for each in report["problems"]]
    page.stack(
        page.callout(where, "info" if report["reachable"] else "warn"),
        page.problem(InputError(*problems)) if problems else go_on,
    )
    return onward, ways


@app.cell
def open_runs(report):
    answers = {None: "not known", True: "yes", False: "no"}
    newest = [
        {
            "Run": each["run_id"],
            "Cases": each["cases"],
            "Failed executions": each["failed"],
            "In MLflow": answers[each["logged"]],
            "Reviewed": answers[each["reviewed"]],
            "Why they failed": ", ".join(f"{n}: {why}" for n, why in each["failures"].items()),
        }
        for each in reversed(report.get("open", []))
    ]
    page.table(newest, page_size=5, optional=["Why they failed"]) if newest else None
    return


@app.cell
def stage_cards(onward, pending, report, ways):
    found = state_of(report, pending)
    next_one = "; border-color: var(--grass-9, #46a758)"
    cards = [
        f'<a href="{ways[each.name]}" style="{page.BOX}; text-decoration: none; color: inherit'
        f'{next_one if each.name == onward else ""}"><div style="{page.TITLE}">'
        f'<span style="{page.MUTED}">{number}</span> {each.title}</div>'
        f'<div style="{page.MUTED}">{each.about}</div>'
        f'<div style="margin-top: 0.5rem">{escape(found[each.name])}</div></a>'
        for number, each in enumerate(ui.NOTEBOOKS, 1)
    ]
    page.side_by_side(*map(mo.Html, cards), least_px=300)
    return


@app.cell
def beginnings():
    starts = [
        f'<div style="{page.BOX}"><div style="{page.TITLE}">{has}</div>'
        f'<pre style="{CODE}">{escape(command)}</pre><div style="{page.MUTED}">{then}</div></div>'
        for has, command, then in BEGINNINGS
    ]
    page.stack(
        mo.md("## What do you have?"), page.side_by_side(*map(mo.Html, starts), least_px=300)
    )
    return


@app.cell
def settings(form):
    form
    return


if __name__ == "__main__":
    app.run()
