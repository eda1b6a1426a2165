import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="The agent", css_file="evalkit.css")

with app.setup:
    import json
    from dataclasses import asdict, dataclass, replace
    from functools import partial

    import altair as alt
    import marimo as mo
    import numpy as np
    import pandas as pd

    from evalkit import EvalkitError
    from evalkit.agent import run
    from evalkit.agent.model_client import OFFLINE, claude
    from evalkit.agent.request import budget_of
    from evalkit.agent.session import (
        ANALYSIS_FILE,
        KEPT_FILE,
        SESSIONS,
        VALIDATION_FILE,
        find_session,
        new_id,
        sessions_about,
    )
    from evalkit.arguments import param
    from evalkit.cli import narrator, render
    from evalkit.context import typed
    from evalkit.jsonable import truncate
    from evalkit.params import AgentParams
    from evalkit.suite.model import DATASET_FILE, SCORERS_FILE, SCRIPT_FILE
    from evalkit.traces import experiment
    from evalkit.traces.analysis import spread
    from evalkit.tracking import without_password
    from evalkit.ui import agent_live, page
    from evalkit.ui.notebook import Host
    from evalkit.ui.trace_views import conversation, waterfall
    from evalkit.ui.wording import BLUE, GREEN, GREY, as_text, dressed, duration, figure

    @dataclass(frozen=True)
    class Params(AgentParams):
        """From an experiment's traces to an evaluation suite that is proven."""

        traces: int = param(
            500, "How many of the newest the overview shows; the agent looks at all", shown="more"
        )

    MOST_CITED = 5  # traces of one finding that are one click away
    SKEWED = 50  # times that the largest is the smallest, from which on a chart's ranges widen


@app.function
def short(value):
    """A value on one line of moderate length; the values alone of an object with one field."""
    while isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return truncate(as_text(value), 140)


