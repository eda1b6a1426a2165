"""Where the words of an answer lie: in the outputs of a route, and in a single output.

The place is decided once for a route, by all its good answers (:func:`answer_place`): it is where
scorers look. Whoever wants the words of one output of that route asks :func:`answer_in`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from evalkit.core.agent.code.measures import answer_text, kind_of, lying_at
from evalkit.core.values import Json

Path: TypeAlias = tuple[str | int, ...]
"""Names and positions that lead into a value; empty for the value itself.

The position -1 leads to a list's last item, however long the list is.
"""

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


def answer_place(outputs: Sequence[Json]) -> Path:
    """Where the answers of a route have their words: the place that the most have words at.

    Of equal ones it is that which the most answers would choose by themselves (see
    :func:`answer_path`); the last item of a list is called -1, because lists differ in length.

    Args:
        outputs: The good answers of the route.
    """
    chosen = (_from_end(each, path) for each in outputs if (path := answer_path(each)) is not None)
    counts = Counter(chosen)
    told = {place: sum(_has_words(each, place) for each in outputs) for place in counts}
    return max(counts, key=lambda place: (told[place], counts[place]), default=())


def answer_in(output: Json, place: Path) -> Path | None:
    """The way to the text of one answer of a route; None where an output holds no words.

    It lies at the route's place, or deeper in what is there. An output of another shape, which has
    no words at that place, has them where it would have them by itself.

    Args:
        output: The output.
        place: The place of the route, see :func:`answer_place`.
    """
    for found in lying_at(output, place):
        if place and kind_of(found) == "number":
            return place
        if (deeper := answer_path(found)) is not None:
            return (*place, *deeper)
    return answer_path(output)


def _from_end(output: Json, path: Path) -> Path:
    steps: list[str | int] = []
    for step in path:
        is_last = isinstance(step, int) and step == len(output) - 1
        steps.append(-1 if is_last else step)
        output = output[step]
    return tuple(steps)


def _has_words(output: Json, place: Path) -> bool:
    return any(answer_text(found).strip() for found in lying_at(output, place))


def answer_path(output: Json) -> Path | None:
    """The way to the text of an answer of which nothing else is known; None without words.

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
