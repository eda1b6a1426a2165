"""What skill-creator's files say of one execution: its verdicts, consumption and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalkit.documents import scalar_text
from evalkit.files import files_below
from evalkit.imports.project_writer import Execution, Found, mappings_in, value_in, without_empty
from evalkit.imports.run_files import score
from evalkit.jsonable import Json, is_number, mapping_of
from evalkit.truncation import truncate

PASS_RATE = "pass_rate"  # noqa: S105
"""The judge that decides: the share of a trial's expectations that were met."""

GRADED = ("expectations", "assertion_results", "assertions", "results")
"""Keys under which a grading has the verdicts; one of them."""

_LOGS = {"transcript", "session", "trace", "conversation", "stdout"}
_SECONDS = ("total_duration_seconds", "executor_duration_seconds", "duration_s")
_MET = {"true", "pass", "passed", "yes", "met"}
_MOST_NAME = 60  # characters of an expectation that becomes a judge's name


@dataclass(frozen=True)
class Grading:
    """What was said of an execution that left outputs in ``home``; reviews call it as ``names``."""

    path: Path
    home: Path | None
    said: Mapping[str, Json]
    names: tuple[str, ...] = ()


def execution_of(grading: Grading, expected: Sequence[Json], found: Found) -> Execution:
    """An execution of a case that expects something, with what it left, as far as it is small."""
    files: dict[str, Json] = {}
    if home := grading.home:
        below = files_below(home, home)
        left = [n for n in below if n.startswith("outputs/") and Path(n).name != "grading.json"]
        logs = [n for n in below if Path(n).suffix == ".jsonl"]
        logs = [n for n in logs if n not in left or Path(n).stem in _LOGS]
        files |= found.small_files(home, [name for name in left if name not in logs])
        files |= {"stdout.log": home / logs[0]} if logs else {}
    return Execution(_consumed(grading), _verdicts(grading.said, expected), files)


def _consumed(trial: Grading) -> dict[str, Json]:
    """What an execution consumed, in the harness's words; how it ended is not known."""
    said, home = trial.said, trial.home
    beside = [value_in(home / name) for name in ("timing.json", "outputs/timing.json") if home]
    timing = next(filter(None, map(mapping_of, (*beside, said.get("timing")))), {})
    metrics = mapping_of(said.get("execution_metrics"))
    seconds = [timing[key] for key in _SECONDS if is_number(timing.get(key))]
    if is_number(timing.get("duration_ms")):
        seconds.append(timing["duration_ms"] / 1000)
    figures = {
        "duration_s": next(iter(seconds), said.get("time_seconds")),
        "total_tokens": timing.get("total_tokens", said.get("tokens")),
        "tool_calls": metrics.get("total_tool_calls", said.get("tool_calls")),
        "errors": metrics.get("errors_encountered", said.get("errors")),
    }
    found: dict[str, Json] = {key: value for key, value in figures.items() if is_number(value)}
    return found | without_empty({"started_at": timing.get("executor_start")})


def _text_of(item: Json) -> str:
    said = (mapping_of(item).get(key) for key in ("text", "description", "assertion", "name"))
    return scalar_text(item if isinstance(item, str) else next(filter(None, said), ""))


def _verdicts(said: Mapping[str, Json], expected: Sequence[Json]) -> dict[str, dict[str, Json]]:
    """Each expectation's verdict, and the share that was met.

    In the case's words where there are as many: graders paraphrase them, each time differently.
    """
    items = next((found for key in GRADED if (found := mappings_in(said.get(key)))), [])
    known = [_text_of(each) for each in expected]
    scores: dict[str, dict[str, Json]] = {}
    met: list[bool] = []
    for place, item in enumerate(items):
        text = own = _text_of(item)
        if len(known) == len(items) and own not in known:
            text = known[place]
        name = truncate(scalar_text(item.get("id")) or text or "expectation", _MOST_NAME)
        while name in scores:
            name += "'"
        verdict = next((item[key] for key in ("passed", "pass", "met") if key in item), None)
        value = None if verdict is None else scalar_text(verdict).lower() in _MET
        met += [] if value is None else [value]
        scores[name] = score(
            value,
            "" if own == name else own,
            scalar_text(item.get("evidence")),
            by="code" if item.get("type") == "code" else "llm",
            error="there is no verdict" if value is None else "",
        )
    stated = mapping_of(said.get("summary")).get(PASS_RATE, said.get(PASS_RATE))
    share, lacking = sum(met) / len(met) if met else stated, len(items) - len(met)
    scores[PASS_RATE] = score(
        share if is_number(share) else None,
        f"{sum(met)} of {len(items)} expectations were met" if items else "",
        by="llm",
        error=f"{lacking} expectations have no verdict" if lacking else "",
    )
    return scores
