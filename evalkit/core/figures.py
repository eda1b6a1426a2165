"""Figures that the files of a run nest, or that follow from others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evalkit.documents import scalar_text
from evalkit.jsonable import Json, is_number

_READ = {
    "summary.yaml": "run_id judges per_case validity",
    "run_result.json": "agent agent_version cost_usd duration_s eval_params execution_mode"
    " exit_code model num_cases num_turns per_case per_model_usage run_id start_time started"
    " started_at token_usage",
}
"""The keys of the two files that are read by name; of all others, figures are taken as they are."""


def rest(found: Mapping[str, Json], file: str) -> tuple[dict[str, float], list[str]]:
    """The figures of a file that nobody asks for by name, and the paths of what else it holds."""
    read, figures, others = set(_READ[file].split()), {}, []
    for path, value in leaves({key: each for key, each in found.items() if key not in read}):
        if is_number(value):
            figures[path] = value
        elif path == "permission_denials" and isinstance(value, list):
            figures[path] = len(value)
        elif value not in (None, {}, []):
            others.append(path)
    return figures, sorted(others)


def leaves(found: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Everything below nested mappings with its path, such as ``human_agreement/value``."""
    if isinstance(found, Mapping) and (found or not path):
        for key, value in found.items():
            yield from leaves(value, f"{path}/{key}" if path else key)
    else:
        yield path, found


def texts(found: Json) -> dict[str, str]:
    """Everything below nested mappings as text, by its path."""
    return {path: scalar_text(v) for path, v in leaves(found) if path and v not in (None, {}, [])}


def won(run_id: str, pairwise: Json) -> dict[str, float]:
    """How often the run was found better than the one that it was compared with.

    A tie is no win. Which of the two the run is, the ids say.
    """
    found = pairwise if isinstance(pairwise, Mapping) else {}
    counts: dict[str, float] = {
        key: found[key] for key in ("wins_a", "wins_b", "ties") if is_number(found.get(key))
    }
    side = next((each for each in "ab" if found.get(f"run_{each}") == run_id), "")
    if not side or len(counts) < 3 or not sum(counts.values()):  # noqa: PLR2004 (all of them)
        return {}
    return {"pairwise/win_rate": counts[f"wins_{side}"] / sum(counts.values())}
