"""Finds secrets in log lines and JSON values, and masks them before they leave the machine.

All rules (:mod:`evalkit.secret_rules`) work on JSON text as bytes, so one pass over a raw log line
covers every field of it; other values are masked by way of their JSON text. Most lines hold no
secret, and trying a hundred rules at each would cost more than parsing it: so the automaton of
Rust's regex, as pydantic has it, first says whether anything in a line may begin one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec
from pydantic_core import SchemaValidator
from pydantic_core.core_schema import str_schema

from evalkit.jsonable import Json, well_formed
from evalkit.secret_rules import BY_FORM, BY_PLACE, Rule, missing_quote, span

MASKED = "[masked:"
"""How the mark begins that stands in a secret's place; the kind of the secret follows."""

_SHORT = 512  # bytes that Python's own engine goes through to find where a secret may begin
_OVERLAP = 256  # bytes that tell that one begins


class _Pass:
    """Rules that are tried together, and where."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules
        self.where = "|".join(dict.fromkeys(rule.where.decode() for rule in rules))
        self.suspects = _finder(self.where)
        self.pattern = re.compile(self.where.encode())

    def marks(self, line: bytes, start: int, end: int) -> Iterator[int]:
        """Where between start and end a secret may begin."""
        part = line[start : end + _OVERLAP]
        if not self.suspects(part.decode("latin-1")):
            return
        if end - start <= _SHORT:
            found = (start + match.start() for match in self.pattern.finditer(part))
            yield from (at for at in found if at < end)
            return
        middle = (start + end) // 2
        yield from self.marks(line, start, middle)
        yield from self.marks(line, middle, end)

    def mask(self, line: bytes, counts: Counter[str]) -> bytes:
        parts, done = [], 0
        for at in self.marks(line, 0, len(line)):
            for rule in self.rules if at >= done else ():
                match = rule.match(line, at, done)
                if match and (kind := rule.judge(match)):
                    start, end = span(match)
                    quote = missing_quote(match)
                    parts += [line[done:start], quote, b"[masked:%s]" % kind.encode(), quote]
                    counts[kind] += 1
                    done = end
                    break
        return b"".join([*parts, line[done:]]) if parts else line


def _finder(where: str) -> Callable[[str], bool]:
    return SchemaValidator(str_schema(pattern=where, regex_engine="rust-regex")).isinstance_python


# a token inside a header or a URL is named by its own kind
_PASSES = (_Pass(*BY_FORM), _Pass(*BY_PLACE))
_suspects = _finder("|".join([r"\\u00[2-7]", *(rules.where for rules in _PASSES)]))
_ESCAPED_ASCII = re.compile(rb"\\u00([2-7][0-9a-fA-F])")
_ESCAPED_AT_ANY_DEPTH = re.compile(rb"\\+u00([2-7][0-9a-fA-F])")
_PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')


def mask_lines(lines: Iterable[bytes], counts: Counter[str]) -> Iterator[bytes]:
    """The lines with their secrets masked, each as ``[masked:<kind>]``.

    Args:
        lines: Lines of JSON text. Lines of other text are masked too, but for a private key
            that runs over several of them.
        counts: Kind of secret to places where it was masked; added to as the lines are read.
    """
    for line in lines:
        yield _mask_line(line, counts) if _suspects(line.decode("latin-1")) else line


def mask_text(text: str) -> tuple[str, Counter[str]]:
    """The text with its secrets masked, and kind of secret to places where it was masked."""
    masked, counts = _masked(text)
    return str(masked), counts


def mask_json(value: Json) -> Json:
    """The value with its secrets masked; a value without secrets is returned as it is."""
    return _masked(value)[0]


def mask_counted(value: Json, places: Counter[str], place: str) -> Json:
    """The value with its secrets masked; how many there were is added to the place they are in."""
    masked, counts = _masked(value)
    if not counts:
        return value  # also where halves of characters are in it, which the store knows to replace
    places[place] += counts.total()
    return masked


def _masked(value: Json) -> tuple[Json, Counter[str]]:
    counts: Counter[str] = Counter()
    try:
        raw = msgspec.json.encode(value)
    except UnicodeEncodeError:
        value = well_formed(value)
        raw = msgspec.json.encode(value)
    masked = next(mask_lines([raw], counts))
    return (msgspec.json.decode(masked) if counts else value), counts


def _mask_line(line: bytes, counts: Counter[str]) -> bytes:
    r"""One line masked; where escapes such as ``\u002d`` hide a secret, without them.

    Only escapes of characters that mean nothing to JSON are undone, and only where that
    uncovers a secret: any other line stays as it was, byte for byte.
    """
    found: Counter[str] = Counter()
    masked = _apply(line, found)
    if _ESCAPED_ASCII.search(line):
        uncovered: Counter[str] = Counter()
        plain = _apply(_ESCAPED_AT_ANY_DEPTH.sub(_unescape, line), uncovered)
        if uncovered.total() > found.total():
            masked, found = plain, uncovered
    counts.update(found)
    return masked


def _apply(line: bytes, counts: Counter[str]) -> bytes:
    for rules in _PASSES:
        line = rules.mask(line, counts)
    return line


def _unescape(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16)
    return bytes([code]) if code in _PLAIN else match[0]
