import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="The agent", css_file="evalkit.css")

with app.setup:
    from dataclasses import dataclass, replace

    import marimo as mo

    from evalkit import narrating, watching
    from evalkit.agency import bench
    from evalkit.agency.following import Progress
    from evalkit.agency.overview import overview
    from evalkit.core.agent.verdicts import table_of
    from evalkit.host import Host, agent_live, agent_page, agent_settings, page, suite_charts
    from evalkit.host import suite_views as suite
    from evalkit.host import traffic_views as traffic
    from evalkit.host.tabs import is_open, tabs
    from evalkit.host.traffic_charts import spread_charts
    from evalkit.params import param

    @dataclass(frozen=True)
    class Params(agent_settings.AgentSettings):
        """From an experiment's traces to an evaluation suite that is proven."""

        traces: int = param(
            500, "How many of the newest the overview shows; the agent looks at all", shown="more"
        )


@app.cell(hide_code=True)
def _():
    mo.md("""
    # From traces to a suite

    While an agent works, MLflow can record what it does: each request is a **trace**. This page
    looks at the traces of an experiment, and then lets evalkit's own agent build an **evaluation
    suite** from them: cases, scorers, and a script that runs them. The program checks each step;
    nothing counts as done because a model says so.
    """)
    return


@app.cell
def opening():
    host = Host.open(Params, "run_eval_agent")
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
    form = host.form("Look")
    form
    return (form,)


@app.cell
def reading(form, host):
    said = host.settings(form)

    def read(say):
        chosen = agent_settings.settled(said, host.sample_traffic(said, say))
        watch = watching.watch(
            config=chosen.config,
            experiment=chosen.experiment_id,
            tracking_uri=chosen.tracking_uri,
            most=chosen.traces,
            say=say,
        )
        return replace(chosen, experiment_id=watch.experiment), watch

    seen = host.work("Reading traces", read)
    return (seen,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 2. What the traces show

    The usual says little about the worst: look at how far the ends lie from the middle.
    """)
    return


@app.cell
def figures(host, seen):
    chosen, watch = host.outcome(seen)
    traffic.nothing_yet(host, watch)
    look = tabs("Times and tokens", "What goes wrong", "Tools", "Conversations")
    page.stack(traffic.figures(watch.traces), traffic.unread(watch.analysis), look)
    return chosen, look, watch


@app.cell
def sight(look, watch):
    errors, picks, sights = None, None, []
    if is_open(look, "Times and tokens"):
        sights += [spread_charts(watch.traces)]
    if is_open(look, "What goes wrong"):
        sights += [errors := traffic.error_table(watch.analysis.errors)]
    if is_open(look, "Tools"):
        sights += [traffic.tools_view(watch.analysis.tools)]
    if is_open(look, "Conversations"):
        sights += [picks := traffic.pick_table(watch.picks)]
    page.stack(*sights)
    return errors, picks


@app.cell
def sight_detail(errors, host, picks, watch):
    with host.step("Reading the trace"):
        shown = page.chosen(picks, watch.picks.to_dict("records"))
        opened = [watch.open(each["trace_id"]) for each in shown]
    known = watch.analysis.errors.to_dict("records")
    page.stack(
        *(traffic.error_view(each, watch) for each in page.chosen(errors, known)),
        *(traffic.trace_view(each, watch) for each in opened),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. Let the agent work

    The agent first analyses all traces and plans; then it does one task after the other, each in a
    **session** of its own. What it writes is run, confined, and checked. Stop it whenever you
    like: everything is kept in the session's directory, and it goes on where it was.
    """)
    return


@app.cell
def sessions(chosen, host, watch):
    with host.step("Looking for sessions"):
        known = agent_page.sessions_to_pick(host, chosen.volume_path, watch)
    picker = agent_page.session_picker(host, known, watch, chosen.session)
    page.stack(agent_page.session_table(known), picker)
    return (picker,)


