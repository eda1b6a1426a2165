"""One text of a YAML document is set or removed; every other byte of it stays as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import yaml

from evalkit.documents import Loader, parse_yaml
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json


def edit_yaml(text: str, file: str, path: Sequence[str], value: str | None) -> str:
    """The document with a text at ``path``, or without what stands there.

    People's files hold comments, an order and a way of quoting that a dump would lose, so the
    document is read only to find where to splice. What that gives is read again and compared;
    where it would say anything else than was asked for, it is refused.

    Args:
        text: The document.
        file: The file's name, for messages.
        path: The keys that lead to the value, outermost first; mappings on the way that are
            missing are begun, a new entry comes after its siblings.
        value: The text to set; None removes the entry with its line.

    Raises:
        InputError: the text is no YAML mapping, or cannot be edited without harm to the rest.
    """
    before = parse_yaml(text, file).value
    if before is not None and not isinstance(before, dict):
        raise InputError(Problem("is not a mapping of keys", file, fix="start with a key"))
    try:
        wanted = _changed(before or {}, path, value)
        if wanted == (before or {}):
            return text
        after = _Page(text).spliced(path, value)
        if _no_empties(parse_yaml(after, file).value) == _no_empties(wanted):
            return after
    except (InputError, TypeError, ValueError):
        pass  # the place is written in a way that cannot be edited
    what = f"{'.'.join(path)} cannot be edited without harm to the rest"
    fix = "write one key a line, without braces, aliases and document marks; or edit it by hand"
    raise InputError(Problem(what, file, fix=fix))


def set_entry(text: str, file: str, key: str, value: Json) -> str:
    """The document with a value of any kind at one of its outermost keys, at the end if it is new.

    Only the lines of that key change; comments, order and spelling around them stay.

    Raises:
        InputError: the text is no YAML mapping in lines, or cannot be edited without harm.
    """
    before, page, root = parse_yaml(text, file).value or {}, _Page(text), yaml.compose(text, Loader)
    begin = end = len(text)
    if isinstance(root, yaml.MappingNode):
        for name, node in root.value:
            if name.value == key:
                begin, end = name.start_mark.index, page._next_line(page._end(node))  # noqa: SLF001
    block = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=100)
    gap = page.line_break if text[:begin] and text[begin - 1] != "\n" else ""
    after = text[:begin] + gap + block.replace("\n", page.line_break) + text[end:]
    try:
        if parse_yaml(after, file).value == {**before, key: value}:
            return after
    except (InputError, TypeError):
        pass  # such as one in braces
    fix = f"write one key a line, without braces and aliases, or remove {key} by hand"
    raise InputError(Problem("cannot be edited without harm to its other keys", file, fix=fix))


def _changed(before: Json, path: Sequence[str], value: str | None) -> Json:
    key, *rest = path
    after = dict(before or {})  # of what is no mapping: an error
    if value is None and key not in after:
        return before
    after[key] = _changed(after.get(key), rest, value) if rest else value
    return after if rest or value is not None else {k: after[k] for k in after if k != key}


def _no_empties(value: Json) -> Json:
    """The value with empty mappings as what they are in lines: nothing."""
    return (
        {k: _no_empties(v) for k, v in value.items()} or None if isinstance(value, dict) else value
    )


class _Page:
    """The text of a document, and where in it things stand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.line_break = "\r\n" if "\r\n" in text else "\n"

    def spliced(self, path: Sequence[str], value: str | None) -> str:
        node: Any = yaml.compose(self.text, Loader)
        if node is None:
            return self._below(len(self.text), 0, path, value)
        for depth, key in enumerate(path, 1):
            if not isinstance(node, yaml.MappingNode):
                raise TypeError(key)
            parent, keys = node, [name.value for name, _ in node.value]
            if key not in keys:
                return self._add(parent, path[depth - 1 :], value)
            at = keys.index(key)
            node, rest = parent.value[at][1], path[depth:]
            empty = not node.value or str(node.tag).endswith(":null")
            if rest and empty and not isinstance(node, yaml.SequenceNode):
                return self._begin(parent, at, rest, value)
        if value is None:
            return self._remove(parent, at)
        if not isinstance(node, yaml.ScalarNode):
            raise TypeError(path)
        return self._replace(parent, node, value)

    def _cut(self, begin: int, end: int, new: str) -> str:
        return self.text[:begin] + new + self.text[end:]

    def _remove(self, parent: yaml.MappingNode, at: int) -> str:
        key, value = parent.value[at]
        begin, end = key.start_mark.index, self._end(value)
        if not parent.flow_style:
            return self._cut(self.text.rfind("\n", 0, begin) + 1, self._next_line(end), "")
        if at + 1 < len(parent.value):
            end = parent.value[at + 1][0].start_mark.index
        elif at:
            begin = self._end(parent.value[at - 1][1])
        return self._cut(begin, end, "")

    def _add(self, node: yaml.MappingNode, path: Sequence[str], value: str | None) -> str:
        """Add an entry after the last one of a mapping."""
        end = self._end(node.value[-1][1]) if node.value else node.start_mark.index + 1
        if not node.flow_style:
            return self._below(
                self._next_line(end), node.value[0][0].start_mark.column, path, value
            )
        entry = json.dumps(_nested(path, value), ensure_ascii=False)[1:-1]
        return self._cut(end, end, f", {entry}" if node.value else entry)

    def _begin(
        self, parent: yaml.MappingNode, at: int, path: Sequence[str], value: str | None
    ) -> str:
        """Begin a mapping where a key has no value yet, or an empty one."""
        key, empty = parent.value[at]
        head, tail = self.text[: empty.start_mark.index].rstrip(" "), self.text[self._end(empty) :]
        if parent.flow_style:
            return f"{head} {json.dumps(_nested(path, value), ensure_ascii=False)}{tail}"
        page = _Page(head + tail)
        return page._below(page._next_line(len(head)), key.start_mark.column + 2, path, value)

    def _replace(self, parent: yaml.MappingNode, node: yaml.ScalarNode, value: str) -> str:
        begin, end = node.start_mark.index, self._end(node)
        if parent.flow_style:
            return self._cut(begin, end, json.dumps(value, ensure_ascii=False))
        line_end = self._line_end(end)
        behind = self.text[end:line_end]
        if node.style in {"|", ">"}:
            behind = "".join(re.findall(r"\s+#.*", self.text[begin : self._line_end(begin)])[:1])
        first, *more = _lines({"k": value}, parent.value[0][0].start_mark.column)
        gap = " " if self.text[begin - 1] == ":" else ""
        first = gap + first.partition(":")[2].strip() + behind
        return self._cut(begin, line_end, self.line_break.join([first, *more]))

    def _below(self, at: int, indent: int, path: Sequence[str], value: str | None) -> str:
        """Add lines at the beginning of a line."""
        lines = [" " * indent, *_lines(_nested(path, value), indent)]
        gap = self.line_break if at and self.text[at - 1] != "\n" else ""
        new = lines[0] + self.line_break.join(lines[1:]) + self.line_break
        return self._cut(at, at, gap + new)

    def _end(self, node: yaml.Node) -> int:
        """The index after the node's last character, without blank lines that follow it."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            return self._end(last[1] if isinstance(last, tuple) else last)
        begin, end = int(node.start_mark.index), int(node.end_mark.index)
        return begin + len(self.text[begin:end].rstrip())

    def _line_end(self, index: int) -> int:
        end = len(self.text) if (found := self.text.find("\n", index)) < 0 else found
        return end - 1 if self.text[index:end].endswith("\r") else end

    def _next_line(self, index: int) -> int:
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found + 1


def _nested(path: Sequence[str], value: str | None) -> dict[str, Json]:
    key, *rest = path
    return {key: _nested(rest, value) if rest else value}


def _lines(entries: dict[str, Json], indent: int) -> list[str]:
    """Entries as lines of YAML, text of several lines as a block; all but the first indented."""

    def node(value: Json) -> yaml.Node:
        if isinstance(value, dict):
            pairs = [(node(key), node(each)) for key, each in value.items()]
            return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)
        return yaml.ScalarNode("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    never_folded = 1 << 30  # a comment of one line stays one line
    dumped = yaml.serialize(
        node(entries), None, yaml.SafeDumper, allow_unicode=True, width=never_folded
    )
    first, *more = dumped.removesuffix("\n").split("\n")
    return [first, *(" " * indent + line if line else line for line in more)]
