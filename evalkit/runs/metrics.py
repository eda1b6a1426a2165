"""A run in MLflow's words: its key, params, metrics, tags, and the thresholds it is held to."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from evalkit.entities import EVALUATION_TAG, QUALITY_CRITERIA_TAG
from evalkit.jsonable import Json, canonical, derive_id
from evalkit.project import FIGURES, SIMULATOR, SIMULATOR_FIGURES, Project
from evalkit.runs.run import Run


def run_key(experiment_id: str, project: Project, run_id: str) -> str:
    """The run's key: what it is, wherever and whenever it is logged."""
    return derive_id(experiment_id, project.name, run_id)


@dataclass(frozen=True, slots=True)
class Bound:
    """A threshold, and what the run has instead: None where the summary does not say."""

    judge: str
    kind: str
    bound: float
    actual: float | None

    @property
    def metric(self) -> str:
        """The metric that holds the actual figure."""
        figures = SIMULATOR_FIGURES if self.judge == SIMULATOR else FIGURES
        return f"{self.judge}/{figures[self.kind]}"

    @property
    def is_most(self) -> bool:
        """Whether less is better."""
        return self.kind.startswith("max_")

    @property
    def demand(self) -> str:
        """What is demanded, in words, such as ``pass rate at least 0.9``."""
        name = self.kind.partition("_")[2].replace("_", " ")
        return f"{name} {'at most' if self.is_most else 'at least'} {self.bound:g}"

    @property
    def verdict(self) -> Literal["fails", "not measured", "met"]:
        """Whether the figure is on the right side of the bound."""
        if self.actual is None:
            return "not measured"
        fails = self.actual > self.bound if self.is_most else self.actual < self.bound
        return "fails" if fails else "met"


def thresholds(project: Project, run: Run) -> list[Bound]:
    """Every threshold with what the run has of it, be it enough or not."""
    return [
        Bound(judge, kind, bound, _figure(run, judge, kind))
        for judge, bounds in project.thresholds.items()
        for kind, bound in bounds.items()
    ]


def _figure(run: Run, judge: str, kind: str) -> float | None:
    figures, name = run.judges.get(judge, {}), {**FIGURES, **SIMULATOR_FIGURES}[kind]
    found = figures.get(name, run.figures.get(f"{judge}/{name}"))  # as MLflow names it
    if found is not None or judge == SIMULATOR:
        return found
    if kind == "min_win_rate":  # the harness compares two runs once, not once a judge
        return run.figures.get("pairwise/win_rate")
    if kind != "max_error_rate":
        return None
    scored, errored = figures.get("scored_cases"), figures.get("errored_cases")
    if scored is not None and errored is not None and scored + errored > 0:
        return errored / (scored + errored)
    own = [score for score in run.scores if score.judge == judge]
    return sum(bool(score.error) for score in own) / len(own) if own else None


def regressions(project: Project, run: Run) -> list[str]:
    """The thresholds that the run misses, each as ``judge min_mean 3.5, is 3.2``."""
    missed = (b for b in thresholds(project, run) if b.verdict == "fails")
    return [f"{b.judge} {b.kind} {b.bound:g}, is {b.actual:g}" for b in missed]


def unknowns(project: Project, run: Run) -> list[str]:
    """What nobody can say of the run: which thresholds it meets, or, without scores, anything."""
    bounds = thresholds(project, run)
    return [
        *(["no scores"] if project.judges and not (run.scores or run.judges) else []),
        *(f"{b.judge} {b.kind}" for b in bounds if b.actual is None),
        *(each.field.removeprefix("thresholds.").replace(".", " ") for each in project.doubts),
    ]


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
    """Figures by metric name: what judges and the execution came to, and the thresholds' own."""
    usage = run.usage
    found = {
        f"{judge}/{name}": value
        for judge, figures in run.judges.items()
        for name, value in figures.items()
    }
    found |= {n: getattr(usage, n) for n in ("duration_s", "cost_usd", "num_turns", "exit_code")}
    found |= {f"tokens/{kind}": count for kind, count in usage.tokens.items()}
    for model, figures in usage.per_model.items():
        for kind, value in figures.items():
            what = "cost_usd" if kind == "cost_usd" else f"tokens/{kind}"
            found[f"{what}/{model}"] = value
    found |= {**run.figures, "num_cases": len(run.cases)}
    if run.failed or (run.endings and not usage.exit_code):  # else nobody knows how many failed
        found["executions_failed"] = len(run.failed)
    if project.thresholds or project.doubts:
        found["thresholds_failed"] = len(regressions(project, run))
        found["thresholds_unknown"] = len(unknowns(project, run))
        found |= {b.metric: b.actual for b in thresholds(project, run) if b.actual is not None}
    return {name: float(value) for name, value in found.items() if value is not None}


def tags(project: Project, run: Run) -> dict[str, str]:
    """What stands for the run, ``none`` included, so that a tag from an earlier time does not stay.

    MLflow shows the run among its evaluations, with the thresholds as its quality criteria.
    """
    failed, unknown = regressions(project, run), unknowns(project, run)
    found = {
        **run.origin,
        **project.tags,
        "mlflow.runType": "genai_evaluate",
        QUALITY_CRITERIA_TAG: criteria(
            (bound.metric, "LTE" if bound.is_most else "GTE", bound.bound)
            for bound in thresholds(project, run)
        ),
        **{f"validity/{name}": value for name, value in run.validity.items()},
        "regressions_detected": "yes" if failed else "unknown" if unknown else "no",
        "num_judges": str(len({*run.judges, *(score.judge for score in run.scores)})),
        EVALUATION_TAG: project.name,
        "evalkit.regressions": "; ".join(failed) or "none",
        "evalkit.unmeasured": "; ".join(unknown) or "none",
    }
    return {name: value for name, value in found.items() if value}


def criteria(bounds: Iterable[tuple[str, str, float]]) -> str:
    """Bounds (metric, ``GTE`` or ``LTE``, threshold) as MLflow's evaluation pages read them."""
    rules: Json = [{"metricKey": m, "comparator": c, "threshold": t} for m, c, t in bounds]
    revision = str(uuid.UUID(derive_id(canonical(rules))))
    found = {"schemaVersion": 1, "revision": revision, "rules": rules}
    return json.dumps(found, separators=(",", ":")) if rules else ""
