"""The form that values have in common, as a JSON schema with few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from evalkit.core.agent.code.measures import kind_of, parsed_json
from evalkit.core.values import Json

DEPTH = 6
"""Levels that are described; what lies deeper is only named by its kind."""

FIELDS = 24
"""Fields of an object; one with more, none of them always there, is a table and no record."""

ITEMS = 5
"""Items of a list that are looked at."""

NAME_CHARS = 100
"""Longer names are data and no names."""


def schema_of(values: Sequence[Json], depth: int = DEPTH) -> dict[str, Json]:
    """The tightest schema that all values fit, in the form that ``measures.misfits`` reads."""
    kinds = sorted({kind_of(value) for value in values})
    if kinds == ["null"]:
        return {}  # what has never been there may come in any form
    schema: dict[str, Json] = {"type": kinds[0] if len(kinds) == 1 else kinds}
    if depth == 0 or not values:
        return schema
    objects = [value for value in values if isinstance(value, dict)]
    items = [item for value in values if isinstance(value, list) for item in value[:ITEMS]]
    texts = [value for value in values if isinstance(value, str)]
    if objects:
        schema |= _fields(objects, depth)
    if items:
        schema["items"] = schema_of(items, depth - 1)
    if texts:
        schema |= _content(texts, depth)
    return schema


def _fields(objects: Sequence[dict[str, Json]], depth: int) -> dict[str, Json]:
    counts = Counter(name for each in objects for name in each if len(name) <= NAME_CHARS)
    always = [name for name, count in counts.items() if count == len(objects)][:FIELDS]
    if not counts or (not always and len(counts) > FIELDS):
        return {}
    named = list(dict.fromkeys([*always, *(name for name, _ in counts.most_common(FIELDS))]))
    properties = {
        name: schema_of([each[name] for each in objects if name in each], depth - 1)
        for name in named[:FIELDS]
    }
    return {"required": always, "properties": properties}


def _content(texts: Sequence[str], depth: int) -> dict[str, Json]:
    """What the texts hold, where every one of them holds JSON."""
    parsed = []
    for text in texts:
        value = parsed_json(text)
        if value is None:
            return {}
        parsed.append(value)
    return {"contentSchema": schema_of(parsed, depth - 1)}
