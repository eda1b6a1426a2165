"""What values have in common in form: their kinds, the fields of objects, the items of lists."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

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

Form: TypeAlias = "str | tuple[str, tuple[tuple[str, Form], ...]]"
"""The form of one value, fit as a key: its kind, of objects and lists with what they hold."""

_NAME_CHARS = 40
_KINDS = ("text", "number", "bool", "object", "list", "null")


def form_of(value: Json, depth: int = DEPTH) -> Form:
    """The form of a value; the items of a list are told by their place."""
    if isinstance(value, dict):
        if depth == 0:
            return "object"
        fields = list(value.items())[:FIELDS]
        return "object", tuple((name, form_of(each, depth - 1)) for name, each in fields)
    if isinstance(value, list):
        if depth == 0:
            return "list"
        # many items of one form are one form
        items = dict.fromkeys(form_of(each, depth - 1) for each in value[:ITEMS])
        return "list", tuple(("", form) for form in items)
    if isinstance(value, str):
        return "text"
    if value is None:
        return "null"
    return "bool" if isinstance(value, bool) else "number"


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

    def add(self, form: Form, times: int = 1) -> None:
        """Add values of one form."""
        kind, parts = (form, ()) if isinstance(form, str) else form
        self.kinds[kind] += times
        for name, each in parts:
            if kind == "list":
                self.item = self.item or Shape()
                self.item.add(each, times)
            elif name in self.fields or len(self.fields) < FIELDS:
                self.fields.setdefault(name, Shape()).add(each, times)

    def __str__(self) -> str:
        """The shape as text, such as ``object{question: text, tools?: list[object]}``."""
        return " or ".join(self._named(kind) for kind in _KINDS if self.kinds[kind]) or "nothing"

    @property
    def is_null(self) -> bool:
        """Whether every value was null."""
        return self.kinds.keys() == {"null"}

    def _named(self, kind: str) -> str:
        if kind == "object" and self.fields:
            return f"object{{{self._fields()}}}"
        if kind == "list" and self.item:
            return f"list[{self.item}]"
        return kind

    def _fields(self) -> str:
        objects = self.kinds["object"]
        # what is never given says the least
        telling = sorted(self.fields.items(), key=lambda field: field[1].is_null)
        shown = [
            f"{short(name, _NAME_CHARS)}{'' if shape.kinds.total() == objects else '?'}: {shape}"
            for name, shape in telling[:SHOWN]
        ]
        left = len(self.fields) - len(shown)
        more = "or more" if len(self.fields) >= FIELDS else "more"
        return ", ".join([*shown, f"… {left} {more}"] if left else shown)


def shape_of(forms: Counter[Form]) -> str:
    """The shape of values, given how many of them are of which form."""
    shape = Shape()
    for form, times in forms.items():
        shape.add(form, times)
    return str(shape)
