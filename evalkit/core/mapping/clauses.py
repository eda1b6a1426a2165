"""Which files and fields a sentence speaks of, and what it says about each.

A sentence falls into clauses, a clause into segments at commas, colons and conjunctions. What is
said of a name is its own bracket and the other words of its segment; bare names in a list share
what is said before and after the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evalkit.core.mapping.wording import Name, Token, Vocabulary, split, tokens, word_set

_FOLDER_WORDS = word_set("directory subdirectory folder subfolder dir ordner verzeichnis")
_FIELD_WORDS = word_set(
    "field fields key keys entry attribute attributes property properties feld felder"
)
_NAMING_WORDS = _FIELD_WORDS | word_set("under named called")
_LISTING_WORDS = _FIELD_WORDS | word_set(
    """with has have contain contains containing include includes including carries carry holds hold
    provides gives lists stores reads gets sees receives like hat haben enthält enthalten mit
    liefert"""
)
_VERBS = word_set("is are holds gives says contains lists describes has ist sind enthält hat")
_PLURAL_VERBS = word_set("are were have go come serve hold will must should sind werden dienen")
_GOING_ON = _PLURAL_VERBS | word_set(
    """is was goes for only never not both all as to sent passed given shown hidden kept used seen
    read withheld nur für nie niemals nicht ist wird beide alle"""
)
_PREPOSITIONS = word_set("in of from inside within aus von")
_FILLER = (
    _LISTING_WORDS
    | _VERBS
    | _PREPOSITIONS
    | _FOLDER_WORDS
    | word_set(
        """a an the its their one each every all any case cases test file files also may can
        following optional optionally required string str int integer float number bool boolean
        list array dict object nullable null yaml json as well ein eine einen die der das jeder
        jede fall"""
    )
)
OMITTED = "…"
"""Stands for a name in what is said of it: the name must not count among the words about it."""

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
        clause = _Clause(sentence, part, vocabulary, strict=strict, listing=listing)
        statements = list(clause.statements(scope))
        if not statements and found and clause.refers_back:
            statements = [replace(found[-1], says=clause.text, context="")]
        found += statements
        scope = next((s.subject for s in reversed(statements) if s.is_file), scope)
    return found


@dataclass(frozen=True, slots=True)
class _Segment:
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
            if token.text.lower() not in _FIELD_WORDS | _FOLDER_WORDS:
                break
        return ""

    def before(self, index: int) -> str:
        """The words between the name before and this one."""
        return _words(
            self.tokens[max((i for i in self.names if i < index), default=-1) + 1 : index]
        )

    def after(self, index: int) -> str:
        """The words between this name and the next, but for a file that it is put in."""
        following = (i for i in self.names if i > index and not self.is_attached(i))
        end = min(following, default=len(self.tokens))
        return _words(self.tokens[index + 1 : end])

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
        return bool(_PREPOSITIONS.intersection(between)) and _FILLER.issuperset(between)


class _Clause:
    """One clause, cut into segments, with the names in it."""

    def __init__(
        self,
        sentence: str,
        part: list[Token],
        vocabulary: Vocabulary,
        *,
        strict: bool,
        listing: bool,
    ) -> None:
        self.text = sentence[part[0].start : part[-1].end] if part else ""
        self.vocabulary = vocabulary
        self.strict = strict
        self.segments: list[_Segment] = []
        pieces = list(split(part, lambda token: token.kind in {"comma", "colon"}))
        for at, (piece, end) in enumerate(pieces):
            segment = _Segment(piece, {}, end.kind if end else "")
            follows = self._begins_with_name(pieces[at + 1][0]) if at + 1 < len(pieces) else False
            in_list = listing or (follows and segment.ends == "comma")
            segment.names.update(self._names(segment, listing=in_list))
            self.segments.append(segment)
            listing = listing or any(_is_in(token, _LISTING_WORDS) for token in piece)
            if segment.ends == "colon":
                # what follows describes a field, or lists those of a file
                self.strict = strict or segment.is_field_last
                listing = not self.strict

    def _begins_with_name(self, piece: list[Token]) -> bool:
        name = self.vocabulary.name(piece[0]) if piece else None
        return name is not None and name.certain and not name.is_file

    @property
    def refers_back(self) -> bool:
        return refers_back(self.text)

    @property
    def _fields(self) -> list[Name]:
        return [name for s in self.segments for name in s.names.values() if not name.is_file]

    # -- finding names

    def _names(self, segment: _Segment, *, listing: bool) -> Iterator[tuple[int, Name]]:
        part = segment.tokens
        for index, token in enumerate(part):
            name = self.vocabulary.name(token)
            follows = part[index + 1] if index + 1 < len(part) else None
            folder = f"{token.text}/"
            if follows and _is_in(follows, _FOLDER_WORDS) and folder in self.vocabulary.folders:
                yield index, Name(folder, is_file=True)
            elif name and (
                name.is_file or name.certain or self._is_meant(index, segment, listing=listing)
            ):
                yield index, name

    def _is_meant(self, index: int, segment: _Segment, *, listing: bool) -> bool:
        """Whether a common word stands where a field's name would stand."""
        before, after = segment.tokens[:index], segment.tokens[index + 1 :]
        if (after and _is_in(after[0], _FIELD_WORDS)) or (
            before and _is_in(before[-1], _NAMING_WORDS)
        ):
            return True
        if not before and not after and segment.ends == "colon":
            return True
        if self.strict:
            return False
        if after:
            leads = not before and not self.segments and _is_in(after[0], _VERBS)
            return leads or after[0].kind == "bracket"
        return listing or any(_is_in(token, _LISTING_WORDS) for token in before)

    # -- what is said of them

    def statements(self, scope: str) -> Iterator[Statement]:
        lead = ""
        for at, segment in enumerate(self.segments):
            for index, token in enumerate(segment.tokens[1:]):
                if token.kind == "bracket" and _is_in(segment.tokens[index], _FIELD_WORDS):
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
        words = [segment.bracket(index), around if _content(around) else ""]
        if segment.is_last(index) and segment.ends == "colon":
            words += self._following(at)
        elif index == max(segment.names) and not any(s.names for s in self.segments[at + 1 :]):
            words.append(self._end)
        return _joined(words)

    @property
    def _end(self) -> str:
        """What follows the last name and goes on about it: ", for the judges only"."""
        last = max(at for at, segment in enumerate(self.segments) if segment.names)
        behind = [s for s in self.segments[last + 1 :] if s.tokens]
        return _joined(_words(s.tokens) for s in behind if _is_in(s.tokens[0], _GOING_ON))

    def _following(self, at: int) -> Iterator[str]:
        """What stands behind a name and a colon: everything up to the next name."""
        for segment in self.segments[at + 1 :]:
            if segment.names:
                return
            yield _words(segment.tokens)

    def _shared(self, segment: _Segment, index: int, lead: str) -> str:
        """What the whole list shares: the words before it for bare names, the verb after it."""
        own = segment.around(index)
        if not (_VERBS | _PREPOSITIONS).isdisjoint(own.lower().split()):
            return ""
        last = next(s for s in reversed(self.segments) if s.names)
        tail = last.after(max(last.names))
        follows = tail.partition(" ")[0].lower() in _PLURAL_VERBS
        return _joined(["" if _content(own) else lead, tail if follows else "", self._end])

    def _lead(self, at: int, index: int) -> str:
        """The words before a list: in its first segment, or before the colon in front of it."""
        words = self.segments[at].before(index)
        if _content(words) or not at:
            return words
        before = self.segments[at - 1]
        about_a_file = any(name.is_file for name in before.names.values())
        return "" if about_a_file or before.ends != "colon" else _words(before.tokens)

    def _file_of(self, segment: _Segment, index: int) -> str:
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
            words = _joined(
                _words(t for i, t in enumerate(s.tokens) if i not in s.names) for s in self.segments
            )
        bracket = "" if is_list else segment.bracket(index)
        return Statement(name.text, is_file=True, says=_joined([bracket, words]))

    def _listed(self, inside: str, file: str) -> list[Statement]:
        """The fields that a bracket lists."""
        found = read_sentence(inside, self.vocabulary, file, listing=True)
        return [statement for statement in found if not statement.is_file]


def without_filler_end(words: str) -> str:
    """The words without a tail that only leads over to a list ("…, includes fields like")."""
    kept = words.split()
    while (
        kept
        and not kept[-1].endswith(",")
        and kept[-1].strip(",:—\N{EN DASH}-").lower() in _FILLER | {""}
    ):
        kept.pop()
    return " ".join(kept).rstrip(" ,:—\N{EN DASH}-'\"`")


def _is_in(token: Token, words: frozenset[str]) -> bool:
    return token.kind == "word" and token.text.lower() in words


def _words(part: Sequence[Token] | Iterator[Token]) -> str:
    return " ".join(token.text for token in part if token.kind != "bracket")


def _content(words: str) -> str:
    """The words that say something."""
    return " ".join(word for word in words.split() if word.lower() not in _FILLER | {OMITTED})


def _joined(parts: Sequence[str] | Iterator[str]) -> str:
    return ", ".join(part for part in parts if part)
