"""What values and errors have in common: their form, and whether they are alike or empty."""

from __future__ import annotations

import re
from collections import Counter

from evalkit.entities import ObservedTrace
from evalkit.jsonable import Json, canonical
from evalkit.truncation import truncate

LONGEST, READ = 200, 2_000  # characters of a fingerprint, and of an error that are looked at
_DEPTH, _FIELDS, _ITEMS, _SHOWN = 3, 60, 5, 12  # levels, fields, and items that are looked at
_SENTENCE, _COMPARED = 3, 6_000  # words beside a number that is a detail; characters compared
_KINDS: dict[type, str] = dict(
    zip(
        (str, int, float, bool, dict, list, type(None)),
        ("text", "number", "number", "bool", "object", "list", "null"),
        strict=True,
    )
)
_DIFFERING = re.compile(
    r"""(?ix)(?P<url>\b[a-z][a-z0-9+.-]*://[^\s'"<>)\]}]+)
    |(?P<time>\b\d{4}-\d\d-\d\d(?:[t\ ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?)
    |(?P<address>[\w.+-]{1,80}@[\w-]+\.[\w.]*\w)
    |(?P<path>(?<![\w.<])(?:[a-z]:|~|\.{1,2})?(?:[\\/][\w.@+-]+)+[\\/]?)
    |(?P<id>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|(?<![\w-])(?=[\w-]*[a-z])[\w-]*\d{4,}\w*\b
    |\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{8,}\b|\b(?=\w*\d)\w{16,}\b
    |\b(?=(?:\w*\d[a-z]){2})\w{8,}\b)
    |(?P<kept>(?:http|status|code|error)\W{0,4}(?:code\W{0,4})?[45]\d\d\b
    |(?P<mark>['"`])[^\W\d][^\W\d.-]*(?P=mark)(?:\W{1,3}[45]\d\d\b)?)
    |['"`](?P<text>[^'"`\n]{1,300})(?=['"`]).
    |(?P<n>\d+(?:[.,:]\d+)*)"""
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
        objects, left = self.kinds["object"], len(self._fields) - _SHOWN
        shown = [
            f"{truncate(name, 40)}{'' if each.kinds.total() == objects else '?'}: {each}"
            for name, each in list(self._fields.items())[:_SHOWN]
        ]
        shown += [f"… {left} more"] if left > 0 else []
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
    plain, numbers = re.subn(r"\w*\d\w*", "#", text) if len(text) <= _COMPARED else (text, 0)
    return hash(plain if text.count(" ") - numbers >= _SENTENCE - 1 else text)


def errors_of(trace: ObservedTrace) -> dict[tuple[str, str], str]:
    """Each error of a trace once, by place and fingerprint; of nested ones the innermost."""
    failed = [span for span in trace.spans if span.status == "ERROR"]
    above = {span.parent_id for span in failed}
    inner = [span for span in reversed(failed) if span.span_id not in above]
    if not inner and trace.status == "ERROR":
        return {("", fingerprint(trace.response)): trace.response}
    return {(span.name, fingerprint(span.message)): span.message for span in inner}


def fingerprint(error: str) -> str:
    """The error with placeholders for what differs from one occurrence to the next.

    Names in quotes stay, since ``KeyError: 'order'`` and ``KeyError: 'name'`` are two errors; so
    do status codes such as ``HTTP 429``.
    """
    text = _DIFFERING.sub(_placeholder, error[:READ])
    return truncate(" ".join(text.split()), LONGEST)


def _placeholder(found: re.Match[str]) -> str:
    kind = next(name for name, text in found.groupdict().items() if text and name != "mark")
    return found[0] if kind == "kept" else found[0].replace(found[kind], f"<{kind}>", 1)
