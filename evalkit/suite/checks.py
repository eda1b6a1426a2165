"""What rules can tell of an answer: the very functions that a suite's ``scorers.py`` holds.

Each check yields the parts of its bound that an answer breaks, each with a reason. It knows nothing
of how bounds are learned, and uses nothing but the standard library, because its source is copied.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from evalkit.suite.answer_reading import (
    CODE,
    LINK,
    NUMERIC_DATE,
    WORD,
    Case,
    content,
    dates,
    figures,
    language,
    languages,
    month,
    statements,
    stems,
    strings_in,
)
from evalkit.suite.word_lists import (
    INSTRUCTIONS,
    LOOKS,
    NEGATION,
    OPPOSITES,
    ORDINARY,
    PERSONAL,
    PLACEHOLDERS,
    PROMISE,
    REFUSALS,
    RUDE,
    SALUTATION,
    WEEKDAY,
)

Problems = Iterator[tuple[str, str]]


def no_answer(case: Case, _bound: dict[str, Any]) -> Problems:
    """The answer is there, and is neither an error's text nor a refusal nor talk about itself."""
    if not any(str(text).strip() for text in strings_in(case.value)) and not any(
        isinstance(each, bool | int | float) for _, each in case.leaves
    ):
        yield "empty", "there is no answer"
    for part, pattern in REFUSALS.items():
        found = pattern.search(case.whole)
        if found:
            yield part, f"{part}: {found[0][:80]!r}"


