"""Finds secrets in log lines and JSON values, and masks them before they leave the machine.

All rules work on JSON text as bytes, so one pass over a raw log line covers every field of it,
whatever becomes of the field later. Other values are masked by way of their JSON text. That
keeps the rules few: what stands around a secret is always written in one syntax.

Looking for thirty kinds of secret in every line would cost more than parsing it, and most lines
hold none. So rules come in families, each with a *probe*: a pattern that begins with a rare
letter, which the regular expression engine finds nearly as fast as memory can be read. Only
lines in a block where a probe hits are searched in full.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from evalkit.core.values import Json, well_formed

BLOCK_BYTES = 1 << 16
"""Lines are probed together until they reach this size: many short lines cost as one long one."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """One kind of secret: the pattern's group ``secret``, or all of it, is masked."""

    kind: str
    pattern: re.Pattern[bytes]

    def mask(self, line: bytes) -> tuple[bytes, int]:
        return self.pattern.subn(self._replacement, line)

    def _replacement(self, match: re.Match[bytes]) -> bytes:
        masked = f"[masked:{self.kind}]".encode()
        if "secret" not in match.re.groupindex:
            return masked
        start, end = (at - match.start() for at in match.span("secret"))
        return match[0][:start] + masked + match[0][end:]


@dataclass(frozen=True, slots=True)
class _Family:
    """Rules that one probe stands for: where it finds nothing, none of them can match."""

    probe: re.Pattern[bytes]
    rules: tuple[_Rule, ...]


def _family(probe: bytes, *rules: _Rule) -> _Family:
    return _Family(re.compile(probe), rules)


def _rule(kind: str, pattern: bytes) -> _Rule:
    return _Rule(kind, re.compile(pattern, re.DOTALL))


def _begun(prefix: bytes) -> bytes:
    r"""Holds after ``prefix``, if a word begins with it.

    Before it stands no letter, digit, "-" or "_", unless they belong to an escape such as
    ``\n`` (the key is first on its line), ``\u2192`` (the arrow after a line number) or
    ``\u001b[32m`` (a terminal's colour). It looks back from the prefix's end, for the engine is
    fast only where a pattern begins with letters.
    """
    return (
        rb"(?:(?<![A-Za-z0-9_-]" + prefix + rb")(?<=" + prefix + rb")"
        rb"|(?<=\\[nrtbf]" + prefix + rb")"
        rb"|(?<=[0-9\[]m" + prefix + rb")"
        rb"|(?<=\\u[0-9a-fA-F]{4}" + prefix + rb"))"
    )


def _token(kind: str, prefix: bytes, rest: bytes) -> _Rule:
    """A key that makers mark by a prefix; ``prefix`` always matches the same number of bytes."""
    return _rule(kind, prefix + _begun(prefix) + rest + rb"(?![A-Za-z0-9_-])")


_SLASH = rb"\\*/"  # JSON may write "/" as "\/", and JSON in JSON as "\\/"
_SET_TO = rb"[\"'\s:=\\]{1,40}"  # between a name and its value, in JSON, YAML, shell or code
_BASE64_40 = rb"(?P<secret>(?:[A-Za-z0-9+=]|" + _SLASH + rb"){40})(?![A-Za-z0-9+/=])"

_PEM_BEGIN = rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PEM_END = rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
# A block ends inside the JSON string it began in. Bounded, so that many beginnings without an
# end do not make the search quadratic; the largest real keys take some 6,000 characters.
_PEM_WHOLE = _PEM_BEGIN + rb"(?:[^\"\\]|\\.){0,12000}?" + _PEM_END
# Cut off before its end: as far as it looks like a key's lines, with line numbers or a margin.
_PEM_CUT = (
    _PEM_BEGIN
    + rb"(?=[^\"]{0,200}?[A-Za-z0-9+/]{40})"
    + rb"(?:[A-Za-z0-9+/=\s:,>|#*\xe2\x86\x92-]|\\+[nrt/]|\\+u2192){0,12000}"
)
_USER_AND_PASSWORD = (
    rb"[^\s/:@\"\\<>{}$]{0,256}:"
    rb"(?P<secret>(?!\[masked:)[^\s/@\"\\<>{}$]{1,256})@(?=[A-Za-z0-9\[])"
)
_SLACK_HOOK = rb"services" + _SLASH + rb"(?P<secret>T[A-Z0-9]{6,}" + _SLASH + rb"(?:\w|\\*/){16,})"

