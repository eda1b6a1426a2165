"""What rules can tell of an answer beside its request, sources and prompt; copied as checks are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from evalkit.suite.answer_reading import (
    LINK,
    NUMERIC_DATE,
    WORD,
    Exchange,
    content_of,
    dates,
    figures_of,
    main_language,
    month,
    statements,
    stems,
    strings_in,
)
from evalkit.suite.checks import Problems
from evalkit.suite.word_lists import NEGATION, OPPOSITES, PERSONAL, PROMISE, SALUTATION, WEEKDAY


def invented_figures(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """Every number, date and id, with its unit, stands in what was given."""
    given, known = exchange.given_figures, bound["known"]
    days = {day for day, _ in dates(exchange.given)}
    for day, written in dates(exchange.text):
        if days and day not in days and written.casefold() not in known:
            yield "date", f"the date {written!r} comes from nowhere"
    for what, unit, kind, written in figures_of(NUMERIC_DATE.sub(" ", exchange.text)):
        if what in known or written.casefold() in known:
            continue
        if what not in given and what not in exchange.given:
            if kind == "id" or len(given) > bound["sums"] or not is_derived(what, given):
                yield kind, f"{written!r} comes from nowhere"
        elif unit is not None and unit not in given.get(what, {unit}):
            others = set().union(*given.values())
            if given[what] or unit not in others | set(bound["units"]):
                yield "unit", f"{written!r} has another unit in what was given"


def is_derived(number: str, given: Iterable[str]) -> bool:
    """Whether a number, or a time of day, is the sum or the difference of two that were given."""

    def value(text: str) -> float | None:
        hours, colon, minutes = text.partition(":")
        try:
            return float(hours or 0) * 60 + float(minutes) if colon else float(text)
        except ValueError:
            return None

    wanted = value(number)
    held = {each for text in given if (each := value(text)) is not None}
    near = {round(each, 2) for each in held}
    if ":" in number:
        near |= {each * 60 for each in held if each < 24}  # noqa: PLR2004
    if wanted is None:
        return False
    shares = {100 * a / b for a in held for b in held if b} if len(held) < 12 else ()  # noqa: PLR2004
    return any(
        round(abs(wanted - one), 2) in near or round(wanted + one, 2) in near
        for one in held | {0.0}
    ) or any(abs(wanted - share) < 0.06 for share in shares)  # noqa: PLR2004


def invented_names(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """Every name inside a sentence stands in what was given; German nouns are none alone."""
    name = r"([A-Z\u00c0-\u00dc][\w'\u2019]{2,})"
    twice = f" {name}" if main_language(exchange.text) == "de" else ""
    for found in re.finditer(rf"(?<=[^\W\d_A-Z,;:] ){name}{twice}", exchange.text):
        words = [re.sub(r"['\u2019]s?$", "", each.casefold()) for each in found.groups()]
        given = (
            w in exchange.given or w[:5] in exchange.given_stems or w in bound["known"]
            for w in words
        )
        if not any(given) and found[0].casefold() not in bound["known"]:
            is_day = WEEKDAY.search(found[0])
            is_told = str(month(found[0])) in exchange.given_figures
            if not is_told and (not is_day or WEEKDAY.search(exchange.given)):
                yield "day" if is_day else "name", f"{found[0]!r} comes from nowhere"


def disagreeing_fields(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """Fields hold what the request, the sources and the text say."""
    values = dict(exchange.leaves)
    for at, relation in bound["relations"]:
        value = values.get(at)
        if (
            value is not None
            and not isinstance(value, bool)
            and not related(exchange, value, relation)
        ):
            yield f"{at} {relation}", f"{at} is {value!r}, unlike {relation}"
    for at, label, other, is_set in bound["sets"]:
        if str(values.get(at)) == label and (values.get(other) is not None) != is_set:
            yield f"{at} sets {other}", f"{at} is {label!r}, yet {other} is {values.get(other)!r}"
    for at, form in bound["ids"]:
        asked = re.findall(form, exchange.request)
        if (values.get(at) is None) == bool(asked) or (asked and values[at] not in asked):
            yield f"{at} id", f"{at} is {values.get(at)!r}, the request has {asked}"
    for at, where, markers in bound["markers"]:
        held = stems(exchange.text if where == "text" else exchange.request)
        fitting = {label for label, marks in markers.items() if held & set(marks)}
        if fitting and str(values.get(at)) in markers and str(values.get(at)) not in fitting:
            yield f"{at} {where}", f"{at} is {values.get(at)!r}, its {where} speaks of {fitting}"


def related(exchange: Exchange, value: Any, relation: str) -> bool:
    """Whether a field's value is what the text, the sources or an input says."""
    written = str(value).casefold()
    if relation == "the text":
        return not exchange.text or written in exchange.text.casefold()
    if relation == "what was given":
        return written in exchange.given
    if relation == "the language of the request":
        return main_language(exchange.request) in {"", written}
    asked = exchange.inputs.get(relation[7:]) if isinstance(exchange.inputs, dict) else None
    return asked is None or str(asked).casefold() == written


