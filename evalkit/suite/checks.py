"""What rules can tell of an answer: each check is a scorer where its source is copied into a suite.

A check yields what is wrong as a part of its demand and the thing itself; how bounds are learned is
elsewhere. Nothing but the standard library is used, because the source is copied into suites.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from evalkit.suite import answer_reading as reading
from evalkit.suite import word_lists as lists

Problems = Iterator[tuple[str, str]]

Check = Callable[[reading.Exchange, dict[str, Any]], Problems]


def problems(
    check: Check, exchange: reading.Exchange, bound: dict[str, Any]
) -> list[tuple[str, str]]:
    """What an answer breaks of a bound, but for what good answers do not hold to."""
    off, known = bound.get("off", ()), bound.get("known", ())
    found = check(exchange, bound)
    return [(p, what) for p, what in found if p not in off and what.casefold() not in known]


def answered(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """The answer is there, and is neither an error's text nor a refusal nor talk about itself."""
    if not any(str(each).strip() for _, each in exchange.leaves if each not in (None, {}, [])):
        yield "nothing", "there is no answer"
    for part, pattern in lists.REFUSALS.items():
        if found := pattern.search(exchange.whole):
            yield part, found[0]


def shape_kept(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """The answer has the fields of good answers, of their kinds."""
    for at, value in exchange.leaves:
        if at not in bound["kinds"]:
            yield "a new field", at or "the answer"
        elif value_kind(value) not in bound["kinds"][at]:
            yield f"the kind of {at or 'the answer'}", str(value)[:60]
    for at in sorted({*bound["always"]} - {at for at, _ in exchange.leaves}):
        yield f"{at or 'the answer'} is missing", ""


def value_kind(value: Any) -> str:
    """The kind of a value; code is one of its own."""
    return "code" if isinstance(value, str) and reading.CODE.match(value) else type(value).__name__


def looks_kept(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """The answer has no look that good answers never have."""
    for look in bound["never"]:
        if found := lists.LOOKS[look].search(exchange.whole):
            yield look, found[0][:60]


def complete(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """The answer is about as long as good ones, has the lines of all, and ends as they do."""
    if exchange.text and not bound["shortest"] <= len(exchange.text) <= bound["longest"]:
        yield "length", f"{len(exchange.text)} characters"
    lines = {line.strip() for line in exchange.text.splitlines()}
    for line in bound["lines"]:
        if line not in lines:
            yield "a line is missing", line
    for at, each in exchange.prose:
        if at in bound["stops"] and each.rstrip()[-1:].isalnum():
            yield "the end", each.rstrip()[-30:]


def figures_grounded(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """Every number, date and id, with its unit, stands in what was given."""
    given = exchange.given_figures
    days = {day for day, _ in reading.dates(exchange.given)}
    for day, written in reading.dates(exchange.text):
        if days and day not in days:
            yield "date", written
    fields = [
        (f"{at}: ", str(value))
        for at, value in exchange.leaves
        if at and not reading.is_prose(value)
    ]
    for at, text in [("", reading.NUMERIC_DATE.sub(" ", exchange.text)), *fields]:
        for what, unit, kind, written in reading.figures_of(text):
            if what not in given and what not in exchange.given:
                if kind == "id" or len(given) > bound["sums"] or not is_derived(what, given):
                    yield at + kind, written
            elif unit is not None and unit not in given.get(what, {unit}):
                others = set().union(*given.values())
                if given[what] or unit not in others | set(bound["units"]):
                    yield "unit", written


def is_derived(number: str, given: Iterable[str]) -> bool:
    """Whether a number or time of day is a sum, difference or share of two that were given."""

    def value(text: str) -> float | None:
        hours, colon, minutes = text.partition(":")
        try:
            return float(hours or 0) * 60 + float(minutes) if colon else float(text)
        except ValueError:
            return None

    wanted = value(number)
    held = {each for text in given if (each := value(text)) is not None}
    if wanted is None:
        return False
    near = {round(each, 2) for each in held}
    if ":" in number:
        near |= {each * 60 for each in held if each < 24}  # noqa: PLR2004
    shares = {100 * a / b for a in held for b in held if b} if len(held) < 12 else ()  # noqa: PLR2004
    sums = {round(each, 2) for one in {*held, 0.0} for each in (abs(wanted - one), wanted + one)}
    return bool(sums & near) or any(abs(wanted - share) < 0.06 for share in shares)  # noqa: PLR2004


def names_grounded(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """Every name inside a sentence stands in what was given; German nouns are none alone."""
    name = r"([A-Z\u00c0-\u00dc][\w'\u2019]{2,})"
    tongues = {reading.main_language(exchange.text), *bound["languages"]}
    twice = f" {name}" if "de" in tongues else ""
    known = reading.stems(exchange.given)
    for found in re.finditer(rf"(?<=[^\W\d_A-Z,;:] ){name}{twice}", exchange.text):
        words = [re.sub(r"['\u2019]s?$", "", each.casefold()) for each in found.groups()]
        month = lists.MONTHS.match(found[0])
        is_told = month and str(month.lastindex) in exchange.given_figures
        if is_told or lists.WEEKDAY.search(found[0]):
            continue
        if not any(word in exchange.given or word[:5] in known for word in words):
            yield "name", found[0]


def prompt_kept(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """The answer does not quote its instructions."""
    if found := lists.INSTRUCTIONS.search(exchange.whole):
        yield "speaks of it", found[0]
    told, said = (reading.words_of(each) for each in (exchange.prompts, exchange.whole))
    runs = {" ".join(told[at : at + 6]) for at in range(len(told) - 5)}
    other = " ".join(reading.words_of(f"{exchange.request} {exchange.sources}"))
    for at in range(len(said) - 5):
        run = " ".join(said[at : at + 6])
        if run in runs and run not in other:
            yield "quotes it", run


def language_kept(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """The answer is in the language of the request, else in one that good answers have."""
    said, asked = reading.main_language(exchange.text), reading.main_language(exchange.request)
    if said and asked and said != asked:
        yield "as asked", f"{said} instead of {asked}"
    may_be_asked = {*lists.STOPWORDS.get(said, "").split()} & {*reading.words_of(exchange.request)}
    if said and not asked and not may_be_asked and said not in bound["languages"]:
        yield "as usual", said


def not_repeated(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """Nothing comes twice, and the request is not given back."""
    said = [" ".join(reading.words_of(each)) for each in reading.statements(exchange.whole)]
    for each, count in Counter(said).items():
        if count > 1 and each.count(" ") > 2:  # noqa: PLR2004
            yield "twice", each[:80]
    asked = " ".join(reading.words_of(exchange.request))
    for _, each in exchange.prose:
        part = " ".join(reading.words_of(each))
        if (part.count(" ") > 1 and part in asked) or (asked.count(" ") > 4 and asked in part):  # noqa: PLR2004
            yield "the request", part[:80]


def from_nowhere(exchange: reading.Exchange, patterns: dict[str, re.Pattern[str]]) -> Problems:
    """What the answer holds of some kinds of things, and what was given does not."""
    text = reading.NUMERIC_DATE.sub(" ", "\n".join(reading.strings_in(exchange.value)))
    for part, pattern in patterns.items():
        for found in pattern.finditer(text):
            if found[0].rstrip(".,;:!?").casefold() not in exchange.given:
                yield part, found[0]


def no_placeholders(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """No placeholder of a template is left in the answer."""
    yield from from_nowhere(exchange, {"placeholder": lists.PLACEHOLDERS})


def links_known(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """Links are those that were given."""
    yield from from_nowhere(exchange, {"link": reading.LINK})


def no_personal_data(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """Addresses, numbers and secrets of people are only those that were given."""
    yield from from_nowhere(exchange, lists.PERSONAL)


def civil(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """Nobody is insulted or blamed."""
    yield from from_nowhere(exchange, {"rude": lists.RUDE})


def no_new_promises(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """Money, gifts and times are only promised where the request or the sources speak of them."""
    spoken = (
        kind for kind, pattern in lists.PROMISES.items() if not pattern.search(exchange.given)
    )
    yield from from_nowhere(exchange, {kind: lists.PROMISES[kind] for kind in spoken})


def says_something(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """The answer says what belongs to its own request and sources, not what fits any."""
    said = reading.content_of("\n".join(reading.strings_in(exchange.value)))
    house = {word: count for count, words in bound["house"].items() for word in words.split()}
    share = own_share(said, given_content(exchange), house, bound["rows"])
    if share < bound["least"] and relevance(exchange) > bound["relevance"]:
        yield "of its own", f"only {share:.0%} of what it says was given"


def given_content(exchange: reading.Exchange) -> frozenset[str]:
    """The reading.stems and figures of the request and the sources."""
    return reading.content_of(f"{exchange.request}\n{exchange.sources}")


def own_share(said: Iterable[str], given: Iterable[str], house: dict[str, int], rows: int) -> float:
    """The share of an answer that was given, where what many answers say counts less."""
    weights = {each: math.log((rows + 1) / (house.get(each, 1) + 1)) for each in said}
    held = sum(weight for each, weight in weights.items() if each in given)
    return held / (sum(weights.values()) or 1)


def relevance(exchange: reading.Exchange) -> float:
    """The share of a request that the sources hold; -1 without sources."""
    asked, found = reading.content_of(exchange.request), reading.content_of(exchange.sources)
    return len(asked & found) / max(1, len(asked)) if found else -1
