"""What goes wrong with agents in production, as damaged copies of good answers.

Knows rows and nothing of the scorers that are asked about the copies. A copy has the length and
shape of a good answer and is wrong; what a row's answer gives no hold for is left alone.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Literal

from evalkit.core.values import Json
from evalkit.suite import phrases
from evalkit.suite.answer_edits import (
    Apply,
    Edit,
    Fault,
    Place,
    Setting,
    alike,
    asked,
    in_field,
    in_place,
    in_text,
    language_of,
    sentences,
    statement,
    texts,
    with_value,
)
from evalkit.suite.fault_places import (
    CITATION,
    DATE,
    ENTITY,
    IDENTIFIER,
    NAME,
    NUMBER,
    TIME,
    UNLIKE,
    contradicted,
    figures_of_another,
    mapped,
    mixed,
    negated,
    one_of,
    other_digit,
    other_entity,
    other_member,
    other_name,
    shifted_date,
    shifted_hour,
    swapped,
    tenfold,
    transposed,
)
from evalkit.suite.known_faults import KNOWN
from evalkit.suite.model import Probe, Row

MOST_KIN = 60  # other answers that a fault looks at, or it takes a minute for 400
FEW = 4


def copies(rows: Sequence[Row], per_fault: int = 24) -> Iterator[tuple[str, Probe]]:
    """Damaged copies of good answers, as pairs of a fault's name and a probe; each time the same.

    At most ``per_fault`` of a kind; answers that are JSON in text are damaged as JSON.
    """
    good = {r.trace_id: r for r in sorted(rows, key=lambda r: r.trace_id) if r.is_good}
    opened = {key: _opened(row) for key, row in good.items()}
    routes = {row.route for row in opened.values()}
    kin = {name: [r for r in opened.values() if r.route == name][:MOST_KIN] for name in routes}
    for fault in FAULTS:
        left = per_fault
        for key in sorted(good, key=lambda key: Random(f"{fault.name} {key}").random()):  # noqa: S311
            if not left:
                break
            row = opened[key]
            others = [r for r in kin[row.route] if r.trace_id != key]
            damaged = fault.apply(Setting(row, Random(f"{key} {fault.name}"), others))  # noqa: S311
            if damaged not in (None, row.outputs):
                is_text = row.outputs is not good[key].outputs
                text_of = partial(json.dumps, ensure_ascii=False)
                yield fault.name, Probe(key, text_of(damaged) if is_text else damaged)
                left -= 1


def _opened(row: Row) -> Row:
    """The row with what its answer holds where that is a JSON document in text."""
    if isinstance(row.outputs, str) and row.outputs.lstrip()[:1] in ("{", "["):
        try:
            return replace(row, outputs=json.loads(row.outputs))
        except ValueError:
            pass
    return row


# The answer is somebody else's, none, or holds what does not belong into it.


def _translated(text: str, at: Setting) -> str:
    """Another language, with the same figures."""
    spoken = at.rng.choice([k for k in phrases.COMMON if k != language_of(text, at)])
    facts = ", ".join(m[0] for m in re.finditer(f"{NUMBER}|{IDENTIFIER}", text))
    first, details, last = sentences(phrases.SAID["foreign"][spoken].format(facts=facts))
    said = [first, details, last] if facts else [first, last]
    return " ".join(said if len(text) > len(first) else said[-2:-1])


def _said(what: str, where: Literal["instead", "first", "last"]) -> Edit:
    """A phrase in the answer's language: in its place, before it, or as its last sentence."""

    def edit(text: str, at: Setting) -> str | None:
        if what == "refused" and phrases.REFUSAL.search(text):
            return None  # that may be right there
        said = phrases.SAID[what][language_of(text, at)].format(
            name=at.rng.choice(phrases.PEOPLE).split()[1], error=at.rng.choice(phrases.ERRORS)
        )
        last = statement(text)
        if where == "instead":
            parts = sentences(said)
            return " ".join(
                s for k, s in enumerate(parts) if k == 0 or len(text) > len(said) * k // len(parts)
            )
        if where == "first":
            return f"{said} {text}"
        return text.replace(last, said if text.count(". ") > 1 else f"{last} {said}", 1)

    return edit