@app.function
def picker(frame, names, wide=(), nothing="Nothing to show."):
    """A table to select a row in: columns of a frame, by what they are called there."""
    return page.table(
        pd.DataFrame(frame, columns=list(names)).rename(columns=names),
        select="single",
        page_size=8,
        wrapped_columns=wide,
        column_widths=dict.fromkeys(wide, 1000 // (len(wide) or 1) - 150),
        nothing=nothing,
    )


@app.function
def trace_view(trace_id, watch):
    """One trace: what people said of it, as a conversation, and in time."""
    try:
        trace = watch.open(trace_id)
    except EvalkitError as error:
        return page.problem(error)
    link = watch.url_of(trace_id)
    people = {
        f"{each.source_id} said": f"{each.name}: {as_text(each.value)}. {each.rationale}".rstrip()
        for each in trace.assessments
        if each.source_type == "HUMAN"
    }
    unread = {f"Of this trace, {trace.unread}": trace.request, "Answered": trace.response}
    shown = [page.record(unread)] if trace.unread else [conversation(trace), waterfall(trace)]
    return page.stack(
        mo.md(page.link(link, f"{trace_id} in MLflow")) if link else None,
        page.record(people) if people else None,
        *shown,
    )


@app.function
def cited(ids, watch, title, case_rows=()):
    """Traces below a title, each read when it is opened; None where nobody could open it."""
    shown = list(dict.fromkeys(ids or ()))
    if not shown or not page.is_live():
        return None
    asked = {each["source_trace_id"]: short(each["inputs"]) for each in case_rows}
    folds = {
        page.quoted(asked.get(each) or each): mo.lazy(partial(trace_view, each, watch))
        for each in shown[:MOST_CITED]
    }
    more = f" (the first {MOST_CITED} of {len(shown)})" if len(shown) > MOST_CITED else ""
    return page.stack(mo.md(f"**{title}**{more}"), mo.accordion(folds))


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
    form = host.form("Look")
    page.stack(host.header(), form)
    return form, host


@app.cell
def reading(form, host):
    said = host.settings(form)
    with host.step("Reading traces") as say:
        demo = host.with_traffic(said, say)
        begun = demo.session and find_session(demo.volume_path, demo.session)
        store_uri, looked_at = run.aim(demo, begun or None)
        watch = experiment.watch(
            config=demo.config,
            # what the config alone names need not be there yet
            experiment=looked_at if demo.experiment_id or demo.session else None,
            tracking_uri=store_uri,
            most=demo.traces,
            say=say,
        )
    chosen = replace(demo, tracking_uri=store_uri, experiment_id=watch.experiment)
    return chosen, watch


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 1. What the traces show

    The usual says little about the worst: look at how far the ends lie from the middle.
    """)
    return


@app.cell
def figures(host, watch):
    traces = watch.traces
    if traces.empty and host.person:
        host.halt(
            f"The experiment **{page.quoted(watch.experiment)}** holds **no traces** yet. An agent "
            "writes them when it runs with MLflow's tracing; or log a finished run on the Log "
            "page, and look here again."
        )
    failed, word, cost = (traces["state"] == "failed").sum(), traces["verdict"], traces["cost_usd"]
    seconds, tokens = (spread(traces[name]) for name in ("seconds", "tokens"))
    days = pd.to_datetime(traces["start_ms"], unit="ms", errors="coerce").dt.date.dropna()
    window = dict.fromkeys(map(str, (days.min(), days.max()))) if len(days) else ()
    accepted = f"people accepted {(word == 'accepted').sum():,}"
    page.stack(
        page.cards(
            ("Traces", f"{len(traces):,}", " to ".join(window)),
            ("Failed", f"{failed:,}", f"{failed / max(len(traces), 1):.1%} of them"),
            ("Rejected", (word == "rejected").sum(), accepted),
            ("Time", duration(seconds["median"]) if seconds else "-", "the median"),
            ("Tokens", figure(tokens["median"]) if tokens else "-", "the median"),
            ("Cost", f"${cost.sum():,.2f}" if cost.count() else "-", f"of {cost.count():,} traces"),
        ),
        *(
            page.callout(f"Of {n:,} traces, {page.quoted(why)}.", "warn")
            for why, n in watch.analysis.unread.items()
        ),
    )
    return


@app.function
def spread_chart(traces, name):
    """How many traces lie in which range of seconds or tokens; None where none is known."""
    known = pd.to_numeric(traces[name]).dropna()
    if (found := spread(known)) is None:
        return None
    low, high = known.min(), known.max()
    # where values differ by orders of magnitude, each range is so many times as wide as the last
    widens = low > 0 and high / low > SKEWED
    edges = (np.geomspace if widens else np.linspace)(low, high, min(24, len(known)) + 1)
    counts, bounds = np.histogram(known, bins=edges if high > low else 1)
    rows = pd.DataFrame({"low": bounds[:-1], "high": bounds[1:], "traces": counts})
    usual = f"half up to {figure(found['median'])}, nine in ten up to {figure(found['p90'])}"
    scale = alt.Scale(type="log" if widens else "linear", nice=False, zero=False)
    title = alt.TitleParams(name.capitalize(), subtitle=usual)
    base = alt.Chart(rows, title=title, width="container", height=190)
    return dressed(
        base.mark_rect(color=BLUE, stroke="white", strokeOpacity=0.4).encode(
            x=alt.X("low:Q", title=None, scale=scale, axis=alt.Axis(format="~s", tickCount=6)),
            x2="high:Q",
            y=alt.Y("traces:Q", axis=alt.Axis(tickMinStep=1, format="d")),
            y2=alt.datum(0),
            tooltip=[alt.Tooltip(f"{column}:Q", format=",.4~r") for column in rows],
        )
    )


@app.function
def tool_table(tools):
    """How often each tool was used and failed, and how long it takes."""
    names = {"tool": "Tool", "calls": "Calls", "failures": "Failed", "rate": "Failure rate"}
    names |= {"traces": "In traces", "median_s": "Median", "p90_s": "9 in 10 up to"}
    rated = tools.assign(rate=tools["failures"] / tools["calls"])
    forms = dict.fromkeys(("Median", "9 in 10 up to"), duration)
    return page.table(
        rated[[*names]].rename(columns=names),
        nothing="No trace shows the use of a tool.",
        format_mapping={"Failure rate": "{:.1%}".format, **forms},
    )


@app.cell
def sight(watch):
    ends_ = {"traces": "Traces", "state": "They ended", "place": "Failed at", "text": "Error"}
    errors = picker(watch.analysis.errors, ends_, ["Error"], "No trace failed, and no step of any.")
    shows_ = {"why": "What it shows", "state": "Ended", "seconds": "Seconds"}
    shows_ |= {"tokens": "Tokens", "asked": "Asked"}
    picks = picker(watch.picks.round({"seconds": 1}), shows_, ["What it shows", "Asked"])
    charts_ = (spread_chart(watch.traces, name) for name in ("seconds", "tokens"))
    shown_ = {"What goes wrong": errors, "Conversations": picks}
    shown_ |= {"Times and tokens": page.stack(*charts_), "Tools": tool_table(watch.analysis.tools)}
    look = page.tabs(shown_)
    look
    return errors, look, picks


@app.cell
def sight_detail(errors, look, picks, watch):
    said_ = []
    if page.is_open(look, "What goes wrong"):
        for _each in page.chosen(errors, watch.analysis.errors.to_dict("records")):
            said_ += [
                page.text(_each["example"] or _each["text"] or "The trace does not say why."),
                cited(_each["trace_ids"], watch, f"Seen in {_each['traces']} traces"),
            ]
    if page.is_open(look, "Conversations"):
        opened_ = page.chosen(picks, watch.picks["trace_id"].to_list())
        said_ += [trace_view(each, watch) for each in opened_]
    page.stack(*said_)
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 2. Let the agent work

    The agent first analyses all traces and plans; then it does one task after the other, each in a
    **session** of its own. What it writes is run, confined, and checked. Stop it whenever you
    like: everything is kept in the session's directory, and it goes on where it was.
    """)
    return


