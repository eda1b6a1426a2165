"""What is wrong in one place of an answer, a figure, a date, a name, or comes from another."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from functools import partial

from evalkit.core.values import Json
from evalkit.suite import phrases
from evalkit.suite.answer_edits import (
    Apply,
    Place,
    Setting,
    alike,
    asked,
    in_place,
    language_of,
    main_text,
    sentences,
    statement,
    texts,
    with_value,
)

UNLIKE = 0.4
"""Two texts that share no more of their words say something else."""

NUMBER = r"(?<![\w./:\[#-])\d++(?:[.,]\d+)*+(?![A-Za-z_\]:/]|-\d|[.)]\s+[A-Z*])"
IDENTIFIER = (
    r"(?<![\w\[.-])(?=[\w-]*[A-Za-z])(?=[\w-]*\d{2})[A-Za-z\d]++(?:[-_][A-Za-z\d]++)*+(?!\])"
)
DATE = r"\b\d{4}-\d\d-\d\d\b|\b\d\d\.\d\d\.\d{4}\b"
TIME = r"\b(?:[01]?\d|2[0-3]):[0-5]\d\b(?!:| ?[ap]m)|\b(\d{1,2}(?::\d\d)? ?)([ap]m)\b"
NAME = (
    r"(\b(?:Dr|Mr|Mrs|Ms|Herrn?|Frau|Mme|Dear|Hi|Hello|Hallo|Liebe[r]?|Bonjour|Hola|Señora?)\.? )"
    r"([A-ZÀ-Þ][a-zß-ÿ]+(?: [A-ZÀ-Þ][a-zß-ÿ]+)?)"
)
ENTITY = r"(?<=[a-zß-ÿ,] )[A-ZÀ-Þ][a-zß-ÿ]{2,}\b(?!-)"
CITATION = r"\s?\[(?=[^\]\s]*\d)[\w.:/#§-]+\]"


def one_of(words: Iterable[str]) -> str:
    """A pattern of whole words or signs, the longest first."""
    longest = sorted(words, key=len, reverse=True)
    bounded = [
        rf"(?<!\w){re.escape(word)}(?!\w)" if word[-1].isalpha() else re.escape(word)
        for word in longest
    ]
    return f"(?:{'|'.join(bounded)})"


def other_digit(place: Place, at: Setting, *, first: bool = False) -> str:
    """The same figure or identifier with one of its digits changed."""
    text = place[0]
    digits = [k for k, sign in enumerate(text) if sign.isdigit()]
    k = digits[0] if first else digits[len(digits) // 2]
    others = [d for d in "1234567890"[: 9 if k == digits[0] else 10] if d != text[k]]
    return text[:k] + at.rng.choice(others) + text[k + 1 :]


def transposed(place: Place, _: Setting) -> str:
    """Two digits beside each other exchanged."""
    return re.sub(r"(\d)(?!\1|0)(\d)", r"\2\1", place[0], count=1)


def tenfold(place: Place, _: Setting) -> str | None:
    """Ten times as much; None for a date or a version."""
    if not re.fullmatch(r"\d+|\d{1,3}([.,]\d{3})+|[\d,]+[.,]\d\d?|[\d.]+,\d\d?", place[0]):
        return None
    cents = re.fullmatch(r"([\d.,]*?\d)([.,])(\d)(\d?)", place[0])
    if cents:
        whole = re.sub(r"\D", "", cents[1]) + cents[3]
        return f"{int(whole)}{cents[2]}{cents[4]}".rstrip(".,")
    grouped = re.search(r"[.,]", place[0])
    return f"{int(re.sub(r'[.,]', '', place[0])) * 10:,}".replace(
        ",", grouped[0] if grouped else ""
    )


def shifted_date(place: Place, at: Setting) -> str | None:
    """The same form of date, days or weeks off."""
    form = "%Y-%m-%d" if "-" in place[0] else "%d.%m.%Y"
    try:
        date = dt.datetime.strptime(place[0], form).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return (date + dt.timedelta(at.rng.choice([-30, -7, -2, 2, 7, 30]))).strftime(form)


def shifted_hour(place: Place, at: Setting) -> str:
    """Another hour, or the other half of the day."""
    if place[2]:
        return place[1] + ("am" if place[2] == "pm" else "pm")
    hour, minute = place[0].split(":")
    return f"{(int(hour) + at.rng.randrange(1, 12)) % 24:02}:{minute}"


def other_member(place: Place, at: Setting) -> str:
    """Another month or day of the week."""
    names = next(names for names in phrases.CALENDAR if place[0] in names)
    return at.rng.choice([name for name in names if name != place[0]])


def other_name(place: Place, at: Setting) -> str:
    """Somebody else's name after the same greeting or title."""
    name = at.rng.choice(phrases.PEOPLE)
    is_title = place[1].strip(" .") in phrases.TITLES
    return place[1] + (name if " " in place[2] else name.split()[is_title])


