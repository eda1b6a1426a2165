"""What a schema says of the files and fields that the cases hold, line by line.

A line that begins with names (a bullet, ``name (type): …``, a table's row) is about these; in a
sentence, a name stands with the words beside it. More of the prose is not understood.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

_NAME = re.compile(r"[\"'`]*(?P<name>\.?[\w*<>{}-]+(?:[./:]{1,2}[\w*<>{}-]+)*/?)[\"'`]*")
_FILE = re.compile(r"[\w*/.-]+\.(?:ya?ml|jsonl?|md|txt|csv|patch|diff|sql|py|adoc|html|xml)\Z")
_SIGN = re.compile(
    r"((?:\s*[(\[{][^()]*(?:\([^()]*\)[^()]*)*[)\]}])*)\s*(?:fields?|keys?)?"
    r"\s*(?::|[—\N{EN DASH}#=](?=\s)|--?\s|\.{3,}|\s{3,}|$)\s*"
)
"""What stands between a name and its description, after what is in brackets."""
_HEAD = re.compile(r"(?:optional(?:ly)?\s|the\s|an?\s|field\s|file\s)*\Z", re.IGNORECASE)
_HEADING = re.compile(r"[A-Z][^.;:|`\"]{2,60}:(?=\s|$)|[a-z_]\w{2,30}:$")
_JOINED = re.compile(r"(?:[\s,/&+]|\b(?:and|or|optional(?:ly)?|the|an?)\b)*\Z")
_CLAUSE = re.compile(r";\s|(?<=[\w)\"'`])\.\s+(?=[\w`\"'.])")
_LEFT = re.compile(
    r"(?:^|'s|[,:;(\[{\"'`/—\N{EN DASH}-]"
    r"|\b(?:and|or|with|holds?|ha[sv]e?|contains?|reads?|fields?|keys?))\s*\Z"
)
_RIGHT = re.compile(
    r"\s*(?:$|[,:;()\[\]{}/.—\N{EN DASH}#=]|(?:and|or|of|is|are|fields?|keys?)\b|--? )"
)
_OTHER = re.compile(r"[\s,)\]}\"'`]*(?:and|or|plus)\b(?! (?:is|are|was|must|should|never|not)\b)")


@dataclass(slots=True)
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
    bullet: bool = False
    file: str = ""
    keys: str = ""
    above: str = ""

    def inherit(self, lines: list[_Line]) -> None:
        """Take over from the line that this one is below; the others are closed."""
        while lines:
            last = lines[-1]
            if (last.indent, last.bullet) < (self.indent, self.bullet):
                self.file, self.keys, self.above = last.file, last.keys, last.above
                break
            lines.pop()
        lines.append(self)


def covers(written: str, file: str) -> bool:
    """Whether a schema means a file by what it writes: a name, a path, a pattern, a folder."""
    written = re.sub(r"^(?:\./|(?:[\w-]+/)?[<{][^>}]*[>}]/)", "", written)
    if written.endswith("/"):
        return f"/{written}" in f"/{file}"
    pattern = re.sub(r"[<{][^>}]*[>}]", "*", written)
    return fnmatchcase(f"/{file}", f"*/{pattern}")


class SchemaReader:
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

    def read(self, schema: str) -> list[SchemaRemark]:
        """Everything that the schema says of a name."""
        above: list[_Line] = []
        remarks: list[SchemaRemark] = []
        for line in self._lines(schema):
            line.inherit(above)
            remarks += self._read(line)
        return remarks

    def _lines(self, schema: str) -> list[_Line]:
        lines: list[_Line] = []
        goes_on = False
        for raw in schema.splitlines():
            text, indent = raw.strip().replace("**", ""), len(raw) - len(raw.lstrip())
            if not text or re.fullmatch(r"[-=_*~|: ]{3,}|(?:```|~~~).*", text):
                goes_on = False
                continue
            bullet = re.match(r"(?:[-*+•|]|\d+[.)])\s+", text)
            starts = bullet or text.startswith("#") or self._starts(text)
            if lines and goes_on and not starts and indent >= lines[-1].indent + lines[-1].bullet:
                lines[-1].text += f" {text}"
                continue
            if text.startswith("#"):
                indent, text = -9, text.strip("# :") + ":"
            elif text.startswith("|"):
                text = "| " + re.sub(r"\s*\|\s*", ": ", text.strip("| "))
            lines.append(_Line(indent, text[bullet.end() if bullet else 0 :], bool(bullet)))
            goes_on = not text.endswith(":")
        return lines

    def _starts(self, text: str) -> bool:
        """Whether a line without a bullet is no continuation of the one before."""
        first = next(self._names(text), None)
        return bool(first and _HEAD.match(text[: first[0].start()]))

    def _is_file(self, name: str) -> bool:
        is_written = name.endswith("/") or _FILE.match(name)
        return bool(is_written or any(covers(name, file) for file in self._files if name))

    def _names(self, text: str) -> Iterator[tuple[re.Match[str], bool]]:
        """(where, whether it is a file) of every name in a sentence that is meant as one."""
        for match in _NAME.finditer(text):
            name, left = match["name"], text[: match.start()]
            if self._is_file(name.partition(":")[0]):
                yield match, True
                continue
            is_known = name in self._fields or name.rpartition(".")[2] in self._nested
            is_marked = match[0] != name or re.search(r"[_.\d]|[a-z][A-Z]", name)
            apart = (_LEFT.search(left) or _HEAD.match(left)) and _RIGHT.match(text, match.end())
            if is_known and (is_marked or apart):
                yield match, False

    def _read(self, line: _Line) -> list[SchemaRemark]:
        """What a line says: names in a clause share its words; a clause without is about these."""
        if heading := _HEADING.match(line.text):
            line.above = f"{heading[0]} {line.above}"
        remarks: list[SchemaRemark] = []
        first, *clauses = _CLAUSE.split(line.text)
        if found := [*self._names(first)]:
            head = bool(_HEAD.match(first[: found[0][0].start()]))
            remarks = [*self._clause(line, first, found, listed=head)]
            if remarks[0].listed:
                for remark in remarks:
                    remark.own += line.text[len(first) :]
                return remarks
        for clause in clauses:
            if found := [*self._names(clause)]:
                remarks += self._clause(line, clause, found)
            elif remarks and not remarks[-1].name:
                remarks[-1].own += f". {clause}"
        return remarks

    def _clause(
        self,
        line: _Line,
        text: str,
        found: list[tuple[re.Match[str], bool]],
        *,
        listed: bool = False,
    ) -> Iterator[SchemaRemark]:
        group: list[tuple[str, str, str]] = []
        before = "" if listed else text[: found[0][0].start()]
        ends = [match.start() for match, _ in found[1:]] + [len(text)]
        for (match, is_file), end in zip(found, ends, strict=True):
            file, _, key = match["name"].partition(":")
            line.file = file if is_file else line.file
            name = key if is_file else match["name"]
            gap, own = text[match.end() : end], ""
            if sign := _SIGN.match(gap):
                own, gap = f"{sign[1]}{gap[sign.end() :]}", ""
            group.append((name, line.file, own))
            if _JOINED.match(gap) and not sign and end < len(text):
                continue
            if listed and name and sign:
                rest = own + text[end:]
                for name, owner, _ in group:
                    key = f"{line.keys}.{name}" if line.keys and name not in self._fields else name
                    yield SchemaRemark(key, owner, rest, line.above, listed=True)
                line.keys, line.above = key, rest or line.above
                return
            says = "" if _OTHER.match(gap) else gap.strip(" ,)]}\"'`")
            context = f"{before} … {says} {line.above}".strip(" …")
            for name, owner, words in group:
                yield SchemaRemark(name, owner, words or says, context)
            before = own or says if listed and is_file else before
            group, listed = [], False
