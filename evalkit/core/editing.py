"""Set or remove one text in a YAML document; every other byte of it stays as it was.

People's files hold comments, an order and a way of quoting that a dump would lose. So the document
is only read to find where a value stands, and the text is edited there. What such an edit gives is
read again and compared; where it would say anything else than was asked for, it is refused.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from evalkit.core.document import parse_yaml
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

STEP = 2
"""Spaces that a new mapping is indented by."""

NEVER_FOLDED = 1 << 30
"""Width of a line beyond all lines: a comment of one line stays one line."""


def with_text(text: str, file: str, path: Sequence[str], value: str) -> str:
    """The document with ``value`` at ``path``, replaced or added after its siblings.

    A comment behind the value stays behind it. Where a mapping on the way is missing or empty it
    is begun; in one written in braces, the value is written there too.

    Args:
        text: The document.
        file: The file's name, for messages.
        path: The keys that lead to the value, outermost first.
        value: The text to set; of several lines, it becomes a block.

    Raises:
        InputError: the text is no YAML mapping, or cannot be edited without harm to the rest.
    """
    return _edited(text, file, path, value)


def without(text: str, file: str, path: Sequence[str]) -> str:
    """The document without what stands at ``path``; unchanged where nothing does.

    Raises:
        InputError: the text is no YAML mapping, or cannot be edited without harm to the rest.
    """
    return _edited(text, file, path, None)


def _edited(text: str, file: str, path: Sequence[str], value: str | None) -> str:
    before = parse_yaml(text, file).value
    if before is not None and not isinstance(before, dict):
        raise InputError(Problem("is not a mapping of keys", file, fix="start with a key"))
    page = _Page(text, "\r\n" if "\r\n" in text else "\n")
    try:
        wanted = _changed(before or {}, path, value)
        if wanted == (before or {}):
            return text
        after = page.remove(path) if value is None else page.put(path, value)
        kept = _settled(parse_yaml(after, file).value, path) == _settled(wanted, path)
    except (InputError, _Unfit):
        kept = False
    if not kept:
        what = f"{'.'.join(path)} cannot be edited without harm to the rest"
        fix = "write one key a line, without braces, aliases and document marks; or edit it by hand"
        raise InputError(Problem(what, file, fix=fix))
    return after


def _changed(before: dict[str, Json], path: Sequence[str], value: str | None) -> dict[str, Json]:
    """What the document shall say."""
    after = place = copy.deepcopy(before)
    for key in path[:-1]:
        if place.get(key) is None:
            if value is None:
                return before
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict):
            raise _Unfit
    if value is None:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = value
    return after


def _settled(document: Json, path: Sequence[str]) -> Json:
    """The document, with an empty mapping above the value as what it is in lines: nothing."""
    *outer, last = ("", *path[:-1])
    root = {"": document}
    place = root
    for key in outer:
        place = place[key] or {}
    if place.get(last) == {}:
        place[last] = None
    return root


class _Unfit(Exception):
    """The place is written in a way that cannot be edited."""


@dataclass(frozen=True, slots=True)
class _Page:
    """The text of a document, and where in it things stand."""

    text: str
    line_break: str

    def put(self, path: Sequence[str], value: str) -> str:
        node: Any = yaml.compose(self.text, _Loader)
        if node is None:
            return self._below(len(self.text), 0, path, value)
        parent = None
        for depth, key in enumerate(path):
            if not isinstance(node, yaml.MappingNode):
                raise _Unfit
            found = _entry(node, key)
            if found is None:
                return self._add(node, path[depth:], value)
            parent, node = node, found[1]
            if depth + 1 < len(path) and _is_empty(node):
                return self._begin(parent, found, path[depth + 1 :], value)
        if not isinstance(node, yaml.ScalarNode) or parent is None:
            raise _Unfit
        return self._replace(parent, node, value)

    def remove(self, path: Sequence[str]) -> str:
        node: Any = yaml.compose(self.text, _Loader)
        for key in path[:-1]:
            found = _entry(node, key)
            if found is None:
                raise _Unfit
            node = found[1]
        at = next(i for i, entry in enumerate(node.value) if entry[0].value == path[-1])
        key, value = node.value[at]
        if not node.flow_style:
            begin = self.text.rfind("\n", 0, key.start_mark.index) + 1
            return self.text[:begin] + self.text[self._next_line(self._end(value)) :]
        begin, end = key.start_mark.index, self._end(value)
        if at + 1 < len(node.value):
            end = node.value[at + 1][0].start_mark.index
        elif at:
            begin = self._end(node.value[at - 1][1])
        return self.text[:begin] + self.text[end:]

    def _add(self, node: yaml.MappingNode, path: Sequence[str], value: str) -> str:
        """Add an entry after the last one of a mapping."""
        if not node.flow_style:
            last = self._next_line(self._end(node.value[-1][1]))
            return self._below(last, node.value[0][0].start_mark.column, path, value)
        entry = json.dumps(_nested(path, value), ensure_ascii=False)[1:-1]
        if not node.value:
            at = node.start_mark.index + 1
            return self.text[:at] + entry + self.text[at:]
        at = self._end(node.value[-1][1])
        return f"{self.text[:at]}, {entry}{self.text[at:]}"

    def _begin(
        self,
        parent: yaml.MappingNode,
        entry: tuple[yaml.Node, yaml.Node],
        path: Sequence[str],
        value: str,
    ) -> str:
        """Begin a mapping where a key has no value yet, or an empty one."""
        key, empty = entry
        begin, end = empty.start_mark.index, self._end(empty)
        head = self.text[:begin].rstrip(" ")
        if parent.flow_style:
            braced = json.dumps(_nested(path, value), ensure_ascii=False)
            return f"{head} {braced}{self.text[end:]}"
        page = _Page(head + self.text[end:], self.line_break)
        below = page._next_line(len(head))
        return page._below(below, key.start_mark.column + STEP, path, value)

    def _replace(self, parent: yaml.MappingNode, node: yaml.ScalarNode, value: str) -> str:
        begin, end = node.start_mark.index, self._end(node)
        if parent.flow_style:
            return self.text[:begin] + json.dumps(value, ensure_ascii=False) + self.text[end:]
        line_end = self._line_end(end)
        behind = self.text[end:line_end]
        if node.style in {"|", ">"}:
            header = self.text[begin : self._line_end(begin)]
            behind = "".join(re.findall(r"\s+#.*", header)[:1])
        first, *more = _lines({"k": value}, parent.value[0][0].start_mark.column)
        first = first.partition(":")[2].strip()
        gap = " " if self.text[begin - 1] == ":" else ""
        new = self.line_break.join([gap + first + behind, *more])
        return self.text[:begin] + new + self.text[line_end:]

    def _below(self, at: int, indent: int, path: Sequence[str], value: str) -> str:
        """Add lines at the beginning of a line."""
        head, tail = self.text[:at], self.text[at:]
        gap = self.line_break if head and not head.endswith("\n") else ""
        lines = _lines(_nested(path, value), indent)
        lines[0] = " " * indent + lines[0]
        return head + gap + self.line_break.join(lines) + self.line_break + tail

    def _end(self, node: yaml.Node) -> int:
        """The index after the node's last character, without blank lines that follow it."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            return self._end(last[1] if isinstance(last, tuple) else last)
        begin, end = int(node.start_mark.index), int(node.end_mark.index)
        return begin + len(self.text[begin:end].rstrip())

    def _line_end(self, index: int) -> int:
        found = self.text.find("\n", index)
        end = len(self.text) if found < 0 else found
        return end - 1 if self.text[index:end].endswith("\r") else end

    def _next_line(self, index: int) -> int:
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found + 1


def _entry(node: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next((entry for entry in node.value if entry[0].value == key), None)


def _is_empty(node: yaml.Node) -> bool:
    if isinstance(node, yaml.MappingNode):
        return not node.value
    return isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")


def _nested(path: Sequence[str], value: str) -> dict[str, Json]:
    found: Json = value
    for key in reversed(path):
        found = {key: found}
    return dict(found)


def _lines(entries: dict[str, Json], indent: int) -> list[str]:
    """Entries as lines of YAML; all but the first are indented already."""
    dumped = yaml.serialize(
        _node(entries), None, yaml.SafeDumper, allow_unicode=True, width=NEVER_FOLDED, indent=STEP
    )
    first, *more = dumped.removesuffix("\n").split("\n")
    return [first, *(" " * indent + line if line else line for line in more)]


def _node(value: Json) -> yaml.Node:
    """The value as YAML writes it, text of several lines as a block."""
    if isinstance(value, dict):
        pairs = [(_node(key), _node(each)) for key, each in value.items()]
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)
    style = "|" if "\n" in value else None
    return yaml.ScalarNode("tag:yaml.org,2002:str", value, style=style)
