"""``evalkit agent``: a request put together and let go, and what is left of it and reported."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from evalkit.agent import self_tracing
from evalkit.agent.model_client import claude
from evalkit.agent.orchestrator import build_suite
from evalkit.agent.request import Request, budget_of
from evalkit.agent.session import (
    ANALYSIS_FILE,
    KEPT_FILE,
    VALIDATION_FILE,
    SessionDirectory,
    find_session,
    new_id,
    start_session,
)
from evalkit.agent.tools import ANNOTATED
from evalkit.agent.work import Event, Watch, Work
from evalkit.context import locate, typed
from evalkit.errors import EvalkitError, InputError, Problem, Unfinished
from evalkit.files import ENV_FILE, read_env_file
from evalkit.jsonable import list_of, truncate
from evalkit.store.warehouse import WAREHOUSE
from evalkit.suite.model import SCORERS_FILE
from evalkit.suite.sandbox import Policy, Sandbox
from evalkit.traces.sample import HOPELESS
from evalkit.tracking import without_password

if TYPE_CHECKING:
    from evalkit.store import Store

OWN_EXPERIMENT = "evalkit-agent"
"""Where the agent's own traces go unless told otherwise."""

LEAST_MLFLOW = (3, 17)

Report = dict[str, Any]


def build(request: Request, watch: Watch) -> Report:
    """Build a suite from the traces of an experiment, or go on building it.

    What ``watch`` raises ends the work, which can be gone on with.

    Returns:
        As of :func:`report_of`, and ``kept``: the MLflow experiment, dataset and run that hold the
        suite, issues in the experiment of the traces, and the agent's own experiment.

    Raises:
        InputError: the request is wrong; nothing was started.
        StoreAbsent: MLflow cannot be reached; nothing was started.
        Unfinished: there is no verified suite; says why and how to go on.
    """
    with opened(request, watch) as work:
        kept = Report()
        try:
            reason = build_suite(work)
        except KeyboardInterrupt:
            reason = "interrupted"
        except EvalkitError as error:
            reason = str(error)
        reasons = [reason] if reason else []
        try:
            kept = leave(work, verified=not reason)
        except EvalkitError as error:
            reasons.append(f"not everything could be kept: {error}")
        report = report_of(work, sessions_run=work.led, verified=not reason, kept=kept)
        if reasons:
            base = ("--volume-path", request.volume_path) if request.volume_path else ()
            options = shlex.join(["agent", "--session", work.session.about.session_id, *base])
            again = f"\nGo on with: {typed('evalkit')} {options}"
            on = "" if reason in HOPELESS else again
            raise Unfinished(f"{'; '.join(reasons)}{on}", report)
        return report


@contextmanager
def opened(request: Request, watch: Watch) -> Iterator[Work]:
    """What the agent works with; its session is kept from other processes meanwhile."""
    request.check()
    there, least = version("mlflow"), ".".join(map(str, LEAST_MLFLOW))
    if tuple(map(int, there.split(".")[:2])) < LEAST_MLFLOW:
        what = f"the agent needs MLflow {least} or newer, and {there} is installed"
        fix = f"pip install 'mlflow>={least}'; all other stages work as they are"
        raise InputError(Problem(what, fix=fix))
    session = _known(request)
    uri, named = aim(request, session)
    from evalkit.store import connect

    store = connect(uri)
    found = store.find_experiment(named)
    if found is None:
        what = f"there is no experiment {named!r} in MLflow at {without_password(uri)}"
        raise _refused("--experiment-id", what, "name one that is there, by its name or its id")
    experiment_id, experiment = found
    model, _ = claude(request, lambda text: watch(Event("wait", text)))
    own = ""  # rules have no conversations to write down
    if model or request.mlflow_agent_experiment_id:
        own = _own_experiment(store, request, experiment, experiment_id)
    budget, sandbox = budget_of(request, model), sandbox_of(request)
    if session is None:
        if request.session:
            watch(Event("wait", f"there is no session {request.session} yet, so it is started"))
        named = request.session or new_id(experiment)
        session = start_session(request.volume_path, named, experiment, experiment_id, uri)
    with session.held():
        yield Work(model, session, store, sandbox, budget, watch, own)


def sandbox_of(request: Request) -> Sandbox:
    """Where code of a suite runs; an InputError where it cannot be confined and has to be."""
    return Sandbox(Policy(request.unconfined, request.allow_network, request.pass_env))


def aim(request: Request, session: SessionDirectory | None = None) -> tuple[str, str]:
    """The tracking URI and the experiment, by name or id; MLflow is told the SQL warehouse.

    ``session`` is the one that the request names, if that is there. Without it, and where the
    request names no experiment, the config's is meant; an InputError where that is wrong.
    """
    if request.sql_warehouse_id:
        os.environ[WAREHOUSE] = request.sql_warehouse_id  # MLflow looks nowhere else
    about = session.about if session else None
    experiment = about.experiment_id if about else request.experiment_id
    environment = {**read_env_file(Path(ENV_FILE)), **os.environ}
    tracking, named = locate(request.config, experiment, request.tracking_uri, environment)
    if about and not request.tracking_uri and without_password(tracking.uri) != about.tracking_uri:
        return about.tracking_uri, named
    return tracking.uri, named