@app.cell
def sessions(chosen, host, watch):
    base = chosen.volume_path
    about = sessions_about(base, watch.experiment_id, watch.tracking.uri)
    with host.step("Looking for sessions"):
        known = [agent_live.session_row(each, base) for each in about] if host.person else []
    # a new one has its id from the beginning, so that it is gone on with if it is interrupted
    named = chosen.session or new_id(watch.experiment)
    if all(each["Session"] != named for each in known):
        known.insert(0, {"Session": named, "State": "new"})
    ids = [each["Session"] for each in known]
    running = [place for place, each in enumerate(known) if each["State"] == "at work"]
    session_table = page.table(
        known,
        select="single",
        tint="State",
        page_size=5,
        label="**Which session?**",
        initial_selection=[*running, ids.index(named)][:1],
    )
    session_table if host.person else None
    return ids, session_table


@app.cell
def pressing(chosen, host, ids, session_table):
    picked = next(iter(page.chosen(session_table, ids)), ids[0]) if host.person else chosen.session
    request = replace(chosen, session=picked)
    with host.step("Looking for a model"):
        request.check()
        model, why = claude(request, lambda _: None)
        budget, sandbox = budget_of(request, model), run.sandbox_of(request)
    if host.is_sample(chosen) and model is None:
        why = "a look at the demo is to cost nothing"
    limits = [
        f"{place}: {most:,g} {unit}"
        for place, limit in (("each session", budget.session), ("in all", budget.total))
        for unit, most in asdict(limit).items()
        if most is not None
    ]
    confined = [f"confined by {sandbox.name}"]
    confined += ["it may use the network"] * request.allow_network
    confined += [f"it is given {', '.join(request.pass_env)}"] * bool(request.pass_env)
    by = model.name if model else f"{OFFLINE} (rules, no model, no cost)"
    terms = {
        "Model": f"{by}, because {why}",
        "May spend": "; ".join([f"{budget.sessions} sessions", *limits]) if model else "-",
        "Its code runs": "; ".join(confined),
        "Reads traces from": without_password(request.tracking_uri or ""),
        "Keeps sessions in": f"{request.volume_path or '.'}/{SESSIONS}",
    }
    go = host.button("Let the agent work")
    page.stack(page.record(terms), go)
    return budget, go, picked, request


@app.cell
def building(go, host, request):
    agent = finished = None
    if not host.person:
        with host.step():
            finished = narrator.narrated(request, host.terminal)
    elif go.value:
        agent = agent_live.start(request)
    else:
        agent = agent_live.at_work(request)
    built, note_end = mo.state(finished)  # what the agent left; False where it left no report
    cancel = mo.ui.button(label="Cancel", kind="warn", on_click=lambda _: agent.stop())
    tick = mo.ui.refresh(default_interval="1s")
    return agent, built, cancel, note_end, tick


