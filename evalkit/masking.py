"""Finds secrets in log lines and JSON values, and masks them before they leave the machine.

All forms (:mod:`evalkit.secret_forms`) are looked for in JSON text as bytes, so one pass over a
raw log line covers every field of it; other values are masked by way of their JSON text. Most lines
hold no secret, and trying a hundred forms at each would cost more than parsing it: so the automaton
of Rust's regex, as pydantic has it, first says whether anything in a line may begin one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import msgspec
from pydantic_core import SchemaValidator
from pydantic_core.core_schema import str_schema

from evalkit.jsonable import Json, well_formed
from evalkit.secret_forms import (
    BY_FORM,
    BY_MAKER,
    BY_PLACE,
    NEAR,
    QUOTE,
    Form,
    is_secret,
)

MASKED = "[masked:"
"""How the mark begins that stands in a secret's place; the kind of the secret follows."""

_SHORT = 512  # bytes that Python's own engine goes through to find where a secret may begin
_OVERLAP = 256  # bytes that tell that one begins
_LONGEST = 512  # bytes from its mark to the end of a secret that begins before it

_Found: TypeAlias = tuple[str, int, int, bytes]  # kind, begin, end, what the mark needs around it
_Rule: TypeAlias = tuple[bytes, Callable[[bytes, int, int], _Found | None]]  # where, what is there


def _of_form(form: Form) -> _Rule:
    here, pattern = re.compile(form.where), re.compile(form.pattern, re.DOTALL)

    def find(line: bytes, at: int, done: int) -> _Found | None:
        if not form.reach:
            match = pattern.match(line, at)
        elif match := here.match(line, at):
            match = pattern.search(line, max(done, at - form.reach), at + _LONGEST)
        if not match or match.start() > at or not form.only(_text(match[match.lastindex or 0])):
            return None
        return (form.kind, *match.span(match.lastindex or 0), b"")

    return form.where, find


def _text(found: bytes) -> str:
    return found.decode("utf-8", "replace")


