"""Where in an agent's output the words of its answer lie."""

from __future__ import annotations

from typing import TypeAlias

from evalkit.core.values import Json

Path: TypeAlias = tuple[str | int, ...]
"""Names and positions that lead into a value; empty for the value itself."""

_NAMES = (
    # as agents and model providers call it, the most telling first
    "final_answer",
    "answer",
    "output_text",
    "response",
    "reply",
    "completion",
    "output",
    "outputs",
    "result",
    "content",
    "text",
    "message",
    "messages",
    "choices",
)


def answer_path(output: Json) -> Path | None:
    """The way to the answer's text; None where an output holds no words.

    In an object it is what is named like an answer, else its longest text; in a list the last of
    these, because conversations end with their answer.
    """
    if isinstance(output, str):
        return () if output.strip() else None
    if isinstance(output, list):
        return _in_list(output)
    if isinstance(output, dict):
        return _in_object(output)
    return None


def _in_list(output: list[Json]) -> Path | None:
    paths = [
        (position, *path)
        for position, item in enumerate(output)
        if (path := answer_path(item)) is not None
    ]
    named = [path for path in paths if len(path) > 1 and path[1] in _NAMES]
    found = named or paths
    return found[-1] if found else None


def _in_object(output: dict[str, Json]) -> Path | None:
    found = {name: path for name in output if (path := answer_path(output[name])) is not None}
    if not found:
        return None
    named = next((name for name in _NAMES if name in found), None)
    if named is None:
        named = max(found, key=lambda name: len(text_at(output[name], found[name])))
    return (named, *found[named])


def text_at(output: Json, path: Path) -> str:
    """The text that a path leads to."""
    for step in path:
        output = output[step]
    return str(output)


def with_text(output: Json, path: Path, text: str) -> Json:
    """The output with another text where the path leads to."""
    if not path:
        return text
    step, *rest = path
    changed = output.copy()
    changed[step] = with_text(output[step], tuple(rest), text)
    return changed
