"""What errors have in common that differ only in ids, numbers, times, places and quotations.

Of traces it knows which of their errors count: of nested ones the innermost.
"""

from __future__ import annotations

import re

from evalkit.entities import ObservedTrace

LONGEST = 200
"""Characters of a fingerprint: what errors have in common stands at their begin."""

READ = 2_000
"""Characters of an error's text that are looked at."""

_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), placeholder)
    for pattern, placeholder in (
        (r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>)\]}]+", "<url>"),
        (r"\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?", "<time>"),
        (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>"),
        (r"[\w.+-]+@[\w-]+\.[\w.]*\w", "<address>"),
        (r"(?<![\w.<])(?:[a-z]:|~|\.{1,2})?(?:[\\/][\w.@+-]+)+[\\/]?", "<path>"),
        (r"(?<![\w-])(?=[\w-]*[a-z])[\w-]*\d{4,}[\w-]*\b", "<id>"),
        (r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", "<id>"),
        (r"\b(?=\w*\d)\w{16,}\b", "<id>"),
        (r"\b(?=(?:\w*\d[a-z]){2})\w{8,}\b", "<id>"),
    )
)
_QUOTED = re.compile(r"(['\"`])([^'\"`\n]{1,300})\1")
_NAME = re.compile(r"[^\W\d][^\W\d.-]*")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_STATUS = re.compile(r"(?:http|status|code|error)\W{0,4}(?:code\W{0,4})?$", re.IGNORECASE)


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

    Args:
        error: An error's text, of any length.
    """
    text = error[:READ]
    for pattern, placeholder in _PATTERNS:
        text = pattern.sub(placeholder, text)
    text = _QUOTED.sub(_quotation, text)
    text = " ".join(_NUMBER.sub(_number, text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def _quotation(found: re.Match[str]) -> str:
    mark, inner = found[1], found[2]
    is_said = _NAME.fullmatch(inner) or re.fullmatch(r"<\w+>", inner)
    return found[0] if is_said else f"{mark}<text>{mark}"


def _number(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - 16) : found.start()]
    is_status = re.fullmatch(r"[45]\d\d", found[0]) and _STATUS.search(before)
    return found[0] if is_status else "<n>"
