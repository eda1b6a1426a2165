"""What values have in common: their form, and whether they are alike, the same or empty."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from evalkit.core.brevity import short
from evalkit.core.values import Json, canonical

DEPTH = 3
"""Levels that are looked at; deeper ones are only named by their kind."""

FIELDS = 60
"""Fields of an object that are told apart; an object with more is no record but a table."""

ITEMS = 5
"""Items of a list that are looked at."""

SHOWN = 12
"""Fields that are shown."""

SENTENCE = 3
"""Words beside a number from which on it is a detail of what is said, and not all of it."""

READ = 6_000
"""Characters up to which values are compared by their words."""

_KINDS: dict[type, str] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "bool",
    dict: "object",
    list: "list",
    type(None): "null",
}
_NUMBERED = re.compile(r"\w*\d\w*")


@dataclass(slots=True)
class Shape:
    """The form of many values.

    Attributes:
        kinds: How many values were of which kind: text, number, bool, object, list, null.
        fields: The shape of each field of the objects among them.
        item: The shape of the items of the lists among them; None where there were none.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    fields: dict[str, Shape] = field(default_factory=dict)
    item: Shape | None = None

    def add(self, value: Json, depth: int = DEPTH) -> None:
        """Add a value; what lies deeper than ``depth`` is named by its kind only."""
        kind = _KINDS.get(type(value), "list")
        self.kinds[kind] += 1
        if depth == 0:
            return
        if isinstance(value, dict):
            for name in list(value)[:FIELDS]:
                if name in self.fields or len(self.fields) < FIELDS:
                    self.fields.setdefault(name, Shape()).add(value[name], depth - 1)
        elif isinstance(value, list) and value:
            self.item = self.item or Shape()
            for each in value[:ITEMS]:
                self.item.add(each, depth - 1)

    def __str__(self) -> str:
        """The shape as text, such as ``object{question: text, tools?: list[object]}``."""
        item = f"[{self.item}]" if self.item else ""
        inner = {"object": self._fields(), "list": item}
        named = (
            kind + inner.get(kind, "")
            for kind in dict.fromkeys(_KINDS.values())
            if self.kinds[kind]
        )
        return " or ".join(named) or "nothing"

    def _fields(self) -> str:
        if not self.fields:
            return ""
        # what is never given says the least
        telling = sorted(self.fields.items(), key=lambda pair: pair[1].kinds.keys() == {"null"})
        shown = [
            f"{short(name, 40)}{'' if s.kinds.total() == self.kinds['object'] else '?'}: {s}"
            for name, s in telling[:SHOWN]
        ]
        left = len(self.fields) - len(shown)
        more = [f"… {left} {'or more' if len(self.fields) >= FIELDS else 'more'}"] if left else []
        return f"{{{', '.join([*shown, *more])}}}"


def shape_of(value: Json) -> str:
    """The shape of a single value, as text."""
    shape = Shape()
    shape.add(value)
    return str(shape)


def is_empty(value: Json) -> bool:
    """Whether inputs or outputs hold nothing: no text, no fields, only fields without a value."""
    if isinstance(value, dict):
        return all(is_empty(each) for each in value.values())
    return value is None or value in ("", [])


def likeness(inputs: Json) -> bytes:
    """What equal inputs share, and those that differ only in numbers, case and spaces."""
    leaves = list(_leaves(inputs))
    if not leaves or sum(map(len, leaves)) > READ:
        return fingerprint(inputs)
    text = " ".join(" ".join(leaves).casefold().split())
    plain, numbers = _NUMBERED.subn("#", text)
    return fingerprint(plain if text.count(" ") - numbers >= SENTENCE - 1 else text)


def _leaves(value: Json) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    elif value is not None:
        yield str(value)


def fingerprint(value: Json) -> bytes:
    """What equal values share, and others do not."""
    text = canonical(value)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).digest()
