"""A clause cut into segments at commas, colons and conjunctions, with the names in each.

A common word such as "answer" names a field only where a field's name would stand: next to
"field", before a colon, in a list, or at the beginning with a verb behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from evalkit.core.mapping.grammar import (
    FIELD_WORDS,
    FILLER,
    FOLDER_WORDS,
    LISTING_WORDS,
    NAMING_WORDS,
    OMITTED,
    PREPOSITIONS,
    VERBS,
    is_in,
    without_brackets,
)
from evalkit.core.mapping.wording import Name, Token, Vocabulary, split


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a clause that ends at a comma, a colon or a conjunction.

    Attributes:
        tokens: Its words, names and brackets.
        names: Index of a token to what it names.
        ends: The kind of token that ends it; empty at the clause's end.
    """

    tokens: list[Token]
    names: dict[int, Name]
    ends: str

    def bracket(self, index: int) -> str:
        """What stands in the bracket behind a name, or behind "field" behind it."""
        for token in self.tokens[index + 1 :]:
            if token.kind == "bracket":
                return token.text
            if token.text.lower() not in FIELD_WORDS | FOLDER_WORDS:
                break
        return ""

    def before(self, index: int) -> str:
        """The words between the name before and this one."""
        return without_brackets(
            self.tokens[max((i for i in self.names if i < index), default=-1) + 1 : index]
        )

    def after(self, index: int) -> str:
        """The words between this name and the next, but for a file that it is put in."""
        following = (i for i in self.names if i > index and not self.is_attached(i))
        end = min(following, default=len(self.tokens))
        return without_brackets(self.tokens[index + 1 : end])

    def around(self, index: int) -> str:
        """The words before and after a name, which itself is left out."""
        return f" {OMITTED} ".join(filter(None, (self.before(index), self.after(index))))

    @property
    def is_field_last(self) -> bool:
        """Whether a field's name and nothing else stands before its end."""
        index = max(self.names, default=-1)
        return index >= 0 and not self.names[index].is_file and self.is_last(index)

    def is_last(self, index: int) -> bool:
        """Whether nothing but brackets follows."""
        return all(token.kind == "bracket" for token in self.tokens[index + 1 :])

    def is_attached(self, index: int) -> bool:
        """Whether the file at the index says where the field before it lies ("`a` in b.yaml")."""
        previous = max((i for i in self.names if i < index), default=None)
        if previous is None or self.names[previous].is_file:
            return False
        between = [token.text.lower() for token in self.tokens[previous + 1 : index]]
        return bool(PREPOSITIONS.intersection(between)) and FILLER.issuperset(between)


def cut_clause(
    clause: list[Token], vocabulary: Vocabulary, *, strict: bool, listing: bool
) -> list[Segment]:
    """The segments of a clause.

    Args:
        clause: Its tokens.
        vocabulary: The names that the cases know.
        strict: Take a common word for a field only next to "field" or "key".
        listing: Whether the clause continues a list of names.
    """
    segments: list[Segment] = []
    always_strict = strict
    pieces = list(split(clause, lambda token: token.kind in {"comma", "colon"}))
    for (piece, end), (following, _) in pairwise([*pieces, ([], None)]):
        ends = end.kind if end else ""
        in_list = listing or (ends == "comma" and _begins_with_name(following, vocabulary))
        stand = _Stand(strict, in_list, is_first=not segments, before_colon=ends == "colon")
        segment = Segment(piece, dict(_names(piece, vocabulary, stand)), ends)
        segments.append(segment)
        listing = listing or any(is_in(token, LISTING_WORDS) for token in piece)
        if stand.before_colon:
            # what follows describes a field, or lists those of a file
            strict = always_strict or segment.is_field_last
            listing = not strict
    return segments


@dataclass(frozen=True, slots=True)
class _Stand:
    """Where a segment stands, which decides whether common words in it are names.

    Attributes:
        strict: Whether they are only next to "field" or "key".
        listing: Whether it is in a list of names.
        is_first: Whether the clause begins with it.
        before_colon: Whether it ends at a colon.
    """

    strict: bool
    listing: bool
    is_first: bool
    before_colon: bool


def _begins_with_name(piece: list[Token], vocabulary: Vocabulary) -> bool:
    name = vocabulary.name(piece[0]) if piece else None
    return name is not None and name.certain and not name.is_file


def _names(piece: list[Token], vocabulary: Vocabulary, stand: _Stand) -> Iterator[tuple[int, Name]]:
    for index, token in enumerate(piece):
        name = vocabulary.name(token)
        follows = piece[index + 1] if index + 1 < len(piece) else None
        folder = f"{token.text}/"
        if follows and is_in(follows, FOLDER_WORDS) and folder in vocabulary.folders:
            yield index, Name(folder, is_file=True)
        elif name and (name.is_file or name.certain or _is_meant(index, piece, stand)):
            yield index, name


def _is_meant(index: int, piece: list[Token], stand: _Stand) -> bool:
    """Whether a common word stands where a field's name would stand."""
    before, after = piece[:index], piece[index + 1 :]
    if (after and is_in(after[0], FIELD_WORDS)) or (before and is_in(before[-1], NAMING_WORDS)):
        return True
    if not before and not after and stand.before_colon:
        return True
    if stand.strict:
        return False
    if after:
        leads = not before and stand.is_first and is_in(after[0], VERBS)
        return leads or after[0].kind == "bracket"
    return stand.listing or any(is_in(token, LISTING_WORDS) for token in before)
