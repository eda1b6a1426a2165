"""A trace's spans as bars in time, each below the one that it is part of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from evalkit.entities import Span, SpanKind, Status
from evalkit.jsonable import Json, mapping_of
from evalkit.tokens import TOKEN_USAGE
from evalkit.traces.dialogue import NANOSECONDS, gist

MOST_BARS = 300
"""Bars of one chart; a person reads no more, and a page draws them at once."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One span in time.

    Attributes:
        name: What the step did.
        gist: What a tool was asked to do, in a line.
        kind: MLflow's span type.
        depth: Steps above it.
        start_s: Seconds since the trace began.
        end_s: Seconds since the trace began.
        inferred: Whether one of them is laid out rather than logged.
        status: ERROR where the step failed.
        message: Why it failed.
        tokens: What a model read and wrote, in words; empty where that is not known.
    """

    name: str
    gist: str
    kind: SpanKind
    depth: int
    start_s: float
    end_s: float
    inferred: bool
    status: Status
    message: str
    tokens: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The bars of a trace, in the order of the tree.

    Attributes:
        bars: Each parent before its children.
        left_out: Spans without a bar: the deepest, where there are too many.
    """

    bars: tuple[Bar, ...]
    left_out: int

    @property
    def inferred(self) -> int:
        """Bars whose time is laid out rather than logged."""
        return sum(bar.inferred for bar in self.bars)


def timeline(spans: Sequence[Span], most: int = MOST_BARS) -> Timeline:
    """The spans of one trace as bars.

    Args:
        spans: Root first, each parent before its children.
        most: Bars that there may be. Whole levels of the tree are left out, the deepest first;
            where even the upper ones are too many, the last steps.
    """
    if not spans:
        return Timeline((), 0)
    walked = list(_walk(spans))
    levels = Counter(depth for _, depth in walked)
    sums = accumulate(levels[depth] for depth in sorted(levels))
    deepest = max(1, sum(count <= most for count in sums) - 1)
    kept = [(span, depth) for span, depth in walked if depth <= deepest][:most]
    bars = tuple(_bar(span, depth, spans[0].start_ns) for span, depth in kept)
    return Timeline(bars, len(spans) - len(bars))


def _walk(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """Each span with its depth, followed by what is under it."""
    under: dict[str | None, list[Span]] = {}
    for span in spans:
        under.setdefault(span.parent_id, []).append(span)
    pending = [(span, 0) for span in reversed(under.get(None, []))]
    while pending:
        span, depth = pending.pop()
        yield span, depth
        pending += [(child, depth + 1) for child in reversed(under.get(span.span_id, []))]


def _bar(span: Span, depth: int, origin_ns: int) -> Bar:
    return Bar(
        name=span.name,
        gist=gist(span.inputs) if span.kind == "TOOL" else "",
        kind=span.kind,
        depth=depth,
        start_s=(span.start_ns - origin_ns) / NANOSECONDS,
        end_s=(span.end_ns - origin_ns) / NANOSECONDS,
        inferred=span.attributes.get("evalkit.time") == "inferred",
        status=span.status,
        message=span.message,
        tokens=_tokens(span.attributes.get(TOKEN_USAGE)),
    )


def _tokens(usage: Json) -> str:
    found = mapping_of(usage)
    kinds = (
        ("input_tokens", "read"),
        ("cache_read_input_tokens", "read from the cache"),
        ("cache_creation_input_tokens", "written to the cache"),
        ("output_tokens", "written"),
    )
    return ", ".join(f"{found[key]:,} {words}" for key, words in kinds if found.get(key))
