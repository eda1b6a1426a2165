"""Reading ``dataset.schema``: prose that people lay out as they please.

It comes as bullets, nested field lists, ``name (type): description``, tables, headings, inline
lists and plain sentences. Lines become blocks in a tree by their indentation; a block that begins
with a name is about that name, and a block that names a file puts the fields below into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evalkit.core.mapping.clauses import (
    Statement,
    read_sentence,
    refers_back,
    sentences,
)
from evalkit.core.mapping.grammar import without_filler_end
from evalkit.core.mapping.wording import Name, Token, Vocabulary, plain, tokens, word_set

_BULLET = re.compile(r"(?P<sign>[-*+•\N{EN DASH}]|\d+[.)])\s+(?P<text>.*)")
_HEADING = re.compile(r"(?P<level>#{1,6})\s+(?P<text>.*)")
_RULE = re.compile(r"[-=_*~|: ]{3,}\Z")
_QUALIFIERS = word_set(
    "optional optionally required the a an optionale optionales der die das field file"
)
_FIELD_WORDS = word_set("field fields key file feld")


@dataclass(frozen=True, slots=True)
class _Line:
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
        return self.text.endswith(":")


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the lines below a line inherit from it."""

    line: _Line
    file: str = ""
    field: str = ""
    context: str = ""


def read_prose(schema: str, vocabulary: Vocabulary) -> tuple[Statement, ...]:
    """What a schema says about files and fields, in its order.

    Args:
        schema: The text of ``dataset.schema``.
        vocabulary: The names that the cases know; other names are found only where they are
            written as names.
    """
    found: list[Statement] = []
    open_scopes: list[_Scope] = []
    for line in _lines(plain(schema), vocabulary):
        while open_scopes and not _is_below(line, open_scopes[-1].line):
            open_scopes.pop()
        above = open_scopes[-1] if open_scopes else _Scope(line)
        statements, scope = _read_line(line, above, vocabulary)
        found += statements
        open_scopes.append(scope)
    return tuple(found)


def _is_below(line: _Line, above: _Line) -> bool:
    if above.indent < line.indent:
        return True
    return line.indent == above.indent and line.item and not above.item and above.opens_list


# -- lines ---------------------------------------------------------------------------------------


def _lines(schema: str, vocabulary: Vocabulary) -> Iterator[_Line]:
    current: _Line | None = None
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


def _line(raw: str, text: str, vocabulary: Vocabulary) -> _Line:
    indent = len(raw) - len(raw.lstrip())
    if heading := _HEADING.match(text):
        title = heading["text"].rstrip("# ")
        return _Line(len(heading["level"]) - 10, item=True, text=title.rstrip(":") + ":")
    if text.startswith("|"):
        return _Line(indent, item=True, text=_row(text, vocabulary))
    if bullet := _BULLET.match(text):
        return _Line(indent, item=True, text=bullet["text"])
    return _Line(indent, item=_is_definition(text, vocabulary), text=text)


def _continues(line: _Line, current: _Line) -> bool:
    if line.item:
        return current.text.endswith((",", "(", "+"))
    if current.indent < 0 or (current.opens_list and line.indent > current.indent):
        return False
    return line.indent > current.indent if current.item else line.indent >= current.indent


def _is_definition(text: str, vocabulary: Vocabulary) -> bool:
    """Whether a line without a bullet begins with a known name and a colon or dash."""
    head = _head(text, vocabulary, item=False)
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


# -- a line's subject ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Head:
    """The names that a line begins with, and the rest of it."""

    names: tuple[Name, ...]
    bracket: str
    has_sign: bool
    rest: str


def _head(text: str, vocabulary: Vocabulary, *, item: bool) -> _Head | None:
    """The line's subject: names, perhaps a bracket, then a colon or dash (or nothing more)."""
    parts = tokens(text)
    at = _after_qualifiers(parts, vocabulary)
    names: list[Name] = []
    while at < len(parts):
        sign = parts[at + 1 : at + 2]
        name = _subject(parts[at], vocabulary, item=item and bool(sign and sign[0].kind == "colon"))
        if not name:
            return None
        names.append(name)
        at += 1
        if at < len(parts) and parts[at].kind == "comma":
            at += 1
            continue
        break
    brackets = []
    while at < len(parts) and (
        parts[at].kind == "bracket" or parts[at].text.lower() in _FIELD_WORDS
    ):
        if parts[at].kind == "bracket":
            brackets.append(parts[at].text)
        at += 1
    has_sign = at < len(parts) and parts[at].kind == "colon"
    if not names or not (has_sign or (item and at == len(parts))):
        return None
    rest = text[parts[at].end :].strip() if has_sign else ""
    return _Head(tuple(names), ", ".join(brackets), has_sign, rest)


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


