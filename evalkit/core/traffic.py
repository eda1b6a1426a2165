"""What an agent's traces say when they are looked at together, in one pass over all of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evalkit.core.observed import ObservedTrace
from evalkit.core.signature import signature
from evalkit.core.spans import Span, Status

EXAMPLES = 5
"""Traces that are named as examples of an error or of a failing tool."""

OUTCOMES: Mapping[Status, str] = {"OK": "ok", "ERROR": "failed", "UNSET": "not over"}
"""How a trace ended, in a word."""

NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Glimpse:
    """One trace without its spans.

    Attributes:
        trace_id: MLflow's id.
        name: Its name; may be empty.
        start_ms: When it began, milliseconds since the epoch.
        seconds: How long it took; None where that is not known.
        outcome: ``ok``, ``failed`` or ``not over``.
        tokens: Tokens that models read and wrote; None where that is not known.
        cost_usd: What models cost; None where that is not known.
        spans: How many there are.
        tools: The tools that it used.
        errors: What went wrong, each as in :attr:`ErrorCluster.text`.
        request: What was asked, in short.
        response: What was answered, in short.
    """

    trace_id: str
    name: str
    start_ms: int
    seconds: float | None
    outcome: str
    tokens: int | None
    cost_usd: float | None
    spans: int
    tools: tuple[str, ...]
    errors: tuple[str, ...]
    request: str
    response: str


@dataclass(frozen=True, slots=True)
class ErrorCluster:
    """Errors that differ only in ids, numbers, times and places.

    Attributes:
        outcome: How the traces ended: ``failed``, or ``ok`` where the agent got over it.
        place: The step that failed; empty where no step says so.
        text: What they have in common.
        example: One of them in full.
        count: Traces in which it occurs.
        trace_ids: The first of these.
    """

    outcome: str
    place: str
    text: str
    example: str
    count: int
    trace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToolUse:
    """How a tool was used.

    Attributes:
        name: The tool.
        calls: How often it was called.
        failures: How many of these failed.
        traces: In how many traces.
        seconds: How long each call took.
        failed_in: The first traces in which it failed.
    """

    name: str
    calls: int
    failures: int
    traces: int
    seconds: tuple[float, ...]
    failed_in: tuple[str, ...]

    @property
    def failure_rate(self) -> float:
        """Share of the calls that failed, from 0 to 1."""
        return self.failures / self.calls


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the traces of an experiment say together.

    Attributes:
        glimpses: Every trace in short, in the order in which they came.
        clusters: What went wrong, the most frequent first.
        tools: The tools that were used, the most used first.
        unread: Why spans could not be read, with the number of traces.
    """

    glimpses: tuple[Glimpse, ...]
    clusters: tuple[ErrorCluster, ...]
    tools: tuple[ToolUse, ...]
    unread: Mapping[str, int]

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How many traces ended how."""
        return Counter(glimpse.outcome for glimpse in self.glimpses)

    @property
    def seconds(self) -> list[float]:
        """How long each trace took, where that is known."""
        return [g.seconds for g in self.glimpses if g.seconds is not None]

    @property
    def tokens(self) -> list[int]:
        """How many tokens each trace took, where that is known."""
        return [g.tokens for g in self.glimpses if g.tokens is not None]

    @property
    def costs(self) -> list[float]:
        """What each trace cost in USD, where that is known."""
        return [g.cost_usd for g in self.glimpses if g.cost_usd is not None]


def look(traces: Iterable[ObservedTrace]) -> Traffic:
    """Look at traces, one after the other; their spans are not kept.

    Args:
        traces: The traces; read once.
    """
    glimpses: list[Glimpse] = []
    clusters: dict[tuple[str, str, str], _Cluster] = {}
    tools: defaultdict[str, _Tool] = defaultdict(_Tool)
    unread: Counter[str] = Counter()
    for trace in traces:
        if trace.unread:
            unread[trace.unread] += 1
        errors = _errors(trace)
        for key, example in errors.items():
            if key not in clusters:
                clusters[key] = _Cluster(example)
            clusters[key].add(trace.trace_id)
        used = [span for span in trace.spans if span.kind == "TOOL"]
        for span in used:
            tools[span.name].add(trace.trace_id, span)
        glimpses.append(_glimpse(trace, used, errors))
    return Traffic(
        tuple(glimpses),
        tuple(sorted((c.frozen(*key) for key, c in clusters.items()), key=lambda c: -c.count)),
        tuple(sorted((t.frozen(name) for name, t in tools.items()), key=lambda t: -t.calls)),
        unread,
    )


# -- what goes into them -------------------------------------------------------------------------


@dataclass(slots=True)
class _Cluster:
    example: str
    count: int = 0
    trace_ids: list[str] = field(default_factory=list)

    def add(self, trace_id: str) -> None:
        self.count += 1
        if len(self.trace_ids) < EXAMPLES:
            self.trace_ids.append(trace_id)

    def frozen(self, outcome: str, place: str, text: str) -> ErrorCluster:
        return ErrorCluster(outcome, place, text, self.example, self.count, tuple(self.trace_ids))


@dataclass(slots=True)
class _Tool:
    failures: int = 0
    seconds: list[float] = field(default_factory=list)
    traces: set[str] = field(default_factory=set)
    failed_in: dict[str, None] = field(default_factory=dict)

    def add(self, trace_id: str, span: Span) -> None:
        self.traces.add(trace_id)
        self.seconds.append((span.end_ns - span.start_ns) / NANOSECONDS)
        if span.status == "ERROR":
            self.failures += 1
            self.failed_in[trace_id] = None

    def frozen(self, name: str) -> ToolUse:
        return ToolUse(
            name,
            len(self.seconds),
            self.failures,
            len(self.traces),
            tuple(self.seconds),
            tuple(self.failed_in)[:EXAMPLES],
        )


def _glimpse(
    trace: ObservedTrace, used: Sequence[Span], errors: Mapping[tuple[str, str, str], str]
) -> Glimpse:
    counted = [n for n in (trace.input_tokens, trace.output_tokens) if n is not None]
    return Glimpse(
        trace.trace_id,
        trace.name,
        trace.start_ms,
        None if trace.duration_ms is None else trace.duration_ms / 1000,
        OUTCOMES[trace.status],
        sum(counted) if counted else None,
        trace.cost_usd,
        len(trace.spans),
        tuple(dict.fromkeys(span.name for span in used)),
        tuple(text for _, _, text in errors),
        trace.request,
        trace.response,
    )


def _errors(trace: ObservedTrace) -> dict[tuple[str, str, str], str]:
    """Each error of a trace once: (outcome, place, signature) to its text.

    Of steps that failed because a step within them failed, only the innermost counts.
    """
    outcome = OUTCOMES[trace.status]
    found = {
        (outcome, span.name, signature(span.message)): span.message
        for span in reversed(list(_innermost(trace.spans)))
    }
    if not found and trace.status == "ERROR":
        return {(outcome, "", signature(trace.response)): trace.response}
    return found


def _innermost(spans: Sequence[Span]) -> Iterator[Span]:
    failed = [span for span in spans if span.status == "ERROR"]
    above = {span.parent_id for span in failed}
    yield from (span for span in failed if span.span_id not in above)
