import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="The agent", css_file="evalkit.css")

with app.setup:
    from dataclasses import dataclass, replace

    import marimo as mo

    from evalkit.agent.session import ANALYSIS_FILE, VALIDATION_FILE
    from evalkit.arguments import param
    from evalkit.cli import narrator
    from evalkit.host import agent_live, agent_page, agent_settings, traffic
    from evalkit.host import suite_views as suite
    from evalkit.params import AgentParams
    from evalkit.traces import experiment
    from evalkit.ui import page
    from evalkit.ui.controls import is_open, tabs
    from evalkit.ui.notebook import Host

    @dataclass(frozen=True)
    class Params(AgentParams):
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
        watch = experiment.watch(
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
    look = tabs("What goes wrong", "Conversations", "Times and tokens", "Tools")
    page.stack(traffic.figures(watch.traces), traffic.unread(watch.analysis), look)
    return chosen, look, watch


@app.cell
def sight(look, watch):
    errors, picks, sights = None, None, []
    if is_open(look, "What goes wrong"):
        sights += [errors := traffic.error_table(watch.analysis.errors)]
    if is_open(look, "Conversations"):
        sights += [picks := traffic.pick_table(watch.picks)]
    if is_open(look, "Times and tokens"):
        sights += [traffic.spread_charts(watch.traces)]
    if is_open(look, "Tools"):
        sights += [traffic.tools_view(watch.analysis.tools)]
    page.stack(*sights)
    return errors, picks


@app.cell
def sight_detail(errors, host, picks, watch):
    with host.step("Reading the trace"):
        shown = page.chosen(picks, watch.picks.to_dict("records"))
        opened = [watch.open(each["trace_id"]) for each in shown]
    clusters = watch.analysis.errors.to_dict("records")
    page.stack(
        *(traffic.error_view(each, watch) for each in page.chosen(errors, clusters)),
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
    request = replace(chosen, session=picked).request()
    with host.step("Looking for a model"):
        terms = agent_settings.terms_of(request, is_sample=host.is_sample(chosen))
    go = host.button("Let the agent work")
    page.stack(page.record(agent_settings.in_words(request, terms)), go)
    return go, picked, request, terms


@app.cell
def building(go, host, picked, request, terms):
    progress = agent_live.Progress(request.volume_path, picked)
    built = host.work(
        "The agent works",
        lambda say: agent_page.commission(host, request, progress, say),
        go,
        show=lambda: agent_live.live(progress.moment(), terms.budget),
    )
    return (built,)


@app.cell
def standing(built, host, picked, request):
    host.settled(built)
    name = picked or host.outcome(built)["session_id"]
    with host.step("Reading the session"):
        session = agent_page.session_of(host, request, name)
    page.stack(
        agent_page.state_view(session),
        agent_live.spent_cards(session.spent()),
        agent_live.task_list(session.plan()),
    )
    return (session,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 4. The suite

    A suite holds where good answers pass every scorer, each scorer fails a bad example of its own,
    and whatever people rejected is failed, or named among the limits. What people said comes
    first; how many damaged copies are noticed is reported beside it, and required of nobody.
    """)
    return


@app.cell
def suite_reading(host, session):
    files = agent_page.files_of(host, session)
    found = session.read_json(VALIDATION_FILE)
    analysis = session.read_json(ANALYSIS_FILE)
    return analysis, files, found


@app.cell
def aspects(files, found, session, watch):
    case_rows = suite.cases_of(files)
    aspect = tabs("Scorers", "Faults noticed", "Cases", "Findings", "Limits", "Code")
    page.stack(
        suite.verification(found),
        suite.passed_wrongly(found, watch, case_rows),
        agent_page.where_it_is(session, watch),
        aspect,
    )
    return aspect, case_rows


@app.cell
def suite_view(analysis, aspect, case_rows, files, found):
    findings = analysis.get("findings") or []
    picked_finding, picked_case, views = None, None, []
    if is_open(aspect, "Scorers"):
        views += [suite.scorer_table(found)]
    if is_open(aspect, "Faults noticed"):
        views += [suite.fault_chart(found)]
    if is_open(aspect, "Cases"):
        views += [picked_case := suite.case_table(case_rows)]
    if is_open(aspect, "Findings"):
        views += [picked_finding := suite.finding_table(findings)]
    if is_open(aspect, "Limits"):
        views += [suite.limits(files)]
    if is_open(aspect, "Code"):
        views += [suite.code(files)]
    page.stack(*views)
    return findings, picked_case, picked_finding


@app.cell
def suite_detail(case_rows, findings, picked_case, picked_finding, watch):
    page.stack(
        *(
            suite.cited(each.get("evidence") or [], watch, case_rows)
            for each in page.chosen(picked_finding, findings)
        ),
        *(suite.row_view(each, watch) for each in page.chosen(picked_case, case_rows)),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 5. Run the suite

    Its scorers judge the recorded answers once more, confined, and nothing is left in MLflow. To
    judge an agent as it answers now, run `run_eval.py` yourself with `--predict module:function`.
    """)
    return


@app.cell
def running_button(files, host):
    run_it = host.button("Run the suite", disabled=not files)
    run_it
    return (run_it,)


@app.cell
def running(host, request, run_it, session):
    ran = host.work(
        "Running the suite", lambda say: agent_page.judge(host, request, session, say), run_it
    )
    return (ran,)


@app.cell
def scores(host, ran):
    judged = host.outcome(ran)
    row_table = agent_page.judged_table(judged)
    row_table
    return judged, row_table


@app.cell
def score(judged, row_table):
    page.stack(*(agent_page.judged_view(each) for each in page.chosen(row_table, judged or [])))
    return


@app.cell
def ending(built, chosen, host):
    report = host.outcome(built)
    host.finish(chosen, report, narrator.told_agent)
    return (report,)


if __name__ == "__main__":
    app.run()