def _known(request: Request) -> SessionDirectory | None:
    """The session that was named; None where one is to be started."""
    known = find_session(request.volume_path, request.session) if request.session else None
    if known is None and request.experiment_id is None:
        if request.session:
            what, flag = f"there is no session {request.session}", "--session"
            raise _refused(flag, what, "name one that is there, or an experiment to start with")
        fix = "name the experiment whose traces are to be looked at, by name or id; or a session "
        fix += "to go on with, by --session"
        raise _refused("--experiment-id", "no experiment is named", fix)
    about = known.about if known else None
    if about and request.experiment_id not in {None, about.experiment, about.experiment_id}:
        what = f"the session {about.session_id} is about {about.experiment}, not "
        fix = "leave --experiment-id out, or start a new session"
        raise _refused("--session", f"{what}{request.experiment_id}", fix)
    return known


def _own_experiment(store: Store, request: Request, beside: str, looked_at: str) -> str:
    """The id of the experiment for the agent's own traces; made where it is missing.

    Databricks' experiments have names like files; there it lies beside the one that is looked at.
    """
    named, flag = request.mlflow_agent_experiment_id, "--mlflow-agent-experiment-id"
    folder, slash, _ = beside.rpartition("/") if beside.startswith("/") else ("", "", "")
    wanted = named or f"{folder}{slash}{OWN_EXPERIMENT}"
    found = store.find_experiment(wanted)
    if found is None and wanted.isdecimal():
        fix = "name one that is there by its id, or a new one by a name"
        raise _refused(flag, f"there is no experiment {named}", fix)
    own = found[0] if found else store.experiment(wanted, create=True)
    if own == looked_at:
        what = "the agent's own traces would go into the experiment that it looks at"
        raise _refused(flag, what, "name another experiment for them")
    return own


def _refused(flag: str, what: str, fix: str) -> InputError:
    return InputError(Problem(what, field=flag, fix=fix))


def report_of(work: Work, **more: Any) -> Report:
    """The report of the agent's work so far.

    Returns:
        ``validation`` (what the program found of the suite, people's verdicts first), ``session``
        (its folder), ``session_id``, ``sessions_run`` (this time), ``tasks`` (one object each),
        ``artifacts`` (name to path), ``usage`` (of all sessions), ``confinement``, ``model``,
        ``verified``, ``experiment``, ``tracking_uri`` (without a password), and ``annotations``
        (what was noted on production traces).
    """
    session = work.session
    names = [name for name in session.names("evaluation/") if name.count("/") == 1]
    return {
        "validation": session.read_json(VALIDATION_FILE),
        "session": session.location,
        "session_id": session.about.session_id,
        "sessions_run": 1,
        "tasks": msgspec.to_builtins(session.tasks),
        "artifacts": {Path(name).stem: f"{session.location}/{name}" for name in names},
        "usage": session.spent().as_json(),
        "confinement": work.sandbox.name,
        "model": work.model_name,
        "verified": False,
        "experiment": session.about.experiment,
        "tracking_uri": session.about.tracking_uri,
        "annotations": [session.read_json(name) for name in session.names(ANNOTATED)],
        **more,
    }


def leave(work: Work, *, verified: bool) -> Report:
    """Write the suite's own files, and what MLflow is to keep of one that is verified.

    Nothing is written of a suite that there was no need to look at this time. Where MLflow failed,
    doing the same again finishes.
    """
    session, about, found = work.session, work.session.about, work.found
    self_tracing.write(work.store, work.own_experiment, session)
    files = session.files()
    if found and SCORERS_FILE in files:
        from evalkit.suite import registry

        rows = work.survey.rows
        made = registry.suite_files(rows, found, about.experiment, about.tracking_uri)
        for path, content in made.items():
            if session.read(path) != content:
                session.write(path, content)
        if verified and not work.kept:
            params = {"session": about.session_id, "experiment_id": about.experiment_id}
            kept = registry.keep(
                *(work.store, about.experiment, rows, files, found),
                session_id=about.session_id,
                params={"model": work.model_name, **params},
            )
            kept["mlflow_run_id"] = kept.pop("run_id")
            kept["issues"] = [*_issues(work)]
            session.save(KEPT_FILE, {"suite": session.suite_hash, "kept": kept})
    return {"own_experiment_id": work.own_experiment, **work.kept}


def _issues(work: Work) -> Iterator[Report]:
    """What the model that planned found out, kept as MLflow Issues; rules find nothing that is."""
    findings = work.session.read_json(ANALYSIS_FILE).get("findings") if work.model else None
    for each in list_of(findings):
        what, evidence = str(each.get("what", "")), each.get("evidence") or []
        if what and evidence:
            name, about = truncate(what, 80), work.session.about.experiment_id
            issue_id = work.store.write_issue(about, name, what, evidence)
            yield {"issue_id": issue_id, "name": name, "trace_ids": evidence}
