"""Reading ``dataset.schema``: prose that people lay out as they please.

A line that begins with a name is about that name, one that names a file puts the fields below into
it, and what leads over to a list is said of everything in the list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evalkit.core.mapping.clauses import Statement, read_sentence, refers_back, sentences
from evalkit.core.mapping.grammar import without_filler_end
from evalkit.core.mapping.layout import Head, Line, head_of, lines_of
from evalkit.core.mapping.wording import Vocabulary, plain


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the lines below a line inherit from it."""

    line: Line
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
    for line in lines_of(plain(schema), vocabulary):
        while open_scopes and not line.is_below(open_scopes[-1].line):
            open_scopes.pop()
        above = open_scopes[-1] if open_scopes else _Scope(line)
        statements, scope = _read_line(line, above, vocabulary)
        found += statements
        open_scopes.append(scope)
    return tuple(found)


def _read_line(line: Line, above: _Scope, vocabulary: Vocabulary) -> tuple[list[Statement], _Scope]:
    head = head_of(line.text, vocabulary, item=line.item)
    if head is None:
        return _read_sentences(line, above, vocabulary)
    if head.names[0].is_file:
        return _read_file_line(line, head, above, vocabulary)
    return _read_field_line(line, head, above, vocabulary)


def _read_sentences(
    line: Line, above: _Scope, vocabulary: Vocabulary
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
    line: Line, head: Head, above: _Scope, vocabulary: Vocabulary
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
    line: Line, head: Head, above: _Scope, vocabulary: Vocabulary
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
