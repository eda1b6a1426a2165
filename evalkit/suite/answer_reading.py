"""A request with its answer as checks read it: texts, figures, languages.

It is copied into the suites that rules write, so it uses nothing but the standard library.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from typing import Any
from zlib import crc32

from evalkit.suite.word_lists import LINK, MONTHS, NUMBERS, STOPWORDS, UNITS

WORD = re.compile(r"[^\W\d_][\w'\u2019]*")

SENTENCE = re.compile(
    r"(?<=[.!?\u3002\uff01\uff1f])(?<!\b[A-Z][a-z]\.)(?<!\b\d\.)(?<!\b\d\d\.)[\"')\]]*\s+(?=\S)|\n+"
)

# in small letters "may" is no month
MONTH = "|".join({*map(str.capitalize, MONTHS), *MONTHS} - {"may"})
DATE = re.compile(
    r"(?<![\w.-])(?:\d{4}-\d\d-\d\d|\d\d?/\d\d?/\d{2,4}"
    r"|[0-3]?\d\.[01]?\d\.(?:\d{4}|\d\d\b|(?=\s+[^\W\dA-Z_]))"
    rf"|\d\d?(?:st|nd|rd|th|\.)?\s(?:of\s|de\s)?(?:{MONTH})\b(?:\.?,?\s(?:de\s)?\d{{4}})?"
    rf"|(?:{MONTH})\.?\s\d\d?(?:st|nd|rd|th)?(?:,?\s\d{{4}})?)(?!\d)"
)

FIGURE = re.compile(
    r"([€$£¥]|\b(?:EUR|USD|GBP|CHF|Rs)\b)?\s?"
    r"(?<![\w.])((?:[^\W\d_]+[-_/]?)?\d(?:[\w]|[.,:/_-](?=[^\W_]))*)"
    r"(?:\s?([%‰€$£¥°]\w?)|\.?[ -](?:[^\W\d_]+\s(?=[^\W\d_]))??([^\W\d_]+))?"
)

CODE = re.compile(
    r"(?i)\s*(?:(?:select|with|insert|update|delete|create)\b.*\b(?:from|into|set|table|as)\b|def "
    r"|class |import |from \w+ import|function |const |let |var |public |#include|<\?|[$>] )"
)

SYSTEM = {"system", "instructions", "system_prompt", "system_instruction"}


class Exchange:
    """A request with its answer; sources are what tools were asked and what was found."""

    def __init__(self, inputs: Any, outputs: Any, trace: Any = None) -> None:
        spans = trace.data.spans if trace else []
        used = [s for s in spans if s.span_type in {"TOOL", "RETRIEVER"}]
        sources = [(s.inputs if s.span_type == "TOOL" else None, s.outputs) for s in used]
        called = [s.inputs for s in spans if s.span_type in {"LLM", "CHAT_MODEL"}]
        self.inputs, self._used = inputs, sources
        self.value = final(outputs)
        self.prompts = "\n".join(dict.fromkeys(instructions(called)))
        self.sources = "\n".join(strings_in(sources, named=True))
        self.request = "\n".join(strings_in(inputs))
        self.said = "\n".join(strings_in(self.value))
        self.nodes = [  # by place, which the items of a list share
            (".".join("[]" if isinstance(step, int) else str(step) for step in path), value)
            for path, value in nodes(self.value)
        ]
        self.leaves = [(at, value) for at, value in self.nodes if not is_filled(value)]
        texts = [each for _, each in self.leaves if isinstance(each, str)]
        self.whole = "\n".join(each for each in texts if not CODE.match(each))
        self.prose = [(at, each) for at, each in self.leaves if is_prose(each)]
        if isinstance(self.value, str) and not self.prose:
            self.prose = [("", self.value)]
        self.text = re.sub(r"(?s)```.*?(?:```|$)", "```", "\n".join(each for _, each in self.prose))

    @cached_property
    def ground(self) -> str:
        """All that the answer may draw from."""
        named = "\n".join(strings_in(self.inputs, named=True))
        return f"{named}\n{self.sources}\n{self.prompts}"

    @cached_property
    def given(self) -> str:
        """The same in lower case."""
        return self.ground.casefold()

    @cached_property
    def given_dates(self) -> list[set[int]]:
        """The dates that the answer may draw from, as their numbers."""
        return [numbers_of(date) for date in DATE.findall(self.ground)]

    @cached_property
    def given_figures(self) -> dict[str, set[int]]:
        """The numbers that the answer may draw from, with the units that stand beside them."""
        found: dict[str, set[int]] = {}
        spelt = re.sub(r"[^\W\d_]+", lambda word: str(NUMBERS.get(word[0], word[0])), self.given)
        counts = (len(each) for each in lists_in((self.inputs, self._used)))
        found |= {str(count): set() for count in counts}
        for what, unit, _ in figures_of(spelt):
            for part in {what, *(plain_number(p) for p in re.split(r"[-/:. t]", what) if p)}:
                found.setdefault(part, set()).update([] if unit is None else [unit])
        return found


def numbers_of(date: str) -> set[int]:
    """The numbers of a date's parts, of its month by its name too."""
    parts = re.findall(r"\d+|[^\W\d_]+", date.casefold())
    return {int(part) if part.isdigit() else MONTHS.get(part, 0) for part in parts} - {0}


