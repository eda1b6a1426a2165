"""The small words that hold a sentence about files and fields together, and what is left of it.

Filler words say nothing of what a field is for; verbs, prepositions and words such as "field" show
which words stand for a field at all.
"""

from __future__ import annotations

from collections.abc import Iterable

from evalkit.core.mapping.wording import Token, word_set

FOLDER_WORDS = word_set("directory subdirectory folder subfolder dir ordner verzeichnis")
FIELD_WORDS = word_set(
    "field fields key keys entry attribute attributes property properties feld felder"
)
NAMING_WORDS = FIELD_WORDS | word_set("under named called")
LISTING_WORDS = FIELD_WORDS | word_set(
    """with has have contain contains containing include includes including carries carry holds hold
    provides gives lists stores reads gets sees receives like hat haben enthält enthalten mit
    liefert"""
)
VERBS = word_set("is are holds gives says contains lists describes has ist sind enthält hat")
PREPOSITIONS = word_set("in of from inside within aus von")
FILLER = (
    LISTING_WORDS
    | VERBS
    | PREPOSITIONS
    | FOLDER_WORDS
    | word_set(
        """a an the its their one each every all any case cases test file files also may can
        following optional optionally required string str int integer float number bool boolean
        list array dict object nullable null yaml json as well ein eine einen die der das jeder
        jede fall"""
    )
)
OMITTED = "…"
"""Stands for a name in what is said of it: the name must not count among the words about it."""


def is_in(token: Token, words: frozenset[str]) -> bool:
    """Whether a token is one of these words, and not a quoted name."""
    return token.kind == "word" and token.text.lower() in words


def without_brackets(part: Iterable[Token]) -> str:
    """The words of a part of a sentence, without its brackets."""
    return " ".join(token.text for token in part if token.kind != "bracket")


def content(words: str) -> str:
    """The words that say something."""
    return " ".join(word for word in words.split() if word.lower() not in FILLER | {OMITTED})


def joined(parts: Iterable[str]) -> str:
    """The parts that are not empty, with commas between them."""
    return ", ".join(part for part in parts if part)


def without_filler_end(words: str) -> str:
    """The words without a tail that only leads over to a list ("…, includes fields like")."""
    kept = words.split()
    while (
        kept
        and not kept[-1].endswith(",")
        and kept[-1].strip(",:—\N{EN DASH}-").lower() in FILLER | {""}
    ):
        kept.pop()
    return " ".join(kept).rstrip(" ,:—\N{EN DASH}-'\"`")
