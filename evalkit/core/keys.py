"""The keys of YAML and JSON documents: taken as they are written, and each once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from evalkit.errors import InputError, Problem

_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


class TwiceError(Exception):
    """A key stands twice in one object of JSON."""


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON.

    Raises:
        TwiceError: names a key that it holds twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise TwiceError(next(key for key in keys if keys.count(key) > 1))
    return found


def settle_keys(root: yaml.Node, file: str) -> None:
    """Take keys as they are written: 001, no and 12:30 are names, not numbers, truth and minutes.

    Raises:
        InputError: a key stands twice in one mapping; YAML would drop the first without a word.
            What is merged from elsewhere (``<<``) may be overridden.
    """
    twice: list[Problem] = []
    seen: set[int] = set()
    todo: list[tuple[str, yaml.Node]] = [("", root)]
    while todo:
        path, node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            node.value = [(_as_written(key), value) for key, value in node.value]
            twice += _standing_twice(node, path, file)
        todo += _fields(node, path)
    if twice:
        raise InputError(*sorted(twice, key=lambda problem: problem.line or 0))


def _as_written(key: yaml.Node) -> yaml.Node:
    if not isinstance(key, yaml.ScalarNode) or key.tag in {_TEXT, _MERGE}:
        return key
    return yaml.ScalarNode(_TEXT, key.value, key.start_mark, key.end_mark)


def _standing_twice(node: yaml.MappingNode, path: str, file: str) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        line = key.start_mark.line + 1
        if key.value in first:
            what = f"the key stands twice, first on line {first[key.value]}"
            yield Problem(what, file, line, join_path(path, key.value), "keep one of them")
        first.setdefault(key.value, line)


def _fields(node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
    """The fields of a node with their dotted paths."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield join_path(path, key.value) if isinstance(key, yaml.ScalarNode) else path, value
    elif isinstance(node, yaml.SequenceNode):
        yield from ((f"{path}[{i}]", each) for i, each in enumerate(node.value))


def join_path(path: str, key: str) -> str:
    """The dotted path of a key below another path."""
    name = f'"{key}"' if "." in key else key
    return f"{path}.{name}" if path else name
