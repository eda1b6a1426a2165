"""From an experiment's traces to a suite that is proven: the agent, put together and let go."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalkit.agency import placing
from evalkit.agency.aiming import where
from evalkit.agency.bench import workbench
from evalkit.agency.modelling import budget_of, model_of
from evalkit.agency.reporting import metrics_of, report_of
from evalkit.agency.request import Request
from evalkit.core.errors import EvalkitError, InputError, Problem, StoreError, Unfinished
from evalkit.core.tracking import without_password
from evalkit.invocation import typed

if TYPE_CHECKING:
    from evalkit.adapters.store import Store
    from evalkit.flows.agent.events import Watch
    from evalkit.flows.agent.sessions import Means

Report = dict[str, Any]

OWN_EXPERIMENT = "evalkit-agent"
"""Where the agent's own traces go unless told otherwise."""


@dataclass(frozen=True)
class Opened:
    """The agent, ready to begin.

    Attributes:
        means: What it works with.
        about: What its session is about.
        store: The MLflow.
        own_experiment: The id of the experiment for its own traces.
        base: The flag that says where its session lies, if it is needed.
    """

    means: Means
    about: placing.About
    store: Store
    own_experiment: str
    base: tuple[str, ...] = ()


def build(request: Request, watch: Watch) -> Report:
    """Build a suite from the traces of an experiment, or go on building it.

    Args:
        request: What is asked for.
        watch: Told what happens; what it raises ends the work, which can be gone on with.

    Returns:
        The report, see :func:`evalkit.agency.reporting.report_of`, and ``kept`` (the MLflow
        experiment and run that hold the suite).

    Raises:
        InputError: the request is wrong; nothing was begun.
        StoreAbsent: MLflow cannot be reached; nothing was begun.
        Unfinished: there is no verified suite; says why and how to go on.
    """
    from evalkit.flows.agent.autonomy import Conclusion, build_suite

    with opened(request, watch) as agent:
        try:
            conclusion = build_suite(agent.means)
        except KeyboardInterrupt:
            conclusion = Conclusion(False, "interrupted", 0)
        except EvalkitError as error:
            conclusion = Conclusion(False, str(error), 0)
        return _concluded(agent, conclusion)