@app.cell
def pressing(chosen, host, picker):
    picked = agent_page.picked_session(picker, chosen.session)
    request = agent_settings.request_of(chosen, picked)
    with host.step("Looking for a model"):
        terms = agent_settings.terms_of(request, is_sample=host.is_sample(chosen))
    go = host.button("Let the agent work")
    page.stack(page.record(agent_settings.told(request, terms)), go)
    return go, picked, request, terms


@app.cell
def building(go, host, picked, request, terms):
    progress = Progress(request.volume_path, picked)
    built = host.work(
        "The agent works",
        lambda say: agent_page.commission(host, request, progress, say),
        go,
        show=lambda: agent_live.live(progress.moment(), terms.budget),
    )
    return (built,)


@app.cell
def standing(built, host, picked, request, watch):
    host.settled(built)
    name = picked or host.outcome(built)["session_id"]
    with host.step("Reading the session"):
        session = agent_page.begun(host, overview(request.volume_path, name))
        place = agent_page.whereabouts(session, watch)
    page.stack(
        agent_page.state_view(session),
        agent_live.spent_cards(session.spent),
        agent_live.task_list(session.plan),
        place,
    )
    return (session,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 4. The suite

    What it stands on, its cases, which damage its scorers notice, and its code. Every case and
    every scorer names the traces it comes from; open one to read it.
    """)
    return


@app.cell
def suite_reading(host, request, session):
    agent_page.planned(host, session)
    workshop = bench.workbench(request)
    found = host.work("Reading the suite", lambda _: agent_page.read_rows(host, workshop, session))
    return found, workshop


@app.cell
def aspects(found, host):
    contents = host.outcome(found)
    aspect = tabs("Findings", "Cases", "Scorers", "Code", "Limits")
    page.stack(suite.unread(contents), aspect)
    return aspect, contents


@app.cell
def suite_view(aspect, contents, session):
    findings, cases, scorers, views = None, None, None, []
    if is_open(aspect, "Findings"):
        views += [findings := suite.finding_table(session.analysis)]
    if is_open(aspect, "Cases"):
        views += [cases := suite.row_table(contents.rows, session.analysis)]
    if is_open(aspect, "Scorers"):
        views += [suite_charts.damage_chart(table_of(session.validation))]
        views += [scorers := suite.scorer_table(session)]
    if is_open(aspect, "Code"):
        views += [suite.code(session.files)]
    if is_open(aspect, "Limits"):
        views += [suite.limits(session.analysis), suite.guidelines(session.analysis)]
    page.stack(*views)
    return cases, findings, scorers


@app.cell
def suite_detail(cases, contents, findings, scorers, session, watch):
    told = suite.findings(session.analysis)
    planned = session.analysis.scorers
    page.stack(
        *(suite.cited(each.evidence, watch) for each in page.chosen(findings, told)),
        *(suite.row_view(each, watch) for each in page.chosen(cases, contents.rows)),
        *(suite.scorer_view(each, watch) for each in page.chosen(scorers, planned)),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 5. Run the suite

    The script runs here as it would by hand, but confined, and its MLflow run is thrown away:
    nothing is left but what you see. It judges what was recorded. To judge an agent as it answers
    now, run it yourself with `--predict module:function`.
    """)
    return


@app.cell
def running_button(contents, host):
    run_it = host.button("Run the suite", disabled=not contents.rows)
    run_it
    return (run_it,)


@app.cell
def running(contents, host, run_it, session, workshop):
    ran = host.work(
        "Running the suite",
        lambda _: agent_page.run_for(host, workshop, session, contents),
        run_it,
    )
    return (ran,)


@app.cell
def scores(host, ran):
    done = host.outcome(ran)
    judged = list(done.judged()) if done else []
    row_table = suite_charts.row_scores(judged)
    page.stack(suite_charts.run_view(done), suite_charts.scorer_scores(done), row_table)
    return judged, row_table


@app.cell
def score(judged, row_table):
    page.stack(*(suite_charts.score_view(each) for _, _, each in page.chosen(row_table, judged)))
    return


@app.cell
def ending(built, chosen, host):
    report = host.outcome(built)
    host.finish(chosen, report, narrating.agent)
    return (report,)


if __name__ == "__main__":
    app.run()
