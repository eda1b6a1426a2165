"""``eval_dataset.py``: what the agent was asked and what it answered, as code."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from evalkit.core.agent.code.literals import INDENT, WIDTH, literal, needs_json, text_literal
from evalkit.core.agent.suite import Row, ToolStep
from evalkit.core.values import Json

_DOCSTRING = '''\
"""The cases of the evaluation, and what the agent did when they were recorded.

DATASET: for each case ``inputs`` (what the agent is given, by parameter), ``outputs`` (what it
answered; None where it failed or has not been asked yet), ``expectations`` (what a right answer
has to hold to) and ``source_trace_id`` (the trace it was copied from; None for one made by hand).
RECORDED: for each of those traces the tools that were used, the seconds it took, and what was
called.
"""
'''


def dataset_code(
    rows: Sequence[Row], why: Sequence[str], routes: Mapping[str, str] | None = None
) -> str:
    """The source of ``eval_dataset.py``.

    Args:
        rows: The rows, copied exactly; nothing of them can become code.
        why: What each row stands for, in their order; written above it.
        routes: What was called, by trace; where it is missing, the row's ``expectations["route"]``
            is taken.

    Raises:
        TypeError: a row holds something that is no JSON value.
    """
    called = routes or {}
    dataset = "".join(
        f"{_comment(reason)}{INDENT}{literal(_as_dict(row), 1)},\n"
        for row, reason in zip(rows, why, strict=True)
    )
    recorded = "".join(
        f"{INDENT}{text_literal(trace_id)}: {literal(value, 1, len(trace_id) + 4)},\n"
        for trace_id, value in _recorded(rows, called)
    )
    body = (
        f"DATASET: list[dict[str, Any]] = [\n{dataset}]\n\n"
        f"RECORDED: dict[str, dict[str, Any]] = {{\n{recorded}}}\n"
    )
    imports = "import json\n" if needs_json(body) else ""
    return f"{_DOCSTRING}\n{imports}from typing import Any\n\n{body}"


def _as_dict(row: Row) -> dict[str, Json]:
    return {
        "inputs": dict(row.inputs),
        "outputs": row.outputs,
        "expectations": dict(row.expectations),
        "source_trace_id": row.source_trace_id,
    }


def _recorded(
    rows: Sequence[Row], routes: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Json]]]:
    for row in rows:
        if row.source_trace_id is None:
            continue
        route = routes.get(row.source_trace_id) or str(row.expectations.get("route", ""))
        steps = [_step(step) for step in row.steps]
        yield row.source_trace_id, {"steps": steps, "seconds": row.seconds, "route": route}


def _step(step: ToolStep) -> dict[str, Json]:
    return {"name": step.name, "failed": step.failed, "output": step.output}


def _comment(text: str) -> str:
    """Lines of comment that hold the text and nothing else."""
    words = "".join(char if char.isprintable() else " " for char in text)
    lines = textwrap.wrap(words, WIDTH - len(INDENT) - 2, break_on_hyphens=False)
    return "".join(f"{INDENT}# {line}\n" for line in lines)