@contextmanager
def opened(request: Request, watch: Watch, *, may_roam: bool = False) -> Iterator[Opened]:
    """The agent, put together; its session is kept from other processes meanwhile.

    Args:
        request: What is asked for.
        watch: Told what happens.
        may_roam: Whether no experiment needs to be named, since one can be chosen later.

    Raises:
        InputError: the request is wrong.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    request.check()
    known = _known(request, may_roam=may_roam)
    uri, named = where(request, known)
    from evalkit.adapters.store import connect
    from evalkit.flows.agent.events import Event

    store = connect(uri)
    experiment_id, experiment = _experiment(store, named, uri) if named else ("", "")
    own = _own_experiment(store, request.own_experiment, experiment_id, experiment)
    model = model_of(request, watch)
    budget = budget_of(request, model)
    bench = workbench(request)
    session_id = request.session or placing.new_id(experiment, time.time())
    lasting = placing.lasting(without_password(uri))
    about = known or placing.About(session_id, experiment, experiment_id, lasting)
    if request.session is None:
        about, folder = placing.begin_new(request.volume_path, about)
    else:
        if known is None:
            watch(Event("wait", _newly_named(request)))
        folder = placing.begin(request.volume_path, about)
    from evalkit.flows.agent.directory import SessionDirectory
    from evalkit.flows.agent.evidence import Evidence
    from evalkit.flows.agent.loop import Clock
    from evalkit.flows.agent.sessions import Means

    with placing.held(folder):
        yield Opened(
            Means(
                model,
                SessionDirectory(folder),
                Evidence(store, experiment_id, experiment),
                bench,
                budget,
                watch,
                Clock(lambda: round(time.time() * 1000), time.monotonic),
                placing.lasting(about.tracking_uri),
            ),
            about,
            store,
            own,
            ("--volume-path", request.volume_path) if request.volume_path else (),
        )


def _known(request: Request, *, may_roam: bool) -> placing.About | None:
    """What is known of the session that was named.

    Raises:
        InputError: it is not there and nothing says what it is to be about, or it is about
            something else.
    """
    if request.session is None:
        if request.experiment is None and not may_roam:
            raise InputError(
                Problem(
                    "no experiment is named",
                    field="--experiment-id",
                    fix="name the experiment whose traces are to be looked at, by name or id; or "
                    "a session to go on with, by --session",
                )
            )
        return None
    known = placing.known_session(request.volume_path, request.session)
    if known is None and request.experiment is None and not may_roam:
        raise InputError(
            Problem(
                f"there is no session {request.session}",
                placing.SESSIONS,
                field="--session",
                fix="name one that is there, or an experiment to begin with",
            )
        )
    if known and request.experiment not in {None, known.experiment, known.experiment_id}:
        raise InputError(
            Problem(
                f"the session {known.session_id} is about {known.experiment}, not "
                f"{request.experiment}",
                field="--session",
                fix="leave --experiment-id out, or begin a new session",
            )
        )
    return known


def _newly_named(request: Request) -> str:
    """That a session is begun under a name that somebody may have mistyped."""
    there = placing.session_ids(request.volume_path)
    others = f"; there are {', '.join(there[-5:])}" if there else ""
    return f"there is no session {request.session} yet, so it is begun{others}"


def _experiment(store: Store, named: str, uri: str) -> tuple[str, str]:
    found = store.find_experiment(named)
    if found is None:
        raise InputError(
            Problem(
                f"there is no experiment {named!r} in MLflow at {without_password(uri)}",
                field="--experiment-id",
                fix="name one that is there, by its name or its id",
            )
        )
    return found


def _own_experiment(store: Store, named: str | None, looked_at: str, beside: str) -> str:
    """The id of the experiment for the agent's own traces; made where it is missing.

    Databricks' experiments have names like files; there it lies beside the one that is looked at.
    """
    usual = f"{beside.rpartition('/')[0]}/{OWN_EXPERIMENT}"
    usual = usual if beside.startswith("/") else OWN_EXPERIMENT
    found = store.find_experiment(named or usual)
    if found is None and named and named.isdecimal():
        raise InputError(
            Problem(
                f"there is no experiment {named}",
                field="--mlflow-agent-experiment-id",
                fix="name one that is there by its id, or a new one by a name",
            )
        )
    own = found[0] if found else store.experiment(named or usual, create=True)
    if own == looked_at:
        raise InputError(
            Problem(
                "the agent's own traces would go into the experiment that it looks at",
                field="--mlflow-agent-experiment-id",
                fix="name another experiment for them",
            )
        )
    return own


def _concluded(agent: Opened, conclusion: Any) -> Report:
    """The report; what is to be kept in MLflow is written there first.

    Raises:
        Unfinished: the suite is not verified, or could not be kept.
    """
    means, about = agent.means, agent.about
    report = report_of(
        means.directory,
        about.session_id,
        model=means.model.name,
        confinement=means.workbench.confinement,
        sessions_run=conclusion.sessions_run,
        validation=conclusion.validation,
        verified=conclusion.verified,
    )
    report["experiment"] = about.experiment
    reasons = [] if conclusion.verified else [conclusion.reason]
    try:
        report["kept"] = _keep(agent, conclusion)
    except StoreError as error:
        reasons.append(f"not everything could be kept in MLflow: {error}")
    if reasons:
        options = shlex.join(["agent", "--session", about.session_id, *agent.base])
        again = f"{typed('evalkit')} {options}"
        raise Unfinished(f"{'; '.join(reasons)}\nGo on with: {again}", report)
    return report


def _keep(agent: Opened, conclusion: Any) -> Report:
    from evalkit.flows.agent.keeping import keep_sessions, keep_suite
    from evalkit.flows.agent.sessions import SUITE_EXPERIMENT

    means, about = agent.means, agent.about
    kept: Report = {"own_experiment_id": agent.own_experiment}
    keep_sessions(
        agent.store, agent.own_experiment, means.directory, about.session_id, means.model.name
    )
    if conclusion.verified:
        name = about.experiment + SUITE_EXPERIMENT
        params = {
            "session": about.session_id,
            "model": means.model.name,
            "experiment_id": about.experiment_id,
        }
        metrics = metrics_of(conclusion.validation)
        kept["experiment"] = name
        kept["mlflow_run_id"] = keep_suite(
            agent.store, name, means.directory, about.session_id, params, metrics
        )
    return kept
