"""One pass over an experiment's traces, of which the spans are not kept."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from evalkit.core.brevity import short
from evalkit.core.examination.assessed import AssessmentSummary, Opinions, is_negative
from evalkit.core.examination.cases import Case, Seen, choose
from evalkit.core.examination.likeness import fingerprint, fingerprints
from evalkit.core.examination.shape import Form, form_of, shape_of
from evalkit.core.observed import ObservedTrace, words_asked
from evalkit.core.spans import SpanKind
from evalkit.core.traffic import NANOSECONDS, OUTCOMES, Traffic, look
from evalkit.core.values import Json

EXAMPLES = 3
"""Traces that are named as examples of a route."""

REPEATS = 5
"""Traces that are named as having the same inputs."""

ANSWERS = 100
"""Different answers to the same inputs that are told apart."""

_PREVIEW_CHARS = 200


@dataclass(frozen=True, slots=True)
class StepTimes:
    """How long the steps of one name took.

    Attributes:
        name: The name of the spans.
        kind: Their kind.
        seconds: How long each took, where it is over.
    """

    name: str
    kind: SpanKind
    seconds: array[float]


@dataclass(frozen=True, slots=True)
class Route:
    """What the traces with the same root span have in common.

    Attributes:
        name: The root span's name; the trace's, where its spans are not there.
        traces: How many there are.
        failed: How many of them failed.
        inputs: The form of what was given.
        outputs: The form of what was answered, where anything was.
        tools: The tools that were used, with the number of traces; the most used first.
        seconds: How long each trace took, where that is known.
        trace_ids: The first of them.
    """

    name: str
    traces: int
    failed: int
    inputs: str
    outputs: str
    tools: tuple[tuple[str, int], ...]
    seconds: tuple[float, ...]
    trace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """Inputs that were given several times, or differ in numbers, case and punctuation at most.

    Attributes:
        route: What was called.
        inputs: What was given, in short.
        traces: How often.
        answers: How many different answers came of it; counted up to :data:`ANSWERS`.
        trace_ids: The first of them.
    """

    route: str
    inputs: str
    traces: int
    answers: int
    trace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examination:
    """What all traces of an experiment say, as far as it can be counted.

    Attributes:
        traffic: Outcomes, errors, tools, times, tokens and costs.
        window_ms: When the first and the last trace began, milliseconds since the epoch; None
            where there are no traces.
        steps: How long steps took, those first that took the most time together.
        routes: What was called, the most used first.
        repeated: Inputs that came several times, the most frequent first.
        assessments: What people, models and code said.
        cases: Traces that are worth being cases of an evaluation.
    """

    traffic: Traffic
    window_ms: tuple[int, int] | None
    steps: tuple[StepTimes, ...]
    routes: tuple[Route, ...]
    repeated: tuple[Repeated, ...]
    assessments: tuple[AssessmentSummary, ...]
    cases: tuple[Case, ...]


def examine(traces: Iterable[ObservedTrace]) -> Examination:
    """Examine traces, one after the other.

    Args:
        traces: The traces; read once.
    """
    passing = _Passing()
    traffic = look(passing.noting(traces))
    return passing.examination(traffic)


@dataclass(slots=True)
class _Passing:
    """What is noted of traces that pass by."""

    first_ms: int | None = None
    last_ms: int | None = None
    steps: defaultdict[tuple[str, SpanKind], array[float]] = field(
        default_factory=lambda: defaultdict(lambda: array("d"))
    )
    routes: defaultdict[str, _Route] = field(default_factory=lambda: defaultdict(_Route))
    inputs: dict[tuple[str, bytes], _Inputs] = field(default_factory=dict)
    forms: dict[Form, str] = field(default_factory=dict)
    opinions: Opinions = field(default_factory=Opinions)
    seen: list[Seen] = field(default_factory=list)

    def noting(self, traces: Iterable[ObservedTrace]) -> Iterator[ObservedTrace]:
        """The same traces, noted."""
        for trace in traces:
            self._note(trace)
            yield trace

    def _note(self, trace: ObservedTrace) -> None:
        start = trace.start_ms
        self.first_ms = start if self.first_ms is None else min(start, self.first_ms)
        self.last_ms = start if self.last_ms is None else max(start, self.last_ms)
        self.opinions.add(trace.assessments)
        for span in trace.spans:
            if span.end_ns > span.start_ns:
                taken = (span.end_ns - span.start_ns) / NANOSECONDS
                self.steps[span.name, span.kind].append(taken)
        used = [span for span in trace.spans if span.kind == "TOOL"]
        tools = tuple(dict.fromkeys(span.name for span in used))
        route = self.routes[trace.spans[0].name if trace.spans else trace.name]
        route.add(trace, tools)
        if trace.spans:
            form = form_of(trace.spans[0].inputs)
            route.inputs[form] += 1
            failed = tuple(dict.fromkeys(span.name for span in used if span.status == "ERROR"))
            self._note_request(trace, form, tools, failed)

    def _note_request(
        self, trace: ObservedTrace, form: Form, tools: tuple[str, ...], failed: tuple[str, ...]
    ) -> None:
        root = trace.spans[0]
        exact, near = fingerprints(root.inputs)
        same = self.inputs.get((root.name, near))
        if same is None:
            same = _Inputs(short(words_asked(root.inputs), _PREVIEW_CHARS))
            self.inputs[root.name, near] = same
        answered = root.outputs not in (None, "", [], {})
        same.add(trace.trace_id, root.outputs if answered else None)
        if form not in self.forms:
            self.forms[form] = shape_of(Counter([form]))
        negative = (each.name for each in trace.assessments if is_negative(each))
        self.seen.append(
            Seen(
                trace.trace_id,
                root.name,
                OUTCOMES[trace.status],
                None if trace.duration_ms is None else trace.duration_ms / 1000,
                answered,
                tools,
                failed,
                self.forms[form],
                exact,
                near,
                tuple(dict.fromkeys(negative)),
            )
        )

    def examination(self, traffic: Traffic) -> Examination:
        """What was noted, all together."""
        steps = [StepTimes(name, kind, times) for (name, kind), times in self.steps.items()]
        routes = [route.frozen(name) for name, route in self.routes.items()]
        repeated = [
            same.frozen(route) for (route, _), same in self.inputs.items() if same.traces > 1
        ]
        is_empty = self.first_ms is None or self.last_ms is None
        return Examination(
            traffic,
            None if is_empty else (self.first_ms or 0, self.last_ms or 0),
            tuple(sorted(steps, key=lambda each: (-sum(each.seconds), each.name))),
            tuple(sorted(routes, key=lambda each: (-each.traces, each.name))),
            tuple(sorted(repeated, key=lambda each: -each.traces)),
            self.opinions.summaries(),
            choose(self.seen, traffic),
        )


@dataclass(slots=True)
class _Route:
    traces: int = 0
    failed: int = 0
    inputs: Counter[Form] = field(default_factory=Counter)
    outputs: Counter[Form] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    trace_ids: list[str] = field(default_factory=list)

    def add(self, trace: ObservedTrace, tools: Iterable[str]) -> None:
        self.traces += 1
        self.failed += trace.status == "ERROR"
        if trace.spans and trace.spans[0].outputs is not None:
            self.outputs[form_of(trace.spans[0].outputs)] += 1
        self.tools.update(tools)
        if trace.duration_ms is not None:
            self.seconds.append(trace.duration_ms / 1000)
        if len(self.trace_ids) < EXAMPLES:
            self.trace_ids.append(trace.trace_id)

    def frozen(self, name: str) -> Route:
        return Route(
            name,
            self.traces,
            self.failed,
            shape_of(self.inputs),
            shape_of(self.outputs),
            tuple(sorted(self.tools.items(), key=lambda item: (-item[1], item[0]))),
            tuple(self.seconds),
            tuple(self.trace_ids),
        )


@dataclass(slots=True)
class _Inputs:
    """Inputs that came at least once; most come once only, so what is kept of these is little."""

    preview: str
    traces: int = 0
    answers: tuple[bytes, ...] = ()
    trace_ids: tuple[str, ...] = ()

    def add(self, trace_id: str, answer: Json) -> None:
        self.traces += 1
        if answer is not None and len(self.answers) < ANSWERS:
            self.answers = tuple(dict.fromkeys((*self.answers, fingerprint(answer))))
        if len(self.trace_ids) < REPEATS:
            self.trace_ids = (*self.trace_ids, trace_id)

    def frozen(self, route: str) -> Repeated:
        return Repeated(route, self.preview, self.traces, len(self.answers), self.trace_ids)
