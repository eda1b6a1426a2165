"""Prose cut into words, names, brackets and signs: enough grammar to see what is said of what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["word", "quoted", "bracket", "comma", "colon", "semicolon", "stop"]

_PAIRS = {"(": ")", "[": "]", "{": "}"}
_QUOTED = re.compile(r"([`'\"])([^`'\"\s]{1,80})\1(?!\w)")
_DASH = re.compile(r"(?:—|\N{EN DASH}|->|→|=>|=|-)(?=\s|$)")
_RUN = re.compile(r"[^\s,;()\[\]{}`\"+&]+")
_CONJUNCTION = re.compile(r"(?:and|or|und|oder|sowie|plus)\Z", re.IGNORECASE)
_CONTRAST = re.compile(r"(?:while|whereas|but|wobei|während|aber)\Z", re.IGNORECASE)
_ABBREVIATION = re.compile(
    r"(?:e\.g|i\.e|z\.b|d\.h|bzw|vs|cf|incl|approx|resp|ca|no|nr)\Z", re.IGNORECASE
)
_FILE = re.compile(
    r"[\w\-./*<>]+\.(?:ya?ml|jsonl?|ndjson|md|markdown|txt|adoc|rst|csv|tsv|html?|xml|sql|diff|patch)\Z",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(
    r"[A-Za-z]\w*_\w+\Z|[a-z]+[A-Z]\w*\Z|[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)+\Z"
)
_HIDDEN = re.compile(r"(?<!\S)\.\w")
"""How the name of a dotted file or folder begins."""
_KEY = re.compile(r"[^\W\d][\w.\-]*\Z")


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of prose.

    Attributes:
        kind: What it is; "and" and "+" are commas, dashes and "=" are colons, "while" and "but"
            are semicolons.
        text: A word as written, a quoted name without its quotes, a bracket's content.
        start: Where it begins in the prose.
        end: Where it ends.
    """

    kind: Kind
    text: str
    start: int
    end: int


_PLAIN = str.maketrans(
    {
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{DOUBLE LOW-9 QUOTATION MARK}": '"',
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\t": "    ",
    }
)


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set to look words up in."""
    return frozenset(text.split())


def plain(prose: str) -> str:
    """The prose with typewriter quotes and spaces for tabs."""
    return prose.translate(_PLAIN)


def tokens(prose: str) -> list[Token]:
    """Cut prose into tokens; brackets are one token each, however much they hold."""
    return list(_tokens(prose, _closed_brackets(prose)))


def _closed_brackets(prose: str) -> dict[int, int]:
    """Where each bracket that is closed opens and closes."""
    opened: list[int] = []
    closed: dict[int, int] = {}
    for at, sign in enumerate(prose):
        if sign in _PAIRS:
            opened.append(at)
        elif opened and sign == _PAIRS[prose[opened[-1]]]:
            closed[opened.pop()] = at
    return closed


def _tokens(prose: str, closed: dict[int, int]) -> Iterator[Token]:
    at = 0
    while at < len(prose):
        if prose[at].isspace():
            at += 1
            continue
        if at in closed:
            token = Token("bracket", prose[at + 1 : closed[at]], at, closed[at] + 1)
        else:
            token = _quoted(prose, at) or _sign(prose, at) or _run(prose, at)
        yield token
        at = token.end


def _quoted(prose: str, at: int) -> Token | None:
    match = _QUOTED.match(prose, at)
    return Token("quoted", match.group(2), at, match.end()) if match else None


def _sign(prose: str, at: int) -> Token | None:
    if dash := _DASH.match(prose, at):
        return Token("colon", dash.group(), at, dash.end())
    kinds: dict[str, Kind] = {
        ",": "comma",
        "+": "comma",
        "&": "comma",
        ";": "semicolon",
        ":": "colon",
    }
    is_stop = prose[at] in ".!?" and not _HIDDEN.match(prose, at)
    kind = kinds.get(prose[at]) or ("stop" if is_stop else None)
    return Token(kind, prose[at], at, at + 1) if kind else None


def _run(prose: str, at: int) -> Token:
    match = _RUN.match(prose, at)
    text = match.group().rstrip(".:!?'-") if match else ""
    if not text:
        return Token("word", prose[at], at, at + 1)
    end = at + len(text)
    if _CONJUNCTION.match(text):
        return Token("comma", text, at, end)
    if _CONTRAST.match(text):
        return Token("semicolon", text, at, end)
    if prose[end : end + 1] == "." and _goes_on(text, prose[end + 1 :]):
        end += 1
    return Token("word", text, at, end)


def _goes_on(word: str, rest: str) -> bool:
    """Whether the dot after the word is an abbreviation's and not the sentence's."""
    following = rest.lstrip()[:1]
    return bool(_ABBREVIATION.match(word)) or (word.lower() == "etc" and not following.isupper())


def split(
    sequence: Sequence[Token], ends: Callable[[Token], bool]
) -> Iterator[tuple[list[Token], Token | None]]:
    """The sequence cut after each ending token: (tokens before it, the ending token)."""
    part: list[Token] = []
    for token in sequence:
        if ends(token):
            yield part, token
            part = []
        else:
            part.append(token)
    if part:
        yield part, None


# -- names ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A file or field that a token names.

    Attributes:
        text: The file, the folder (ending in a slash), the pattern; or the field's dotted path.
        is_file: Whether it is a file.
        file: The file, where a field is written as ``file:field``.
        certain: Whether it is written as a name (quoted, like_this), and not a common word that
            happens to be a field.
    """

    text: str
    is_file: bool
    file: str = ""
    certain: bool = True


@dataclass(frozen=True)
class Vocabulary:
    """The names that the cases know.

    Attributes:
        files: Relative paths of files.
        fields: Keys of documents.
    """

    files: frozenset[str]
    fields: frozenset[str]

    @cached_property
    def folders(self) -> frozenset[str]:
        """The folders that these files lie in, each ending in a slash."""
        return frozenset(
            file[: index + 1]
            for file in self.files
            for index, sign in enumerate(file)
            if sign == "/"
        )

    @cached_property
    def _spelling(self) -> dict[str, str]:
        return {field.lower(): field for field in sorted(self.fields, reverse=True)}

    def field(self, word: str) -> str | None:
        """The field of that name, whatever its case."""
        return word if word in self.fields else self._spelling.get(word.lower())

    def name(self, token: Token) -> Name | None:
        """The file or field that a token names; a common word only where a field is called so."""
        if token.kind not in {"word", "quoted"}:
            return None
        word = token.text
        if word in self.files or word in self.folders or word.endswith("/") or _FILE.match(word):
            return Name(word, is_file=True)
        file, sign, path = word.partition(":") if ":" in word else word.partition("#")
        if sign and path and (file in self.files or _FILE.match(file)):
            return Name(path, is_file=False, file=file)
        field = self.field(word)
        certain = token.kind == "quoted" or bool(_IDENTIFIER.match(word))
        if field or (certain and _KEY.match(word)):
            return Name(field or word, is_file=False, certain=certain)
        return None
