"""What the agent works with, put together from a request: MLflow, model, session, budget."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.adapters.files.env_file import ENV_FILE, read_env_file
from evalkit.agent import location
from evalkit.agent.loop import Event, Watch
from evalkit.agent.model_client import claude
from evalkit.agent.plan import Budget, Task
from evalkit.agent.request import Request, budget_of
from evalkit.agent.session import ANALYSIS_FILE, NOTES_FILE, About, SessionDirectory, SessionKind
from evalkit.core.errors import InputError, Problem
from evalkit.core.masking import mask_text
from evalkit.core.tracking import without_password
from evalkit.core.values import well_formed
from evalkit.suite.model import LIMITS_FILE, SCORERS_FILE
from evalkit.workspace import locate

if TYPE_CHECKING:
    from evalkit.adapters.store import Store
    from evalkit.agent.claude import Claude
    from evalkit.suite.runner import Runner
    from evalkit.suite.sandbox import Sandbox
    from evalkit.traces.sample import Survey

OWN_EXPERIMENT = "evalkit-agent"
"""Where the agent's own traces go unless told otherwise."""

LEAST_MLFLOW = (3, 17)
WAREHOUSE = "MLFLOW_TRACING_SQL_WAREHOUSE_ID"

MOST_BYTES = 9_000
"""Of a tool's result, as UTF-8."""

FILES_SHOWN = {SCORERS_FILE: 14_000, LIMITS_FILE: 3_000, NOTES_FILE: 3_000}
"""What a session is shown of the files that are there, with the most bytes."""


@dataclass
class Work:
    """What the agent works with; without a model rules do the work.

    ``own_experiment`` is the id of the experiment for the agent's own traces.
    """

    model: Claude | None
    session: SessionDirectory
    store: Store
    sandbox: Sandbox
    budget: Budget
    watch: Watch
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


def prompt(kind: SessionKind) -> str:
    """What a model is told that it is and is to do in a session of that kind."""
    folder = resources.files(__package__) / "prompts"
    return "\n".join((folder / f"{name}.md").read_text("utf-8") for name in (kind, "scorers"))


def opening_message(work: Work, kind: SessionKind, task: Task | None) -> str:
    """What a session is told first: its task, what is there, and what the traces say."""
    from evalkit.traces.report import opening

    parts = [f"Experiment: {work.session.about.experiment}."]
    if kind == "initializer":
        parts.append("Look at the traces and plan the suite.")
    if task is not None:
        parts.append(f"Your task ({task.task_id}): {task.title}\n{task.instructions}".strip())
        if task.failure:
            parts.append(f"The program's check says:\n{bounded(task.failure)}")
    for path, most in FILES_SHOWN.items():
        if content := work.session.folder.read(path):
            text = bounded(content.decode(errors="replace"), most)
            parts.append(f"{path} as it is:\n~~~\n{text}\n~~~")
    parts.append(opening(work.survey, most_chars=14_000 if kind == "initializer" else 9_000))
    return "\n\n".join(parts)


def bounded(text: str, most: int = MOST_BYTES) -> str:
    """The text without secrets, cut where it is too long for a conversation."""
    raw = mask_text(str(well_formed(text)))[0].encode()
    if len(raw) <= most:
        return raw.decode()
    kept = raw[: most - 100].decode(errors="ignore")
    return f"{kept}\n… cut here: {len(raw) - len(kept.encode()):,} bytes more. Ask for less."


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
    there, least = version("mlflow"), ".".join(map(str, LEAST_MLFLOW))
    if tuple(map(int, there.split(".")[:2])) < LEAST_MLFLOW:
        what = f"the agent needs MLflow {least} or newer, and {there} is installed"
        fix = f"pip install 'mlflow>={least}'; all other stages work as they are"
        raise InputError(Problem(what, fix=fix))
    session = _known(request)
    uri, named = aim(request, session)
    from evalkit.adapters.store import connect
    from evalkit.suite.sandbox import Policy, Sandbox

    store = connect(uri)
    found = store.find_experiment(named)
    if found is None:
        what = f"there is no experiment {named!r} in MLflow at {without_password(uri)}"
        raise _refused("--experiment-id", what, "name one that is there, by its name or its id")
    experiment_id, experiment = found
    own = _own_experiment(store, request.own_experiment, experiment_id, experiment)
    model, _ = claude(request, lambda text: watch(Event("wait", text)))
    budget = budget_of(request, model)
    rules = Policy(
        unconfined=request.unconfined,
        allow_network=request.allow_network,
        pass_env=request.pass_env,
    )
    if session is None:
        base, chosen = request.volume_path, request.session
        if chosen:
            others = ", ".join(location.session_ids(base)[-5:])
            there_are = f"; there are {others}" if others else ""
            watch(Event("wait", f"there is no session {chosen} yet, so it is started{there_are}"))
        session_id = chosen or location.new_id(experiment, time.time())
        lasting = location.lasting(without_password(uri))
        about = About(session_id, experiment, experiment_id, lasting)
        session = location.start_session(base, about, is_named=bool(chosen))
    with location.held(session):
        yield Work(model, session, store, Sandbox(rules), budget, watch, own)


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


def _known(request: Request) -> SessionDirectory | None:
    """The session that was named; None where one is to be started."""
    if request.session is None and request.experiment is None:
        fix = "name the experiment whose traces are to be looked at, by name or id; or a session "
        fix += "to go on with, by --session"
        raise _refused("--experiment-id", "no experiment is named", fix)
    if request.session is None:
        return None
    known = location.find_session(request.volume_path, request.session)
    if known is None and request.experiment is None:
        fix = "name one that is there, or an experiment to start with"
        raise _refused("--session", f"there is no session {request.session}", fix)
    about = known.about if known else None
    if about and request.experiment not in {None, about.experiment, about.experiment_id}:
        what = f"the session {about.session_id} is about {about.experiment}, not "
        fix = "leave --experiment-id out, or start a new session"
        raise _refused("--session", f"{what}{request.experiment}", fix)
    return known


def _own_experiment(store: Store, named: str | None, looked_at: str, beside: str) -> str:
    """The id of the experiment for the agent's own traces; made where it is missing.

    Databricks' experiments have names like files; there it lies beside the one that is looked at.
    """
    usual = f"{beside.rpartition('/')[0]}/{OWN_EXPERIMENT}"
    wanted = named or (usual if beside.startswith("/") else OWN_EXPERIMENT)
    found, flag = store.find_experiment(wanted), "--mlflow-agent-experiment-id"
    if found is None and named and named.isdecimal():
        fix = "name one that is there by its id, or a new one by a name"
        raise _refused(flag, f"there is no experiment {named}", fix)
    own = found[0] if found else store.experiment(wanted, create=True)
    if own == looked_at:
        what = "the agent's own traces would go into the experiment that it looks at"
        raise _refused(flag, what, "name another experiment for them")
    return own


def _refused(flag: str, what: str, fix: str) -> InputError:
    return InputError(Problem(what, field=flag, fix=fix))
