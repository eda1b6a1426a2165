"""What a field's name or description leans to, by the phrases in it.

A lean is a hint for the rules and decides nothing. A description leans to the phrase that comes
first, because a noun phrase begins with what the thing is ("the answer to the question" is an
answer). Three kinds of phrase outrank position: that the skill is kept from it, that it is given
it, and that judges use it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.core.mapping import phrases

Side: TypeAlias = Literal["input", "expectation", "metadata", "remark"]
Kind: TypeAlias = Literal["withheld", "delivered", "judged", "gold", "word"]

MAX_DESCRIPTION = 4_000
"""Characters of a description that are looked at."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-zß-ÿ]+|\d+")


@dataclass(frozen=True, slots=True)
class Lean:
    """What a name or a description leans to.

    Attributes:
        side: What it seems to be for: the skill, the judges, sorting cases, or people who read
            the case.
        kind: How it says so: the skill is kept from it, or given it; judges use it; it is called
            expected, gold or reference; or just by a word.
        cue: The words that say so, as they are written.
    """

    side: Side
    kind: Kind
    cue: str

    @property
    def weight(self) -> int:
        """2 where the wording leaves little doubt, 1 for a common word."""
        return 1 if self.kind == "word" else 2


# -- descriptions --------------------------------------------------------------------------------


def description_lean(text: str) -> Lean | None:
    """What a description leans to; None where it says nothing either way."""
    text = text[:MAX_DESCRIPTION].replace("… ", "")  # a name left out
    if withheld := phrases.WITHHELD.search(text):
        return Lean("expectation", "withheld", withheld.group().strip())
    first = _first_phrase(text)
    delivered = phrases.DELIVERED.search(text)
    if delivered and not (first and first.kind == "gold"):
        return Lean("input", "delivered", delivered.group().strip())
    if judged := phrases.JUDGED.search(text):
        return Lean("expectation", "judged", judged.group().strip())
    return first


def speaks_of_gold(text: str) -> bool:
    """Whether a description speaks of something expected, be it only in passing."""
    return any(phrases.GOLD.match(match.group()) for match in phrases.EXPECTED.finditer(text))


def _first_phrase(text: str) -> Lean | None:
    asking = next(phrases.ASKING.finditer(text), None)
    expected = next((m for m in phrases.EXPECTED.finditer(text) if not _is_apart(m)), None)
    sorting = next(phrases.SORTING.finditer(text), None)
    found: list[tuple[Side, re.Match[str] | None]] = [
        ("input", asking),
        ("expectation", expected),
        ("metadata", sorting),
    ]
    hits = [(match.start(), -match.end(), side, match.group()) for side, match in found if match]
    if not hits:
        return None
    _, _, side, cue = min(hits)
    is_gold = side == "expectation" and phrases.GOLD.match(cue)
    return Lean(side, "gold" if is_gold else "word", cue.strip())


def _is_apart(match: re.Match[str]) -> bool:
    """Whether the words before set the thing apart from what the match names."""
    before = match.string[: match.start()]
    part = re.split(r"[,;(]", before)[-1]
    return bool(phrases.APART.search(part))


# -- names ---------------------------------------------------------------------------------------


def words_of(name: str) -> list[str]:
    """The words of a name, lower case: ``expectedAnswer_v2`` is expected, answer, v, 2."""
    return [word.lower() for word in _WORD.findall(name)]


def name_lean(name: str) -> Lean | None:
    """What a field's or file's name leans to; None where it says nothing.

    Words of judging count wherever they stand, the others only as the head of the name: an
    ``answer_format`` is a format.
    """
    words = words_of(name)
    return next((lean for read in _NAME_READERS if (lean := read(words))), None)


def is_named_gold(name: str) -> bool:
    """Whether the name says that it is what is expected."""
    lean = name_lean(name)
    return lean is not None and lean.kind == "gold"


def is_named_for_judges(name: str) -> bool:
    """Whether the name alone leaves little doubt that judges compare with it."""
    lean = name_lean(name)
    return lean is not None and lean.kind in {"gold", "judged"}


def _as_gold(words: list[str]) -> Lean | None:
    if words[:1] == ["reference"] and len(words) > 1 and words[-1] not in phrases.POINTERS:
        return Lean("expectation", "gold", "reference")
    gold = next((word for word in words if word in phrases.GOLD_WORDS), None)
    return Lean("expectation", "gold", gold) if gold else None


def _as_judging(words: list[str]) -> Lean | None:
    judging = next((word for word in words if word in phrases.JUDGING_WORDS), None)
    return Lean("expectation", "judged", judging) if judging else None


def _as_answer(words: list[str]) -> Lean | None:
    head, before = _head(words)
    if head in phrases.ANSWER_HEADS:
        qualified = next((word for word in before if word in phrases.QUALIFIERS), None)
        kind: Kind = "gold" if qualified else "word"
        return Lean("expectation", kind, f"{qualified or ''} {head}".strip())
    if words[:1] in (["min"], ["max"]) and len(words) > 1:
        return Lean("expectation", "word", words[0])
    return None


def _as_sorting(words: list[str]) -> Lean | None:
    head, before = _head(words)
    sorts = (
        head in phrases.SORTING_HEADS
        or (head in {"id", "ids"} and phrases.CASE_WORDS.issuperset(before))
        or (head in {"type", "kind"} and not phrases.KIND_OF_WORDS.isdisjoint(before))
        or words == ["version"]
        or words[:1] in (["created"], ["updated"], ["added"])
    )
    return Lean("metadata", "word", head) if sorts else None


def _as_remark(words: list[str]) -> Lean | None:
    head, _ = _head(words)
    return Lean("remark", "word", head) if head in phrases.REMARK_HEADS else None


def _as_asking(words: list[str]) -> Lean | None:
    head, _ = _head(words)
    return Lean("input", "word", head) if head in phrases.ASKING_HEADS else None


_NAME_READERS: tuple[Callable[[list[str]], Lean | None], ...] = (
    _as_gold,
    _as_judging,
    _as_answer,
    _as_sorting,
    _as_remark,
    _as_asking,
)


def _head(words: list[str]) -> tuple[str, list[str]]:
    """(the word that says what the name is, the words before it); forms such as "text" fall off."""
    end = len(words)
    while end > 1 and (words[end - 1] in phrases.TAIL_WORDS or words[end - 1].isdigit()):
        end -= 1
    return (words[end - 1], words[: end - 1]) if words else ("", [])
