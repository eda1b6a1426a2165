"""``evalkit agent``: a request put together and let go, and what is left of it and reported."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evalkit.agent import self_tracing
from evalkit.agent.loop import Watch
from evalkit.agent.model_client import OFFLINE
from evalkit.agent.orchestrator import Conclusion, Orchestrator
from evalkit.agent.plan import Plan
from evalkit.agent.request import Request
from evalkit.agent.session import ANALYSIS_FILE, KEPT_FILE, VALIDATION_FILE, SessionDirectory
from evalkit.agent.tools import annotations_of
from evalkit.agent.work import Work, opened
from evalkit.core.brevity import short
from evalkit.core.content import mapping_of
from evalkit.core.errors import EvalkitError, Unfinished
from evalkit.invocation import typed
from evalkit.suite.model import SCORERS_FILE

Report = dict[str, Any]


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
            conclusion = Orchestrator(work).run()
        except KeyboardInterrupt:
            conclusion = Conclusion("interrupted")
        except EvalkitError as error:
            conclusion = Conclusion(str(error))
        from evalkit.traces.sample import HOPELESS

        reasons, kept = [conclusion.reason] if conclusion.reason else [], {}
        try:
            kept = leave(work, conclusion)
        except EvalkitError as error:
            reasons.append(f"not everything could be kept: {error}")
        verified = not conclusion.reason
        report = report_of(work, sessions_run=conclusion.sessions_run, verified=verified, kept=kept)
        if reasons:
            base = ("--volume-path", request.volume_path) if request.volume_path else ()
            options = shlex.join(["agent", "--session", work.session.about.session_id, *base])
            again = f"{typed('evalkit')} {options}"
            on = "" if conclusion.reason in HOPELESS else f"\nGo on with: {again}"
            raise Unfinished(f"{'; '.join(reasons)}{on}", report)
        return report


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
        "tracking_uri": session.about.tracking_uri,
        "annotations": annotations_of(session),
        **more,
    }


def leave(work: Work, conclusion: Conclusion) -> Report:
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
        if not (conclusion.reason or kept_suite(session)):
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
            session.write_json(KEPT_FILE, {"suite": session.suite_hash, "kept": kept})
    left = mapping_of(session.read_json(KEPT_FILE).get("kept"))
    return {"own_experiment_id": work.own_experiment, **left}


def kept_suite(session: SessionDirectory) -> Report:
    """Where MLflow holds the suite as it is; empty where that was not kept."""
    left = session.read_json(KEPT_FILE)
    return dict(mapping_of(left.get("kept"))) if left.get("suite") == session.suite_hash else {}


def _findings(work: Work) -> Iterator[dict[str, Any]]:
    """What the model that planned found out, as issues; rules find nothing that is one."""
    findings = work.session.read_json(ANALYSIS_FILE).get("findings") if work.model else None
    for each in findings if isinstance(findings, list) else ():
        what, evidence = str(each.get("what", "")), each.get("evidence") or []
        if what and evidence:
            yield {"name": short(what, 80), "description": what, "trace_ids": evidence}