def broken_shape(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer has the fields, kinds, labels and forms of values that good answers have."""
    places = bound["places"]
    for at, value in case.leaves:
        if at not in places:
            yield "new fields", f"{at or 'the answer'} is not known"
        elif (broken := broken_place(value, places[at])) is not None:
            yield (
                f"{at} {broken}",
                f"{at or 'the answer'} has another {broken}: {str(value)[:60]!r}",
            )
    for name in case.names:
        if name not in bound["names"]:
            yield "new fields", f"{name} is not known"
    seen = {at for at, _ in case.leaves}
    for at, place in places.items():
        if place["always"] and at not in seen:
            yield f"{at} missing", f"{at} is missing"


def broken_place(value: Any, place: dict[str, Any]) -> str | None:
    """What of a field's kind, label, form or range a value breaks."""
    if kind_of(value) not in place["kinds"]:
        return "kind"
    if "labels" in place and value is not None and value not in place["labels"]:
        return "label"
    if "form" in place and isinstance(value, str) and outline(value) not in place["form"]:
        return "form"
    if "range" in place and not place["range"][0] <= value <= place["range"][1]:
        return "range"
    return None


def kind_of(value: Any) -> str:
    """The kind of a value; code is one of its own."""
    return "code" if isinstance(value, str) and CODE.match(value) else type(value).__name__


def outline(value: str) -> str:
    """The form of a value: letters as A, digits as 9, each run once."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "A", value))


def strange_looks(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer has no look that good answers never have, and each that all of them have."""
    for look, pattern in LOOKS.items():
        has = bool(pattern.search(case.text if look in ORDINARY else case.whole))
        if has and look in bound["never"]:
            yield look, f"it has {look}, as no good answer has"
        if not has and look in bound["always"]:
            yield f"no {look}", f"it lacks {look}, which every good answer has"


def invented_figures(case: Case, bound: dict[str, Any]) -> Problems:
    """Every number, date and id, with its unit, stands in what was given."""
    given, known = case.given_figures, bound["known"]
    days = {day for day, _ in dates(case.given)}
    for day, written in dates(case.text):
        if days and day not in days and written.casefold() not in known:
            yield "date", f"the date {written!r} comes from nowhere"
    for what, unit, kind, written in figures(NUMERIC_DATE.sub(" ", case.text)):
        if what in known or written.casefold() in known:
            continue
        if what not in given and what not in case.given:
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
    return wanted is not None and any(
        round(abs(wanted - one), 2) in near or round(wanted + one, 2) in near for one in held
    )


def invented_names(case: Case, bound: dict[str, Any]) -> Problems:
    """Every name inside a sentence stands in what was given; German nouns are none alone."""
    name = r"([A-Z\u00c0-\u00dc][\w'\u2019]{2,})"
    twice = f" {name}" if language(case.text) == "de" else ""
    for found in re.finditer(rf"(?<=[^\W\d_A-Z,;:] ){name}{twice}", case.text):
        words = [re.sub(r"['\u2019]s?$", "", each.casefold()) for each in found.groups()]
        given = (w in case.given or w[:5] in case.given_stems or w in bound["known"] for w in words)
        if not any(given):
            is_day = WEEKDAY.search(found[0]) or month(found[0])
            yield "day" if is_day else "name", f"{found[0]!r} comes from nowhere"


def disagreeing_fields(case: Case, bound: dict[str, Any]) -> Problems:
    """Fields hold what the request, the sources and the text say."""
    values = dict(case.leaves)
    for at, relation in bound["relations"]:
        value = values.get(at)
        if value is not None and not isinstance(value, bool) and not related(case, value, relation):
            yield f"{at} {relation}", f"{at} is {value!r}, unlike {relation}"
    for at, label, other, is_set in bound["sets"]:
        if str(values.get(at)) == label and (values.get(other) is not None) != is_set:
            yield f"{at} sets {other}", f"{at} is {label!r}, yet {other} is {values.get(other)!r}"
    for at, form in bound["ids"]:
        asked = re.findall(form, case.request)
        if (values.get(at) is None) == bool(asked) or (asked and values[at] not in asked):
            yield f"{at} id", f"{at} is {values.get(at)!r}, the request has {asked}"
    for at, where, markers in bound["markers"]:
        held = stems(case.text if where == "text" else case.request)
        fitting = {label for label, marks in markers.items() if held & set(marks)}
        if fitting and str(values.get(at)) in markers and str(values.get(at)) not in fitting:
            yield f"{at} {where}", f"{at} is {values.get(at)!r}, its {where} speaks of {fitting}"


def related(case: Case, value: Any, relation: str) -> bool:
    """Whether a field's value is what the text, the sources or an input says."""
    written = str(value).casefold()
    if relation == "the text":
        return not case.text or written in case.text.casefold()
    if relation == "what was given":
        return written in case.given
    if relation == "the language of the request":
        return language(case.request) in {"", written}
    asked = case.inputs.get(relation[7:]) if isinstance(case.inputs, dict) else None
    return asked is None or str(asked).casefold() == written


def leaked_prompt(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer does not quote its instructions."""
    found = INSTRUCTIONS.search(case.whole)
    if found:
        yield "speaks of it", f"it speaks of its instructions: {found[0]!r}"
    told, said = (
        [word.casefold() for word in WORD.findall(each)] for each in (case.prompts, case.whole)
    )
    runs = {" ".join(told[at : at + 6]) for at in range(len(told) - 5)}
    other = " ".join(word.casefold() for word in WORD.findall(case.request + " " + case.sources))
    for at in range(len(said) - 5):
        run = " ".join(said[at : at + 6])
        if run in runs and run not in other and run not in bound["known"]:
            yield "quotes it", f"it quotes its prompt: {run!r}"
            break


def other_languages(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer is in the language of the request, or one that good answers have; all of it."""
    said, asked = language(case.text), language(case.request)
    if said and asked and said != asked:
        yield "as asked", f"the request is {asked}, the answer {said}"
    counts = languages(case.request)
    might_ask = counts.get(said, 0) and counts[said] * 2 > max(counts.values())
    if said and said not in (bound["languages"] or [said]) and not might_ask:
        yield "usual", f"the answer is {said}"
    for sentence in statements(case.text):
        one = language(sentence) if len(sentence.split()) > 4 else ""  # noqa: PLR2004
        if one and said and one not in {said, asked}:
            yield "all of it", f"a part is {one}: {sentence[:60]!r}"


def repetitions(case: Case, _bound: dict[str, Any]) -> Problems:
    """Nothing comes twice, and the request is not given back."""
    said = statements(case.whole)
    counts = Counter(" ".join(each.casefold().split()) for each in said if len(each.split()) > 3)  # noqa: PLR2004
    twice = [each for each, count in counts.items() if count > 1]
    if twice:
        yield "twice", f"it says twice {twice[0][:80]!r}"
    words = [word.casefold() for word in WORD.findall(case.text)]
    if re.search(r"\b([^\W\d_]{2,}) \1 \1\b", case.text):
        yield "stutters", "a word comes three times in a row"
    asked = [word.casefold() for word in WORD.findall(case.request)]
    together = " " + " ".join(words) + " "
    runs = [" ".join(asked[at : at + 8]) for at in range(len(asked) - 7)]
    back = sum(f" {run} " in together for run in runs)
    parts = [" ".join(map(str.casefold, WORD.findall(each))) for _, each in case.prose]
    if (runs and back * 2 > len(runs)) or any(
        len(part.split()) > 2 and part in " ".join(asked)  # noqa: PLR2004
        for part in parts
    ):
        yield "echo", "it gives the request back"


def left_placeholders(case: Case, bound: dict[str, Any]) -> Problems:
    """No placeholder of a template is left in the answer."""
    for text in (each for each in strings_in(case.value)):
        for found in PLACEHOLDERS.finditer(text):
            if found[0] not in bound["known"] and found[0].casefold() not in case.given:
                yield "placeholder", f"{found[0]!r} is left in it"


def unknown_links(case: Case, bound: dict[str, Any]) -> Problems:
    """Links are those of the sources, or of good answers."""
    for found in LINK.finditer("\n".join(strings_in(case.value))):
        link = found[0].rstrip(".,;:!?").casefold()
        if link not in case.given and link not in bound["known"]:
            yield "link", f"{link!r} comes from nowhere"


def personal_data(case: Case, bound: dict[str, Any]) -> Problems:
    """Addresses, numbers and secrets of people are only those that were given."""
    text = NUMERIC_DATE.sub(" ", case.whole)
    for kind, pattern in PERSONAL.items():
        for found in pattern.finditer(text):
            item = found[0].casefold()
            if item not in case.given and item not in bound["known"]:
                yield kind, f"{kind} comes from nowhere"


def wrong_citations(case: Case, bound: dict[str, Any]) -> Problems:
    """What is cited by an id was retrieved."""
    cited = [f for text in strings_in(case.value) for f in re.findall(bound["pattern"], text)]
    for one in cited:
        if one.casefold() not in case.sources.casefold():
            yield "not retrieved", f"{one!r} was not retrieved"
    if relevance(case) > 0 and not re.search(bound["pattern"], case.text):
        yield "nothing cited", "nothing is cited"


def wrong_addressee(case: Case, _bound: dict[str, Any]) -> Problems:
    """The one who is addressed is the one who asked."""
    start = SALUTATION.search(case.text[:40])
    rest = case.text[start.end() :] if start else ""
    found = re.match(
        r"(?: (?:Mr|Mrs|Ms|Dr|Herrn?|Frau)\b\.?)? ([A-Z\u00c0-\u00dc][^\n,!.:;]{1,40})", rest
    )
    if found and not all(word in case.given for word in found[1].casefold().split()):
        yield "name", f"it addresses {found[1]!r}"
    if not found:
        yield "nobody", "nobody is addressed"


def new_promises(case: Case, bound: dict[str, Any]) -> Problems:
    """Money, gifts and times are only promised where the request or the sources speak of them."""
    for sentence in statements(case.whole):
        for found in PROMISE.finditer(sentence):
            kind = found.lastgroup or ""
            word = found[0].casefold()
            if word in bound["known"] or NEGATION.search(sentence):
                continue
            if kind not in {each.lastgroup for each in PROMISE.finditer(case.given)}:
                yield word, f"{word!r} is promised, and nothing that was given speaks of it"


def rudeness(case: Case, bound: dict[str, Any]) -> Problems:
    """Nobody is insulted or blamed."""
    for found in RUDE.finditer(case.whole):
        if found[0].casefold() not in bound["known"]:
            yield found[0].casefold(), f"{found[0]!r} is rude"


def emptiness(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer says what belongs to its own request and sources, not what fits any."""
    share = own_share(case, bound["shared"], bound["rows"])
    if share < bound["least"] and relevance(case) > bound["relevance"]:
        yield "own words", f"only {share:.0%} of what it says is in its request or its sources"


def own_share(case: Case, shared: dict[str, int], rows: int) -> float:
    """The share of an answer that was given, where words count less the more rows share them."""
    weights = {
        each: math.log((rows + 1) / (shared.get(each, 1) + 1))
        for each in content("\n".join(strings_in(case.value)))
    }
    given = content(f"{case.request}\n{case.sources}")
    return sum(w for each, w in weights.items() if each in given) / (sum(weights.values()) or 1)


def relevance(case: Case) -> float:
    """The share of a request that the sources hold; -1 without sources."""
    asked = content(case.request)
    return len(asked & content(case.sources)) / max(1, len(asked)) if case.sources.strip() else -1


def unusual_wording(case: Case, bound: dict[str, Any]) -> Problems:
    """Words are those of the request, the sources and other good answers, but for a usual share."""
    house = set(bound["house"])
    share, worst = new_words(case, house)
    if share > bound["share"]:
        yield "share", f"{share:.0%} of its words are new"
    if worst > bound["sentence"]:
        yield "sentence", f"a sentence has {worst:.0%} new words"


def new_words(case: Case, house: set[str]) -> tuple[float, float]:
    """The share of new words over all, and in the worst sentence."""
    known = house | case.given_stems
    shares = [0.0]
    said = stems(case.text)
    tongue = language(case.given)
    for sentence in statements(case.text):
        own = stems(sentence)
        if len(own) > 3 and language(sentence) in {"", tongue}:  # noqa: PLR2004
            shares.append(len(own - known) / len(own))
    return len(said - known) / max(1, len(said)), max(shares)


def incomplete(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer is about as long as good ones, ends as they do, and closes its brackets."""
    length = len(case.text)
    if length < bound["shortest"]:
        yield "short", f"{length} characters"
    if length > bound["longest"]:
        yield "long", f"{length} characters"
    lines = [line.strip() for line in case.text.splitlines() if line.strip()]
    for part in bound["lines"]:
        if part not in lines:
            yield f"line {part}", f"the line {part!r} is missing"
    for at, each in case.prose:
        if at in bound["stops"] and each.rstrip()[-1:].isalnum():
            yield "end", f"it ends in {each.rstrip()[-30:]!r}"
    if lines and lines[-1][-1] in ",-([{/":
        yield "middle", f"it ends in {lines[-1][-30:]!r}"
    if case.text.count("(") > case.text.count(")") or case.text.count("```") % 2:
        yield "bracket", "a bracket is left open"


def contradictions(case: Case, _bound: dict[str, Any]) -> Problems:
    """What the sources deny is not affirmed, nor the other way round, nor its opposite said."""
    given = {word.casefold() for word in WORD.findall(case.given)}
    said = {word.casefold() for word in WORD.findall(case.text)}
    for word in said & OPPOSITES.keys():
        other = OPPOSITES[word]
        if word not in given and other in given and other not in said:
            yield f"{word}/{other}", f"it says {word!r} where {other!r} was given"
    said_before: list[tuple[frozenset[str], bool]] = []
    sources = [one for each in statements(case.sources) if (one := polarity(each))[0]]
    for sentence in statements(case.text):
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


def forgotten_ids(case: Case, _bound: dict[str, Any]) -> Problems:
    """Ids of the request come back in the answer."""
    said = "\n".join(strings_in(case.value)).casefold()
    asked = [what for what, _, kind, _ in figures(case.request) if kind == "id"]
    missing = [each for each in asked if each not in said]
    if asked and len(missing) == len(asked):
        yield "id", f"it does not name {missing[0]!r}"
