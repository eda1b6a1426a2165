"""What the agent works with, put together from a request: MLflow, model, session, budget."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.adapters.files.env_file import ENV_FILE, read_env_file
from evalkit.agent import location
from evalkit.agent.loop import Clock, Event, Watch
from evalkit.agent.model_client import Model, claude
from evalkit.agent.plan import Budget, Limits
from evalkit.agent.request import USUAL_USD, Request
from evalkit.agent.session import ANALYSIS_FILE, About, SessionDirectory
from evalkit.core.errors import InputError, Problem
from evalkit.core.tracking import without_password
from evalkit.workspace import locate

if TYPE_CHECKING:
    from evalkit.adapters.store import Store
    from evalkit.suite.runner import Runner
    from evalkit.suite.sandbox import Sandbox
    from evalkit.traces.sample import Survey

OWN_EXPERIMENT = "evalkit-agent"
"""Where the agent's own traces go unless told otherwise."""

LEAST_MLFLOW = (3, 17)
WAREHOUSE = "MLFLOW_TRACING_SQL_WAREHOUSE_ID"


@dataclass
class Work:
    """What the agent works with; traces are read when they are first needed.

    Attributes:
        model: Whoever answers; None where rules do the work.
        session: The session directory.
        store: The MLflow with the traces.
        sandbox: Where code runs.
        budget: What may be spent.
        watch: Told what happens.
        clock: The time.
        own_experiment: The id of the experiment for the agent's own traces.
    """

    model: Model | None
    session: SessionDirectory
    store: Store
    sandbox: Sandbox
    budget: Budget
    watch: Watch
    clock: Clock
    own_experiment: str

    @cached_property
    def survey(self) -> Survey:
        """The traces: counted, all of them; whole, the same ones for all of a session's life.

        Raises:
            StoreError: MLflow failed.
        """
        from evalkit.traces.sample import survey

        kept = self.session.read_json(ANALYSIS_FILE)
        known = kept.get("trace_ids")
        ids = [str(each) for each in known] if isinstance(known, list) else []
        self.watch(Event("wait", f"reading the traces of {self.session.about.experiment}"))
        found = survey(self.store, self.session.about.experiment_id, trace_ids=ids)
        now = {"trace_ids": ids or list(found.trace_ids), "is_sample": found.is_sample}
        self.session.write_json(ANALYSIS_FILE, {**kept, **now, "counted": dict(found.analysis)})
        return found

    @cached_property
    def runner(self) -> Runner:
        """Where the code of a suite runs, over these traces."""
        from evalkit.suite.runner import Runner

        return Runner(self.sandbox, self.survey.rows)


