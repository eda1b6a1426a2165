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

from evalkit.suite.answer_reading import (
    CODE,
    LINK,
    NUMERIC_DATE,
    Exchange,
    content_of,
    dates,
    figures_of,
    main_language,
    statements,
    stems,
    strings_in,
    words_of,
)
from evalkit.suite.word_lists import (
    INSTRUCTIONS,
    LOOKS,
    MONTHS,
    PERSONAL,
    PLACEHOLDERS,
    PROMISES,
    REFUSALS,
    RUDE,
    SALUTATION,
    STOPWORDS,
    WEEKDAY,
)

Problems = Iterator[tuple[str, str]]

Check = Callable[[Exchange, dict[str, Any]], Problems]


def problems(check: Check, exchange: Exchange, bound: dict[str, Any]) -> list[tuple[str, str]]:
    """What an answer breaks of a bound, but for what good answers do not hold to."""
    off, known = bound.get("off", ()), bound.get("known", ())
    found = check(exchange, bound)
    return [(p, what) for p, what in found if p not in off and what.casefold() not in known]


def answered(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """The answer is there, and is neither an error's text nor a refusal nor talk about itself."""
    if not any(str(each).strip() for _, each in exchange.leaves if each not in (None, {}, [])):
        yield "nothing", "there is no answer"
    for part, pattern in REFUSALS.items():
        if found := pattern.search(exchange.whole):
            yield part, found[0]


def shape_kept(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The answer has the fields, kinds and labels of good answers."""
    for at, value in exchange.leaves:
        if at not in bound["kinds"]:
            yield "a new field", at or "the answer"
        elif value_kind(value) not in bound["kinds"][at]:
            yield f"the kind of {at or 'the answer'}", str(value)[:60]
        elif at in bound["labels"] and value is not None and value not in bound["labels"][at]:
            yield f"a new label of {at or 'the answer'}", str(value)[:60]
    for at in sorted({*bound["always"]} - {at for at, _ in exchange.leaves}):
        yield f"{at or 'the answer'} is missing", ""


def value_kind(value: Any) -> str:
    """The kind of a value; code is one of its own."""
    return "code" if isinstance(value, str) and CODE.match(value) else type(value).__name__


def looks_kept(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The answer has no look that good answers never have, and each that all of them have."""
    for look, pattern in LOOKS.items():
        found = pattern.search(exchange.whole)
        if found and look in bound["never"]:
            yield look, found[0][:60]
        if not found and look in bound["always"]:
            yield f"not {look}", ""


def complete(exchange: Exchange, bound: dict[str, Any]) -> Problems:
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


def figures_grounded(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """Every number, date and id, with its unit, stands in what was given."""
    given = exchange.given_figures
    days = {day for day, _ in dates(exchange.given)}
    for day, written in dates(exchange.text):
        if days and day not in days:
            yield "date", written
    for what, unit, kind, written in figures_of(NUMERIC_DATE.sub(" ", exchange.text)):
        if what not in given and what not in exchange.given:
            if kind == "id" or len(given) > bound["sums"] or not is_derived(what, given):
                yield kind, written
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


def names_grounded(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """Every name inside a sentence stands in what was given; German nouns are none alone."""
    name = r"([A-Z\u00c0-\u00dc][\w'\u2019]{2,})"
    is_german = "de" in {main_language(exchange.text), main_language(exchange.request)}
    twice = f" {name}" if is_german else ""
    known = stems(exchange.given)
    for found in re.finditer(rf"(?<=[^\W\d_A-Z,;:] ){name}{twice}", exchange.text):
        words = [re.sub(r"['\u2019]s?$", "", each.casefold()) for each in found.groups()]
        is_day, month = WEEKDAY.search(found[0]), MONTHS.match(found[0])
        if is_day and not WEEKDAY.search(exchange.given):
            continue
        if month and str(month.lastindex) in exchange.given_figures:
            continue
        if not any(w in exchange.given or w[:5] in known for w in words):
            yield "day" if is_day else "name", found[0]


def fields_agree(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """Fields hold what the request, the sources and the text say."""
    for at, value in exchange.leaves:
        for relation in bound["relations"].get(at, ()):
            if not is_related(exchange, value, relation):
                yield f"{at} against {relation}", str(value)


def is_related(exchange: Exchange, value: Any, relation: str) -> bool:
    """Whether a field's value is what the text, the request, the sources or an input says."""
    written = str(value).casefold()
    if relation.startswith("id "):
        ids = re.findall(relation[3:], exchange.request)
        return value in ids if value is not None else not ids
    if relation == "the text":
        return value is None or not exchange.text or written in exchange.text.casefold()
    if relation == "what was given":
        return value is None or written in exchange.given
    asked: Any = exchange.inputs.get(relation) if isinstance(exchange.inputs, dict) else None
    return None in (value, asked) or str(asked).casefold() == written


def prompt_kept(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """The answer does not quote its instructions."""
    if found := INSTRUCTIONS.search(exchange.whole):
        yield "speaks of it", found[0]
    told, said = (words_of(each) for each in (exchange.prompts, exchange.whole))
    runs = {" ".join(told[at : at + 6]) for at in range(len(told) - 5)}
    other = " ".join(words_of(f"{exchange.request} {exchange.sources}"))
    for at in range(len(said) - 5):
        run = " ".join(said[at : at + 6])
        if run in runs and run not in other:
            yield "quotes it", run


def language_kept(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The answer is in the language of the request, else in one that good answers have."""
    said, asked = main_language(exchange.text), main_language(exchange.request)
    if said and asked and said != asked:
        yield "as asked", f"{said} instead of {asked}"
    may_be_asked = {*STOPWORDS.get(said, "").split()} & {*words_of(exchange.request)}
    if said and not asked and not may_be_asked and said not in bound["languages"]:
        yield "as usual", said


def not_repeated(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """Nothing comes twice, and the request is not given back."""
    said = [" ".join(words_of(each)) for each in statements(exchange.whole)]
    for each, count in Counter(said).items():
        if count > 1 and each.count(" ") > 2:  # noqa: PLR2004
            yield "twice", each[:80]
    asked, answer = (words_of(each) for each in (exchange.request, exchange.text))
    together = f" {' '.join(answer)} "
    runs = [" ".join(asked[at : at + 8]) for at in range(len(asked) - 7)]
    back = sum(f" {run} " in together for run in runs)
    parts = (" ".join(words_of(each)) for _, each in exchange.prose)
    whole = any(part.count(" ") > 1 and part in " ".join(asked) for part in parts)
    if whole or (runs and back * 2 > len(runs)):
        yield "the request", exchange.text[:80]


def from_nowhere(exchange: Exchange, patterns: dict[str, re.Pattern[str]]) -> Problems:
    """What the answer holds of some kinds of things, and what was given does not."""
    text = NUMERIC_DATE.sub(" ", "\n".join(strings_in(exchange.value)))
    for part, pattern in patterns.items():
        for found in pattern.finditer(text):
            if found[0].rstrip(".,;:!?").casefold() not in exchange.given:
                yield part, found[0]


def no_placeholders(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """No placeholder of a template is left in the answer."""
    yield from from_nowhere(exchange, {"placeholder": PLACEHOLDERS})


def links_known(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """Links are those that were given."""
    yield from from_nowhere(exchange, {"link": LINK})


def no_personal_data(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """Addresses, numbers and secrets of people are only those that were given."""
    yield from from_nowhere(exchange, PERSONAL)


def civil(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """Nobody is insulted or blamed."""
    yield from from_nowhere(exchange, {"rude": RUDE})


def no_new_promises(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """Money, gifts and times are only promised where the request or the sources speak of them."""
    spoken = (kind for kind, pattern in PROMISES.items() if not pattern.search(exchange.given))
    yield from from_nowhere(exchange, {kind: PROMISES[kind] for kind in spoken})


def right_addressee(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """The one who is addressed is the one who asked."""
    start = SALUTATION.search(exchange.text[:40])
    title = r"(?: (?:Mr|Mrs|Ms|Dr|Herrn?|Frau)\b\.?)?"
    name = rf"{title} ([A-Z\u00c0-\u00dc][^\n,!.:;]{{1,40}})"
    found = re.match(name, exchange.text[start.end() :]) if start else None
    if found and not all(word in exchange.given for word in found[1].casefold().split()):
        yield "name", found[1]


def says_something(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The answer says what belongs to its own request and sources, not what fits any."""
    said = content_of("\n".join(strings_in(exchange.value)))
    house = {word: count for count, words in bound["house"].items() for word in words}
    share = own_share(said, given_content(exchange), house, bound["rows"])
    if share < bound["least"] and relevance(exchange) > bound["relevance"]:
        yield "of its own", f"only {share:.0%} of what it says was given"


def given_content(exchange: Exchange) -> frozenset[str]:
    """The stems and figures of the request and the sources."""
    return content_of(f"{exchange.request}\n{exchange.sources}")


def own_share(said: Iterable[str], given: Iterable[str], house: dict[str, int], rows: int) -> float:
    """The share of an answer that was given, where what many answers say counts less."""
    weights = {each: math.log((rows + 1) / (house.get(each, 1) + 1)) for each in said}
    held = sum(weight for each, weight in weights.items() if each in given)
    return held / (sum(weights.values()) or 1)


def relevance(exchange: Exchange) -> float:
    """The share of a request that the sources hold; -1 without sources."""
    asked, found = content_of(exchange.request), content_of(exchange.sources)
    return len(asked & found) / max(1, len(asked)) if found else -1
