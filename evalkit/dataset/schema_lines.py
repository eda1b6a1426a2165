"""What a schema says of the files and fields that the cases hold, line by line.

A line that begins with a name (a bullet, ``name (type): …``, a table's row) is about it; in a
sentence, a name stands with the words beside it. More of the prose is not understood.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

_NAME = re.compile(
    r"[\"'`]*(?P<name>\.?[\w*<>{}-]+(?:[./:]{1,2}[\w*<>{}-]+)*/?)(?:[\"`]|'(?!s\b))*"
)
_HEAD = re.compile(r"(?:optional(?:ly)?\s|the\s|an?\s|field\s|file\s)*\Z", re.IGNORECASE)
_HEADING = re.compile(r"[A-Z][^.;:|`\"]{2,60}:(?=\s|$)|[a-z_]\w{2,30}:$")
_JOINED = re.compile(r"(?:[\s,/&+]|\b(?:and|or|optional(?:ly)?|the|an?)\b)*\Z")
_SIGN = re.compile(r"(?:\s*[(\[{][^()]*[)\]}])*\s*(?::|[—\N{EN DASH}#=](?=\s)|--?\s)")
_CLAUSE = re.compile(r";\s|(?<=[\w)\"'`])\.\s+(?=[\w`\"'.])")
_LEFT = re.compile(
    r"(?:^|'s|[^\w\s.]|\b(?:and|or|with|holds?|has|contains?|reads?|fields?|keys?))\s*\Z"
)
_RIGHT = re.compile(r"\s*(?:$|[^\w\s']|(?:and|or|of|is|are|fields?|keys?)\b)")
_BETWEEN = " |,:\"'`-—\N{EN DASH}=#"


@dataclass(slots=True)
class SchemaRemark:
    """What the schema says of a field, or of a file: on it alone, and with others beside it."""

    name: str
    is_file: bool
    own: str
    shared: str


def covers(written: str, file: str) -> bool:
    """Whether a schema means a file by what it writes: a name, a path, a pattern, a folder."""
    if written.endswith("/"):
        return f"/{written}" in f"/{file}"
    return fnmatchcase(f"/{file}", f"*/{written}") or f"/{written}".endswith(f"/{file}")


class SchemaReader:
    """Reads a schema with the names of files and fields that the cases know."""

    def __init__(self, files: Collection[str], fields: Collection[str]) -> None:
        self._files, self._fields = files, fields

    def read(self, schema: str) -> Iterator[SchemaRemark]:
        """Everything that the schema says of a name."""
        headings: list[tuple[tuple[int, bool], str]] = []
        for depth, text in self._lines(schema):
            while headings and headings[-1][0] >= depth:
                headings.pop()
            above = headings[-1][1] if headings else ""
            if heading := _HEADING.match(text):
                above = f"{heading[0]} {above}".strip()
            headings.append((depth, above))
            remarks: list[SchemaRemark] = []
            for clause in _CLAUSE.split(text):
                if found := self._subjects(clause):
                    remarks += reversed([*self._clause(clause, found, above)])
                elif remarks and not clause.endswith(":"):
                    remarks[-1].own += f". {clause}"
            yield from remarks

    def _lines(self, schema: str) -> Iterator[tuple[tuple[int, bool], str]]:
        """(indent, is a bullet) and text of the lines, each with those that it is wrapped into."""
        depth, whole = (0, False), ""
        for raw in [*schema.splitlines(), ""]:
            text, indent = raw.strip().replace("**", ""), len(raw) - len(raw.lstrip())
            is_blank = not text or re.fullmatch(r"[-=_*~|: ]{3,}|(?:```|~~~).*", text)
            bullet = re.match(r"(?:[-*+•|]|\d+[.)])\s+", text)
            begins = is_blank or bullet or re.match(r"#|\w+:$", text)
            starts = bool(begins) or self._begins_with_name(text)
            if whole and not starts and indent >= sum(depth):
                whole += f" {text}"
                continue
            if whole:
                yield depth, whole
            text = text[bullet.end() :] if bullet else text
            text = text.strip("# :") + ":" if text.startswith("#") else text
            depth, whole = (indent, bool(bullet)), "" if is_blank else text

    def _begins_with_name(self, text: str) -> bool:
        first = next(self._names(text), None)
        return bool(first and _HEAD.match(text[: first.start()]))

    def _names(self, text: str) -> Iterator[re.Match[str]]:
        """Where a sentence has a file, or a field that is quoted, spelt or placed like one."""
        for match in _NAME.finditer(text):
            name = match["name"]
            if self._is_file(name):
                yield match
            elif name.rpartition(".")[2] in self._fields:
                is_marked = match[0] != name or re.search(r"[_.\d]|[a-z][A-Z]", name)
                is_apart = _LEFT.search(text[: match.start()]) and _RIGHT.match(text, match.end())
                if is_marked or is_apart:
                    yield match

    def _subjects(self, clause: str) -> list[re.Match[str]]:
        """The names that a clause is about: fields that it begins with and a colon, else all."""
        found = [*self._names(clause)]
        end = 0
        for number, match in enumerate(found):
            between = clause[end : match.start()]
            is_next = _JOINED.match(between) if number else _HEAD.match(between)
            if not is_next or self._is_file(match["name"]):
                break
            end = match.end()
            if _SIGN.match(clause, end):
                return found[: number + 1]
        return found

    def _is_file(self, name: str) -> bool:
        return any(covers(name.partition(":")[0], file) for file in self._files)

    def _clause(self, text: str, found: list[re.Match[str]], above: str) -> Iterator[SchemaRemark]:
        """What a clause says of its names, last first: joined ones share the words behind them."""
        shared = f"{text[: found[0].start()]} … {above}".strip(" …")
        words, end = "", len(text)
        for match in reversed(found):
            between = text[match.end() : end]
            words = words if _JOINED.match(between) else between.strip(_BETWEEN).lstrip(")]}")
            file, _, key = match["name"].partition(":")
            is_file = self._is_file(file) and not key
            yield SchemaRemark(match["name"] if is_file else key or file, is_file, words, shared)
            end = match.start()
