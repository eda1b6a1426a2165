import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="An agent's traces", css_file="evalkit.css")

with app.setup:
    from dataclasses import dataclass

    import marimo as mo

    from evalkit import rendering, watching
    from evalkit.host import Host, page, traffic_views
    from evalkit.host.traffic_charts import spread_charts, tools_chart
    from evalkit.params import Project, param

    @dataclass(frozen=True)
    class Params(Project):
        """Look at the traces of an agent: how long, how much, what goes wrong, with which tools."""

        experiment: str | None = param(
            None, "Its name or id in MLflow; else the config's", link=True
        )
        traces: int = param(500, "How many of the newest to look at", link=True)


@app.cell(hide_code=True)
def _():
    mo.md("""
    # An agent's traces

    While an agent works, MLflow can record what it does: each request is a **trace**, and each step
    in it a **span**. This page looks at all traces of an experiment together, before anybody
    decides what to evaluate.
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
    chosen = host.settings(form)

    def read(say):
        sample = host.sample_traffic(chosen, say)
        return watching.watch(
            config=chosen.config,
            experiment=chosen.experiment or sample,
            tracking_uri=chosen.tracking_uri,
            most=chosen.traces,
            say=say,
        )

    seen = host.work("Reading traces", read)
    return chosen, seen


@app.cell
def watched(host, seen):
    watch = host.outcome(seen)
    traffic = watch.traffic
    traffic_views.nothing_yet(host, watch)
    return traffic, watch


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 2. At a glance

    The usual says little about the worst: look at how far the ends lie from the middle.
    """)
    return


@app.cell
def figures(traffic):
    page.stack(traffic_views.figures(traffic), traffic_views.unread(traffic))
    return


@app.cell
def distributions(traffic):
    spread_charts(traffic)
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. What goes wrong

    Errors that differ only in ids, numbers, times and places are one. Of steps that failed because
    a step within them did, the innermost is named. Select an error to read it in full.
    """)
    return


@app.cell
def errors(traffic):
    error_table = traffic_views.error_table(traffic.clusters)
    page.stack(error_table, traffic_views.no_errors(traffic))
    return (error_table,)


@app.cell
def error(error_table, traffic, watch):
    picked_errors = page.chosen(error_table, traffic.clusters)
    page.stack(*(traffic_views.error_view(each, watch) for each in picked_errors))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 4. Tools

    What the agent called, how often it failed, and how long it took.
    """)
    return


@app.cell
def tools(traffic):
    page.stack(
        traffic_views.tool_table(traffic.tools),
        tools_chart(traffic.tools),
        traffic_views.no_tools(traffic),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 5. Conversations

    A few traces that show what there is: typical ones, and those that are out of the ordinary. The
    same traces give the same choice. Select one to read it.
    """)
    return


@app.cell
def sampled(watch):
    pick_table = traffic_views.pick_table(watch.picks)
    pick_table
    return (pick_table,)


@app.cell
def conversation(host, pick_table, watch):
    with host.step("Reading the trace"):
        opened = [watch.open(p.glimpse.trace_id) for p in page.chosen(pick_table, watch.picks)]
    page.stack(*(traffic_views.trace_view(each, watch) for each in opened))
    return


@app.cell
def elsewhere(watch):
    page.in_mlflow(watch.url, watch.tracking)
    return


@app.cell
def ending(chosen, host, watch):
    report = watch.report()
    host.finish(chosen, report, rendering.watched)
    return (report,)


if __name__ == "__main__":
    app.run()
