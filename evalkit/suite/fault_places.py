"""What is wrong in one place of an answer, a figure, a date, a name, or comes from another."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping

from evalkit.core.values import Json
from evalkit.suite import phrases
from evalkit.suite.answer_edits import (
    Apply,
    Place,
    Setting,
    alike,
    asked,
    in_place,
    main_text,
    sentences,
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
ENTITY = r"(?<=[a-zß-ÿ,] )[A-ZÀ-Þ][\w-]{2,}"
CITATION = r"\s?\[(?=[^\]\s]*\d)[\w.:/#§-]+\]"


def one_of(words: Iterable[str]) -> str:
    """A pattern of whole words, the longest first."""
    return rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(words, key=len, reverse=True)))})(?!\w)"


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


def tenfold(place: Place, _: Setting) -> str:
    """Ten times as much."""
    moved = re.sub(r"^(\d+)[.,](\d)$|^(\d+)([.,])(\d)(\d)$", r"\1\2\3\5\4\6", place[0])
    return f"{place[0]}0" if moved == place[0] else moved


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
    return place[1] + (name if " " in place[2] else name.split()[" " not in place[2]])


def other_entity(_: Place, at: Setting) -> str | None:
    """A proper noun of another answer."""
    own = f"{main_text(at.row)} {asked(at.row)}".casefold()
    names = {m[0] for r in at.others for m in re.finditer(ENTITY, main_text(r))}
    unlike = sorted(name for name in names if name.casefold() not in own)
    return at.rng.choice(unlike) if unlike else None


def negated(text: str, at: Setting) -> str | None:
    """One statement, not one of a question, is its opposite."""
    for pattern, new in phrases.NEGATED[phrases.language(text)]:
        places = [
            p for p in re.finditer(pattern, text) if not re.match(r"[^.!\n]*\?", text[p.end() :])
        ]
        if places:
            place = at.rng.choice(places)
            return text[: place.start()] + place.expand(new) + text[place.end() :]
    return None


def contradicted(text: str, at: Setting) -> str | None:
    """A sentence with a figure comes twice, the second time with another figure."""
    for sentence in sentences(text):
        for place in re.finditer(NUMBER, sentence):
            other = other_digit(place, at, first=True)
            return f"{text} {sentence[: place.start()]}{other}{sentence[place.end() :]}"
    return None


# It comes from somebody else's answer.


def swapped(at: Setting) -> Json | None:
    """The whole answer to another request."""
    unlike = [
        r.outputs
        for r in at.others
        if alike(main_text(r), main_text(at.row)) < UNLIKE
        and alike(asked(r), asked(at.row)) < UNLIKE
    ]
    return at.rng.choice(unlike) if unlike else None


def figures_of_another(text: str, at: Setting) -> str | None:
    """Figures and identifiers come from somebody else's answer."""
    pattern = f"{NUMBER}|{IDENTIFIER}"
    own = {m[0] for m in re.finditer(pattern, text)}
    for other in at.rng.sample(list(at.others), len(at.others)):
        theirs = [m[0] for m in re.finditer(pattern, main_text(other)) if m[0] not in own]
        if theirs and own:
            return re.sub(pattern, lambda m: theirs.pop() if theirs else m[0], text)  # noqa: B023
    return None


def mixed(text: str, at: Setting) -> str | None:
    """It ends with a statement from somebody else's answer."""
    for other in at.rng.sample(list(at.others), len(at.others)):
        foreign = [s for s in sentences(main_text(other)) if re.search(NUMBER, s)]
        if foreign and alike(foreign[-1], text) < UNLIKE:
            return " ".join([*(sentences(text)[:-1] or [text]), foreign[-1]])
    return None


def mapped(words: Mapping[str, str], before: str = "") -> Apply:
    """One word of a table is what the table says."""
    return in_place(before + one_of(words), lambda place, _: words[place[0]])
