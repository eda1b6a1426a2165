"""What values have in common: their form, and whether they are alike, the same or empty."""

from __future__ import annotations

import re
from collections import Counter

from evalkit.jsonable import Json, canonical
from evalkit.truncation import truncate

_DEPTH = 3  # levels that are looked at; deeper ones are only named by their kind
_FIELDS = 60  # fields that are told apart; an object with more is no record but a table
_ITEMS = 5  # items of a list that are looked at
_SHOWN = 12  # fields that are shown
_SENTENCE = 3  # words beside a number from which on it is a detail of what is said
_READ = 6_000  # characters up to which values are compared by their words
_NUMBERED = re.compile(r"\w*\d\w*")
_KINDS: dict[type, str] = dict(
    zip(
        (str, int, float, bool, dict, list, type(None)),
        ("text", "number", "number", "bool", "object", "list", "null"),
        strict=True,
    )
)


class Shape:
    """The form of many values; as text such as ``object{question: text, tools?: list[object]}``."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self._fields: dict[str, Shape] = {}
        self._item: Shape | None = None

    def add(self, value: Json, depth: int = _DEPTH) -> Shape:
        """The same, with one more value; what lies deeper is named by its kind only."""
        self.kinds[_KINDS.get(type(value), "list")] += 1
        if depth and isinstance(value, dict):
            for name in list(value)[:_FIELDS]:
                if name in self._fields or len(self._fields) < _FIELDS:
                    self._fields.setdefault(name, Shape()).add(value[name], depth - 1)
        elif depth and isinstance(value, list) and value:
            self._item = self._item or Shape()
            for each in value[:_ITEMS]:
                self._item.add(each, depth - 1)
        return self

    def __str__(self) -> str:
        # what is never given says the least
        telling = sorted(self._fields.items(), key=lambda pair: {*pair[1].kinds} == {"null"})
        objects, left = self.kinds["object"], len(telling) - _SHOWN
        shown = [
            f"{truncate(name, 40)}{'' if each.kinds.total() == objects else '?'}: {each}"
            for name, each in telling[:_SHOWN]
        ]
        if left > 0:
            shown += [f"… {left} {'or more' if len(telling) >= _FIELDS else 'more'}"]
        fields = f"{{{', '.join(shown)}}}" if shown else ""
        inner = {"object": fields, "list": f"[{self._item}]" if self._item else ""}
        kinds = [kind for kind in dict.fromkeys(_KINDS.values()) if self.kinds[kind]]
        return " or ".join(kind + inner.get(kind, "") for kind in kinds) or "nothing"


def is_empty(value: Json) -> bool:
    """Whether inputs or outputs hold nothing: no text, no fields, only fields without a value."""
    if isinstance(value, dict):
        return all(map(is_empty, value.values()))
    return value is None or value in ("", [])


def likeness(inputs: Json) -> int:
    """What alike inputs share in this process: they differ in numbers, case and spaces at most."""
    text = " ".join(canonical(inputs).casefold().split())
    plain, numbers = _NUMBERED.subn("#", text) if len(text) <= _READ else (text, 0)
    return hash(plain if text.count(" ") - numbers >= _SENTENCE - 1 else text)