@contextmanager
def opened(request: Request, watch: Watch) -> Iterator[Work]:
    """What the agent works with; its session is kept from other processes meanwhile.

    Args:
        request: What is asked for.
        watch: Told what happens.

    Raises:
        InputError: the request is wrong.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    request.check()
    _check_mlflow()
    session = _known(request)
    uri, named = aim(request, session)
    from evalkit.adapters.store import connect
    from evalkit.suite.sandbox import Policy, Sandbox

    store = connect(uri)
    experiment_id, experiment = _experiment(store, named, uri)
    own = _own_experiment(store, request.own_experiment, experiment_id, experiment)
    model = claude(request, lambda text: watch(Event("wait", text)))
    budget = budget_of(request, model)
    sandbox = Sandbox(
        Policy(
            unconfined=request.unconfined,
            allow_network=request.allow_network,
            pass_env=request.pass_env,
        )
    )
    if session is None:
        if request.session:
            watch(Event("wait", _newly_named(request)))
        session_id = request.session or location.new_id(experiment, time.time())
        lasting = location.lasting(without_password(uri))
        about = About(session_id, experiment, experiment_id, lasting)
        session = location.start_session(request.volume_path, about, is_named=bool(request.session))
    clock = Clock(lambda: round(time.time() * 1000), time.monotonic)
    with location.held(session):
        yield Work(model, session, store, sandbox, budget, watch, clock, own)


def aim(request: Request, session: SessionDirectory | None = None) -> tuple[str, str]:
    """The tracking URI and the experiment, by name or id; MLflow is told the SQL warehouse.

    Args:
        request: What is asked for; where it names no experiment, the config's is meant.
        session: The session that it names, if that is there.

    Raises:
        InputError: the config is wrong, or missing where it is needed.
    """
    if request.sql_warehouse_id:
        os.environ[WAREHOUSE] = request.sql_warehouse_id  # MLflow looks nowhere else
    about = session.about if session else None
    experiment = about.experiment_id if about else request.experiment
    environment = {**read_env_file(Path(ENV_FILE)), **os.environ}
    tracking, named = locate(request.config, experiment, request.tracking_uri, environment)
    if about and not request.tracking_uri and without_password(tracking.uri) != about.tracking_uri:
        return about.tracking_uri, named
    return tracking.uri, named


def budget_of(request: Request, model: Model | None) -> Budget:
    """What may be spent.

    Raises:
        InputError: the model's price is not known and no number of tokens was named, so that
            nothing would bound what it costs.
    """
    usd = request.max_cost
    if model is not None and not model.is_priced and request.max_tokens is None:
        raise InputError(
            Problem(
                f"the price of {model.name} is not known, so its cost cannot be bounded",
                field="--max-tokens",
                fix="say how many tokens it may take in total, such as --max-tokens 2000000",
            )
        )
    if usd is None and (model is None or model.is_priced):
        usd = USUAL_USD
    return Budget(
        Limits(
            request.session_turns,
            request.session_tokens,
            request.session_cost,
            request.session_minutes,
        ),
        Limits(request.max_turns, request.max_tokens, usd, request.max_minutes),
        request.max_sessions,
    )


def _check_mlflow() -> None:
    there = version("mlflow")
    if tuple(map(int, there.split(".")[:2])) < LEAST_MLFLOW:
        least = ".".join(map(str, LEAST_MLFLOW))
        raise InputError(
            Problem(
                f"the agent needs MLflow {least} or newer, and {there} is installed",
                fix=f"pip install 'mlflow>={least}'; all other stages work as they are",
            )
        )


def _known(request: Request) -> SessionDirectory | None:
    """The session that was named; None where one is to be started.

    Raises:
        InputError: nothing says what it is to be about, or it is about something else.
    """
    if request.session is None and request.experiment is None:
        fix = "name the experiment whose traces are to be looked at, by name or id; or a session "
        fix += "to go on with, by --session"
        raise InputError(Problem("no experiment is named", field="--experiment-id", fix=fix))
    if request.session is None:
        return None
    known = location.find_session(request.volume_path, request.session)
    if known is None and request.experiment is None:
        raise InputError(
            Problem(
                f"there is no session {request.session}",
                location.SESSIONS,
                field="--session",
                fix="name one that is there, or an experiment to start with",
            )
        )
    about = known.about if known else None
    if about and request.experiment not in {None, about.experiment, about.experiment_id}:
        raise InputError(
            Problem(
                f"the session {about.session_id} is about {about.experiment}, not "
                f"{request.experiment}",
                field="--session",
                fix="leave --experiment-id out, or start a new session",
            )
        )
    return known


def _newly_named(request: Request) -> str:
    """That a session is started under a name that somebody may have mistyped."""
    there = location.session_ids(request.volume_path)
    others = f"; there are {', '.join(there[-5:])}" if there else ""
    return f"there is no session {request.session} yet, so it is started{others}"


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
    wanted = named or (usual if beside.startswith("/") else OWN_EXPERIMENT)
    found, flag = store.find_experiment(wanted), "--mlflow-agent-experiment-id"
    if found is None and named and named.isdecimal():
        fix = "name one that is there by its id, or a new one by a name"
        raise InputError(Problem(f"there is no experiment {named}", field=flag, fix=fix))
    own = found[0] if found else store.experiment(wanted, create=True)
    if own == looked_at:
        what = "the agent's own traces would go into the experiment that it looks at"
        raise InputError(Problem(what, field=flag, fix="name another experiment for them"))
    return own