_ENDS = (
    rb"(?:ssword|SSWORD|sswd|SSWD|ssphrase|SSPHRASE|pwd|Pwd|PWD|[_-]pass|_PASS|ecret|ECRET|oken|OKEN"
    rb"|key|Key|KEY|redential|REDENTIAL)"
)
_ENDED = _ENDS + rb"(?:[-_]?(?:id|ID|data|base|BASE|value|VALUE))?\d?"
_PASSWORD = re.compile(
    r"(?:passw(?:or)?d|passphrase|pwd|(?:^|db|user|smtp|mail|ftp|ssh|admin|root|login|auth|basic|redis"
    r"|sql|pg|mongo|proxy|sudo|ldap|http|my|master|store|cert|ca)[-_]?pass)\d?$"
)
_KEY = re.compile(
    r"(?:api|access|private|secret|account|sign(?:ing)?|encrypt(?:ion)?|decrypt(?:ion)?|master"
    r"|service|auth|subscription|license|storage|shared|ssh|deploy|client|webhook|security|app"
    r"|application|admin|consumer|hmac|jwt|rsa|pgp|gpg|aes|crypto|sas|openai|azure|ingest)"
    r"[-_. ]?key(?:[-_]?(?:id|data|base))?\d?$"
)
_OTHER = re.compile(r"(secret|token|credential)s?\d?$")
_NO_SECRET = re.compile(
    r"public[-_]?key|(?:cache|client_request|change|sort|primary|foreign|partition|page|next|prev(?:ious)?|continuation|sync"
    r"|cursor|eos|bos|pad|sep|cls|mask|unk|max|min|stop|start|end|special|first|last|output|input"
    r"|prompt|image|idempotency|publishable|registry)[-_. ]?(?:token|key)$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_GAP = rb"(?:\s|\\+t)*"
_TYPED = rb"(?::\s?(?:str|bytes|string|String|SecretStr|Optional\[str\])(?:\s?\|\s?None)?\s?(?==))?"
_AND_VALUE = rb"(?:,|\\+n|\s)+(?:-\s)?(?:" + QUOTE + rb")?[vV]alue(?:" + QUOTE + rb")?\s?[:=]"
_NAMED_WHERE = (
    rb"--[\w-]*" + _ENDS + rb"[\"',\\= ]|"
    + _ENDED + rb"[\\\"'`]*[\])]?" + _GAP + rb"(?:[:=>,!]|\\+n[^,]{0,40}alue)"
)  # fmt: skip
_NAMED = re.compile(
    rb"(?:(?P<option>--[\w-]*" + _ENDS + rb")(?:[ =]|(?:" + QUOTE + rb")?,\s?)"
    rb"|(?P<name>" + _ENDED + rb")(?P<closed>" + QUOTE + rb")?[\])]?" + _GAP + _TYPED
    + rb"(?P<set>(?:=>|:=|[=!]=+|[=:>]|" + _AND_VALUE + rb")" + _GAP + rb"))"
    rb"(?:(?P<opening>" + QUOTE + rb")(?P<quoted>(?!(?P=opening))(?:(?!\\+[nrt])[^\r\n]){1,4096}?)"
    rb"(?<!\\)(?P=opening)|(?P<opened>" + QUOTE + rb")?"
    rb"(?P<bare>(?:[^\s\"'`\\,;<>]|,(?=[^\s\"'`\\,])|\\+/|\\+u00[2-7][0-9a-fA-F])+))"
)  # fmt: skip
_NAME = re.compile(
    rb".*?(?:\\+[nrtbf]|\\+u[0-9a-f]{4}(?:\[[0-9;]*m)?)?((?:[A-Za-z]+ )?[A-Za-z0-9_.-]*)$",
    re.DOTALL,
)
_LINE_ENDS = re.compile(rb"\\+[nr]|\\*\"|[\r\n]|$")


def _kind_of_secret(name: str) -> str | None:
    """What stands under a name: ``password``, ``secret``, ``token``, ``key`` or None."""
    low = _CAMEL.sub("_", name).lower().strip("-_.[]")
    if _PASSWORD.search(low):
        return "password"
    if _NO_SECRET.search(low):
        return None
    if other := _OTHER.search(low):
        return other[1]
    return "key" if _KEY.search(low) or name.endswith("_KEY") else None


def _named(line: bytes, at: int, _done: int) -> _Found | None:
    """What stands under a name that ends here, or under an option that begins here."""
    match = _NAMED.match(line, at)
    if not match:
        return None
    name_ends = match.end("option" if match["option"] else "name")
    written = _NAME.sub(rb"\1", line[max(0, at - NEAR) : name_ends])
    before = line[max(0, name_ends - len(written) - 2) : name_ends - len(written)]
    name, set_to = _text(written), match["set"] or line[match.end("option") :][:1]
    kind = _kind_of_secret(name)
    typed = before == b"::" or before[-1:] + set_to == b"::"  # AWS::…::Secret, arn:…:secret:
    if typed or not kind:
        return None
    start, end = match.span(match.lastgroup or 0)
    if match["bare"]:
        value = match["bare"]
        if before[-1:] in {b"?", b"&"}:
            value = re.split(rb"[&#]", value)[0]  # a parameter of a URL
        end = start + max(1, len(value.rstrip(b")]}.,:")))
        if match["closed"] and not match["opened"]:  # a number in JSON
            number = kind == "password" and re.fullmatch(rb"\d{4,}", line[start:end])
            return (kind, start, end, match["closed"]) if number else None
    if set_to[:1] == b">" and line[end : end + 2] != b"</":
        return None
    in_environment = set_to in {b"=", b" "} and (match["option"] or name.split()[-1].isupper())
    certain = bool(match["quoted"] or in_environment)
    alone = set_to[:1] == b":" and "." not in name and bool(_LINE_ENDS.match(line, end))
    found = is_secret(kind, _text(line[start:end]), certain=certain, alone=alone)
    return (kind, start, end, b"") if found else None


class _Pass:
    """Rules that are tried together, and where."""

    def __init__(self, *rules: _Rule) -> None:
        self.finders = [find for _, find in rules]
        self.where = "|".join(dict.fromkeys(where.decode() for where, _ in rules))
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
            tried = (find(line, at, done) for find in self.finders if at >= done)
            if found := next(filter(None, tried), None):
                kind, start, end, quote = found
                parts += [line[done:start], quote, f"{MASKED}{kind}]".encode(), quote]
                counts[kind] += 1
                done = end
        return b"".join([*parts, line[done:]]) if parts else line


def _finder(where: str) -> Callable[[str], bool]:
    return SchemaValidator(str_schema(pattern=where, regex_engine="rust-regex")).isinstance_python


# a token inside a header or a URL is named by its own kind
_PASSES = (
    _Pass(*map(_of_form, (*BY_FORM, *BY_MAKER))),
    _Pass(*map(_of_form, BY_PLACE), (_NAMED_WHERE, _named)),
)
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