def other_entity(_: Place, at: Setting) -> str | None:
    """A proper noun of another answer."""
    own = f"{main_text(at.row)} {asked(at.row)}".casefold()
    names = {m[0] for r in at.others for m in re.finditer(ENTITY, main_text(r))}
    unlike = sorted(name for name in names if name.casefold() not in own)
    return at.rng.choice(unlike) if unlike else None


def negated(text: str, at: Setting) -> str | None:
    """A statement is its opposite, where there are some one with a figure; never a question."""
    said = [s for s in sentences(text) if not s.rstrip().endswith("?")]
    at.rng.shuffle(said)
    for sentence in sorted(said, key=lambda s: not re.search(r"\d", s)):
        for pattern, new in phrases.NEGATED[language_of(text, at)]:
            opposite = re.sub(pattern, new, sentence, count=1)
            if opposite != sentence:
                return text.replace(sentence, opposite, 1)
    return None


def contradicted(text: str, at: Setting) -> str | None:
    """A sentence with a figure comes twice, the second time with another figure."""
    for sentence in sentences(text):
        for place in re.finditer(NUMBER, sentence):
            other = other_digit(place, at, first=True)
            again = f"{sentence[: place.start()]}{other}{sentence[place.end() :]}"
            return text.replace(sentence, f"{sentence} {again}", 1)
    return None


# It comes from somebody else's answer.


def swapped(at: Setting) -> Json | None:
    """The whole answer to another request."""
    unlike = [
        r
        for r in at.others
        if alike(main_text(r), main_text(at.row)) < UNLIKE
        and alike(asked(r), asked(at.row)) < UNLIKE
    ]
    for other in at.rng.sample(unlike, min(1, len(unlike))):
        path = texts(at.row)[0][0] if texts(at.row) else ()
        is_chat = "messages" in path
        return with_value(at.row.outputs, path, main_text(other)) if is_chat else other.outputs
    return None


def figures_of_another(text: str, at: Setting) -> str | None:
    """Figures, dates and identifiers are somebody else's, each of the same form."""
    pattern = f"{NUMBER}|{IDENTIFIER}|{DATE}|{TIME}"
    own = {m[0] for m in re.finditer(pattern, text)}
    theirs = {
        (other.trace_id, _form(m[0])): m[0]
        for other in at.others
        for m in re.finditer(pattern, main_text(other))
        if m[0] not in own
    }
    for other in at.rng.sample(list(at.others), len(at.others)):
        pick = partial(_of_same_form, theirs, other.trace_id)
        edited = re.sub(pattern, pick, text)
        if edited != text:
            return edited
    return None


def _form(figure: str) -> str:
    return re.sub(r"\d{1,3}", "9", re.sub(r"\d{4,}", "#", figure))


def _of_same_form(theirs: Mapping[tuple[str, str], str], trace_id: str, place: Place) -> str:
    return theirs.get((trace_id, _form(place[0])), place[0])


def mixed(text: str, at: Setting) -> str | None:
    """Its last statement is from somebody else's answer."""
    for other in at.rng.sample(list(at.others), len(at.others)):
        foreign = [s for s in sentences(main_text(other)) if re.search(NUMBER, s)]
        if foreign and alike(foreign[-1], text) < UNLIKE / 2:
            kept = "" if len(sentences(text)) > 1 else f"{text} "
            return text.replace(statement(text), kept + foreign[-1], 1)
    return None


def mapped(words: Mapping[str, str], before: str = "") -> Apply:
    """One word of a table is what the table says."""
    return in_place(before + one_of(words), lambda place, _: words[place[0]])