@app.cell
def watching(agent, budget, cancel, note_end, tick):
    tick.value  # looked at again each second
    now_, left_ = None, None
    if agent and agent.is_at_work:
        head_ = mo.hstack([mo.md("**The agent works**"), mo.hstack([tick, cancel])])
        now_ = page.stack(head_, agent_live.live(agent, budget))
    elif agent and agent.is_stopped:
        words_ = "The agent was stopped. What was written stays; starting again finishes the rest."
        now_, left_ = page.callout(words_, "warn"), False
    elif agent:
        now_ = page.folded("What the agent said", agent.lines[:-1])
        try:
            left_ = agent.report()
        except EvalkitError as error:
            now_, left_ = page.stack(page.problem(error), now_), False
    if left_ is not None:
        note_end(left_)
    now_
    return


@app.cell
def standing(agent, built, host, picked, request):
    mo.stop(built() is None and agent is not None)  # it is at work
    with host.step("Reading the session"):
        session = find_session(request.volume_path, picked or built()["session_id"])
    if session is None:
        host.halt("This session has **not started**.", "Press the button above.")
    now, tasks = agent_live.session_row(session, request.volume_path), session.tasks
    is_done = tasks and all(task.status == "done" for task in tasks)
    unfinished = (
        f"This session is **not finished**: {page.quoted(now['State'])}. Press the button again, "
        "and it goes on where it was."
    )
    spent = [(name, now[name], "in all sessions") for name in agent_live.SPENT]
    page.stack(
        None if is_done else page.callout(unfinished, "warn"),
        page.cards(*spent) if session.spent().turns else None,
        page.table(
            [agent_live.task_row(task) for task in tasks],
            tint="Status",
            wrapped_columns=["Task", "Evidence"],
            column_widths={"Task": 260, "Status": 90, "Attempts": 90, "Evidence": 560},
            nothing="There is no plan yet.",
        ),
    )
    return (session,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. The suite

    A suite holds where good answers pass every scorer, each scorer fails a bad example of its own,
    and whatever people rejected is failed, or named among the limits. What people said comes
    first; how many damaged copies are noticed is reported beside it, and required of nobody.
    """)
    return


@app.cell
def suite_reading(host, session):
    names = [name for name in session.names("evaluation/") if name.count("/") == 1]
    files = {name: (session.read(name) or b"").decode("utf-8", "replace") for name in names}
    if SCORERS_FILE not in files:
        host.halt("The agent has **not written** a suite yet.", "Press the button above.")
    found = session.read_json(VALIDATION_FILE)
    findings = session.read_json(ANALYSIS_FILE).get("findings") or []
    case_rows = [json.loads(line) for line in files.get(DATASET_FILE, "").splitlines()]
    return case_rows, files, findings, found


@app.cell
def verdict(case_rows, found, session, watch):
    people = {"accepted": {}, "rejected": {}, **found.get("people", {})}
    good, bad, one = people["accepted"], people["rejected"], found.get("one_sentence")
    noticed, of = pd.DataFrame(found.get("faults", {}).values(), columns=["hit", "of"]).sum()
    limited = f"fail some scorer; {bad.get('in_limits', 0)} named in LIMITS.md"
    holds = f"**{str(found.get('word')).capitalize()}.** It stands on {found.get('rows')} traces, "
    holds += f"{found.get('good_rows')} of them good answers to "
    holds += f"{found.get('requests', '?')} different requests."
    if people.get("kappa"):
        holds += f" Agreement with people (Cohen's kappa): {people['kappa']}."
    problems = "\n".join(f"- {page.quoted(each)}" for each in found.get("problems") or ())
    kept = session.read_json(KEPT_FILE).get("kept") or {}
    place, uri = session.location, without_password(watch.tracking.uri)
    in_run = f"run {kept['mlflow_run_id']} in {kept['experiment']}" if kept else ""
    where = {
        "Kept in MLflow": in_run or "not yet: only a verified suite is",
        "Its directory": place,
        "Run it yourself": f"{typed('python')} '{place}/{SCRIPT_FILE}' --tracking-uri '{uri}'",
    }
    url = kept and watch.store.url(kept["experiment_id"], "runs", kept["mlflow_run_id"])
    figures_ = {
        "Answers that people rejected": f"{bad.get('failed', 0)} of {bad.get('answers', 0)}",
        "Answers that people accepted": f"{good.get('pass_all', 0)} of {good.get('answers', 0)}",
        "Copies with a fault put in": f"{noticed / of:.0%}" if of else "-",
        "One answer to everything": f"{one['failed']} of {one['rows']}" if one else "-",
    }
    means_ = (
        limited,
        "pass every scorer",
        "are noticed by some scorer",
        "rows fail some scorer then",
    )
    page.stack(
        page.cards(*((*each, means) for each, means in zip(figures_.items(), means_, strict=True))),
        page.callout(f"{holds}\n\n{problems}", "success" if found.get("verified") else "warn"),
        cited(bad.get("missed"), watch, "People rejected this, every scorer passes it", case_rows),
        page.record(where, title="Where it is"),
        page.in_mlflow(url, watch.tracking) if kept else None,
    )
    return


@app.function
def fault_chart(faults):
    """Of each kind of fault, how many damaged copies of good answers some scorer notices."""
    rows = pd.DataFrame(
        {"fault": kind.replace("_", " "), "share": noticed / of, "told": f"{noticed}/{of}"}
        for kind, (noticed, of) in faults.items()
        if of
    )
    if rows.empty:
        return page.callout("No good answer could be damaged, or nobody has tried.")
    title = alt.TitleParams(
        "Damaged copies that some scorer notices",
        subtitle=["Not required of a suite. What is missed", "needs a judge, or another scorer."],
        offset=12,
    )
    share = alt.X("share:Q", title="noticed", axis=alt.Axis(format="%", tickCount=5))
    base = alt.Chart(rows, title=title, width="container", height=alt.Step(16)).encode(
        x=share.scale(domain=[0, 1]),
        y=alt.Y("fault:N", title=None, sort="x", axis=alt.Axis(labelLimit=220)),
        tooltip=["fault:N", alt.Tooltip("told:N", title="noticed")],
    )
    words = base.mark_text(align="left", dx=4, color=GREY).encode(text="told:N")
    return dressed(base.mark_bar(color=GREEN, cornerRadiusEnd=3) + words)


@app.cell
def suite_view(case_rows, files, findings, found):
    scorers_ = pd.DataFrame.from_dict(found.get("scorers", {}), orient="index")
    judges_ = page.quoted(", ".join(found.get("judges", ())))
    unproven_ = page.callout(f"Not verified, because they ask a model: {judges_}")
    asked_ = [(short(each["inputs"]), short(each["outputs"])) for each in case_rows]
    heads_ = {0: "Asked", 1: "Answered"}
    case_table = picker(asked_, heads_, [*heads_.values()], "The dataset has no rows yet.")
    cites_ = [(each["what"], len(each["evidence"])) for each in findings]
    heads_ = {0: "What the traces show", 1: "Cites"}
    none_ = "Nothing beyond what section 1 counts."
    finding_table = picker(cites_, heads_, [heads_[0]], none_)
    texts_ = {name.rpartition("/")[2]: text for name, text in files.items()}
    order_ = ("scorers.py", "rule_checks.py", "run_eval.py", "eval.yaml")
    folds_ = (page.folded(name, texts_.get(name, "")) for name in order_)
    scorers_ = page.table(scorers_.rename_axis("scorer").reset_index())
    views_ = {"Scorers": page.stack(scorers_, unproven_ if judges_ else None)}
    views_ |= {"Faults noticed": fault_chart(found.get("faults", {})), "Cases": case_table}
    views_ |= {"Findings": finding_table}
    views_ |= {"Files": page.stack(page.text(texts_.get("LIMITS.md", "")), *folds_)}
    aspect = page.tabs(views_)
    aspect
    return aspect, case_table, finding_table


@app.cell
def suite_detail(aspect, case_rows, case_table, finding_table, findings, watch):
    details_ = []
    if page.is_open(aspect, "Findings"):
        details_ += [
            cited(each["evidence"], watch, "The traces that it stands on", case_rows)
            for each in page.chosen(finding_table, findings)
        ]
    if page.is_open(aspect, "Cases"):
        for _each in page.chosen(case_table, case_rows):
            fields_ = {name: _each[name] for name in ("inputs", "outputs", "expectations")}
            source_ = cited([_each["source_trace_id"]], watch, "Its trace", [_each])
            details_ += [page.record(fields_), source_]
    page.stack(*details_)
    return


@app.cell
def ending(built, chosen, host):
    report = built()
    mo.stop(not report)
    host.finish(chosen, report, "agent", render.tell)
    return (report,)


if __name__ == "__main__":
    app.run()