# The order matters: a token inside a header or a URL is named by its own kind.
_FAMILIES = (
    _family(
        rb"K(?:EY(?<=PRIVATE KEY)|EY(?<=SECRET_ACCESS_KEY)|ey(?<=ecretAccessKey))",
        _rule("private-key", _PEM_WHOLE),
        _rule("private-key", _PEM_CUT),
        _rule("aws-secret-key", rb"SECRET_ACCESS_KEY" + _SET_TO + _BASE64_40),
        _rule("aws-secret-key", rb"ecretAccessKey" + _SET_TO + _BASE64_40),
    ),
    _family(
        rb"y(?:(?<=secret_access_key)|pi-A(?<=pypi-A))",
        _rule("aws-secret-key", rb"secret_access_key" + _SET_TO + _BASE64_40),
        _token("pypi-token", rb"pypi-A", rb"[A-Za-z0-9_-]{40,}"),
    ),
    _family(
        rb"k(?:[-_]" + _begun(rb"[sr]k[-_]") + rb"|\.com(?<=hooks\.slack\.com))",
        _token("anthropic-key", rb"sk-ant-", rb"[A-Za-z0-9_-]{16,}"),
        _token("openrouter-key", rb"sk-or-", rb"[A-Za-z0-9_-]{16,}"),
        _token(
            "openai-key",
            rb"sk-",
            rb"(?:(?:proj|svcacct|admin)-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}"
            rb"|(?=[A-Za-z]*\d)[A-Za-z0-9]{20,})",
        ),
        _token("stripe-key", rb"[sr]k_(?:live|test)_", rb"[A-Za-z0-9]{10,}"),
        _rule("slack-webhook", rb"hooks\.slack\.com" + _SLASH + _SLACK_HOOK),
    ),
    _family(
        rb"A(?:KIA|SIA|Iza|ccountKey=)",
        _token("aws-access-key", rb"A[KS]IA", rb"[A-Z0-9]{16}"),
        _token("google-key", rb"AIza", rb"[A-Za-z0-9_-]{35}"),
        _rule("azure-key", rb"AccountKey=(?P<secret>(?:[A-Za-z0-9+=]|" + _SLASH + rb"){40,})"),
    ),
    _family(
        rb"g(?:h[opusr]_|ithub_pat_|l(?:pat|dt|rt|ft|ptt|cbt|agent)-|sk_)",
        _token("github-token", rb"gh[opusr]_", rb"[A-Za-z0-9]{20,}"),
        _token("github-token", rb"github_pat_", rb"[A-Za-z0-9_]{20,}"),
        _token("gitlab-token", rb"gl", rb"(?:pat|dt|rt|ft|ptt|cbt|agent)-[A-Za-z0-9_.-]{16,}"),
        _token("groq-key", rb"gsk_", rb"[A-Za-z0-9]{40,}"),
    ),
    _family(
        rb"x(?:ox[a-z]-|app-\d|ai-)",
        _token("slack-token", rb"xox[abceoprs]-", rb"(?=[A-Za-z-]*\d)[A-Za-z0-9-]{10,}"),
        _token("slack-token", rb"xapp-", rb"\d-[A-Za-z0-9-]{10,}"),
        _token("xai-key", rb"xai-", rb"[A-Za-z0-9]{40,}"),
    ),
    _family(rb"hf_", _token("huggingface-token", rb"hf_", rb"[A-Za-z0-9]{30,}")),
    _family(rb"dapi[0-9a-f]", _token("databricks-token", rb"dapi", rb"[0-9a-f]{32}(?:-\d+)?")),
    _family(rb"m_(?<=npm_)", _token("npm-token", rb"npm_", rb"[A-Za-z0-9]{36}")),
    _family(
        rb"J(?<=eyJ)",
        _token("jwt", rb"eyJ", rb"[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    ),
    _family(
        rb"zation(?<=uthorization)",
        _rule(
            "authorization",
            rb"uthorization" + _SET_TO + rb"(?:[Bb]asic|[Tt]oken|[Bb]earer)\s+"
            rb"(?P<secret>[A-Za-z0-9+/=_.~-]{8,})",
        ),
    ),
    _family(
        rb"B(?=earer )",
        _rule(
            "bearer-token",
            rb"Bearer +(?P<secret>(?=[A-Za-z+/=_.~-]*\d)[A-Za-z0-9+/=_.~-]{16,})",
        ),
    ),
    _family(
        rb"@",
        _rule("url-password", rb"://" + _USER_AND_PASSWORD),
        _rule("url-password", rb":\\+/\\+/" + _USER_AND_PASSWORD),
    ),
)

_ESCAPED_ASCII = re.compile(rb"\\u00([2-7][0-9a-fA-F])")
_ESCAPED_AT_ANY_DEPTH = re.compile(rb"\\+u00([2-7][0-9a-fA-F])")
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./+=:@ ")


def mask_lines(lines: Iterable[bytes], counts: Counter[str]) -> Iterator[bytes]:
    """The lines with their secrets masked, each as ``[masked:<kind>]``.

    Args:
        lines: Lines of JSON text. Lines of other text are masked too, but for a private key
            that runs over several of them.
        counts: Kind of secret to places where it was masked; added to as the lines are read.
    """
    for block in _blocks(lines):
        text = block[0] if len(block) == 1 else b"\n".join(block)
        suspects = _suspects(text)
        escaped = _ESCAPED_ASCII.search(text) is not None
        if suspects or escaped:
            for line in block:
                yield _mask_line(line, suspects, counts, escaped=escaped)
        else:
            yield from block


def mask_text(text: str) -> tuple[str, Counter[str]]:
    """The text with its secrets masked, and kind of secret to places where it was masked."""
    masked, counts = _masked(text)
    return str(masked), counts


def mask_json(value: Json) -> Json:
    """The value with its secrets masked; a value without secrets is returned as it is."""
    return _masked(value)[0]


def _masked(value: Json) -> tuple[Json, Counter[str]]:
    counts: Counter[str] = Counter()
    try:
        raw = msgspec.json.encode(value)
    except UnicodeEncodeError:
        value = well_formed(value)
        raw = msgspec.json.encode(value)
    masked = _mask_line(raw, _suspects(raw), counts, escaped=True)
    return (msgspec.json.decode(masked) if counts else value), counts


def _blocks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line)
        if size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    yield block


def _suspects(text: bytes) -> Sequence[_Family]:
    return [family for family in _FAMILIES if family.probe.search(text)]


def _mask_line(
    line: bytes, suspects: Sequence[_Family], counts: Counter[str], *, escaped: bool
) -> bytes:
    r"""One line masked; where escapes such as ``\u002d`` hide a secret, without them.

    Only escapes of characters that mean nothing to JSON are undone, and only where that
    uncovers a secret: any other line stays as it was, byte for byte.
    """
    if not escaped or not _ESCAPED_ASCII.search(line):
        return _apply(line, suspects, counts)
    found: Counter[str] = Counter()
    masked = _apply(line, suspects, found)
    plain = _ESCAPED_AT_ANY_DEPTH.sub(_unescape, line)
    uncovered: Counter[str] = Counter()
    candidate = _apply(plain, _suspects(plain), uncovered)
    if uncovered.total() > found.total():
        masked, found = candidate, uncovered
    counts.update(found)
    return masked


def _unescape(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16)
    return bytes([code]) if code in _PLAIN else match[0]


def _apply(line: bytes, suspects: Sequence[_Family], counts: Counter[str]) -> bytes:
    for family in suspects:
        if family.probe.search(line):
            for rule in family.rules:
                line, places = rule.mask(line)
                if places:
                    counts[rule.kind] += places
    return line
