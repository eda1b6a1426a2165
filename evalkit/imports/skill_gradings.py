"""Which files are skill-creator's, and what they say of one execution."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalkit.documents import scalar_text
from evalkit.files import files_below
from evalkit.imports.project_writer import value_in
from evalkit.jsonable import Json, is_number, list_of, mapping_of
from evalkit.truncation import truncate

EVALS = re.compile(r"evals[\w-]*\.json")
READ = frozenset(("eval_metadata.json", "grading.json", "benchmark.json", "feedback.json"))
TELLING = frozenset(("evals.json", "grading.json", "benchmark.json"))
"""The files that are read, and those by which a folder is known to hold such evals."""

PASS_RATE = "pass_rate"  # noqa: S105
"""The judge that decides: the share of a trial's expectations that were met."""

MOST_NAME = 60
"""Characters of an expectation that becomes a judge's name."""

_MET = frozenset(("true", "pass", "passed", "yes", "met"))
GRADED = ("expectations", "assertion_results", "assertions", "results")
"""Keys under which a grading has the verdicts; one of them."""

_SECONDS = ("total_duration_seconds", "executor_duration_seconds", "duration_s")


def skill_files(*paths: Path) -> list[Path]:
    """What may be skill-creator's of these files, and of those in these folders."""
    below = (
        [path / name for name in files_below(path, path)] if path.is_dir() else [path]
        for path in paths
    )
    listed = (each for own in below for each in own)
    return [each for each in listed if each.name in READ or EVALS.fullmatch(each.name)]


def fits(path: Path, found: Json) -> bool:
    """Whether a file holds what skill-creator has under that name."""
    value = mapping_of(found)
    if path.name == "benchmark.json":
        return any("configuration" in mapping_of(run) for run in list_of(value.get("runs")))
    needed = {
        "grading.json": (*GRADED, "summary"),
        "eval_metadata.json": ("prompt", "eval_id", "eval_name"),
        "feedback.json": ("reviews",),
    }
    if path.name in needed:
        return any(key in value for key in needed[path.name])
    entries = list_of(value.get("evals"))
    return bool(entries) and all("prompt" in mapping_of(each) for each in entries)


@dataclass
class Grading:
    """An execution that was graded.

    Attributes:
        path: The file that tells of it.
        home: Where its outputs lie; None where only a benchmark tells of it.
        said: What was said of it.
        names: What reviews may call it.
    """

    path: Path
    home: Path | None
    said: Mapping[str, Json]
    names: tuple[str, ...] = ()


def consumed(trial: Grading) -> dict[str, Json]:
    """What an execution consumed, in the harness's words; how it ended is not known."""
    said, home = trial.said, trial.home
    beside = [value_in(home / name) for name in ("timing.json", "outputs/timing.json") if home]
    timing = next(filter(None, map(mapping_of, (*beside, said.get("timing")))), {})
    metrics = mapping_of(said.get("execution_metrics"))
    seconds = [timing[key] for key in _SECONDS if is_number(timing.get(key))]
    if not seconds and is_number(timing.get("duration_ms")):
        seconds = [timing["duration_ms"] / 1000]
    figures = {
        "duration_s": next(iter(seconds), said.get("time_seconds")),
        "total_tokens": timing.get("total_tokens", said.get("tokens")),
        "tool_calls": metrics.get("total_tool_calls", said.get("tool_calls")),
        "errors": metrics.get("errors_encountered", said.get("errors")),
    }
    found: dict[str, Json] = {key: value for key, value in figures.items() if is_number(value)}
    return found | ({"started_at": timing["executor_start"]} if "executor_start" in timing else {})


def _text_of(item: Json) -> str:
    said = (mapping_of(item).get(key) for key in ("text", "description", "assertion", "name"))
    return scalar_text(item if isinstance(item, str) else next(filter(None, said), ""))


def verdicts(trial: Grading, expected: Sequence[Json]) -> dict[str, dict[str, Json]]:
    """Each expectation's verdict, and the share of them that were met.

    Args:
        trial: The execution.
        expected: What the case expects: graders paraphrase it, differently in each execution.
    """
    items = next((found for key in GRADED if (found := list_of(trial.said.get(key)))), [])
    known = [_text_of(each) for each in expected]
    scores: dict[str, dict[str, Json]] = {}
    met: list[bool] = []
    for place, item in enumerate(map(mapping_of, items)):
        text = _text_of(item)
        if len(known) == len(items) and text not in known:
            text = known[place]
        name = truncate(scalar_text(item.get("id")) or text or "expectation", MOST_NAME)
        while name in scores:
            name += "'"
        said = next((item[key] for key in ("passed", "pass", "met") if key in item), None)
        value = None if said is None else scalar_text(said).lower() in _MET
        met += [] if value is None else [value]
        why = (_text_of(item) if _text_of(item) != name else "", item.get("evidence"))
        scores[name] = {
            "value": value,
            "rationale": "\n\n".join(filter(None, map(scalar_text, why))),
            "judge_type": "code" if item.get("type") == "code" else "llm",
            **({"error": "there is no verdict"} if value is None else {}),
        }
    stated = mapping_of(trial.said.get("summary")).get(PASS_RATE, trial.said.get(PASS_RATE))
    share, lacking = sum(met) / len(met) if met else stated, len(items) - len(met)
    scores[PASS_RATE] = {
        "value": share if is_number(share) and not lacking else None,
        "rationale": f"{sum(met)} of {len(items)} expectations were met" if items else "",
        "judge_type": "llm",
        **({"error": f"{lacking} expectations have no verdict"} if lacking else {}),
    }
    return scores
