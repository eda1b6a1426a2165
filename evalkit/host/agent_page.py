"""The agent's page: which session, its work followed live, and where what it left is seen."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import marimo as mo

from evalkit import narrating
from evalkit.agency import placing
from evalkit.agency.bench import ReadSuite, SuiteRun, read_suite, run_suite
from evalkit.agency.building import build
from evalkit.agency.following import Progress
from evalkit.agency.overview import SessionOverview, overviews, page_of_suite
from evalkit.agency.request import Request
from evalkit.core.errors import Unfinished
from evalkit.host import page
from evalkit.host.host import Host, Report
from evalkit.host.work import Say
from evalkit.invocation import typed
from evalkit.watching import Watch

if TYPE_CHECKING:
    from evalkit.adapters.suite import SuiteBench
    from evalkit.flows.agent.events import Event

SECONDS_A_MINUTE = 60


def sessions_to_pick(host: Host[Any], base: str | None, watch: Watch) -> list[SessionOverview]:
    """The sessions about an experiment, the newest first; none where nobody could pick.

    Args:
        host: The notebook's host.
        base: Where session directories lie; None for the working directory.
        watch: The experiment.

    Raises:
        InputError: a session directory cannot be read.
    """
    if not host.person:
        return []
    return list(overviews(base, watch.experiment_id, watch.tracking.uri))


def session_picker(
    host: Host[Any], found: Sequence[SessionOverview], watch: Watch, named: str | None
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
    new = placing.new_id(watch.experiment, time.time())
    choices = {f"a new session: {new}": new}
    choices |= {f"{each.about.session_id}: {each.state}": each.about.session_id for each in found}
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


def session_table(found: Sequence[SessionOverview]) -> Any:
    """The sessions that there are, with their state; None where there are none."""
    if not found or not page.is_live():
        return None
    rows = [
        {
            "Session": each.about.session_id,
            "State": each.state,
            "Calls": each.spent.turns,
            "USD": round(each.spent.usd, 2),
            "Minutes": round(each.spent.seconds / SECONDS_A_MINUTE, 1),
        }
        for each in found
    ]
    return page.table(
        rows,
        tint="State",
        page_size=5,
        label="**Sessions about this experiment**",
        wrapped_columns=["Session"],
        column_widths={"Session": 520},
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
        return build(request, narrating.Narrator(host.terminal))
    except Unfinished as error:
        narrating.agent(host.terminal, error.report)
        raise


def begun(host: Host[Any], session: SessionOverview | None) -> SessionOverview:
    """The session; the page ends here where it has not begun.

    Args:
        host: The notebook's host.
        session: What was found of it.
    """
    if session is None:
        host.halt("This session has **not begun**.", "Press the button above.")
    return session


def planned(host: Host[Any], session: SessionOverview) -> None:
    """The page ends here where a session has not planned a suite yet."""
    if session.analysis is None:
        host.halt("The agent has **not planned** a suite yet.", "Press the button above.")


def read_rows(host: Host[Any], workshop: SuiteBench, session: SessionOverview) -> ReadSuite:
    """The rows of the suite; none where a script runs, as it shows them to nobody."""
    if host.place.kind == "script":
        return ReadSuite()
    return read_suite(workshop, session.files)


def run_for(
    host: Host[Any], workshop: SuiteBench, session: SessionOverview, contents: ReadSuite
) -> SuiteRun | None:
    """What the suite's script gives; None where nobody asked, since the program has just run it."""
    return run_suite(workshop, session.files, contents.rows) if host.person else None


def state_view(session: SessionOverview) -> Any:
    """How far a session is, and what to do where that is not far enough."""
    if session.is_verified:
        return page.callout(
            "**The suite is verified**: the program ran it, and saw which damage it notices.",
            "success",
        )
    blocked = session.plan.blocked if session.plan else None
    why = f" {page.quoted(blocked.title)} failed too often." if blocked else ""
    return page.callout(
        f"This session is **not finished**: {page.quoted(session.state)}.{why} Press the button "
        "again, and it goes on where it was.",
        "warn",
    )


def whereabouts(session: SessionOverview, watch: Watch) -> Any:
    """Where the suite lies, how it is run by hand, and the MLflow run that keeps it.

    Raises:
        StoreError: MLflow failed.
    """
    kept = page_of_suite(watch.store, session)
    run, address = kept or ("", None)
    script = shlex.quote(f"{session.location}/evaluation/run_eval.py")
    told = page.record(
        {
            "Kept in MLflow": f"run {run}" if run else "not yet: only a verified suite is",
            "Its directory": session.location,
            "Run it yourself": f"{typed('python')} {script}",
        },
        title="Where it is",
    )
    return page.stack(told, page.in_mlflow(address, watch.tracking) if run else None)
