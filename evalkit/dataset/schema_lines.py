"""What a schema says of the files and fields that the cases hold, line by line.

A line that begins with names (a bullet, ``name (type): …``, a table's row) is about these; in a
sentence, a name stands with the words beside it. More of the prose is not understood.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

_SIGN = (
    r"\s*(?:\b(?:fields?|keys?)\b)?\s*(?::(?=\s|$|[\w\"'`])|[—\N{EN DASH}#=](?=\s)|--?\s|\.{3,})\s*"
)
_BRACKET = re.compile(
    r"\s*[(\[{](?P<inside>[^()\[\]{}]*(?:[(\[{][^()]*?[)\]}][^()\[\]{}]*)*)[)\]}]"
)
_NAME = re.compile(r"[\"'`]*(?P<name>\.?[\w*<>{}-]+(?:[./:]{1,2}[\w*<>{}-]+)*/?)[\"'`]*")
_FILE = re.compile(r"[\w*/.-]+\.(?:ya?ml|jsonl?|md|txt|csv|patch|diff|sql|py|adoc|html|xml)\Z")
_STARTS = re.compile(
    r"[\"'`]?[\w./*<>-]+[\"'`]?(?:[\s,]+[\"'`]?[\w./*<>-]+[\"'`]?)?"
    rf"(?:\s*\([^()]*(?:\([^()]*\)[^()]*)*\)|\s*\[[^\]]*\])*{_SIGN}"
    r"|[A-Z][^.;:|`\"]{2,60}:(?=\s|$)"
)
"""How a line without a bullet begins that is no continuation of the one before."""
_JOINED = re.compile(r"(?:[\s,/&+]|\b(?:and|or|optional(?:ly)?|the|an?)\b)*\Z")
_CLAUSE = re.compile(r";\s|(?<=[\w)\"'`])\.\s+(?=[\w`\"'.])")
_LABEL = re.compile(r"[A-Z][^.;:|`\"]{2,60}:(?=\s|$)|[a-z_]\w{2,30}:$")
_LEFT = re.compile(
    r"(?:^|'s|[,:;(\[{\"'`/—\N{EN DASH}-]"
    r"|\b(?:and|or|with|holds?|ha[sv]e?|contains?|reads?|fields?|keys?))\s*\Z"
)
_RIGHT = re.compile(
    r"\s*(?:$|[,:;()\[\]{}\"'`/.—\N{EN DASH}]|(?:and|or|of|is|are|fields?|keys?)\b|--? )"
)
_OF_ALL = re.compile(r"[\s,]*(?:is|are|was|were|goe?s?|will|which|that|all|both|must|should)\b")
_OTHER = re.compile(r"[\s,)\]}\"'`]*(?:and|or|plus)\b(?! (?:is|are|was|must|should|never|not)\b)")
_PRONOUN = re.compile(r"(?:It|They|This|These)\b")


@dataclass(frozen=True, slots=True)
class SchemaRemark:
    """What the schema says of one name.

    Attributes:
        name: The field, dotted where the schema has it so; empty for a remark on a file.
        file: The file as written, or the one under which the field is named.
        own: The words on it alone.
        shared: The words on it with others: its sentence, its heading.
        listed: Whether a line begins with it.
    """

    name: str
    file: str
    own: str
    shared: str
    listed: bool = False


@dataclass(slots=True)
class _Line:
    """A line with those that it is wrapped into, and what it inherits and hands on."""

    indent: int
    text: str
    starts: bool
    bullet: bool = False
    file: str = ""
    keys: str = ""
    above: str = ""


def covers(written: str, file: str) -> bool:
    """Whether a schema means a file by what it writes: a name, a path, a pattern, a folder."""
    written = re.sub(r"^(?:\./|(?:[\w-]+/)?[<{][^>}]*[>}]/)", "", written)
    if written.endswith("/"):
        return f"/{written}" in f"/{file}"
    pattern = re.sub(r"[<{][^>}]*[>}]", "*", written)
    names = (file, PurePosixPath(file).name, re.sub(r"\.yml$", ".yaml", file))
    return any(fnmatchcase(name, pattern) for name in names) or file.endswith(f"/{pattern}")


def _lines(schema: str) -> Iterator[_Line]:
    current: _Line | None = None
    for raw in schema.splitlines():
        text = raw.strip().replace("**", "")
        if not text or re.fullmatch(r"[-=_*~|: ]{3,}|(?:```|~~~).*", text):
            line = None
        else:
            line = _line(len(raw) - len(raw.lstrip()), text)
            deeper = current and line.indent >= current.indent + current.starts
            opened = current and current.text.endswith(":") and line.indent > current.indent
            if current and deeper and not opened and not line.starts:
                current.text += f" {line.text}"
                continue
        if current:
            yield current
        current = line
    if current:
        yield current


def _line(indent: int, text: str) -> _Line:
    if heading := re.match(r"(#{1,6})\s+(.*)", text):
        return _Line(len(heading[1]) - 10, heading[2].rstrip("# :") + ":", starts=True)
    if text.startswith("|"):
        cells = [cell.strip(" `") for cell in text.strip("|").split("|")]
        cells.sort(key=lambda cell: not _FILE.match(cell))
        row = f"{cells[0]}:{cells[1]}: " if _FILE.match(cells[0]) and cells[2:] else f"{cells[0]}: "
        return _Line(indent, row + ", ".join(cells[row.count(":") :]), starts=True, bullet=True)
    if bullet := re.match(r"(?:[-*+•]|\d+[.)])\s+", text):
        return _Line(indent, text[bullet.end() :], starts=True, bullet=True)
    return _Line(indent, text, starts=bool(_STARTS.match(text)))


class Reader:
    """Reads a schema with the names that the cases know.

    Args:
        files: Every file of any case.
        fields: The fields at the top of their documents.
        nested: Those below.
    """

    def __init__(
        self, files: Collection[str], fields: Collection[str], nested: Collection[str]
    ) -> None:
        self._files, self._fields, self._nested = files, fields, nested
        self._remarks: list[SchemaRemark] = []

    def read(self, schema: str) -> list[SchemaRemark]:
        """Everything that the schema says of a name."""
        above: list[_Line] = []
        for line in _lines(schema):
            while above and not _is_below(line, above[-1]):
                above.pop()
            if above:
                line.file, line.keys, line.above = above[-1].file, above[-1].keys, above[-1].above
            self._read(line)
            above.append(line)
        return self._remarks

    def _read(self, line: _Line) -> None:
        label = _LABEL.match(line.text)
        head = re.match(r"(?:optional(?:ly)?|the|an?|field|file)\s+", line.text, re.IGNORECASE)
        names, rest = self._head(line, line.text[head.end() :] if head else line.text)
        if names and not self._is_file(names[0].partition(":")[0]):
            if len(names) == 1 and not rest and not self._is_known(names[0]):
                line.above = f"{names[0]}: {line.above}"
                return
            for name in names:
                key = f"{line.keys}.{name}" if line.keys and name not in self._fields else name
                self._remarks.append(SchemaRemark(key, line.file, rest, line.above, listed=True))
            line.keys, line.above = key, rest or line.above
            return
        shared = f"{label[0]} {line.above}" if label and not names else line.above
        for name in names:
            line.file, _, key = name.partition(":")
            words = rest if key else self._until_a_field(rest)
            self._remarks.append(SchemaRemark(key, line.file, words, line.above, listed=True))
        if names and names[0].partition(":")[2]:
            return
        self._sentences(line, rest if names else line.text, "" if names else shared)
        line.above = shared if label and line.text.endswith(":") else line.above

    def _head(self, line: _Line, text: str) -> tuple[list[str], str]:
        """The names that a line begins with, and what follows the sign behind them."""
        names: list[str] = []
        notes, at = "", 0
        while match := _NAME.match(text, at):
            name, after = match["name"], text[match.end() :]
            guess = (
                line.bullet
                and re.fullmatch(r"[a-z_][\w.-]*/?", name)
                and (
                    re.match(_SIGN, after) or _BRACKET.match(after) or text[match.start()] in "\"'`"
                )
            )
            if not (guess or self._is_known(name)):
                return [], text
            names.append(name)
            at = match.end()
            while bracket := _BRACKET.match(text, at):
                notes, at = f"{notes}{bracket[0].strip()} ", bracket.end()
            comma = re.compile(r"\s*(?:,|/|&|\band\b)\s*").match(text, at)
            if not comma:
                break
            at = comma.end()
        sign = re.compile(_SIGN, re.IGNORECASE).match(text, at)
        if not names or not (sign or (line.starts and not text[at:].strip())):
            return [], text
        return names, f"{notes}{text[sign.end() :] if sign else ''}".strip()

    def _is_file(self, name: str) -> bool:
        return (
            name.endswith("/")
            or bool(_FILE.match(name))
            or any(covers(name, file) for file in self._files if name)
        )

    def _is_known(self, name: str) -> bool:
        last = name.rpartition(".")[2]
        return name in self._fields or last in self._nested or self._is_file(name.partition(":")[0])

    def _names(self, text: str) -> Iterator[tuple[re.Match[str], bool]]:
        """(where, whether it is a file) of every name in a sentence that is meant as one."""
        for match in _NAME.finditer(text):
            name = match["name"]
            if self._is_file(name.partition(":")[0]):
                yield match, True
                continue
            is_known = name in self._fields or ("." in name and self._is_known(name))
            is_quoted = match[0] != name
            if not is_known:
                if re.fullmatch(r"[a-z]+(?:_[a-z]+)+", name) and not self._is_known(name):
                    yield match, False
            elif (
                is_quoted
                or re.search(r"[_.\d]|[a-z][A-Z]", name)
                or (_LEFT.search(text[: match.start()]) and _RIGHT.match(text, match.end()))
            ):
                yield match, False

    def _until_a_field(self, rest: str) -> str:
        """What a line says of its file, up to where it begins to name fields."""
        first = next((match.start() for match, is_file in self._names(rest) if not is_file), None)
        if first is None or len(rest[:first].strip(" ,;:([{`\"'")) > 2:  # noqa: PLR2004, a bullet's rest
            return rest[:first]
        *others, last = _CLAUSE.split(rest)
        return "" if not others or any(self._names(last)) else last

    def _sentences(self, line: _Line, text: str, shared: str) -> None:
        before = len(self._remarks)
        text = re.sub(r"\([^()]*\)", lambda m: re.sub(r"[;.](?= )", ",", m[0]), text)
        at = 0
        for clause in _CLAUSE.split(text):
            goes_on = _PRONOUN.match(clause) or (at and ";" in text[at - 2 : at])
            at += len(clause) + 2
            found = [*self._names(clause)]
            if found:
                self._clause(line, clause, shared, found)
            elif goes_on and len(self._remarks) > before:
                last = self._remarks[-1]
                self._remarks[-1] = replace(last, own=f"{last.own}. {clause}")

    def _clause(
        self, line: _Line, clause: str, shared: str, found: list[tuple[re.Match[str], bool]]
    ) -> None:
        group: list[tuple[str, str, str]] = []
        before = clause[: found[0][0].start()]
        ends = [match.start() for match, _ in found[1:]] + [len(clause)]
        for (match, is_file), end in zip(found, ends, strict=True):
            gap, own = clause[match.end() : end], ""
            while bracket := _BRACKET.match(gap):
                own, gap = f"{own}{bracket['inside']} ", gap[bracket.end() :]
            if sign := re.match(_SIGN, gap):
                own, gap = f"{own}{gap[sign.end() :]}", ""
            file, _, key = match["name"].partition(":")
            line.file = file if is_file else line.file
            group.append((key if is_file else match["name"], line.file, own))
            if _JOINED.match(gap) and end < len(clause):
                continue
            says = "" if _OTHER.match(gap) else gap.strip(" ,)]}\"'`")
            of_all = bool(_OF_ALL.match(gap))
            context = f"{before} … {says if of_all else ''} {shared}".strip(" …")
            for left, (name, owner, words) in zip(
                range(len(group) - 1, -1, -1), group, strict=True
            ):
                alone = says if not left and not (of_all and len(group) > 1) else ""
                self._remarks.append(SchemaRemark(name, owner, words or alone, context))
            group = []


def _is_below(line: _Line, above: _Line) -> bool:
    """Whether a line is part of what a line above it opened."""
    opens = above.text.endswith(":") and not above.bullet
    return above.indent < line.indent or (above.indent == line.indent and opens and line.bullet)
