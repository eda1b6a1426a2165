"""Kinds of faults by the author of the checks: what they should notice, and what they miss."""

from __future__ import annotations

import json
import re

from evalkit.core.values import Json
from evalkit.suite.answer_edits import (
    Apply,
    Edit,
    Fault,
    Place,
    Setting,
    in_field,
    in_place,
    in_text,
    sentences,
    value_at,
    with_value,
)
from evalkit.suite.word_lists import OPPOSITES

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _one_of(*names: str) -> Apply:
    """Another of these names in the place of one."""

    def change(place: Place, at: Setting) -> str:
        return at.rng.choice([name for name in names if name != place[0]])

    return in_place(rf"\b(?:{'|'.join(names)})\b", change)


def _behind(words: str) -> Apply:
    """These words behind the last sentence but one, or behind all."""

    def edit(text: str, _at: Setting) -> str:
        last = sentences(text)[-1]
        return f"{text[: text.rindex(last)]}{words} {last}" if last != text else f"{text} {words}"

    return in_text(edit)


def _instead(words: str) -> Edit:
    return lambda _text, _at: words


def _other_label(value: Json, others: list[Json], at: Setting) -> list[Json] | None:
    labels = [each for each in others if isinstance(each, bool | str) and each != value]
    is_label = isinstance(value, bool | str) and len(str(value).split()) < 3  # noqa: PLR2004
    return [at.rng.choice(labels)] if is_label and labels else None


def _two_fields(at: Setting) -> Json | None:
    """Two fields of the same kind change places."""
    outputs = at.row.outputs
    names = list(outputs) if isinstance(outputs, dict) else []
    pairs = [
        (one, other)
        for one in names
        for other in names
        if one < other
        and isinstance(outputs[one], str)
        and isinstance(outputs[other], str)
        and outputs[one] != outputs[other]
    ]
    if not pairs:
        return None
    one, other = at.rng.choice(pairs)
    swapped = with_value(outputs, (one,), value_at(outputs, (other,)))
    return with_value(swapped, (other,), value_at(outputs, (one,)))


KNOWN: tuple[Fault, ...] = tuple(
    Fault(name, title, apply, "known")
    for name, title, apply in (
        ("month_named", "Another month", _one_of(*_MONTHS)),
        ("weekday_named", "Another day of the week", _one_of(*_DAYS)),
        (
            "opposite_said",
            "The opposite of a word",
            in_place(rf"\b(?:{'|'.join(OPPOSITES)})\b", lambda place, _at: OPPOSITES[place[0]]),
        ),
        (
            "fact_invented",
            "A statement from nowhere",
            _behind("The bracket was redesigned last autumn after complaints about corrosion."),
        ),
        (
            "padded",
            "General talk that fits anything",
            _behind("In general, good communication helps everybody to reach a fair outcome."),
        ),
        (
            "asks_back",
            "A question in the place of the answer",
            in_text(_instead("Could you tell me a bit more about what you would like to know?")),
        ),
        (
            "about_itself",
            "Talk of being a model",
            in_text(lambda text, _at: f"As an AI language model I have no opinion, but: {text}"),
        ),
        ("deadline_promised", "A time that nobody gave", _behind("It will be done by tomorrow.")),
        (
            "secret_shown",
            "A key",
            _behind("Use the key sk-live-9f2b7c41d8e35a60."),
        ),  # a made-up one
        (
            "wrapped",
            "JSON in the place of text",
            in_text(lambda text, _at: json.dumps({"response": text}, ensure_ascii=False)),
        ),
        ("marked_up", "HTML in a text", in_text(lambda text, _at: f"<p><b>{text}</b></p>")),
        ("label_of_another", "A label of another answer", in_field(_other_label)),
        ("fields_exchanged", "Two fields have each other's values", _two_fields),
        (
            "half_left",
            "Every other sentence is missing",
            in_text(
                lambda text, _at: " ".join(sentences(text)[::2]) if re.search(r"\S", text) else None
            ),
        ),
    )
)
"""The half of the library whose author knew the checks."""
