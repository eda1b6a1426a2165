"""One entry of a YAML document is set or removed; every other byte of it stays as it was."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from evalkit.documents import TEXT, Loader, parse_yaml
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json


def edit_yaml(text: str, file: str, path: Sequence[str], value: Json) -> str:
    """The document with a value at the end of these keys; with None, without what stands there.

    People's files hold comments, an order and a way of quoting that a dump would lose, so only the
    lines of one entry are written anew: the innermost on the way that is there, or a new one after
    its siblings. What that gives is read again; if it says anything else than was asked for, or a
    comment were lost, it is refused.

    Raises:
        InputError: the text is no YAML mapping, or cannot be edited without harm to the rest.
    """
    before = parse_yaml(text, file).value or {}
    if not isinstance(before, dict):
        raise InputError(Problem("is not a mapping of keys", file, fix="start with a key"))
    try:
        wanted = _changed(before, path, value)
        if _no_empties(wanted) == _no_empties(before):
            return text
        after = _spliced(text, path, wanted)
        if _no_empties(parse_yaml(after, file).value) == _no_empties(wanted):
            return after
    except (InputError, TypeError, ValueError):
        pass  # the place is written in a way that cannot be edited
    what = f"{'.'.join(path)} cannot be edited without harm to the rest"
    fix = "write one key a line, without braces, aliases and document marks; or edit it by hand"
    raise InputError(Problem(what, file, fix=fix))


def _changed(before: Json, path: Sequence[str], value: Json) -> Json:
    key, *rest = path
    after = {**(before or {})}  # of what is no mapping: an error
    after[key] = _changed(after.get(key), rest, value) if rest else value
    return {each: after[each] for each in after if each != key or rest or value is not None}


def _no_empties(value: Json) -> Json:
    """The value with empty mappings as what they are in lines: nothing."""
    if not isinstance(value, dict):
        return value
    return {key: each for key in value if (each := _no_empties(value[key])) is not None} or None


def _spliced(text: str, path: Sequence[str], entry: Json) -> str:
    """The text with the innermost entry on the way, or a new one, as the document is to have it."""
    parent: Any = yaml.compose(text, Loader) or yaml.MappingNode(TEXT, [])
    begin, end, indent, spelled, behind = len(text), len(text), 0, "", ""
    for depth, key in enumerate(path, 1):
        entry = entry.get(key)
        found = next((pair for pair in parent.value if pair[0].value == key), None)
        if parent.flow_style:
            raise TypeError(key)
        if found is None:
            spelled = yaml.safe_dump(key, allow_unicode=True).split("\n")[0]
            if depth > 1:  # after its siblings; at the top, at the end
                indent = parent.value[0][0].start_mark.column
                begin = end = _next_line(text, _end(text, parent))
            break
        name, node = found
        spelled = text[name.start_mark.index : name.end_mark.index]
        indent, last = name.start_mark.column, _end(text, node)
        begin, end = name.start_mark.index - indent, _next_line(text, last)
        if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
            parent = node
            continue
        is_below = node.start_mark.line > name.start_mark.line
        is_below = is_below or (isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"})
        line = text[begin:end].splitlines()[0] if is_below else text[last:end].rstrip("\r\n")
        behind = "".join(re.findall(r"\s+#.*", line)[:1])
        if isinstance(node, yaml.CollectionNode) and node.value:
            within = re.search(r"\s#", text[node.start_mark.index : last])
            if isinstance(entry, str) or (depth < len(path) and within):
                raise TypeError(key)
        break
    new = "" if entry is None else _entry(spelled, entry, indent, behind)
    line_break = "\r\n" if "\r\n" in text else "\n"
    gap = line_break if new and begin and text[begin - 1] != "\n" else ""
    return text[:begin] + gap + new.replace("\n", line_break) + text[end:]


def _end(text: str, node: yaml.Node) -> int:
    """The index after the node's last character, without blank lines that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    begin, end = int(node.start_mark.index), int(node.end_mark.index)
    return begin + len(text[begin:end].rstrip())


def _next_line(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def _entry(spelled: str, value: Json, indent: int, behind: str) -> str:
    """A key and its value as lines of YAML, text of several lines as a block."""
    dumper: type[yaml.SafeDumper] = _Lines
    width = 1 << 30  # a comment of one line stays one line
    if isinstance(value, list):
        dumper, width = yaml.SafeDumper, 100
    dumped = yaml.dump({"k": value}, None, dumper, sort_keys=False, allow_unicode=True, width=width)
    first, *more = dumped.removesuffix("\n").split("\n")
    lines = [spelled + first[1:] + behind, *more]
    return "".join(f"{' ' * indent if line else ''}{line}\n" for line in lines)


class _Lines(yaml.SafeDumper):
    """Writes text of several lines as a block."""


_Lines.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(TEXT, text, style="|" if "\n" in text else None),
)
