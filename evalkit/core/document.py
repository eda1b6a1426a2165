"""YAML and JSON text to plain values, with the line of every field and all problems at once."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from evalkit.core.keys import TwiceError, join_path, once_each, settle_keys
from evalkit.core.masking import mask_json, mask_text
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json, to_json

MAX_NODES = 2_000_000
"""Values a document may have once its aliases are expanded; a bomb has billions."""

MAX_DEPTH = 200
"""Levels a document may nest; deeper ones are no configuration but an attack or an accident."""

_HALVES = re.compile(r"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][\da-fA-F]{2}")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Knows one tag more than YAML: the harness marks lists of a profile with ``!replace``."""


_Loader.add_constructor("!replace", lambda loader, node: loader.construct_sequence(node, deep=True))


class _Named(io.StringIO):
    """Text whose parser says in every mark which file it is."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document.

    Attributes:
        value: Its content as JSON values.
        file: The file's name as the user knows it.
        lines: Dotted path of a field to its one-based line; empty for JSON and large documents.
        files: Dotted path of a field to its file, where that is not ``file``.
        node: What it was made from, where the lines are known.
    """

    value: Json
    file: str
    lines: dict[str, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    node: yaml.Node | None = field(default=None, compare=False, repr=False)

    def problem(self, path: str, message: str, fix: str = "") -> Problem:
        """A problem with the field at ``path``, on that field's line or its nearest parent's."""
        file = self.files.get(self._known(path), self.file)
        return Problem(message, file, self.line(path), path, fix)

    def line(self, path: str) -> int | None:
        """The line of the field at ``path``, or of the nearest parent that has one."""
        return self.lines.get(self._known(path))

    def _known(self, path: str) -> str:
        while path and path not in self.lines:
            path = re.sub(r"(^|\.)[^.\[]+$|\[\d+\]$", "", path)
        return path


def from_node(node: yaml.Node, file: str) -> Document:
    """The document that a tree of YAML nodes is, with the line and the file of each field.

    Raises:
        InputError: a value cannot be expressed in JSON.
    """
    lines = _line_of_each_field(node)
    files = {path: mark.name for path, mark in _marks(node, "") if mark.name != file}
    return Document(to_json(_Loader("").construct_document(node)), file, lines, files, node)


def parse_yaml(text: str, file: str, *, with_lines: bool = False) -> Document:
    """Parse YAML text.

    Args:
        text: The file's content.
        file: The file's name, for messages.
        with_lines: Also note the line of every field; for configuration, not for data.

    Raises:
        InputError: the text is no YAML, nests too deep, expands to too many values, holds a
            value that JSON cannot express, or a key twice in one mapping.
    """
    try:
        _refuse_depth(text, file)
        loader = _Loader(_Named(text, file) if with_lines else text)
        try:
            node = loader.get_single_node()
            if node is None:
                return Document(None, file)
            _refuse_bombs(node, file)
            settle_keys(node, file)
            value = to_json(loader.construct_document(node))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line + 1, len(text.splitlines())) if mark else None
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise InputError(_not_yaml(file, what, line)) from error
    except (yaml.YAMLError, TypeError, ValueError, OverflowError) as error:
        raise InputError(_not_yaml(file, str(error), None)) from error
    except RecursionError as error:
        raise InputError(_too_deep(file)) from error
    if not with_lines:
        return Document(value, file)
    return Document(value, file, _line_of_each_field(node), node=node)


def parse_json(text: str, file: str) -> Document:
    """Parse JSON text.

    Raises:
        InputError: the text is no JSON, nests too deep, or holds a key twice in one object.
    """
    try:
        return Document(to_json(json.loads(text, object_pairs_hook=once_each)), file)
    except TwiceError as error:
        # JSON is YAML, which knows the lines, but for tabs and for halves of surrogate pairs
        parse_yaml(_HALVES.sub(r"\1?", text.replace("\t", " ")), file)
        problem = Problem(f"the key {error} stands twice", file, fix="keep one of them")
        raise InputError(problem) from error
    except json.JSONDecodeError as error:
        raise InputError(
            Problem(f"not JSON: {error.msg}", file, error.lineno, "", "correct or remove the file")
        ) from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise InputError(Problem(f"not JSON: {error}", file, fix="correct the file")) from error
    except RecursionError as error:
        raise InputError(_too_deep(file)) from error


def masked_document(text: str, document: Document) -> str:
    """The text of a YAML or JSON file without secrets.

    Comments and layout stay where they can. A secret that the layout takes apart, such as a key
    folded over several lines, is only seen in the value; then the values are written anew.

    Args:
        text: The file's content.
        document: The same, parsed.
    """
    masked = mask_text(text)[0]
    if mask_json(document.value) == document.value:
        return masked
    is_json = document.file.endswith(".json")
    try:
        rest = (parse_json if is_json else parse_yaml)(masked, document.file).value
    except InputError:  # the masks do not fit into the layout
        rest = document.value
    if mask_json(rest) == rest:
        return masked
    return (_as_json if is_json else _as_yaml)(mask_json(document.value))


def _as_json(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _as_yaml(value: Json) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def _not_yaml(file: str, what: str, line: int | None) -> Problem:
    first = what.splitlines()[0] if what else "unreadable"
    return Problem(f"not YAML: {first}", file, line, "", "correct the file at that place")


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
        for event in yaml.parse(text, _Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise InputError(_too_deep(file))
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.MarkedYAMLError as error:
        # from PyYAML 6.0.4 on its scanner has a limit too, and meets it while reading ahead
        read = text[: error.problem_mark.index] if error.problem_mark else ""
        if sum(map(read.count, "[{")) - sum(map(read.count, "]}")) > MAX_DEPTH:
            raise InputError(_too_deep(file)) from error
        raise


def _refuse_bombs(root: yaml.Node, file: str) -> None:
    """Count the values that ``root`` expands to, visiting each shared node once."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise InputError(_too_deep(file))
        known = sizes.get(id(node))
        if known is not None:
            if known == 0:
                raise InputError(
                    Problem(
                        "an alias contains itself",
                        file,
                        node.start_mark.line + 1,
                        fix="write the value out",
                    )
                )
            return known
        sizes[id(node)] = 0
        total = 1 + sum(size(child, depth + 1) for child in _children(node))
        sizes[id(node)] = total
        return total

    if size(root, 0) > MAX_NODES:
        raise InputError(
            Problem(
                f"its aliases expand to more than {MAX_NODES:,} values",
                file,
                fix="write the values out, or split the file",
            )
        )


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _line_of_each_field(root: yaml.Node) -> dict[str, int]:
    """Dotted path of every field to its one-based line; of what is overridden, the last."""
    return {path: mark.line + 1 for path, mark in _marks(root, "")}


def _marks(node: yaml.Node, path: str) -> Iterator[tuple[str, Any]]:
    """Dotted path of every field, and the mark at which it begins."""
    fields: list[tuple[str, yaml.Node, Any]] = []
    if isinstance(node, yaml.MappingNode):
        fields = [
            (join_path(path, key.value), value, key.start_mark)
            for key, value in node.value
            if isinstance(key, yaml.ScalarNode)
        ]
    elif isinstance(node, yaml.SequenceNode):
        fields = [(f"{path}[{i}]", v, v.start_mark) for i, v in enumerate(node.value)]
    for field_path, child, mark in fields:
        yield field_path, mark
        yield from _marks(child, field_path)


def as_text(value: Any) -> str:
    """A scalar as text: what a person wrote, not Python's notation (``true``, not ``True``)."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
