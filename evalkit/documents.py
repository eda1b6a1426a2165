"""YAML and JSON text to plain values: the line of every field, and all problems at once.

Keys are taken as they are written (``001``, ``no`` and ``12:30`` are names), and each once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json, well_formed

MAX_NODES = 2_000_000
"""Values a document may have once its aliases are expanded; a bomb has billions."""

MAX_DEPTH = 200
"""Levels a document may nest; deeper ones are no configuration but an attack or an accident."""

TEXT = "tag:yaml.org,2002:str"
_COLLECTIONS = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!replace"}
_HALVES = re.compile(r"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][\da-fA-F]{2}")
_FIX = "correct the file at that place"

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Replacement(list[Json]):
    """A list of a profile that the harness's tag ``!replace`` marks: it merges with no other."""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document; where known, the file and line of each field by its dotted path."""

    value: Json
    file: str
    lines: Mapping[str, tuple[str, int]] = field(default_factory=dict, compare=False, repr=False)

    def problem(self, path: str, message: str, fix: str = "") -> Problem:
        """A problem with the field at a dotted path, on its line or that of its nearest parent."""
        known = path
        while known and known not in self.lines:
            known = re.sub(r"(^|\.)[^.\[]+$|\[\d+\]$", "", known)
        file, line = self.lines.get(known, (self.file, None))
        return Problem(message, file, line, path, fix)


def parse_yaml(text: str, file: str) -> Document:
    """Parse YAML text.

    Raises:
        InputError: the text is no YAML, nests too deep, expands to too many values, holds a
            value that JSON cannot express, or a key twice in one mapping.
    """
    reading = _Reading(file)
    try:
        for event in yaml.parse(text, Loader):
            reading.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line + 1, len(text.splitlines())) if mark else None
        what = " ".join(part for part in (error.context, error.problem) if part).splitlines()[0]
        raise InputError(Problem(f"not YAML: {what}", file, line, fix=_FIX)) from error
    except (yaml.YAMLError, TypeError, ValueError, OverflowError) as error:
        what = next(iter(str(error).splitlines()), "unreadable")
        raise InputError(Problem(f"not YAML: {what}", file, fix=_FIX)) from error
    if reading.twice:
        raise InputError(*reading.twice)
    return Document(reading.value, file, reading.lines)


@dataclass(slots=True)
class _Level:
    """A mapping or list whose end is still to come."""

    path: str
    anchor: str | None
    value: Any  # dict or list
    size: int = 1
    height: int = 1
    key: str | None = None  # of a mapping, whose value comes next
    is_merge: bool = False  # that key is ``<<``
    merged: dict[str, Json] = field(default_factory=dict)


