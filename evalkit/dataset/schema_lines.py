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
_FILE = re.compile(
    r"[\w*/.-]+\.(?:ya?ml|jsonl?|md|txt|csv|patch|diff|sql|py|adoc|html|xml)\Z|.*/\Z"
)
_HEAD = re.compile(r"(?:optional(?:ly)?\s|the\s|an?\s|field\s|file\s)*\Z", re.IGNORECASE)
_HEADING = re.compile(r"[A-Z][^.;:|`\"]{2,60}:(?=\s|$)|[a-z_]\w{2,30}:$")
_JOINED = re.compile(r"(?:[\s,/&+]|\b(?:and|or|optional(?:ly)?|the|an?)\b)*\Z")
_BETWEEN = " ,:\"'`-—\N{EN DASH}=#"
_SIGN = re.compile(r"((?:\s*[(\[{][^()]*[)\]}])*)\s*(?::|[—\N{EN DASH}#=](?=\s)|--?\s)\s*")
"""What stands between a name and its description, behind what is in brackets."""
_CLAUSE = re.compile(r";\s|(?<=[\w)\"'`])\.\s+(?=[\w`\"'.])")
_LEFT = re.compile(
    r"(?:^|'s|[^\w\s.]|\b(?:and|or|with|holds?|has|contains?|reads?|fields?|keys?))\s*\Z"
)
_RIGHT = re.compile(r"\s*(?:$|[^\w\s']|(?:and|or|of|is|are|fields?|keys?)\b)")


@dataclass(slots=True)
class SchemaRemark:
    """What the schema says of a field, or without a name of a file.

    Attributes:
        file: The file as written, or the one under which the field is named.
        own: The words on it alone.
        shared: The words on it with others: its sentence, its heading.
    """

    name: str
    file: str
    own: str
    shared: str


@dataclass(slots=True)
class _Line:
    indent: int
    text: str
    is_bullet: bool = False
    file: str = ""
    above: str = ""


def covers(written: str, file: str) -> bool:
    """Whether a schema means a file by what it writes: a name, a path, a pattern, a folder."""
    written = re.sub(r"^(?:\./|(?:[\w-]+/)?[<{][^>}]*[>}]/)", "", written)
    if written.endswith("/"):
        return f"/{written}" in f"/{file}"
    pattern = re.sub(r"[<{][^>}]*[>}]", "*", written)
    return fnmatchcase(f"/{file}", f"*/{pattern}")


class SchemaReader:
    """Reads a schema with the names of files and fields that the cases know."""

    def __init__(self, files: Collection[str], fields: Collection[str]) -> None:
        self._files, self._fields = files, fields

    def read(self, schema: str) -> Iterator[SchemaRemark]:
        """Everything that the schema says of a name."""
        above: list[_Line] = []
        for line in self._lines(schema):
            while above and (above[-1].indent, above[-1].is_bullet) >= (
                line.indent,
                line.is_bullet,
            ):
                above.pop()
            if above:
                line.file, line.above = above[-1].file, above[-1].above
            above.append(line)
            if heading := _HEADING.match(line.text):
                line.above = f"{heading[0]} {line.above}"
            yield from self._remarks(line)

    def _lines(self, schema: str) -> list[_Line]:
        """The lines, each with those that it is wrapped into."""
        lines: list[_Line] = []
        goes_on = False
        for raw in schema.splitlines():
            text, indent = raw.strip().replace("**", ""), len(raw) - len(raw.lstrip())
            if not text or re.fullmatch(r"[-=_*~|: ]{3,}|(?:```|~~~).*", text):
                goes_on = False
                continue
            bullet = re.match(r"(?:[-*+•|]|\d+[.)])\s+", text)
            starts = bullet or text[0] == "#" or self._begins_with_name(text)
            if goes_on and not starts and indent >= lines[-1].indent + lines[-1].is_bullet:
                lines[-1].text += f" {text}"
                continue
            if text.startswith("|"):
                text = "| " + re.sub(r"\s*\|\s*", ": ", text.strip("| "))
            text = text[bullet.end() :] if bullet else text
            text = text.strip("# :") + ":" if text.startswith("#") else text
            lines.append(_Line(indent, text, bool(bullet)))
            goes_on = not text.endswith(":")
        return lines

    def _begins_with_name(self, text: str) -> bool:
        first = next(self._names(text), None)
        return bool(first and _HEAD.match(text[: first[0].start()]))

    def _names(self, text: str) -> Iterator[tuple[re.Match[str], bool]]:
        """(where, whether it is a file) of every name in a sentence that is meant as one."""
        for match in _NAME.finditer(text):
            name, file = match["name"], match["name"].partition(":")[0]
            if _FILE.match(file) or any(covers(file, each) for each in self._files):
                yield match, True
            elif name.rpartition(".")[2] in self._fields:
                is_marked = match[0] != name or re.search(r"[_.\d]|[a-z][A-Z]", name)
                left, end = text[: match.start()], match.end()
                apart = _LEFT.search(left) or _HEAD.match(left)
                if is_marked or (apart and _RIGHT.match(text, end)):
                    yield match, False

    def _remarks(self, line: _Line) -> list[SchemaRemark]:
        """What a line says; a clause without a name goes on about the line's, or about a file."""
        is_head = self._begins_with_name(line.text)
        if is_head and (remarks := self._listed(line)):
            return remarks
        remarks = []
        for clause in _CLAUSE.split(line.text):
            if found := [*self._names(clause)]:
                before = "" if is_head and not remarks else clause[: found[0][0].start()]
                remarks += _clause(line, clause, found, before)
            elif remarks and (is_head or not remarks[-1].name) and clause[-1:] != ":":
                remarks[-1].own += f"; {clause}"
        return remarks

    def _listed(self, line: _Line) -> list[SchemaRemark]:
        """What follows the fields that a line begins with is about these, whatever it names."""
        names: list[str] = []
        end = 0
        for match, is_file in self._names(line.text):
            if is_file or (names and not _JOINED.match(line.text[end : match.start()])):
                return []
            names.append(match["name"])
            end = match.end()
            if sign := _SIGN.match(line.text, end):
                own = f"{sign[1]} {line.text[sign.end() :]}".strip()
                return [SchemaRemark(name, line.file, own, line.above.strip()) for name in names]
        return []


def _clause(
    line: _Line, text: str, found: list[tuple[re.Match[str], bool]], before: str
) -> Iterator[SchemaRemark]:
    """What a clause says of the names in it: those that are joined share the words behind them."""
    group: list[tuple[str, str]] = []
    ends = [match.start() for match, _ in found[1:]] + [len(text)]
    for (match, is_file), end in zip(found, ends, strict=True):
        file, _, key = match["name"].partition(":")
        line.file = file if is_file else line.file
        group.append((key if is_file else match["name"], line.file))
        words = text[match.end() : end]
        if end == len(text) or not _JOINED.match(words):
            words = words.lstrip(_BETWEEN + ")]}").rstrip(_BETWEEN)
            for name, owner in group:
                yield SchemaRemark(name, owner, words, f"{before} … {line.above}".strip(" …"))
            group = []