# -- what a line says ----------------------------------------------------------------------------


def _read_line(
    line: _Line, above: _Scope, vocabulary: Vocabulary
) -> tuple[list[Statement], _Scope]:
    head = _head(line.text, vocabulary, item=line.item)
    if head is None:
        return _read_sentences(line, above, vocabulary)
    if head.names[0].is_file:
        return _read_file_line(line, head, above, vocabulary)
    return _read_field_line(line, head, above, vocabulary)


def _read_sentences(
    line: _Line, above: _Scope, vocabulary: Vocabulary
) -> tuple[list[Statement], _Scope]:
    found = _statements(line.text, above.file, vocabulary)
    files = [statement.subject for statement in found if statement.is_file]
    fields = [s for s in found if not s.is_file]
    context = above.context
    if line.opens_list and not files and not fields:
        context = "; ".join(filter(None, (line.text.rstrip(":"), context)))
    found = [_with_context(statement, above.context) for statement in found]
    return found, _Scope(line, files[-1] if files else above.file, above.field, context)


def _read_file_line(
    line: _Line, head: _Head, above: _Scope, vocabulary: Vocabulary
) -> tuple[list[Statement], _Scope]:
    file = head.names[0].text
    about = _statements(head.rest, file, vocabulary, listing=not head.bracket)
    listed = read_sentence(head.bracket, vocabulary, file, listing=True)
    fields = [s for s in (*listed, *about) if not s.is_file or s.subject != file]
    own = [sentence for sentence in sentences(head.rest) if not _is_elsewhere(sentence, vocabulary)]
    is_list = any(not statement.is_file for statement in listed)
    bracket = "" if is_list else head.bracket
    says = "; ".join(filter(None, (bracket, *(_without(own, fields)))))
    statements = [
        _with_context(Statement(name.text, is_file=True, says=says), above.context)
        for name in head.names
        if name.is_file
    ]
    return [*statements, *fields], _Scope(line, file, "", "")


def _without(own: Sequence[str], fields: Sequence[Statement]) -> Iterator[str]:
    """The sentences, each only as far as it does not go on to list fields."""
    for sentence in own:
        ends = [sentence.find(field.subject) for field in fields]
        cut = min((end for end in ends if end >= 0), default=len(sentence))
        yield without_filler_end(sentence[:cut]) if cut < len(sentence) else sentence


def _is_elsewhere(sentence: str, vocabulary: Vocabulary) -> bool:
    return any(s.is_file for s in read_sentence(sentence, vocabulary, strict=True))


def _read_field_line(
    line: _Line, head: _Head, above: _Scope, vocabulary: Vocabulary
) -> tuple[list[Statement], _Scope]:
    described = sentences(head.rest)
    own, others = described[:1], []
    for sentence in described[1:]:
        elsewhere = _statements(sentence, above.file, vocabulary, strict=True)
        if elsewhere and not refers_back(sentence):
            others += elsewhere
        else:
            own.append(sentence)
    says = ", ".join(filter(None, (head.bracket, " ".join(own))))
    prefix = f"{above.field}." if above.field else ""
    statements = [
        Statement(
            prefix + name.text,
            is_file=False,
            file=name.file or _file_in(head.bracket, vocabulary) or above.file,
            says=says,
            context=above.context,
        )
        for name in head.names
        if not name.is_file
    ]
    return [*statements, *others], _Scope(line, above.file, statements[-1].subject, above.context)


def _file_in(bracket: str, vocabulary: Vocabulary) -> str:
    """The file that a field's bracket puts it in: "answer (in gold.yaml)"."""
    return next((s.subject for s in read_sentence(bracket, vocabulary) if s.is_file), "")


def _statements(
    text: str, file: str, vocabulary: Vocabulary, *, strict: bool = False, listing: bool = False
) -> list[Statement]:
    """What a paragraph says, sentence by sentence; the file that is spoken of carries over."""
    found: list[Statement] = []
    for sentence in sentences(text):
        new = read_sentence(sentence, vocabulary, file, strict=strict, listing=listing)
        if not new and found and refers_back(sentence):
            last = found[-1]
            found.append(replace(last, says=sentence))
        found += new
        file = next((s.subject for s in reversed(new) if s.is_file), file)
    return found


def _with_context(statement: Statement, context: str) -> Statement:
    if not context:
        return statement
    return replace(statement, context="; ".join(filter(None, (statement.context, context))))
