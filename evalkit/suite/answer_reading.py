"""A request with its answer as checks read it: texts, figures, languages.

It is copied into the suites that rules write, so it uses nothing but the standard library.
"""

from __future__ import annotations

import calendar
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import date, timedelta
from functools import cached_property, lru_cache
from typing import Any
from zlib import crc32

from evalkit.suite.figures import (
    DATE,
    LEAP,
    NUMBERS,
    UNITS,
    days_of,
    figures_of,
    is_year,
    numbers_of,
    plain_number,
)
from evalkit.suite.word_lists import STOPWORDS

WORD = re.compile(r"[^\W\d_][\w'\u2019]*")

SENTENCE = re.compile(
    r"(?<=[.!?\u3002\uff01\uff1f])(?<!\b[A-Z][a-z]\.)(?<!\b\d\.)(?<!\b\d\d\.)[\"')\]]*\s+(?=\S)|\n+"
)

CODE = re.compile(
    r"(?i)\s*(?:(?:select|with|insert|update|delete|create)\b.*\b(?:from|into|set|table|as)\b|def "
    r"|class |import |from \w+ import|function |const |let |var |public |#include|<\?|[$>] )"
)

MOST_RECKONED = 48  # from more dates and spans nearly any day can be reckoned

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
    def given_dates(self) -> list[str]:
        """The dates that the answer may draw from."""
        return DATE.findall(self.ground)

    def is_given(self, figure: str) -> bool:
        """Whether a figure was given; names with a single digit count as known."""
        is_name = re.fullmatch(r"\D*[^\W\d_]\D*\d\D*", figure)
        alone = rf"(?<!\d){re.escape(figure)}(?!\d)"
        return bool(is_name or figure in self.given_figures or re.search(alone, self.given))

    def is_given_date(self, day: str) -> bool:
        """Whether a date was given, in whatever form, or follows; where none was, its parts."""
        parts = {*numbers_of(day)}
        years = {LEAP, *filter(is_year, parts)}
        for each in days_of(day):
            alike = {other for other in self.reckoned_days if other.month == each.month}
            if any(o.day == each.day and (len(years) == 1 or o.year in years) for o in alike):
                return True
        all_given = [{*numbers_of(each)} for each in self.given_dates]
        if like := [each for each in all_given if len(each) >= len(parts)]:
            return any(parts <= each | {part % 100 for part in each} for each in like)
        return all(map(self.is_given, re.findall(r"[^\W\d_]{3,}|[1-9]\d*", day)))

    @cached_property
    def reckoned_days(self) -> set[date]:
        """Days that lie as many days, weeks or months from a given one as were given, if few.

        One more or less, as people count the first day or not; of months also the last day.
        """
        spans = {name: self._numbers_with(UNITS[name]) for name in ("day", "week", "month")}
        steps = {*spans["day"], *(7 * weeks for weeks in spans["week"])}
        shifts = {sign * step + off for step in steps for sign in (1, -1) for off in (-1, 0, 1)}
        starts = {day for each in self.given_dates for day in days_of(each)}
        if len(starts) * (len(steps) + len(spans["month"])) > MOST_RECKONED:
            return set()
        found = {start + timedelta(shift) for start in starts for shift in shifts}
        for start in starts:
            for months in (sign * each for each in spans["month"] for sign in (1, -1)):
                years, month = divmod(start.month - 1 + months, 12)
                last = calendar.monthrange(start.year + years, month + 1)[1]
                ends = (min(start.day, last), last)
                found |= {date(start.year + years, month + 1, day) for day in ends}
        return found

    def _numbers_with(self, unit: int) -> set[int]:
        """Whole numbers below a thousand that were given with a unit."""
        with_it = (what for what, units in self.given_figures.items() if unit in units)
        return {int(what) for what in with_it if re.fullmatch(r"[1-9]\d{0,2}", what)}

    def own_figures(self, places: Collection[str]) -> dict[str, set[int | None]]:
        """The numbers in the answer's own fields, with the units that these are named by."""
        found: dict[str, set[int | None]] = {}
        for at, value in self.leaves:
            if at in places:
                for what, unit, _ in figures_of(f"{value} {re.split(r'[._]', at)[-1]}".casefold()):
                    found.setdefault(what, set()).add(unit)
        return found

    @cached_property
    def known_words(self) -> set[str]:
        """The words that the answer may draw from, and the small ones of all languages."""
        return {*words_of(self.ground), *(w for each in STOPWORDS.values() for w in each.split())}

    @cached_property
    def given_figures(self) -> dict[str, set[int | None]]:
        """The numbers that the answer may draw from, with their units; None where one has none."""
        found: dict[str, set[int | None]] = {}
        spelt = re.sub(r"[^\W\d_]+", lambda word: str(NUMBERS.get(word[0], word[0])), self.given)
        counts = (len(each) for each in lists_in((self.inputs, self._used)))
        found |= {str(count): set() for count in counts}
        for what, unit, _ in figures_of(spelt):
            for part in {what, *(plain_number(p) for p in re.split(r"[-/:. t]", what) if p)}:
                found.setdefault(part, set()).add(unit)
        return found


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
            label = re.sub(r"[_-]|(?<=[a-z])(?=[A-Z])", " ", str(key)).strip() if named else ""
            # a number's unit often stands last in its field's name
            unit = label.rpartition(" ")[2] if type(each) in {int, float} else ""
            yield from (f"{label} {text} {unit}".strip() for text in strings_in(each, named=named))
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


def value_kind(value: Any) -> str:
    """The kind of a value; of a text whether it is empty."""
    if not isinstance(value, str):
        return "number" if type(value) in {int, float} else type(value).__name__
    return "text" if value else "nothing"


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
