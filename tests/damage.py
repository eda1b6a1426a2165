"""Values with something wrong in them, wherever it may be."""

from __future__ import annotations

import json
from typing import Any


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value that is in there, by keys and indices."""
    below: Any = value.items() if isinstance(value, dict) else ()
    below = enumerate(value) if isinstance(value, list) else below
    return [path] * bool(path) + [p for key, each in below for p in places_in(each, (*path, key))]


def damaged(value: Any, path: tuple[Any, ...], odd: Any = ..., /) -> Any:
    """A copy with something odd in one place, or with nothing there."""
    copy = json.loads(json.dumps(value))
    within = copy
    for key in path[:-1]:
        within = within[key]
    if odd is ...:
        del within[path[-1]]
    else:
        within[path[-1]] = odd
    return copy
