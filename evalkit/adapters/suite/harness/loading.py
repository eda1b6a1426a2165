"""Importing a suite's files: its dataset as plain JSON values, its scorers as they are."""

from __future__ import annotations

import importlib
import json
import math
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

MOST_BYTES = 20_000_000
MOST_FAULTS = 12
DEEPEST = 60
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
ROW = {"inputs", "outputs", "expectations", "source_trace_id"}
STEP = {"name", "failed", "output"}


def load(request: dict[str, Any], evaluation: Path) -> dict[str, Any]:
    """``{"rows", "scorers", "error"}`` of a suite; see ``core.agent.suite.Loaded``."""
    module = suite_module("eval_dataset", evaluation)
    dataset: Any = getattr(module, "DATASET", None)
    recorded: Any = getattr(module, "RECORDED", None)
    faults = list(islice(_faults(dataset, recorded), MOST_FAULTS))
    if faults:
        return {"error": "\n".join(faults)}
    rows = [_row(row, recorded.get(row["source_trace_id"], {})) for row in dataset]
    if len(json.dumps(rows)) > MOST_BYTES:
        return {"error": f"the dataset takes more than {MOST_BYTES:,} bytes: choose fewer cases"}
    scorers = []
    if request["scorers"]:
        scorers = [scorer.name for scorer in suite_scorers(evaluation)]
    return {"rows": rows, "scorers": scorers}


def suite_module(name: str, evaluation: Path) -> Any:
    """A file of the suite, imported by name as the script imports it."""
    if not (evaluation / f"{name}.py").exists():
        raise FileNotFoundError(f"there is no evaluation/{name}.py: write it first")
    if str(evaluation) not in sys.path:
        sys.path.insert(0, str(evaluation))
    return importlib.import_module(name)


def suite_scorers(evaluation: Path) -> list[Any]:
    """The scorers of ``scorers.SCORERS``.

    Raises:
        TypeError: it is not a list of MLflow scorers, each with a name of its own.
    """
    from mlflow.genai.scorers import Scorer

    scorers = getattr(suite_module("scorers", evaluation), "SCORERS", None)
    if not isinstance(scorers, list) or not scorers:
        raise TypeError("scorers.SCORERS has to be a list of at least one MLflow scorer")
    for scorer in scorers:
        if not isinstance(scorer, Scorer):
            raise TypeError(
                f"scorers.SCORERS holds {scorer!r}, which is no MLflow scorer: decorate the "
                "function with `@scorer` from mlflow.genai.scorers"
            )
    names = [scorer.name for scorer in scorers]
    if len(set(names)) < len(names):
        raise TypeError(f"two of scorers.SCORERS have the same name: {', '.join(sorted(names))}")
    return scorers


def _faults(dataset: Any, recorded: Any) -> Iterator[str]:
    if type(dataset) is not list:
        yield f"DATASET has to be a list of rows; it is {_kind(dataset)}"
        return
    for position, row in enumerate(dataset):
        yield from _row_faults(row, f"DATASET[{position}]")
    if type(recorded) is not dict:
        yield f"RECORDED has to be a dict by source_trace_id; it is {_kind(recorded)}"
        return
    for trace_id, said in recorded.items():
        yield from _recorded_faults(said, f"RECORDED[{trace_id!r}]")


def _row_faults(row: Any, place: str) -> Iterator[str]:
    if type(row) is not dict or set(row) != ROW:
        has = f"it has {sorted(map(str, row))}" if type(row) is dict else f"it is {_kind(row)}"
        yield f"{place} has to be a dict of exactly {sorted(ROW)}; {has}"
        return
    for name in ("inputs", "expectations"):
        if type(row[name]) is not dict:
            yield f"{place}[{name!r}] has to be a dict; it is {_kind(row[name])}"
    if type(row["source_trace_id"]) not in {str, type(None)}:
        yield f"{place}['source_trace_id'] has to be text or None"
    yield from _json_faults(row, place)


def _recorded_faults(said: Any, place: str) -> Iterator[str]:
    if type(said) is not dict or type(said.get("steps")) is not list:
        yield f"{place} has to be a dict of steps (a list), seconds and route"
        return
    if type(said.get("seconds")) not in {int, float, type(None)}:
        yield f"{place}['seconds'] has to be a number or None"
    for position, step in enumerate(said["steps"]):
        if type(step) is not dict or set(step) != STEP:
            yield f"{place}['steps'][{position}] has to be a dict of exactly {sorted(STEP)}"
        elif type(step["name"]) is not str or type(step["failed"]) is not bool:
            yield f"{place}['steps'][{position}] needs a text as name and a bool as failed"
    yield from _json_faults(said, place)


def _json_faults(value: Any, place: str, depth: int = 0) -> Iterator[str]:
    if depth > DEEPEST:
        yield f"{place} is nested deeper than {DEEPEST} levels"
    elif type(value) is dict:
        for name, each in value.items():
            if type(name) is str:
                yield from _json_faults(each, f"{place}[{name!r}]", depth + 1)
            else:
                yield f"{place} has the key {name!r}; keys have to be text"
    elif type(value) is list:
        for position, each in enumerate(value):
            yield from _json_faults(each, f"{place}[{position}]", depth + 1)
    elif not _is_plain(value):
        yield f"{place} is {_kind(value)}, which JSON has no place for"


def _is_plain(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is str:
        return HALF_CHARACTER.search(value) is None
    return type(value) in {int, bool, type(None)}


def _kind(value: Any) -> str:
    if value is None:
        return "missing or None"
    return repr(value) if type(value) is float else f"of type {type(value).__name__}"


def _row(row: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    return {**row, "steps": said.get("steps", []), "seconds": said.get("seconds")}
