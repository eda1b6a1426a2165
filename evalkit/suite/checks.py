"""What rules can tell of an answer by itself: the very functions that ``scorers.py`` holds.

Each check yields the parts of its bound that an answer breaks, each with a reason. It knows nothing
of how bounds are learned, and uses nothing but the standard library, because its source is copied.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from evalkit.suite.answer_reading import (
    CODE,
    WORD,
    Exchange,
    languages,
    main_language,
    statements,
    stems,
    strings_in,
)
from evalkit.suite.word_lists import ANYWHERE, INSTRUCTIONS, LOOKS, PLACEHOLDERS, REFUSALS, RUDE

Problems = Iterator[tuple[str, str]]


def no_answer(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """The answer is there, and is neither an error's text nor a refusal nor talk about itself."""
    if not any(str(text).strip() for text in strings_in(exchange.value)) and not any(
        isinstance(each, bool | int | float) for _, each in exchange.leaves
    ):
        yield "empty", "there is no answer"
    for part, pattern in REFUSALS.items():
        found = pattern.search(exchange.whole)
        if found:
            yield part, f"{part}: {found[0][:80]!r}"


def broken_shape(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The answer has the fields, kinds, labels and forms of values that good answers have."""
    places = bound["places"]
    for at, value in exchange.leaves:
        if at not in places:
            yield "new fields", f"{at or 'the answer'} is not known"
        elif (broken := broken_place(value, places[at])) is not None:
            yield (
                f"{at} {broken}",
                f"{at or 'the answer'} has another {broken}: {str(value)[:60]!r}",
            )
    for name in exchange.names:
        if name not in bound["names"]:
            yield "new fields", f"{name} is not known"
    seen = {at for at, _ in exchange.leaves}
    for at, place in places.items():
        if place["always"] and at not in seen:
            yield f"{at} missing", f"{at} is missing"


def broken_place(value: Any, place: dict[str, Any]) -> str | None:
    """What of a field's kind, label, form or range a value breaks."""
    if value_kind(value) not in place["kinds"]:
        return "kind"
    if "labels" in place and value is not None and value not in place["labels"]:
        return "label"
    if "form" in place and isinstance(value, str) and outline(value) not in place["form"]:
        return "form"
    if "range" in place and not place["range"][0] <= value <= place["range"][1]:
        return "range"
    return None


def value_kind(value: Any) -> str:
    """The kind of a value; code is one of its own."""
    return "code" if isinstance(value, str) and CODE.match(value) else type(value).__name__


def outline(value: str) -> str:
    """The form of a value: letters as A, digits as 9, each run once."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "A", value))


def strange_looks(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The answer has no look that good answers never have, and each that all of them have."""
    for look, pattern in LOOKS.items():
        has = bool(pattern.search(exchange.whole if look in ANYWHERE else exchange.text))
        if has and look in bound["never"]:
            yield look, f"it has {look}, as no good answer has"
        if not has and look in bound["always"]:
            yield f"no {look}", f"it lacks {look}, which every good answer has"


def leaked_prompt(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The answer does not quote its instructions."""
    found = INSTRUCTIONS.search(exchange.whole)
    if found:
        yield "speaks of it", f"it speaks of its instructions: {found[0]!r}"
    told, said = (
        [word.casefold() for word in WORD.findall(each)]
        for each in (exchange.prompts, exchange.whole)
    )
    runs = {" ".join(told[at : at + 6]) for at in range(len(told) - 5)}
    other = " ".join(
        word.casefold() for word in WORD.findall(exchange.request + " " + exchange.sources)
    )
    for at in range(len(said) - 5):
        run = " ".join(said[at : at + 6])
        if run in runs and run not in other and run not in bound["known"]:
            yield "quotes it", f"it quotes its prompt: {run!r}"
            break


def other_languages(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The answer is in the language of the request, or one that good answers have; all of it."""
    said, asked = main_language(exchange.text), main_language(exchange.request)
    if said and asked and said != asked:
        yield "as asked", f"the request is {asked}, the answer {said}"
    counts = languages(exchange.request)
    might_ask = counts.get(said, 0) and counts[said] * 2 > max(counts.values())
    if said and said not in (bound["languages"] or [said]) and not might_ask:
        yield "usual", f"the answer is {said}"
    for sentence in statements(exchange.text):
        one = main_language(sentence) if len(sentence.split()) > 4 else ""  # noqa: PLR2004
        if one and said and one not in {said, asked}:
            yield "all of it", f"a part is {one}: {sentence[:60]!r}"


def repetitions(exchange: Exchange, _bound: dict[str, Any]) -> Problems:
    """Nothing comes twice, and the request is not given back."""
    said = statements(exchange.whole)
    counts = Counter(" ".join(each.casefold().split()) for each in said if len(each.split()) > 3)  # noqa: PLR2004
    twice = [each for each, count in counts.items() if count > 1]
    if twice:
        yield "twice", f"it says twice {twice[0][:80]!r}"
    words = [word.casefold() for word in WORD.findall(exchange.text)]
    if re.search(r"\b([^\W\d_]{2,}) \1 \1\b", exchange.text):
        yield "stutters", "a word comes three times in a row"
    asked = [word.casefold() for word in WORD.findall(exchange.request)]
    together = " " + " ".join(words) + " "
    runs = [" ".join(asked[at : at + 8]) for at in range(len(asked) - 7)]
    back = sum(f" {run} " in together for run in runs)
    parts = [" ".join(map(str.casefold, WORD.findall(each))) for _, each in exchange.prose]
    if (runs and back * 2 > len(runs)) or any(
        len(part.split()) > 2 and part in " ".join(asked)  # noqa: PLR2004
        for part in parts
    ):
        yield "echo", "it gives the request back"


def left_placeholders(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """No placeholder of a template is left in the answer."""
    for text in (each for each in strings_in(exchange.value)):
        for found in PLACEHOLDERS.finditer(text):
            if found[0] not in bound["known"] and found[0].casefold() not in exchange.given:
                yield "placeholder", f"{found[0]!r} is left in it"


def rudeness(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """Nobody is insulted or blamed."""
    for found in RUDE.finditer(exchange.whole):
        if found[0].casefold() not in bound["known"]:
            yield found[0].casefold(), f"{found[0]!r} is rude"


def unusual_wording(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """Words are those of the request, the sources and other good answers, but for a usual share."""
    house = set(bound["house"])
    share, worst = new_words(exchange, house)
    if share > bound["share"]:
        yield "share", f"{share:.0%} of its words are new"
    if worst > bound["sentence"]:
        yield "sentence", f"a sentence has {worst:.0%} new words"


def new_words(exchange: Exchange, house: set[str]) -> tuple[float, float]:
    """The share of new words over all, and in the worst sentence."""
    known = house | exchange.given_stems
    shares = [0.0]
    said = stems(exchange.text)
    tongue = main_language(exchange.given)
    for sentence in statements(exchange.text):
        own = stems(sentence)
        if len(own) > 3 and main_language(sentence) in {"", tongue}:  # noqa: PLR2004
            shares.append(len(own - known) / len(own))
    return len(said - known) / max(1, len(said)), max(shares)


def incomplete(exchange: Exchange, bound: dict[str, Any]) -> Problems:
    """The answer is about as long as good ones, ends as they do, and closes its brackets."""
    length = len(exchange.text)
    if 0 < length < bound["shortest"]:
        yield "short", f"{length} characters"
    if length > bound["longest"]:
        yield "long", f"{length} characters"
    lines = [line.strip() for line in exchange.text.splitlines() if line.strip()]
    for part in bound["lines"]:
        if part not in lines:
            yield f"line {part}", f"the line {part!r} is missing"
    for at, each in exchange.prose:
        if at in bound["stops"] and each.rstrip()[-1:].isalnum():
            yield "end", f"it ends in {each.rstrip()[-30:]!r}"
    if lines and lines[-1][-1] in ",-([{/":
        yield "middle", f"it ends in {lines[-1][-30:]!r}"
    if exchange.text.count("(") > exchange.text.count(")") or exchange.text.count("```") % 2:
        yield "bracket", "a bracket is left open"
