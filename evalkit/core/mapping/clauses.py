"""Which files and fields a sentence speaks of, and what it says about each.

A sentence falls into clauses, a clause into segments at commas, colons and conjunctions. What is
said of a name is its own bracket and the other words of its segment; bare names in a list share
what is said before and after the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evalkit.core.mapping.grammar import (
    FIELD_WORDS,
    PREPOSITIONS,
    VERBS,
    content,
    is_in,
    joined,
    without_brackets,
)
from evalkit.core.mapping.segments import Segment, cut_clause
from evalkit.core.mapping.wording import Name, Vocabulary, split, tokens, word_set

_PLURAL_VERBS = word_set("are were have go come serve hold will must should sind werden dienen")
_GOING_ON = _PLURAL_VERBS | word_set(
    """is was goes for only never not both all as to sent passed given shown hidden kept used seen
    read withheld nur für nie niemals nicht ist wird beide alle"""
)
_PRONOUN = re.compile(r"\b(?:it|its|this|these|they|them|es|sie|diese[rs]?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """What the prose says of one file or field.

    Attributes:
        subject: The file, folder (ending in a slash) or pattern, or the field's dotted path.
        is_file: Whether it is a file.
        file: For a field, the file that the prose puts it in; empty where it does not say.
        says: What is said of it alone.
        context: What is said of it together with others, such as the line above a list.
        certain: Whether it is written as a name, so that it must be one even if no case knows it.
    """

    subject: str
    is_file: bool
    file: str = ""
    says: str = ""
    context: str = ""
    certain: bool = True


def sentences(prose: str) -> list[str]:
    """The sentences of a paragraph; brackets, file names and abbreviations do not end one."""
    cut = split(tokens(prose), lambda token: token.kind == "stop")
    return [prose[part[0].start : part[-1].end] for part, _ in cut if part]


def refers_back(sentence: str) -> bool:
    """Whether the sentence speaks of something named before ("it", "they")."""
    return bool(_PRONOUN.search(sentence))


def read_sentence(
    sentence: str,
    vocabulary: Vocabulary,
    scope: str = "",
    *,
    strict: bool = False,
    listing: bool = False,
) -> list[Statement]:
    """What a sentence says about files and fields.

    Args:
        sentence: One sentence.
        vocabulary: The names that the cases know.
        scope: The file that is being spoken of.
        strict: Take a common word for a field only next to "field" or "key".
        listing: Whether the sentence continues a list of names.
    """
    found: list[Statement] = []
    for part, _ in split(tokens(sentence), lambda token: token.kind == "semicolon"):
        segments = cut_clause(part, vocabulary, strict=strict, listing=listing)
        statements = list(_Clause(segments, vocabulary).statements(scope))
        text = sentence[part[0].start : part[-1].end] if part else ""
        if not statements and found and refers_back(text):
            statements = [replace(found[-1], says=text, context="")]
        found += statements
        scope = next((s.subject for s in reversed(statements) if s.is_file), scope)
    return found


class _Clause:
    """What is said in the segments of one clause."""

    def __init__(self, segments: Sequence[Segment], vocabulary: Vocabulary) -> None:
        self.segments = segments
        self.vocabulary = vocabulary

    @property
    def _fields(self) -> list[Name]:
        return [name for s in self.segments for name in s.names.values() if not name.is_file]

    def statements(self, scope: str) -> Iterator[Statement]:
        lead = ""
        for at, segment in enumerate(self.segments):
            for index, token in enumerate(segment.tokens[1:]):
                if token.kind == "bracket" and is_in(segment.tokens[index], FIELD_WORDS):
                    yield from self._listed(token.text, scope) if index not in segment.names else ()
            for index, name in segment.names.items():
                lead = lead or self._lead(at, index)
                if name.is_file:
                    shared = "" if self._fields else self._shared(segment, index, lead)
                    listed = self._listed(segment.bracket(index), name.text)
                    about = self._about_file(at, index, name, is_list=bool(listed))
                    yield replace(about, context=shared)
                    yield from listed
                    if not segment.is_attached(index):
                        scope = name.text
                    continue
                yield Statement(
                    name.text,
                    is_file=False,
                    file=name.file or self._file_of(segment, index) or scope,
                    says=self._said_of(at, index),
                    context=self._shared(segment, index, lead),
                    certain=name.certain,
                )

    def _said_of(self, at: int, index: int) -> str:
        segment = self.segments[at]
        around = segment.around(index)
        words = [segment.bracket(index), around if content(around) else ""]
        if segment.is_last(index) and segment.ends == "colon":
            words += self._following(at)
        elif index == max(segment.names) and not any(s.names for s in self.segments[at + 1 :]):
            words.append(self._end)
        return joined(words)

    @property
    def _end(self) -> str:
        """What follows the last name and goes on about it: ", for the judges only"."""
        last = max(at for at, segment in enumerate(self.segments) if segment.names)
        behind = [s for s in self.segments[last + 1 :] if s.tokens]
        return joined(without_brackets(s.tokens) for s in behind if is_in(s.tokens[0], _GOING_ON))

    def _following(self, at: int) -> Iterator[str]:
        """What stands behind a name and a colon: everything up to the next name."""
        for segment in self.segments[at + 1 :]:
            if segment.names:
                return
            yield without_brackets(segment.tokens)

    def _shared(self, segment: Segment, index: int, lead: str) -> str:
        """What the whole list shares: the words before it for bare names, the verb after it."""
        own = segment.around(index)
        if not (VERBS | PREPOSITIONS).isdisjoint(own.lower().split()):
            return ""
        last = next(s for s in reversed(self.segments) if s.names)
        tail = last.after(max(last.names))
        follows = tail.partition(" ")[0].lower() in _PLURAL_VERBS
        return joined(["" if content(own) else lead, tail if follows else "", self._end])

    def _lead(self, at: int, index: int) -> str:
        """The words before a list: in its first segment, or before the colon in front of it."""
        words = self.segments[at].before(index)
        if content(words) or not at:
            return words
        before = self.segments[at - 1]
        about_a_file = any(name.is_file for name in before.names.values())
        return "" if about_a_file or before.ends != "colon" else without_brackets(before.tokens)

    def _file_of(self, segment: Segment, index: int) -> str:
        """The file that the field's own segment puts it in ("`answer` in input.yaml")."""
        for later, name in segment.names.items():
            if later > index and name.is_file:
                alone = not any(n.is_file for i, n in segment.names.items() if i < index)
                return name.text if alone or segment.is_attached(later) else ""
        return ""

    def _about_file(self, at: int, index: int, name: Name, *, is_list: bool) -> Statement:
        segment = self.segments[at]
        files = sum(n.is_file for s in self.segments for n in s.names.values())
        if any(not other.is_file for other in segment.names.values()):
            words = ""  # these words are about the field in it
        elif files > 1 or self._fields:
            words = segment.around(index)
        else:
            words = joined(
                without_brackets(t for i, t in enumerate(s.tokens) if i not in s.names)
                for s in self.segments
            )
        bracket = "" if is_list else segment.bracket(index)
        return Statement(name.text, is_file=True, says=joined([bracket, words]))

    def _listed(self, inside: str, file: str) -> list[Statement]:
        """The fields that a bracket lists."""
        found = read_sentence(inside, self.vocabulary, file, listing=True)
        return [statement for statement in found if not statement.is_file]
