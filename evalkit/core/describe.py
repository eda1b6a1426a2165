"""A finished run in MLflow's words: its params, metrics, tags and table of scores."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator

from evalkit.core.results import Run, Score
from evalkit.core.thresholds import breaches, thresholds, unmeasured
from evalkit.entities import QUALITY_CRITERIA_TAG
from evalkit.jsonable import Json, canonical, derive_id
from evalkit.project import Project
from evalkit.tokens import Consumption

TABLE_COLUMNS = ("case_id", "judge", "value", "rationale", "error", "judge_type")


def run_key(experiment_id: str, project: Project, run_id: str) -> str:
    """The run's key: what it is, wherever and whenever it is logged."""
    return derive_id(experiment_id, project.name, run_id)


def trace_id(key: str, case_id: str | None) -> str:
    """The id of a case's trace, or of the whole batch run's."""
    return "tr-" + (derive_id(key, "case", case_id) if case_id is not None else derive_id(key))


def version_id(trace_id_: str, content_hash: str) -> str:
    """The id of a trace with this content: another content, another trace."""
    return "tr-" + derive_id(trace_id_, content_hash)


def params(project: Project, run: Run) -> dict[str, str]:
    """What was evaluated, and how."""
    known = {
        "skill": project.skill,
        "runner.type": project.runner,
        "model": run.model,
        "run_id": run.run_id,
        "execution_mode": run.mode,
        "agent": run.agent,
        **{f"eval_params/{name}": value for name, value in run.eval_params.items()},
    }
    return {name: value for name, value in known.items() if value}


def metrics(project: Project, run: Run) -> dict[str, float]:
    """Figures by metric name.

    ``{judge}/mean``, ``{judge}/pass_rate`` and whatever else the summary holds per judge; how
    many ``executions_failed``; of the execution ``duration_s``, ``cost_usd``, ``num_turns``,
    ``num_cases``, ``tokens/{kind}``; by model ``cost_usd/{model}``, ``tokens/{kind}/{model}``;
    ``thresholds_failed`` and ``thresholds_unknown``.
    """
    found = {
        f"{judge}/{name}": value
        for judge, figures in run.judges.items()
        for name, value in figures.items()
        if value is not None
    }
    found |= dict(_execution(run.usage))
    found |= run.figures
    found["num_cases"] = len(run.cases)
    if run.failed or not run.usage.exit_code:  # else how many failed is not known
        found["executions_failed"] = len(run.failed)
    if project.thresholds or project.doubts:
        found["thresholds_failed"] = len(breaches(project, run))
        found["thresholds_unknown"] = len(unknowns(project, run))
        found |= {b.metric: b.actual for b in thresholds(project, run) if b.actual is not None}
    return {name: float(value) for name, value in found.items()}


def is_of_judge(metric: str) -> bool:
    """Whether a metric is a figure that every judge has."""
    return metric.endswith(("/mean", "/pass_rate"))


def _execution(usage: Consumption) -> Iterator[tuple[str, float]]:
    for name in ("duration_s", "cost_usd", "num_turns", "exit_code"):
        value = getattr(usage, name)
        if value is not None:
            yield name, value
    for kind, count in usage.tokens.items():
        yield f"tokens/{kind}", count
    for model, figures in usage.per_model.items():
        for kind, value in figures.items():
            yield (f"cost_usd/{model}" if kind == "cost_usd" else f"tokens/{kind}/{model}"), value


def tags(project: Project, run: Run) -> dict[str, str]:
    """``regressions_detected`` (yes, no or unknown), ``num_judges``, and the config's own tags.

    ``evalkit.regressions`` says which thresholds fail, ``evalkit.unmeasured`` which could not be
    looked at; ``none`` where there is none, so that a tag from an earlier time does not stay.
    MLflow shows the run among its evaluations, with the thresholds as its quality criteria.
    """
    judges = set(run.judges) | {score.judge for score in run.scores}
    found = {
        **run.origin,
        **project.tags,
        "mlflow.runType": "genai_evaluate",
        QUALITY_CRITERIA_TAG: criteria(
            (bound.metric, "LTE" if bound.kind.startswith("max_") else "GTE", bound.bound)
            for bound in thresholds(project, run)
        ),
        **{f"validity/{name}": value for name, value in run.validity.items()},
        "regressions_detected": (
            "yes" if breaches(project, run) else "unknown" if unknowns(project, run) else "no"
        ),
        "num_judges": str(len(judges)),
        "evalkit.eval": project.name,
        "evalkit.regressions": "; ".join(regressions(project, run)) or "none",
        "evalkit.unmeasured": "; ".join(unknowns(project, run)) or "none",
    }
    return {name: value for name, value in found.items() if value}


def regressions(project: Project, run: Run) -> list[str]:
    """The thresholds that the run misses, each as ``judge min_mean 3.5, is 3.2``."""
    return [f"{b.judge} {b.kind} {b.bound:g}, is {b.actual:g}" for b in breaches(project, run)]


def criteria(bounds: Iterable[tuple[str, str, float]]) -> str:
    """Bounds as MLflow's evaluation pages read them; empty where there are none.

    Args:
        bounds: Of each the metric, ``GTE`` or ``LTE``, and the threshold.
    """
    rules: Json = [{"metricKey": m, "comparator": c, "threshold": t} for m, c, t in bounds]
    revision = str(uuid.UUID(derive_id(canonical(rules))))
    found = {"schemaVersion": 1, "revision": revision, "rules": rules}
    return json.dumps(found, separators=(",", ":")) if rules else ""


def unknowns(project: Project, run: Run) -> list[str]:
    """What nobody can say of the run: which thresholds it meets, or, without scores, anything."""
    return [
        *(["no scores"] if project.judges and not (run.scores or run.judges) else []),
        *(f"{b.judge} {b.kind}" for b in unmeasured(project, run)),
        *(each.field.removeprefix("thresholds.").replace(".", " ") for each in project.doubts),
    ]


def table(scores: Iterable[Score]) -> dict[str, list[Json]]:
    """Every score as one row, by column (:data:`TABLE_COLUMNS`); values keep their types."""
    rows: list[tuple[Json, ...]] = [
        (s.case_id, s.judge, s.value, s.rationale, s.error, s.judge_type) for s in scores
    ]
    return {name: [row[i] for row in rows] for i, name in enumerate(TABLE_COLUMNS)}
