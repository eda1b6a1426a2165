"""``evalkit agent``: a request put together and let go, and what is left of it and reported."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.adapters.files.env_file import ENV_FILE, read_env_file
from evalkit.agent import location, self_tracing
from evalkit.agent.loop import Clock, Event, Watch
from evalkit.agent.model_client import Claude, claude
from evalkit.agent.model_settings import OFFLINE
from evalkit.agent.orchestrator import Conclusion, build_suite, suite_hash
from evalkit.agent.plan import Budget, Limits, Plan
from evalkit.agent.request import USUAL_USD, Request
from evalkit.agent.session import ANALYSIS_FILE, KEPT_FILE, VALIDATION_FILE, About, SessionDirectory
from evalkit.agent.tools import Work, annotations_of
from evalkit.core.brevity import short
from evalkit.core.content import mapping_of
from evalkit.core.errors import EvalkitError, InputError, Problem, Unfinished
from evalkit.core.tracking import without_password
from evalkit.invocation import typed
from evalkit.suite.model import SCORERS_FILE
from evalkit.workspace import locate

if TYPE_CHECKING:
    from evalkit.adapters.store import Store

Report = dict[str, Any]

OWN_EXPERIMENT = "evalkit-agent"
"""Where the agent's own traces go unless told otherwise."""

LEAST_MLFLOW = (3, 17)
WAREHOUSE = "MLFLOW_TRACING_SQL_WAREHOUSE_ID"


def build(request: Request, watch: Watch) -> Report:
    """Build a suite from the traces of an experiment, or go on building it.

    Args:
        request: What is asked for.
        watch: Told what happens; what it raises ends the work, which can be gone on with.

    Returns:
        As of :func:`report_of`, and ``kept``: the MLflow experiment, dataset and run that hold the
        suite, issues in the experiment of the traces, and the agent's own experiment.

    Raises:
        InputError: the request is wrong; nothing was started.
        StoreAbsent: MLflow cannot be reached; nothing was started.
        Unfinished: there is no verified suite; says why and how to go on.
    """
    with opened(request, watch) as work:
        try:
            conclusion = build_suite(work)
        except KeyboardInterrupt:
            conclusion = Conclusion("interrupted")
        except EvalkitError as error:
            conclusion = Conclusion(str(error))
        reasons, kept = [conclusion.reason] if conclusion.reason else [], {}
        try:
            kept = _leave(work, conclusion)
        except EvalkitError as error:
            reasons.append(f"not everything could be kept: {error}")
        verified = not conclusion.reason
        report = report_of(work, sessions_run=conclusion.sessions_run, verified=verified, kept=kept)
        if reasons:
            base = ("--volume-path", request.volume_path) if request.volume_path else ()
            options = shlex.join(["agent", "--session", work.session.about.session_id, *base])
            again = f"{typed('evalkit')} {options}"
            raise Unfinished(f"{'; '.join(reasons)}\nGo on with: {again}", report)
        return report


def report_of(work: Work, **more: Any) -> Report:
    """The report of the agent's work so far.

    Returns:
        ``validation`` (what the program found of the suite, people's verdicts first), ``session``
        (its folder), ``session_id``, ``sessions_run`` (this time), ``tasks`` (one object each),
        ``artifacts`` (name to path), ``usage`` (of all sessions), ``confinement``, ``model``,
        ``verified``, ``experiment``, and ``annotations`` (what was noted on production traces).
    """
    session = work.session
    folder, plan = session.folder, session.plan() or Plan(())
    names = [name for name in folder.names("evaluation/") if name.count("/") == 1]
    found = session.read_json(VALIDATION_FILE)
    return {
        "validation": {name: found[name] for name in sorted(found, key=lambda n: n != "people")},
        "session": folder.location,
        "session_id": session.about.session_id,
        "sessions_run": 1,
        "tasks": [asdict(task) for task in plan.tasks],
        "artifacts": {Path(name).stem: f"{folder.location}/{name}" for name in names},
        "usage": session.spent().as_json(),
        "confinement": work.sandbox.name,
        "model": work.model.name if work.model else OFFLINE,
        "verified": False,
        "experiment": session.about.experiment,
        "annotations": annotations_of(session),
        **more,
    }


def _leave(work: Work, conclusion: Conclusion) -> Report:
    """Write the suite's own files, and what MLflow is to keep.

    Raises:
        StoreError: MLflow failed; doing the same again finishes.
    """
    session, about = work.session, work.session.about
    self_tracing.write(work.store, work.own_experiment, session)
    files, found = session.files(), conclusion.verification
    if found is not None and SCORERS_FILE in files:
        from evalkit.suite import registry

        rows = work.survey.rows
        for path, content in registry.suite_files(rows, found, about.experiment).items():
            if session.folder.read(path) != content:
                session.folder.write(path, content)
        if not conclusion.reason:
            model = work.model.name if work.model else OFFLINE
            params = {"model": model, "experiment_id": about.experiment_id}
            kept = registry.keep(
                work.store,
                about.experiment,
                rows,
                files,
                found,
                session_id=about.session_id,
                params={"session": about.session_id, **params},
            )
            kept["mlflow_run_id"] = kept.pop("run_id")
            kept["issues"] = registry.keep_issues(work.store, about.experiment_id, _findings(work))
            session.write_json(KEPT_FILE, {"suite": suite_hash(files), "kept": kept})
    left = mapping_of(session.read_json(KEPT_FILE).get("kept"))
    return {"own_experiment_id": work.own_experiment, **left}


def _findings(work: Work) -> Iterator[dict[str, Any]]:
    """What the model that planned found out, as issues; rules find nothing that is one."""
    findings = work.session.read_json(ANALYSIS_FILE).get("findings") if work.model else None
    for each in findings if isinstance(findings, list) else ():
        what, evidence = str(each.get("what", "")), each.get("evidence") or []
        if what and evidence:
            yield {"name": short(what, 80), "description": what, "trace_ids": evidence}


# -- putting it together ----------------------------------------------------------------------


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


def budget_of(request: Request, model: Claude | None) -> Budget:
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
