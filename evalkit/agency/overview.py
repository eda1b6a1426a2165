"""A session as its directory tells it: how far it is, what it found out, what it wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.agency import placing
from evalkit.core.agent.analysis import Analysis
from evalkit.core.agent.budget import Spent
from evalkit.core.agent.task import Plan
from evalkit.core.tracking import without_password
from evalkit.core.values import Json

if TYPE_CHECKING:
    from evalkit.adapters.store import Store


@dataclass(frozen=True, slots=True)
class SessionOverview:
    """A session that has begun.

    Attributes:
        about: What it is about.
        location: Its directory.
        plan: Its tasks; None until the traces were analysed.
        analysis: What it found out; None until then.
        validation: What the last validation found; empty where it has not been that far.
        spent: What all its calls cost together.
        files: The files of its suite that there are, by path.
    """

    about: placing.About
    location: str
    plan: Plan | None
    analysis: Analysis | None
    validation: Mapping[str, Json]
    spent: Spent
    files: Mapping[str, bytes]

    @property
    def is_verified(self) -> bool:
        """Whether all tasks are over, so that the program has proof of the suite."""
        return self.plan is not None and self.plan.is_done

    @property
    def state(self) -> str:
        """How far it is, in words."""
        if self.plan is None:
            return "analysing"
        if self.is_verified:
            return "verified"
        if self.plan.blocked:
            return "blocked"
        done = sum(task.status in {"done", "dropped"} for task in self.plan.tasks)
        return f"{done} of {len(self.plan.tasks)} tasks done"


def overview(base: str | None, session_id: str) -> SessionOverview | None:
    """A session; None where none of that id has begun.

    Args:
        base: Where session directories lie; None for the working directory.
        session_id: Its id.

    Raises:
        InputError: the id is none, or the directory cannot be read.
    """
    from evalkit.flows.agent.directory import VALIDATION_FILE, SessionDirectory

    about = placing.known_session(base, session_id)
    folder = placing.existing(base, session_id)
    if about is None or folder is None:
        return None
    directory = SessionDirectory(folder)
    return SessionOverview(
        about,
        folder.location,
        directory.plan(),
        directory.analysis(),
        _object(folder.read(VALIDATION_FILE)),
        directory.spent(),
        directory.suite(),
    )


def overviews(base: str | None, experiment_id: str, tracking_uri: str) -> Iterator[SessionOverview]:
    """The sessions about an experiment, the newest first where nobody chose their names.

    Args:
        base: Where session directories lie; None for the working directory.
        experiment_id: The experiment.
        tracking_uri: The MLflow that it is in: every store counts its experiments from 1.

    Raises:
        InputError: a directory cannot be read.
    """
    here = placing.lasting(without_password(tracking_uri))
    for session_id in reversed(placing.session_ids(base)):
        found = overview(base, session_id)
        if found is None or found.about.experiment_id != experiment_id:
            continue
        if placing.lasting(found.about.tracking_uri) == here:
            yield found


def page_of_suite(store: Store, session: SessionOverview) -> tuple[str, str | None] | None:
    """The MLflow run that keeps a session's suite, and its page.

    Args:
        store: The MLflow.
        session: The session.

    Returns:
        The run's id, and its address, which is None where MLflow is a database; None where no
        suite is kept.

    Raises:
        StoreError: MLflow failed.
    """
    from evalkit.flows.agent.keeping import kept_suite
    from evalkit.flows.agent.sessions import SUITE_EXPERIMENT

    about = session.about
    found = kept_suite(store, about.experiment + SUITE_EXPERIMENT, about.session_id)
    return (found[1], store.run_url(*found)) if found else None


def _object(content: bytes | None) -> Mapping[str, Json]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