class _Reading:
    """The value that YAML's events give, without recursion, which deep documents would exhaust."""

    def __init__(self, file: str) -> None:
        self.file, self.is_over = file, False
        self.value: Json = None
        self.lines: dict[str, tuple[str, int]] = {}
        self.twice: list[Problem] = []
        self.levels: list[_Level] = []
        self.anchors: dict[str, tuple[Json, int, int]] = {}
        self.scalars = Loader("")

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.NodeEvent):
            level = self.levels[-1] if self.levels else None
            if level and level.key is None and isinstance(level.value, dict):
                self.read_key(level, event)
            else:
                self.read_value(level, event)
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.levels.pop()
            value = {**done.merged, **done.value} if done.merged else done.value
            self.put(value, done.size, done.height, done.anchor)
        elif isinstance(event, yaml.DocumentStartEvent) and self.is_over:
            self.refuse(event, "not YAML: a second document begins")
        self.is_over |= isinstance(event, yaml.DocumentEndEvent)

    def read_key(self, level: _Level, event: Any) -> None:
        """A key, as it is written; what ``<<`` merges from elsewhere may be overridden."""
        line = event.start_mark.line + 1
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse(event, "not YAML: a key is no text")
        level.key = event.value
        level.is_merge = level.key == "<<" and event.implicit[0]
        path = _join(level.path, event.value)
        if level.key in level.value:
            what = f"the key stands twice, first on line {self.lines[path][1]}"
            self.twice.append(Problem(what, self.file, line, path, "keep one of them"))
        self.lines.setdefault(path, (self.file, line))

    def read_value(self, level: _Level | None, event: Any) -> None:
        path = ""
        if level and isinstance(level.value, list):
            path = f"{level.path}[{len(level.value)}]"
            self.lines[path] = (self.file, event.start_mark.line + 1)
        elif level:
            path = _join(level.path, level.key or "")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                self.refuse(event, f"the alias {event.anchor} has no value, or contains itself")
            self.put(*self.anchors[event.anchor])
        elif isinstance(event, yaml.ScalarEvent):
            self.put(self.scalar(event), 1, 0, event.anchor)
        elif event.tag not in _COLLECTIONS:
            self.refuse(event, f"not YAML: the tag {event.tag} is not known")
        elif len(self.levels) >= MAX_DEPTH:
            raise InputError(_too_deep(self.file))
        else:
            of_list = Replacement if event.tag == "!replace" else list
            kind = dict if isinstance(event, yaml.MappingStartEvent) else of_list
            self.levels.append(_Level(path, event.anchor, kind()))

    def scalar(self, event: Any) -> Json:
        tag = event.tag
        if tag in {None, "!"}:
            tag = self.scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == TEXT:
            return event.value
        node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        return well_formed(self.scalars.construct_document(node))

    def put(self, value: Json, size: int, height: int, anchor: str | None = None) -> None:
        """Set a value that is complete where it belongs."""
        if anchor:
            self.anchors[anchor] = (value, size, height)
        if len(self.levels) + height > MAX_DEPTH:
            raise InputError(_too_deep(self.file))
        if not self.levels:
            self.value = value
            return
        level = self.levels[-1]
        level.size, level.height = level.size + size, max(level.height, height + 1)
        if level.size > MAX_NODES:
            what = f"its aliases expand to more than {MAX_NODES:,} values"
            raise InputError(Problem(what, self.file, fix="write the values out"))
        if isinstance(level.value, list):
            level.value.append(value)
        elif level.is_merge:
            for each in value if isinstance(value, list) else [value]:
                if not isinstance(each, dict):
                    where = self.lines[_join(level.path, "<<")]
                    raise InputError(Problem("not YAML: << merges mappings only", *where, fix=_FIX))
                level.merged = {**each, **level.merged}
        else:
            level.value[level.key] = value
        level.key = None

    def refuse(self, event: Any, message: str) -> NoReturn:
        raise InputError(Problem(message, self.file, event.start_mark.line + 1, fix=_FIX))


def parse_json(text: str, file: str, *, with_lines: bool = False) -> Document:
    """Parse JSON text.

    Raises:
        InputError: the text is no JSON, nests too deep, or holds a key twice in one object.
    """
    twice = False

    def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found = dict(pairs)
        twice |= len(found) < len(pairs)
        return found

    try:
        value = well_formed(json.loads(text, object_pairs_hook=once_each))
    except json.JSONDecodeError as error:
        raise InputError(Problem(f"not JSON: {error.msg}", file, error.lineno, fix=_FIX)) from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise InputError(Problem(f"not JSON: {error}", file, fix=_FIX)) from error
    except RecursionError as error:
        raise InputError(_too_deep(file)) from error
    if not (twice or with_lines):
        return Document(value, file)
    # YAML knows the lines and what stands twice, but neither tabs nor halves of surrogate pairs
    as_yaml = parse_yaml(_HALVES.sub(r"\1?", text.replace("\t", " ")), file)
    return Document(value, file, as_yaml.lines)


def scalar_text(value: Any) -> str:
    """A value as a person wrote it, not in Python's notation (``true``, not ``True``)."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _too_deep(file: str) -> Problem:
    return Problem(f"nests deeper than {MAX_DEPTH} levels", file, fix="flatten the document")


def _join(path: str, key: str) -> str:
    name = f'"{key}"' if "." in key else key
    return f"{path}.{name}" if path else name
