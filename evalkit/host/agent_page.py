"""The agent's page: which session, its work followed live, and where what it left is seen."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import marimo as mo

from evalkit.agent import location
from evalkit.agent.request import Request
from evalkit.agent.run import aim, build
from evalkit.agent.session import ANALYSIS_FILE, KEPT_FILE, SessionDirectory
from evalkit.agent.work import Event
from evalkit.cli import narrator
from evalkit.context import typed
from evalkit.errors import Problem, Unfinished
from evalkit.host.agent_live import Progress, state_of
from evalkit.host.agent_settings import sandbox_of
from evalkit.host.suite_views import short
from evalkit.jsonable import Json, list_of, mapping_of
from evalkit.suite.model import DATASET_FILE, SCORERS_FILE, SCRIPT_FILE, Probe, Row, Score, passes
from evalkit.traces.experiment import Watch
from evalkit.tracking import without_password
from evalkit.ui import page
from evalkit.ui.notebook import Host
from evalkit.ui.terminal import Report
from evalkit.ui.wording import as_text
from evalkit.ui.work import Say

SECONDS_A_MINUTE = 60

Judged = tuple[Row, Sequence[Score]]


def sessions_to_pick(host: Host[Any], base: str | None, watch: Watch) -> list[SessionDirectory]:
    """The sessions about an experiment, the newest first; none where nobody could pick.

    Raises:
        InputError: a session directory cannot be read.
    """
    if not host.person:
        return []
    return list(location.sessions_about(base, watch.experiment_id, watch.tracking.uri))


def session_picker(
    host: Host[Any], found: Sequence[SessionDirectory], watch: Watch, named: str | None
) -> Any:
    """A dropdown of the sessions about this experiment and a new one; None without a person.

    The new one has its id from the beginning, so that it is gone on with if it is interrupted.

    Args:
        host: The notebook's host.
        found: The sessions that there are, the newest first.
        watch: The experiment.
        named: The session that the parameters name, if any; it is picked first.
    """
    if not host.person:
        return None
    new = location.new_id(watch.experiment, time.time())
    choices = {f"a new session: {new}": new}
    choices |= {
        f"{each.about.session_id}: {state_of(each)}": each.about.session_id for each in found
    }
    if named and named not in choices.values():
        choices = {f"a new session: {named}": named, **choices}
    first = next((label for label, each in choices.items() if each == named), None)
    return mo.ui.dropdown(
        choices,
        value=first or next(iter(choices)),
        label="Session",
        allow_select_none=False,
        searchable=True,
        full_width=True,
    )


def picked_session(picker: Any, named: str | None) -> str | None:
    """The session that was picked, else the one that the parameters name.

    Args:
        picker: What :func:`session_picker` returned.
        named: The session that the parameters name, if any.
    """
    return named if picker is None else str(picker.value)


def session_table(found: Sequence[SessionDirectory]) -> Any:
    """The sessions that there are, with their state; None where there are none."""
    if not found or not page.is_live():
        return None
    rows = [
        {
            "State": state_of(each),
            "Session": each.about.session_id,
            "Calls": each.spent().turns,
            "USD": round(each.spent().usd, 2),
            "Minutes": round(each.spent().seconds / SECONDS_A_MINUTE, 1),
        }
        for each in found
    ]
    return page.table(
        rows,
        tint="State",
        page_size=5,
        label="**Sessions about this experiment**",
        wrapped_columns=["Session"],
        column_widths={"State": 160, "Session": 420},
    )


def commission(host: Host[Any], request: Request, progress: Progress, say: Say) -> Report:
    """Let the agent work: followed on the page where there is one, else told line by line.

    Args:
        host: The notebook's host.
        request: What it is asked for.
        progress: Notes what it does.
        say: Told the progress, a line at a time; what it raises ends the work, resumably.

    Raises:
        InputError: the request is wrong.
        StoreAbsent: MLflow cannot be reached.
        Unfinished: there is no verified suite; says why and how to go on.
    """

    def follow(event: Event) -> None:
        progress(event)
        say(event.text)

    if host.person:
        return build(request, follow)
    try:
        return build(request, narrator.Narrator(host.terminal))
    except Unfinished as error:
        narrator.told_agent(host.terminal, error.report)
        raise


def session_of(host: Host[Any], request: Request, name: str) -> SessionDirectory:
    """The session; the page ends here where it has not started.

    Raises:
        InputError: its directory is of another evalkit, or cannot be read.
    """
    found = location.find_session(request.volume_path, name)
    if found is None:
        host.halt("This session has **not started**.", "Press the button above.")
    return found


def files_of(host: Host[Any], session: SessionDirectory) -> dict[str, bytes]:
    """What lies in ``evaluation/``; the page ends here where there are no scorers yet."""
    folder = session.folder
    names = [name for name in folder.names("evaluation/") if name.count("/") == 1]
    found = {name: folder.read(name) or b"" for name in names}
    if SCORERS_FILE not in found:
        host.halt("The agent has **not written** a suite yet.", "Press the button above.")
    return found


def judge(
    host: Host[Any], request: Request, session: SessionDirectory, say: Say
) -> list[Judged] | None:
    """What the scorers say of the recorded answers, failures first; None for nobody to see.

    Raises:
        InputError: code cannot be confined here.
        StoreError: MLflow failed.
        Unfinished: the suite cannot be run.
    """
    if not host.person:
        return None
    from evalkit.store import connect
    from evalkit.suite.runner import Runner
    from evalkit.traces.sample import survey

    uri, _ = aim(request, session)
    known = list_of(session.read_json(ANALYSIS_FILE).get("trace_ids"))
    say("reading the traces")
    found = survey(
        connect(uri), session.about.experiment_id, trace_ids=[str(each) for each in known]
    )
    say(f"judging {len(found.rows)} answers")
    probes = [Probe(row.trace_id, row.outputs) for row in found.rows]
    loaded = Runner(sandbox_of(request), found.rows).judge(session.files(), probes)
    if isinstance(loaded, str):
        raise Unfinished(Problem(loaded, SCORERS_FILE).message, {})
    scores = [[*chain.from_iterable(said.values())] for said in loaded.scores]
    judged = list(zip(found.rows, scores, strict=True))
    return sorted(judged, key=lambda each: not failing_scorers(each[1]))


def judged_table(judged: Sequence[Judged] | None) -> Any:
    """How each row was judged now, failures first, to select in; None where none was."""
    if judged is None:
        return None
    rows = [
        {
            "Asked": short(dict(row.inputs)),
            "Answered": short(row.outputs),
            "People": {"accepted": "accepted", "rejected": "rejected"}.get(row.verdict, ""),
            "Verdict": "failed" if (failed := failing_scorers(scores)) else "passed",
            "Fails at": ", ".join(failed),
        }
        for row, scores in judged
    ]
    return page.table(
        rows,
        select="single",
        tint="Verdict",
        page_size=8,
        label="**Rows**, failures first",
        wrapped_columns=["Asked", "Answered", "Fails at"],
        column_widths={"Asked": 290, "Answered": 290, "People": 90, "Verdict": 90, "Fails at": 220},
    )


def judged_view(judged: Judged) -> Any:
    """What every scorer says of one row, and why; those that fail it first."""
    failed = failing_scorers(judged[1])
    return page.record(
        {
            each.scorer: f"{_word(each)}: {each.error or each.rationale}".rstrip(": ")
            for each in sorted(judged[1], key=lambda each: each.scorer not in failed)
        }
    )


def failing_scorers(scores: Iterable[Score]) -> list[str]:
    """The scorers that fail an answer, or fail at it."""
    return [each.scorer for each in scores if each.error or passes(each.value) is False]


def state_view(session: SessionDirectory) -> Any:
    """What to do where a session is not finished; None where it is."""
    plan = session.plan()
    if plan and plan.is_done:
        return None
    why = f" {page.quoted(plan.blocked.title)} failed too often." if plan and plan.blocked else ""
    return page.callout(
        f"This session is **not finished**: {page.quoted(state_of(session))}.{why} Press the "
        "button again, and it goes on where it was.",
        "warn",
    )


def where_it_is(session: SessionDirectory, watch: Watch) -> Any:
    """Where the suite lies, how it is run by hand, and the MLflow run that keeps it."""
    kept = mapping_of(session.read_json(KEPT_FILE).get("kept"))
    run, location_ = str(kept.get("mlflow_run_id") or ""), session.folder.location
    where = {
        "Kept in MLflow": _kept(kept) if run else "not yet: only a verified suite is",
        "Its directory": location_,
        "Run it yourself": f"{typed('python')} {shlex.quote(f'{location_}/{SCRIPT_FILE}')} "
        f"--tracking-uri {shlex.quote(without_password(watch.tracking.uri))}",
    }
    if not session.folder.read(DATASET_FILE):
        del where["Run it yourself"]
    address = watch.store.run_url(str(kept.get("experiment_id")), run) if run else None
    told = page.record(where, title="Where it is")
    return page.stack(told, page.in_mlflow(address, watch.tracking) if run else None)


def _kept(kept: Mapping[str, Json]) -> str:
    return f"run {kept['mlflow_run_id']} in {kept.get('experiment')}"


def _word(score: Score) -> str:
    if score.error:
        return "failed to judge"
    passed = passes(score.value)
    return as_text(score.value) if passed is None else "passed" if passed else "failed"
