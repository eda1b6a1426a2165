"""How a schema is laid out: its lines, what lies below what, and the names that a line begins with.

People write bullets, nested field lists, ``name (type): description``, tables, headings and wrapped
paragraphs. Whether a line without a bullet is an item of its own depends on what it begins with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from evalkit.core.mapping.wording import Name, Token, Vocabulary, tokens, word_set

_BULLET = re.compile(r"(?P<sign>[-*+•\N{EN DASH}]|\d+[.)])\s+(?P<text>.*)")
_HEADING = re.compile(r"(?P<level>#{1,6})\s+(?P<text>.*)")
_RULE = re.compile(r"[-=_*~|: ]{3,}\Z")
_QUALIFIERS = word_set(
    "optional optionally required the a an optionale optionales der die das field file"
)
_FIELD_WORDS = word_set("field fields key file feld")


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph or list item, its wrapped lines joined.

    Attributes:
        indent: Column of its first character; negative for headings.
        item: Whether it is a list item, a table row or a heading.
        text: What it says.
    """

    indent: int
    item: bool
    text: str

    @property
    def opens_list(self) -> bool:
        """Whether a list is to follow."""
        return self.text.endswith(":")

    def is_below(self, above: Line) -> bool:
        """Whether the line is part of what a line above it opened."""
        if above.indent < self.indent:
            return True
        return self.indent == above.indent and self.item and not above.item and above.opens_list


def lines_of(schema: str, vocabulary: Vocabulary) -> Iterator[Line]:
    """The lines of a schema, each with the lines that it is wrapped into."""
    current: Line | None = None
    for raw in schema.splitlines():
        text = raw.strip().replace("**", "")
        if not text or text.startswith(("```", "~~~")) or _RULE.match(text):
            if current:
                yield current
            current = None
            continue
        line = _line(raw, text, vocabulary)
        if current and _continues(line, current):
            current = replace(current, text=f"{current.text} {line.text}")
            continue
        if current:
            yield current
        current = line
    if current:
        yield current


def _line(raw: str, text: str, vocabulary: Vocabulary) -> Line:
    indent = len(raw) - len(raw.lstrip())
    if heading := _HEADING.match(text):
        title = heading["text"].rstrip("# ")
        return Line(len(heading["level"]) - 10, item=True, text=title.rstrip(":") + ":")
    if text.startswith("|"):
        return Line(indent, item=True, text=_row(text, vocabulary))
    if bullet := _BULLET.match(text):
        return Line(indent, item=True, text=bullet["text"])
    return Line(indent, item=_is_definition(text, vocabulary), text=text)


def _continues(line: Line, current: Line) -> bool:
    if line.item:
        return current.text.endswith((",", "(", "+"))
    if current.indent < 0 or (current.opens_list and line.indent > current.indent):
        return False
    return line.indent > current.indent if current.item else line.indent >= current.indent


def _is_definition(text: str, vocabulary: Vocabulary) -> bool:
    """Whether a line without a bullet begins with a known name and a colon or dash."""
    head = head_of(text, vocabulary, item=False)
    return head is not None and head.has_sign


def _row(text: str, vocabulary: Vocabulary) -> str:
    """A table's row as ``field (file): the rest`` or ``name: the rest``."""
    cells = [cell.strip() for cell in text.strip("|").split("|")]
    names = [vocabulary.name(cell_tokens[0]) if (cell_tokens := tokens(c)) else None for c in cells]
    field = next((i for i, name in enumerate(names) if name and not name.is_file), None)
    file = next((i for i, name in enumerate(names) if name and name.is_file), None)
    if field is None or file is None:
        return f"{cells[0]}: {', '.join(cells[1:])}"
    rest = ", ".join(cell for i, cell in enumerate(cells) if i not in {field, file})
    return f"{cells[file]}:{cells[field]}: {rest}".replace("`", "")


@dataclass(frozen=True, slots=True)
class Head:
    """The names that a line begins with, and the rest of it.

    Attributes:
        names: What it is about.
        bracket: What stands in the brackets behind them.
        has_sign: Whether a colon or a dash follows.
        rest: What stands behind that.
    """

    names: tuple[Name, ...]
    bracket: str
    has_sign: bool
    rest: str


def head_of(text: str, vocabulary: Vocabulary, *, item: bool) -> Head | None:
    """The line's subject: names, perhaps a bracket, then a colon or dash (or nothing more)."""
    parts = tokens(text)
    names, at = _leading_names(parts, _after_qualifiers(parts, vocabulary), vocabulary, item=item)
    between = list(takewhile(_is_apposition, parts[at:]))
    at += len(between)
    has_sign = at < len(parts) and parts[at].kind == "colon"
    if not names or not (has_sign or (item and at == len(parts))):
        return None
    brackets = ", ".join(token.text for token in between if token.kind == "bracket")
    rest = text[parts[at].end :].strip() if has_sign else ""
    return Head(tuple(names), brackets, has_sign, rest)


def _leading_names(
    parts: Sequence[Token], at: int, vocabulary: Vocabulary, *, item: bool
) -> tuple[list[Name], int]:
    """The names from a place on, with commas between them, and where they end."""
    names: list[Name] = []
    while at < len(parts):
        has_colon = parts[at + 1 : at + 2] and parts[at + 1].kind == "colon"
        name = _subject(parts[at], vocabulary, item=item and bool(has_colon))
        if not name:
            return [], at
        names.append(name)
        at += 1
        if at == len(parts) or parts[at].kind != "comma":
            break
        at += 1
    return names, at


def _is_apposition(token: Token) -> bool:
    """Whether a token only tells more of the name before it: a bracket, or the word "field"."""
    return token.kind == "bracket" or token.text.lower() in _FIELD_WORDS


def _after_qualifiers(parts: Sequence[Token], vocabulary: Vocabulary) -> int:
    at = 0
    while at + 1 < len(parts) and parts[at].text.lower() in _QUALIFIERS | {":"}:
        if parts[at + 1].kind == "colon" and vocabulary.field(parts[at].text):
            break  # a field that is called like one of these words
        at += 1
    return at


def _subject(token: Token, vocabulary: Vocabulary, *, item: bool) -> Name | None:
    name = vocabulary.name(token)
    if name is None and item and token.kind == "word" and re.match(r"[a-z][\w\-]*\Z", token.text):
        return Name(token.text, is_file=False)
    return replace(name, certain=True) if name else None
