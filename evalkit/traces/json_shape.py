"""What values have in common in form: their kinds, the fields of objects, the items of lists."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from evalkit.core.brevity import short
from evalkit.core.values import Json

DEPTH = 3
"""Levels that are looked at; deeper ones are only named by their kind."""

FIELDS = 60
"""Fields of an object that are told apart; an object with more is no record but a table."""

ITEMS = 5
"""Items of a list that are looked at."""

SHOWN = 12
"""Fields that are shown."""

_KINDS = ("text", "number", "bool", "object", "list", "null")


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
        kind = kind_of(value)
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
        named = (kind + inner.get(kind, "") for kind in _KINDS if self.kinds[kind])
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


def kind_of(value: Json) -> str:
    """The kind of a value, as shapes name it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "object" if isinstance(value, dict) else "list"


def shape_of(value: Json) -> str:
    """The shape of a single value, as text."""
    shape = Shape()
    shape.add(value)
    return str(shape)