def _inserted(what: Sequence[str], *, last: bool = False) -> Edit:
    """Something between two words, or at the end."""

    def edit(text: str, at: Setting) -> str:
        words = text.split(" ")
        half = len(words) if last else len(words) // 2
        return " ".join([*words[:half], at.rng.choice(what), *words[half:]])

    return edit


def _prompt(text: str, at: Setting) -> str | None:
    """Its instructions, about as long as the answer."""
    prompts = [prompt for prompt in at.row.prompts if " " in prompt]
    return prompts[0][: max(150, len(text))].strip() if prompts else None


def _repeated(text: str, at: Setting) -> str:
    """One of its statements comes again and again."""
    said = statement(text, at)
    return text[: text.index(said)] + " ".join([said] * 4)


def _echoed(text: str, at: Setting) -> str | None:
    return asked(at.row) if asked(at.row) and alike(asked(at.row), text) < UNLIKE else None


def _uncited(at: Setting) -> Json | None:
    """Its sources are no longer named."""
    for path, text in texts(at.row):
        if re.search(CITATION, text):
            return with_value(at.row.outputs, path, re.sub(CITATION, "", text))
    return None


def _tool_call(_: str, at: Setting) -> str:
    call = {"name": "search", "arguments": {"query": asked(at.row)}}
    return f"<tool_call>{json.dumps(call, ensure_ascii=False)}</tool_call>"


def _placeholder(_: Place, at: Setting) -> str:
    return at.rng.choice(("[insert value]", "{{value}}", "{value}", "<VALUE>", "[TBD]"))