def instructions(value: Any) -> Iterator[str]:
    """The system prompts in what models were called with, in whatever form."""
    if isinstance(value, dict):
        if value.get("role", value.get("type")) in {"system", "developer"}:
            yield "\n".join(strings_in(value.get("content")))
        for key, each in value.items():
            yield from ["\n".join(strings_in(each))] if key in SYSTEM else instructions(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from instructions(each)


def strings_in(value: Any, *, named: bool = False) -> Iterator[str]:
    """All texts and numbers in a value, in order, and the names of its fields where asked for."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in {"role", "type"} and "content" in value:
                continue
            label = re.sub(r"[_-]", " ", str(key)) + " " if named else ""
            yield from (label + text for text in strings_in(each, named=named))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from strings_in(each, named=named)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def lists_in(value: Any) -> Iterator[list[Any]]:
    """All lists in a value, whose lengths are figures too."""
    if isinstance(value, list):
        yield value
    if isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from lists_in(each)


def final(outputs: Any) -> Any:
    """The answer proper: a conversation's last message, a completion's text, what JSON holds."""
    if isinstance(outputs, str):
        bare = re.sub(r"^\s*```\w*\n(.*?)```\s*$", r"\1", outputs, flags=re.DOTALL).strip()
        try:
            return json.loads(bare) if bare[:1] in {"{", "["} else outputs
        except (ValueError, RecursionError):
            return outputs
    if isinstance(outputs, dict):
        for name, at in (("choices", 0), ("messages", -1)):
            if isinstance(outputs.get(name), list) and outputs[name]:
                return final(outputs[name][at])
        message = outputs.get("message", outputs)
        is_message = isinstance(message, dict) and message.keys() & {"role", "type"}
        return final(message["content"]) if is_message and message.get("content") else outputs
    if isinstance(outputs, list | tuple) and outputs and isinstance(outputs[-1], dict):
        if outputs[-1].keys() >= {"role", "content"}:
            return final(outputs[-1])
        if all(isinstance(each, dict) and each.get("type") == "text" for each in outputs):
            return "\n".join(str(each.get("text", "")) for each in outputs)
    return outputs


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """A value and what lies in it, each with the names and numbers that lead to it."""
    yield path, value
    if is_filled(value):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from nodes(each, (*path, key))


def is_filled(value: Any) -> bool:
    """Whether it is an object or a list that holds something."""
    return isinstance(value, dict | list | tuple) and bool(value)


def is_prose(value: Any) -> bool:
    """Whether it is text of four words or more, and no code."""
    return isinstance(value, str) and len(value.split()) > 3 and not CODE.match(value)  # noqa: PLR2004


@lru_cache(4096)
def stems(text: str) -> frozenset[str]:
    """The beginnings of a text's longer words, which forms of a word share."""
    return frozenset(word[:5].casefold() for word in WORD.findall(text) if len(word) > 3)  # noqa: PLR2004


@lru_cache(4096)
def content_of(text: str) -> frozenset[str]:
    """The stems, numbers and ids of a text."""
    return stems(text) | {what for what, _, _ in figures_of(text) if len(what) > 1}


@lru_cache(4096)
def sketch(text: str) -> frozenset[int]:
    """Some of a text's words and figures as numbers, by which texts are compared unread."""
    held = {*words_of(text), *(what for what, _, _ in figures_of(text))}
    return frozenset(sorted(crc32(each.encode()) & 0xFFFF for each in held)[:32])


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, in order."""
    return [word.casefold() for word in WORD.findall(text)]


def statements(text: str) -> list[str]:
    """The sentences and lines of a text, at least one."""
    return [each for each in SENTENCE.split(text) if each.strip()] or [text]


def plain_number(number: str) -> str:
    """A number without separators of thousands, closing noughts and leading ones."""
    bare = re.sub(r"(?<=\d)[,.](?=\d{3}\b(?![.,]\d{1,2}[.,]))", "", number).replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", bare):
        bare = bare.rstrip("0").rstrip(".")
    return bare.lstrip("0") or "0" if bare[:1].isdigit() else bare


@lru_cache(4096)
def figures_of(text: str) -> list[tuple[str, int | None, str]]:
    """The numbers and ids of a text: what, its unit's number if any, and as it is written."""
    bare = re.sub(r"(?m)^[ \t#>*-]*\d{1,3}[.)][ \t]|\[\d{1,2}\]", " ", LINK.sub(" ", text))
    bare = re.sub(r"(?<=:\d\d)\s?[-\u2013]\s?(?=\d)", " - ", bare)
    all_found = []
    for found in FIGURE.finditer(bare):
        before, token, sign, after = found.groups()
        glued = re.fullmatch(r"(\d[\d.,]*)[-/]?([^\W\d_]{1,12})(?:-[^\W\d_]+)*", token)
        words = [glued[2]] if glued else [before, sign, after]
        units = [UNITS[w.casefold()] for w in words if w and w.casefold() in UNITS]
        is_plain = glued and (units or glued[2].casefold() in {"st", "nd", "rd", "th"})
        what = plain_number(glued[1] if glued and is_plain else token.casefold())
        all_found.append((what, units[0] if units else None, found[0].strip()))
    return all_found


def is_derived(number: str, given: Iterable[str], is_share: bool) -> bool:
    """Whether a number is a sum, difference or share of two that were given, or one rounded."""

    def value(text: str) -> float:
        hours, colon, minutes = text.partition(":")
        try:
            return float(hours) * 60 + float(minutes) if colon else float(text)
        except ValueError:
            return math.nan

    wanted, held = value(number), {0.0, *map(value, given)}
    near = {round(each, 2) for each in held}
    near |= {each * 60 for each in near if ":" in number and each < 24}  # noqa: PLR2004
    sums = {round(each, 2) for one in held for each in (abs(wanted - one), wanted + one)}
    whole = [each for each in held if is_share and each > 0]
    shares = (100 * abs(one - start) / of for of in whole for one in held for start in (0, of))
    decimals = len(number.partition(".")[2])
    return bool(sums & near) or any(round(each, decimals) == wanted for each in shares)


@lru_cache(4096)
def main_language(text: str) -> str:
    """The language of a text by its small words, or its script; empty where none is clear."""
    scripts = Counter(unicodedata.name(each, "?").split()[0] for each in text if each.isalpha())
    script, letters = scripts.most_common(1)[0] if scripts else ("LATIN", 0)
    if script != "LATIN":
        return script.casefold() if letters > 1 else ""
    words = Counter(words_of(text))
    counts = {c: sum(words[each] for each in set(k.split())) for c, k in STOPWORDS.items()}
    second, best = sorted(counts.values())[-2:]
    margin = 1.5 if best > 3 else 2  # noqa: PLR2004
    if best < max(2, 0.12 * words.total()) or best <= margin * second:
        return ""
    return max(counts, key=counts.__getitem__)