def unknown_links(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """Links are those of the sources, or of good answers."""
    for found in LINK.finditer("\n".join(strings_in(exchange.value))):
        link = found[0].rstrip(".,;:!?").casefold()
        if link not in exchange.given and link not in bound["known"]:
            yield "link", f"{link!r} comes from nowhere"


def personal_data(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """Addresses, numbers and secrets of people are only those that were given."""
    text = NUMERIC_DATE.sub(" ", exchange.whole)
    for kind, pattern in PERSONAL.items():
        for found in pattern.finditer(text):
            item = found[0].casefold()
            if item not in exchange.given and item not in bound["known"]:
                yield kind, f"{kind} comes from nowhere"


def wrong_citations(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """What is cited by an id was retrieved."""
    cited = [f for text in strings_in(exchange.value) for f in re.findall(bound["pattern"], text)]
    for one in cited:
        if one.casefold() not in exchange.sources.casefold():
            yield "not retrieved", f"{one!r} was not retrieved"
    if relevance(exchange) > 0 and not re.search(bound["pattern"], exchange.text):
        yield "nothing cited", "nothing is cited"


def wrong_addressee(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The one who is addressed is the one who asked."""
    start = SALUTATION.search(exchange.text[:40])
    rest = exchange.text[start.end() :] if start else ""
    found = re.match(
        r"(?: (?:Mr|Mrs|Ms|Dr|Herrn?|Frau)\b\.?)? ([A-Z\u00c0-\u00dc][^\n,!.:;]{1,40})", rest
    )
    if found and not all(word in exchange.given for word in found[1].casefold().split()):
        yield "name", f"it addresses {found[1]!r}"
    if not found and bound["rows"] >= 20:  # noqa: PLR2004
        yield "nobody", "nobody is addressed"


def new_promises(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """Money, gifts and times are only promised where the request or the sources speak of them."""
    for sentence in statements(exchange.whole):
        for found in PROMISE.finditer(sentence):
            kind = found.lastgroup or ""
            word = found[0].casefold()
            if word in bound["known"] or NEGATION.search(sentence):
                continue
            if kind not in {each.lastgroup for each in PROMISE.finditer(exchange.given)}:
                yield word, f"{word!r} is promised, and nothing that was given speaks of it"


def emptiness(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The answer says what belongs to its own request and sources, not what fits any."""
    share = own_share(exchange, bound["shared"], bound["rows"])
    if share < bound["least"] and relevance(exchange) > bound["relevance"]:
        yield "own words", f"only {share:.0%} of what it says is in its request or its sources"


def own_share(exchange: Exchange, shared: dict[str, int], rows: int) -> float:
    """The share of an answer that was given, where words count less the more rows share them."""
    weights = {
        each: math.log((rows + 1) / (shared.get(each, 1) + 1))
        for each in content_of("\n".join(strings_in(exchange.value)))
    }
    given = content_of(f"{exchange.request}\n{exchange.sources}")
    return sum(w for each, w in weights.items() if each in given) / (sum(weights.values()) or 1)


def relevance(exchange: Exchange) -> float:
    """The share of a request that the sources hold; -1 without sources."""
    asked = content_of(exchange.request)
    return (
        len(asked & content_of(exchange.sources)) / max(1, len(asked))
        if exchange.sources.strip()
        else -1
    )


def contradictions(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """What the sources deny is not affirmed, nor the other way round, nor its opposite said."""
    given = {word.casefold() for word in WORD.findall(exchange.given)}
    said = {word.casefold() for word in WORD.findall(exchange.text)}
    for word in said & OPPOSITES.keys():
        other = OPPOSITES[word]
        if word not in given and other in given and other not in said:
            yield f"{word}/{other}", f"it says {word!r} where {other!r} was given"
    said_before: list[tuple[frozenset[str], bool]] = []
    sources = [one for each in statements(exchange.sources) if (one := polarity(each))[0]]
    for sentence in statements(exchange.text):
        held, denied = polarity(sentence)
        for part, others in (("sources", sources), ("itself", said_before)):
            near = [no for other, no in others if len(held & other) >= 0.7 * max(3, len(held))]
            if near and all(no != denied for no in near):
                yield part, f"{sentence[:80]!r} contradicts {part}"
        said_before.append((held, denied))


@lru_cache(4096)
def polarity(sentence: str) -> tuple[frozenset[str], bool]:
    """A sentence's stems, and whether it denies."""
    return stems(sentence), bool(NEGATION.search(sentence))


def forgotten_ids(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """Ids of the request come back in the answer."""
    said = "\n".join(strings_in(exchange.value)).casefold()
    asked = [what for what, _, kind, _ in figures_of(exchange.request) if kind == "id"]
    missing = [each for each in asked if each not in said]
    if asked and len(missing) == len(asked):
        yield "id", f"it does not name {missing[0]!r}"
