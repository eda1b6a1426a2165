"""YAML and JSON text to plain values: the line of every field, and all problems at once.

Keys are taken as they are written (``001``, ``no`` and ``12:30`` are names), and each once.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json, to_json

MAX_NODES = 2_000_000
"""Values a document may have once its aliases are expanded; a bomb has billions."""

MAX_DEPTH = 200
"""Levels a document may nest; deeper ones are no configuration but an attack or an accident."""

TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_HALVES = re.compile(r"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][\da-fA-F]{2}")
_FIX = "correct the file at that place"


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Knows one tag more than YAML: the harness marks lists of a profile with ``!replace``."""


Loader.add_constructor("!replace", lambda loader, node: loader.construct_sequence(node, deep=True))


class _Named(io.StringIO):
    """Text whose parser says in every mark which file it is."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document, and what it was made from where the lines of its fields are wanted."""

    value: Json
    file: str
    node: yaml.Node | None = field(default=None, compare=False, repr=False)

    def problem(self, path: str, message: str, fix: str = "") -> Problem:
        """A problem with the field at a dotted path, on its line or that of its nearest parent."""
        marks = dict(_marks(self.node, "")) if self.node else {}
        known = path
        while known and known not in marks:
            known = re.sub(r"(^|\.)[^.\[]+$|\[\d+\]$", "", known)
        mark = marks.get(known)
        file, line = (mark.name, mark.line + 1) if mark else (self.file, None)
        return Problem(message, file, line, path, fix)


def from_node(node: yaml.Node, file: str) -> Document:
    """The document that a tree of YAML nodes is; its fields may come from several files."""
    return Document(to_json(Loader("").construct_document(node)), file, node)


def parse_yaml(text: str, file: str, *, with_lines: bool = False) -> Document:
    """Parse YAML text; with the line of every field for configuration, not for data.

    Raises:
        InputError: the text is no YAML, nests too deep, expands to too many values, holds a
            value that JSON cannot express, or a key twice in one mapping.
    """
    try:
        _refuse_depth(text, file)
        loader = Loader(_Named(text, file) if with_lines else text)
        try:
            node = loader.get_single_node()
            if node is None:
                return Document(None, file)
            _settle(node, file)
            value = to_json(loader.construct_document(node))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line + 1, len(text.splitlines())) if mark else None
        what = " ".join(part for part in (error.context, error.problem) if part).splitlines()[0]
        raise InputError(Problem(f"not YAML: {what}", file, line, fix=_FIX)) from error
    except (yaml.YAMLError, TypeError, ValueError, OverflowError) as error:
        what = next(iter(str(error).splitlines()), "unreadable")
        raise InputError(Problem(f"not YAML: {what}", file, fix=_FIX)) from error
    except RecursionError as error:
        raise InputError(_too_deep(file)) from error
    return Document(value, file, node if with_lines else None)


def parse_json(text: str, file: str, *, with_lines: bool = False) -> Document:
    """Parse JSON text.

    Raises:
        InputError: the text is no JSON, nests too deep, or holds a key twice in one object.
    """
    twice: list[str] = []

    def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice.append(next(key for key in keys if keys.count(key) > 1))
        return found

    try:
        value = to_json(json.loads(text, object_pairs_hook=once_each))
    except json.JSONDecodeError as error:
        fix = "correct or remove the file"
        raise InputError(Problem(f"not JSON: {error.msg}", file, error.lineno, fix=fix)) from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise InputError(Problem(f"not JSON: {error}", file, fix="correct the file")) from error
    except RecursionError as error:
        raise InputError(_too_deep(file)) from error
    node = None
    if twice or with_lines:  # YAML knows the lines, but neither tabs nor halves of surrogate pairs
        as_yaml = _HALVES.sub(r"\1?", text.replace("\t", " "))
        node = parse_yaml(as_yaml, file, with_lines=True).node
    if twice:
        raise InputError(Problem(f"the key {twice[0]} stands twice", file, fix="keep one of them"))
    return Document(value, file, node)


def scalar_text(value: Any) -> str:
    """A value as a person wrote it, not in Python's notation (``true``, not ``True``)."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _too_deep(file: str) -> Problem:
    return Problem(f"nests deeper than {MAX_DEPTH} levels", file, fix="flatten the document")


def _refuse_depth(text: str, file: str) -> None:
    """Refuse a document that nests too deep, before the recursive composer in C overflows.

    Each level costs one of these characters (nesting by indentation alone would take a file of
    many megabytes), so that most documents pass without being read an extra time.
    """
    if sum(text.count(sign) for sign in "[{-?") <= MAX_DEPTH:
        return
    depth = 0
    try:
        for event in yaml.parse(text, Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise InputError(_too_deep(file))
    except yaml.MarkedYAMLError as error:
        # from PyYAML 6.0.4 on its scanner has a limit too, and meets it while reading ahead
        read = text[: error.problem_mark.index] if error.problem_mark else ""
        if sum(map(read.count, "[{")) - sum(map(read.count, "]}")) > MAX_DEPTH:
            raise InputError(_too_deep(file)) from error
        raise


def _settle(root: yaml.Node, file: str) -> None:
    """Take keys as written; refuse those that stand twice, bombs, and aliases of themselves."""
    sizes: dict[int, int] = {}
    twice: list[Problem] = []

    def size(node: yaml.Node, path: str, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise InputError(_too_deep(file))
        if sizes.get(id(node)) == 0:
            what, line = "an alias contains itself", node.start_mark.line + 1
            raise InputError(Problem(what, file, line, fix="write the value out"))
        if id(node) not in sizes:
            sizes[id(node)] = 0
            if isinstance(node, yaml.MappingNode):
                twice.extend(_keys_as_written(node, path, file))
            below = (1 + size(child, at, depth + 1) for at, child, _ in _fields(node, path))
            sizes[id(node)] = 1 + sum(below)
        return sizes[id(node)]

    if size(root, "", 0) > MAX_NODES:
        what = f"its aliases expand to more than {MAX_NODES:,} values"
        raise InputError(Problem(what, file, fix="write the values out, or split the file"))
    if twice:
        raise InputError(*sorted(twice, key=lambda problem: problem.line or 0))


def _keys_as_written(node: yaml.MappingNode, path: str, file: str) -> Iterator[Problem]:
    """Those that stand twice; what is merged from elsewhere (``<<``) may be overridden."""
    first: dict[str, int] = {}
    for place, (key, value) in enumerate(node.value):
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        node.value[place] = (yaml.ScalarNode(TEXT, key.value, key.start_mark, key.end_mark), value)
        line = key.start_mark.line + 1
        if key.value in first:
            what = f"the key stands twice, first on line {first[key.value]}"
            yield Problem(what, file, line, _join(path, key.value), "keep one of them")
        first.setdefault(key.value, line)


def _fields(node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node, Any]]:
    """The fields of a node: their dotted paths, their values, and where they begin."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            is_plain = isinstance(key, yaml.ScalarNode)
            yield _join(path, key.value) if is_plain else path, value, key.start_mark
    elif isinstance(node, yaml.SequenceNode):
        yield from ((f"{path}[{i}]", each, each.start_mark) for i, each in enumerate(node.value))


def _marks(node: yaml.Node, path: str) -> Iterator[tuple[str, Any]]:
    for at, child, mark in _fields(node, path):
        yield at, mark
        yield from _marks(child, at)


def _join(path: str, key: str) -> str:
    name = f'"{key}"' if "." in key else key
    return f"{path}.{name}" if path else name