def _truncated(text: str, at: Setting) -> str | None:
    """It stops inside a word."""
    ends = [
        k for k in range(len(text) * 2 // 5, len(text) * 3 // 4) if text[k - 1 : k + 1].isalpha()
    ]
    return text[: at.rng.choice(ends)] if ends else None


def _garbled(text: str, _: Setting) -> str:
    """UTF-8 that was read as Latin-1."""
    return text.encode().decode("latin-1")


# A field of a structured answer is not what it should be.


def _other_value(value: Json, others: list[Json], at: Setting) -> list[Json] | None:
    """Another answer's word or number; a flag is turned."""
    if isinstance(value, bool):
        return [not value]
    is_short = isinstance(value, int | float) or (
        isinstance(value, str) and value.count(" ") <= FEW
    )
    unlike = [o for o in others if type(o) is type(value) and o != value]
    return [at.rng.choice(unlike)] if is_short and unlike else None


def _other_type(value: Json, _: list[Json], __: Setting) -> list[Json] | None:
    return None if value is None else [[value] if isinstance(value, str) else json.dumps(value)]


def _null(value: Json, others: list[Json], _: Setting) -> list[Json] | None:
    return None if value in (None, "", [], {}) or None in others else [None]


def _half(value: Json, _: list[Json], __: Setting) -> list[Json] | None:
    is_chat = isinstance(value, list) and any("role" in v for v in value if isinstance(v, dict))
    is_list = isinstance(value, list) and len(value) > 1 and not is_chat
    return [value[(len(value) + 1) // 2 :]] if is_list else None


def _extra_field(at: Setting) -> Json | None:
    """A field that no answer has; not where each answer has other fields."""
    own = at.row.outputs
    keys = [set(r.outputs) for r in at.others if isinstance(r.outputs, dict)]
    if not isinstance(own, dict) or any(set(own) != other for other in keys):
        return None
    return {**own, "internal_note": "rated C, do not escalate"}


_BLIND: tuple[tuple[str, str, Apply], ...] = (
    ("number_changed", "another number", in_place(NUMBER, partial(other_digit, first=True))),
    ("digit_off", "one digit of a number is off", in_place(NUMBER, other_digit)),
    ("digits_transposed", "two digits exchanged", in_place(NUMBER, transposed)),
    ("tenfold", "a number ten times as large", in_place(NUMBER, tenfold)),
    ("unit_swapped", "another unit", mapped(phrases.UNITS, r"(?:(?<=\d)|(?<=\d ))")),
    ("currency_swapped", "another currency", mapped(phrases.MONEY)),
    ("date_shifted", "another date", in_place(DATE, shifted_date)),
    (
        "day_changed",
        "another day or month",
        in_place(one_of(itertools.chain(*phrases.CALENDAR)), other_member),
    ),
    ("hour_shifted", "another hour", in_place(TIME, shifted_hour)),
    ("identifier_off", "one digit of an identifier is off", in_place(IDENTIFIER, other_digit)),
    ("name_replaced", "somebody else's name", in_place(NAME, other_name)),
    ("thing_replaced", "another product, place or thing", in_place(ENTITY, other_entity)),
    ("negated", "a statement is its opposite", in_text(negated)),
    ("comparison_reversed", "before for after, at least for at most", mapped(phrases.OPPOSITES)),
    ("contradicted", "two figures for the same thing", in_text(contradicted)),
    ("swapped", "the answer to another request", swapped),
    ("figures_of_another", "somebody else's figures", in_text(figures_of_another)),
    ("mixed", "ends with a statement of another answer", in_text(mixed)),
    ("other_language", "another language", in_text(_translated, 5)),
    ("refused", "refuses", in_text(_said("refused", "instead"))),
    ("hedged", "hedged until it says nothing", in_text(_said("hedged", "instead"), 5)),
    ("rude", "insults who asked", in_text(_said("rude", "first"))),
    ("promised", "promises what nobody may promise", in_text(_said("promised", "last"))),
    ("misaddressed", "addresses somebody else", in_text(_said("greeted", "first"))),
    ("competitor", "recommends a competitor", in_text(_said("competing", "last"))),
    ("machine", "speaks of being a language model", in_text(_said("machine", "first"))),
    ("error_as_success", "a tool's error as success", in_text(_said("done", "instead"))),
    ("prompt_leaked", "its system prompt", in_text(_prompt)),
    ("personal_data", "personal data of others", in_text(_inserted(phrases.PERSONAL, last=True))),
    ("foreign_link", "a link to elsewhere", in_text(_inserted(phrases.LINKS, last=True))),
    ("invented_source", "an invented source", in_text(_inserted(phrases.SOURCES, last=True))),
    ("uncited", "does not say what it stands on", _uncited),
    ("placeholder", "a placeholder left in", in_place(f"{NUMBER}|{ENTITY}|{DATE}", _placeholder)),
    ("traceback", "a stack trace", in_text(_inserted(phrases.TRACEBACKS))),
    ("thinking_shown", "its thinking", in_text(_inserted(phrases.THOUGHTS))),
    ("tool_call_shown", "a tool's call instead of an answer", in_text(_tool_call)),
    ("truncated", "stops inside a word", in_text(_truncated, 6)),
    ("repeated", "a sentence again and again", in_text(_repeated)),
    ("echoed", "the question instead of an answer", in_text(_echoed)),
    ("shouted", "all in capitals", in_text(lambda text, _: text.upper())),
    ("garbled", "letters wrongly decoded", in_text(_garbled)),
    ("field_wrong", "another answer's value in a field", in_field(_other_value)),
    ("field_missing", "a field is missing", in_field(lambda *_: [])),
    ("field_null", "a field is null", in_field(_null)),
    ("field_type", "a field of another type", in_field(_other_type)),
    ("list_cut", "half of a list is missing", in_field(_half)),
    ("extra_field", "a field too many", _extra_field),
)

FAULTS: tuple[Fault, ...] = (*(Fault(*row) for row in _BLIND), *KNOWN)
"""All kinds of faults."""
