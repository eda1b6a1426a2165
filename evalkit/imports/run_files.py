"""The two files of a run directory that say what came of each case, from what each case says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from statistics import fmean

from evalkit.jsonable import Json, is_number

_SUMS = ("duration_s", "cost_usd", "num_turns", "judge_cost_usd", "total_tokens")


def score(value: Json, *why: str, by: str, error: str = "", **more: Json) -> dict[str, Json]:
    """What a judge of a kind said of a case, as ``summary.yaml`` has it; nothing, with an error."""
    said = {"value": None if error else value, "rationale": "\n\n".join(filter(None, why))}
    others = {"judge_type": by, "error": error, **more}
    return said | {name: each for name, each in others.items() if each}


def summary_of(
    per_case: Mapping[str, Mapping[str, Mapping[str, Json]]],
    figures: Collection[str] | None = None,
) -> dict[str, Json]:
    """The content of ``summary.yaml``, from case to judge to score; ``figures`` of all, or some."""
    said: dict[str, list[Mapping[str, Json]]] = {}
    for judge, score in (each for own in per_case.values() for each in own.items()):
        if figures is None or judge in figures:
            said.setdefault(judge, []).append(score)
    judges: dict[str, dict[str, Json]] = {}
    for judge, scores in said.items():
        values: list[Json] = [each.get("value") for each in scores if not each.get("error")]
        passes = [value for value in values if isinstance(value, bool)]
        numbers = [value for value in values if is_number(value)]
        judges[judge] = {
            **({"pass_rate": fmean(passes)} if passes else {}),
            **({"mean": fmean(numbers)} if numbers else {}),
            "scored_cases": len([value for value in values if value is not None]),
            "errored_cases": len(scores) - len(values),
        }
    return {"judges": judges, "per_case": per_case}


def result_of(per_case: Mapping[str, Mapping[str, Json]], **facts: Json) -> dict[str, Json]:
    """The content of ``run_result.json``: facts of the run, and the sum of what cases consumed."""
    totals: dict[str, Json] = {}
    for name in _SUMS:
        values: list[Json] = [own.get(name) for own in per_case.values()]
        if values and all(map(is_number, values)):  # a sum of some would look like one of all
            totals[name] = round(sum(values), 9)
    said = {name: value for name, value in facts.items() if value is not None}
    if began := [str(own["started_at"]) for own in per_case.values() if own.get("started_at")]:
        said["started_at"] = min(began)
    mode = {"execution_mode": "case", "num_cases": len(per_case)}
    return {**mode, **said, **totals, "per_case": per_case}
