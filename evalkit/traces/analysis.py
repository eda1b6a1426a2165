"""One pass over an experiment's traces: what can be counted, so that nobody counts it by hand.

Spans are not kept. What people said becomes a verdict here, and nowhere else.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pandas as pd

from evalkit.core.brevity import short
from evalkit.core.feedback import HUMAN_REVIEW, Assessment
from evalkit.core.observed import ObservedTrace
from evalkit.core.signature import signature
from evalkit.core.values import Json, canonical
from evalkit.suite.model import passes
from evalkit.traces.json_shape import Shape
from evalkit.traces.transcript import question

EXAMPLES = 5
"""Traces that are named as examples of an error, a tool or a judge."""

NANOSECONDS = 1e9

HALF = 0.5

LOW = 0.25
"""A number is a rejection within this share of its scale, and acceptance within it of the end."""

SENTENCE = 3
"""Words of a value or of inputs, beside numbers, from which on they say something."""

VALUES = 40
"""Different values of a judge that are told apart."""

Verdict: TypeAlias = Literal["accepted", "rejected", "none"]
Scale: TypeAlias = tuple[float, float]

STATES = {"OK": "ok", "ERROR": "failed", "UNSET": "not over"}
"""How a trace ended, in a word."""

_GOOD = re.compile(
    r"yes|true|pass(?:ed)?|ok(?:ay)?|good|great|correct|right|accurate|helpful|accept(?:ed)?|"
    r"approved?|positive|excellent|perfect|satisfied|liked?|(?:thumbs?_?)?up|👍|✅|😀|🙂"
)
_BAD = re.compile(
    r"no|false|fail(?:ed|ing)?|bad|wrong|incorrect|inaccurate|poor|unhelpful|reject(?:ed)?|"
    r"negative|unsatisfactory|dissatisfied|disliked?|unsafe|irrelevant|ungrounded|incomplete|"
    r"misleading|not_(?:ok|good|correct|helpful)|(?:thumbs?_?)?down|👎|❌|😞|🙁"
)
_FAULTS = re.compile(
    r"(?:^|_)(?:is_|has_)?(?:toxic\w*|harm\w*|unsafe|hallucinat\w*|incorrect|wrong|inaccurate|"
    r"error|errors|bug|issue|problem|fault|bad|offensive|biased?|leak\w*|irrelevant|refus\w*|"
    r"reject\w*|unhelpful|misleading|needs_fix|thumbs_down|dislike\w*)$"
)
_STARS = re.compile(r"rating|stars?$|score_1_")
_SCALES: tuple[Scale, ...] = ((0, 1), (-1, 1), (1, 5), (0, 5), (0, 10), (-5, 5), (0, 100))
_UNNAMED = frozenset(["", "default", "User", "user", "unknown"])
"""Source ids that MLflow gives to people it does not know apart."""
_WORD = re.compile(r"\w+")
_NUMBERED = re.compile(r"\w*\d\w*")
_READ = 6_000  # characters up to which inputs are compared by their words


# -- what people said ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeopleSaid:
    """What people said of one trace.

    Attributes:
        verdict: ``rejected`` where anybody rejected it, also against others.
        is_contradictory: Whether somebody else accepted what one rejected.
        comments: Their reasons and remarks, as they wrote them.
        expectations: What a right answer has to hold to, by name.
    """

    verdict: Verdict
    is_contradictory: bool
    comments: tuple[str, ...]
    expectations: Mapping[str, Json]


def people_said(
    assessments: Iterable[Assessment], scales: Mapping[str, Scale] | None = None
) -> PeopleSaid:
    """What people said of a trace: HUMAN assessments only, without what they took back.

    Args:
        assessments: All that was said of it.
        scales: Lowest and highest number by name, as :func:`scales_of` finds them.
    """
    scales = scales or {}
    spoken: dict[tuple[str, str, str, str], Assessment] = {}
    for each in sorted(_of_people(assessments), key=lambda each: each.time_ms):
        # a later word of the same person replaces the earlier one
        who = each.source_id if each.source_id not in _UNNAMED else each.assessment_id
        spoken[each.kind, each.trace_id, each.name, who] = each
    feedback = [each for each in spoken.values() if each.kind == "feedback"]
    judged = {verdict for each in feedback if (verdict := _verdict(each, scales)) is not None}
    remarks = [text.strip() for each in feedback for text in (each.rationale, _remark(each))]
    return PeopleSaid(
        "rejected" if False in judged else "accepted" if judged else "none",
        len(judged) > 1,
        tuple(dict.fromkeys(text for text in remarks if text)),
        {each.name: each.value for each in spoken.values() if each.kind == "expectation"},
    )


def scales_of(assessments: Iterable[Assessment]) -> dict[str, Scale]:
    """The scale that people's numbers under each name lie on, by the numbers they gave."""
    given: defaultdict[str, list[float]] = defaultdict(list)
    for each in _of_people(assessments):
        if isinstance(each.value, int | float) and not isinstance(each.value, bool):
            given[_bare(each.name)].append(float(each.value))
    found: dict[str, Scale] = {}
    for name, numbers in given.items():
        low, high = min(numbers), max(numbers)
        fitting = [s for s in _SCALES if s[0] <= low and high <= s[1]]
        if _STARS.search(name) and low >= 1:
            fitting = [s for s in fitting if s != (0, 1)]
        found[name] = fitting[0] if fitting else (low, high)
    return found


def _of_people(assessments: Iterable[Assessment]) -> Iterator[Assessment]:
    for each in assessments:
        if each.source_type == "HUMAN" and each.valid and not each.error:
            yield each


def _bare(name: str) -> str:
    """The name without the case that evalkit puts before it on a trace of several."""
    return re.sub(r"\W+", "_", name.rpartition("/")[2].strip().casefold())


def _verdict(said: Assessment, scales: Mapping[str, Scale]) -> bool | None:
    """Whether somebody accepted a trace; None where that was not what they spoke of."""
    name, value = _bare(said.name), said.value
    is_fault = bool(_FAULTS.search(name))  # "hallucination: yes" is no praise
    if isinstance(value, bool):
        return value is not is_fault
    if isinstance(value, int | float):
        low, high = scales.get(name) or scales_of([said])[name]
        place = (value - low) / (high - low) if high > low else HALF
        return None if LOW < place < 1 - LOW else (place > HALF) is not is_fault
    word = _word(value)
    if _GOOD.fullmatch(word) or _BAD.fullmatch(word):
        is_named = word in {"yes", "true", "no", "false"} and is_fault
        return (_GOOD.fullmatch(word) is not None) is not is_named
    # a review's words are what is wrong, and none mean that nothing is
    return not word if name == HUMAN_REVIEW and isinstance(value, str) else None


def _word(value: Json) -> str:
    """A value in words as one word of a scale, such as ``thumbs_up``."""
    text = value if isinstance(value, str) else ""
    return re.sub(r"[\s-]+", "_", text.strip().rstrip(".!").casefold())


def _remark(said: Assessment) -> str:
    """What somebody wrote in place of a value: more than a word of a scale."""
    word = _word(said.value)
    if not word or _GOOD.fullmatch(word) or _BAD.fullmatch(word):
        return ""
    is_sentence = word.count("_") >= SENTENCE or _bare(said.name) == HUMAN_REVIEW
    return str(said.value) if is_sentence else f"{said.name}: {said.value}"


# -- the pass -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Seen:
    """How often something occurred, and where."""

    example: str = ""
    count: int = 0
    failures: int = 0
    traces: int = 0
    examples: list[str] = field(default_factory=list)
    given: Counter[str] = field(default_factory=Counter)
    seconds: array[float] = field(default_factory=lambda: array("d"))
    _last: str = ""

    def add(self, trace_id: str, *, failed: bool = False) -> None:
        self.count += 1
        self.traces += trace_id != self._last
        self._last = trace_id
        if failed and not self.failures:
            self.examples.clear()
        self.failures += failed
        if len(self.examples) < EXAMPLES and failed == bool(self.failures):
            self.examples = list(dict.fromkeys([*self.examples, trace_id]))


@dataclass(slots=True)
class Analysis:
    """Traces as they pass by: :meth:`add` each, then ask for the frames or the report.

    Attributes:
        skills: By run, the skill of the traces that evalkit logged under it.
        unread: Why spans could not be read, with the number of traces.
    """

    skills: Mapping[str, str] = field(default_factory=dict)
    unread: Counter[str] = field(default_factory=Counter)
    _traces: list[tuple[Json, ...]] = field(default_factory=list)
    _people: dict[str, tuple[Assessment, ...]] = field(default_factory=dict)
    _errors: defaultdict[tuple[str, str, str], _Seen] = field(
        default_factory=lambda: defaultdict(_Seen)
    )
    _tools: defaultdict[str, _Seen] = field(default_factory=lambda: defaultdict(_Seen))
    _judges: defaultdict[tuple[str, str], _Seen] = field(default_factory=lambda: defaultdict(_Seen))
    _shapes: defaultdict[str, tuple[Shape, Shape]] = field(
        default_factory=lambda: defaultdict(lambda: (Shape(), Shape()))
    )

    def add(self, trace: ObservedTrace) -> None:
        """Count a trace; it is enough to have it in outline."""
        root = trace.spans[0] if trace.spans else None
        inputs, outputs = (root.inputs, root.outputs) if root else (None, None)
        route = route_of(root.name if root else trace.name, trace.run_id, self.skills)
        if root is None:
            self.unread[trace.unread] += 1
        else:
            self._shapes[route][0].add(inputs)
            if not is_empty(outputs):
                self._shapes[route][1].add(outputs)
        for key, example in _errors_of(trace).items():
            self._errors[key].add(trace.trace_id)
            self._errors[key].example = self._errors[key].example or short(example, 500)
        self._note_assessments(trace)
        counted = [n for n in (trace.input_tokens, trace.output_tokens) if n is not None]
        self._traces.append(
            (
                trace.trace_id,
                route,
                trace.start_ms,
                None if trace.duration_ms is None else trace.duration_ms / 1000,
                STATES[trace.status],
                sum(counted) if counted else None,
                trace.cost_usd,
                short(question(inputs) if root else trace.request, 160),
                *self._note_tools(trace),
                root is not None,
                not is_empty(inputs),
                not is_empty(outputs),
                likeness(inputs),
                _print(canonical(outputs)),
            )
        )

    def _note_tools(self, trace: ObservedTrace) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The tools that the trace used, and those of them that failed."""
        used = [span for span in trace.spans if span.kind == "TOOL"]
        for span in used:
            self._tools[span.name].add(trace.trace_id, failed=span.status == "ERROR")
            self._tools[span.name].seconds.append((span.end_ns - span.start_ns) / NANOSECONDS)
        failed = dict.fromkeys(span.name for span in used if span.status == "ERROR")
        return tuple(dict.fromkeys(span.name for span in used)), tuple(failed)

    def _note_assessments(self, trace: ObservedTrace) -> None:
        if people := tuple(_of_people(trace.assessments)):
            self._people[trace.trace_id] = people
        for each in trace.assessments:
            if each.source_type != "HUMAN" and each.kind == "feedback" and each.valid:
                seen = self._judges[each.name, f"{each.source_type} {each.source_id}".strip()]
                seen.add(trace.trace_id, failed=passes(each.value) is False)
                value = "judge error" if each.error else short(str(each.value), 40)
                if value in seen.given or len(seen.given) < VALUES:
                    seen.given[value] += 1

    @property
    def scales(self) -> dict[str, Scale]:
        """The scale of people's numbers, by name."""
        return scales_of(each for said in self._people.values() for each in said)

    @property
    def traces(self) -> pd.DataFrame:
        """A row a trace, in the order in which they came.

        Columns: ``trace_id``, ``route``, ``start_ms``, ``seconds``, ``state`` (ok, failed, not
        over), ``tokens``, ``cost_usd``, ``asked`` (in short), ``tools``, ``failed_tools``,
        ``is_read``, ``has_inputs``, ``answered``, ``likeness`` and ``answer`` (what equal inputs
        and answers share), ``verdict`` (accepted, rejected, none) and ``is_contradictory``.
        """
        frame = pd.DataFrame(self._traces, columns=_COLUMNS)
        said = self._said()
        found = [said.get(trace_id) for trace_id in frame["trace_id"]]
        frame["verdict"] = [each.verdict if each else "none" for each in found]
        frame["is_contradictory"] = [bool(each and each.is_contradictory) for each in found]
        return frame

    @property
    def errors(self) -> pd.DataFrame:
        """What went wrong, the most frequent first.

        Columns: ``state`` (how the traces ended), ``place`` (the step that failed), ``text`` (what
        the errors have in common), ``example``, ``traces`` (their number), ``trace_ids``.
        """
        rows = [(*key, s.example, s.traces, s.examples) for key, s in self._errors.items()]
        columns = ["state", "place", "text", "example", "traces", "trace_ids"]
        return _sorted(rows, columns, "traces")

    @property
    def tools(self) -> pd.DataFrame:
        """The tools and retrievers, the most used first.

        Columns: ``tool``, ``calls``, ``failures``, ``traces``, ``median_s``, ``p90_s``,
        ``trace_ids`` (the first; of a tool that fails the first where it does).
        """
        rows = []
        for name, seen in self._tools.items():
            times = pd.Series(seen.seconds)
            took = times.quantile(0.5), times.quantile(0.9)
            rows.append((name, seen.count, seen.failures, seen.traces, *took, seen.examples))
        columns = ["tool", "calls", "failures", "traces", "median_s", "p90_s", "trace_ids"]
        return _sorted(rows, columns, "calls")

    @property
    def judges(self) -> pd.DataFrame:
        """What code and models said, by name and source, the most frequent first.

        Columns: ``name``, ``source``, ``traces``, ``failed`` (their numbers), ``values`` (how
        often), ``trace_ids`` (the first that failed).
        """
        rows = [
            (*key, s.traces, s.failures, dict(s.given.most_common(6)), s.examples)
            for key, s in self._judges.items()
        ]
        columns = ["name", "source", "traces", "failed", "values", "trace_ids"]
        return _sorted(rows, columns, "traces")

    def report(self) -> dict[str, Json]:
        """All that was counted, as JSON; what is listed names its examples.

        Returns:
            ``traces``, ``without_inputs``, ``unread``, ``window`` (first and last day), ``states``,
            ``seconds``, ``tokens``, ``cost_usd`` (count, median, p90, p99, largest, total; None
            where no trace says), ``routes``, ``errors``, ``tools``, ``repeated``, ``people``,
            ``judges``.
        """
        frame = self.traces
        days = pd.to_datetime(frame["start_ms"], unit="ms", errors="coerce").dropna()
        by_route = sorted(frame.groupby("route", sort=False), key=lambda pair: -len(pair[1]))
        return {
            "traces": len(frame),
            "without_inputs": int((frame["is_read"] & ~frame["has_inputs"]).sum()),
            "unread": dict(self.unread),
            "window": [f"{day:%Y-%m-%d}" for day in (days.min(), days.max())] if len(days) else [],
            "states": _counts(frame["state"]),
            "seconds": spread(frame["seconds"]),
            "tokens": spread(frame["tokens"]),
            "cost_usd": spread(frame["cost_usd"]),
            "routes": [self._route(str(route), some) for route, some in by_route],
            "errors": _records(self.errors),
            "tools": _records(self.tools),
            "repeated": _repeated(frame),
            "people": self._people_report(frame),
            "judges": _records(self.judges),
        }

    def _route(self, route: str, some: pd.DataFrame) -> dict[str, Json]:
        inputs, outputs = self._shapes[route]
        tools = Counter(tool for used in some["tools"] for tool in used)
        return {
            "route": route,
            "traces": len(some),
            "states": _counts(some["state"]),
            "verdicts": _counts(some["verdict"]),
            "inputs": str(inputs),
            "outputs": str(outputs),
            "different_inputs": int(some["likeness"].nunique()),
            "tools": dict(tools.most_common(12)),
            "seconds": spread(some["seconds"]),
            "trace_ids": list(some["trace_id"][:EXAMPLES]),
        }

    def _people_report(self, frame: pd.DataFrame) -> dict[str, Json]:
        said = self._said()
        disputed = frame[frame["is_contradictory"]]
        return {
            **{word: list(frame["trace_id"][frame["verdict"] == word]) for word in _VERDICTS},
            "contradictory": list(disputed["trace_id"]),
            "comments": {each: list(s.comments) for each, s in said.items() if s.comments},
            "expectations": dict(Counter(name for s in said.values() for name in s.expectations)),
        }

    def _said(self) -> dict[str, PeopleSaid]:
        scales = self.scales
        return {each: people_said(said, scales) for each, said in self._people.items()}


_VERDICTS = ("accepted", "rejected")
_COLUMNS = [
    *("trace_id", "route", "start_ms", "seconds", "state", "tokens", "cost_usd", "asked"),
    *("tools", "failed_tools", "is_read", "has_inputs", "answered", "likeness", "answer"),
]


# -- single traces ------------------------------------------------------------------------------


def route_of(name: str, run_id: str, skills: Mapping[str, str]) -> str:
    """What kind of request a trace is: its root span's name, or the skill of evalkit's own."""
    return (skills.get(run_id) or f"run {run_id}") if run_id else name or "unnamed"


def is_empty(value: Json) -> bool:
    """Whether inputs or outputs hold nothing: no text, no fields, only fields without a value."""
    if isinstance(value, dict):
        return all(is_empty(each) for each in value.values())
    return value is None or value in ("", [])


def likeness(inputs: Json) -> bytes:
    """What equal inputs share, and those that differ only in numbers, case and punctuation."""
    leaves = list(_leaves(inputs))
    if not leaves or sum(map(len, leaves)) > _READ:
        return _print(canonical(inputs))
    words = " ".join(_WORD.findall(" ".join(leaves).casefold()))
    plain, numbers = _NUMBERED.subn("#", words)
    # with fewer words than these the number is all that is said
    return _print(plain if len(words.split()) - numbers >= SENTENCE else words)


def _leaves(value: Json) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    elif value is not None:
        yield str(value)


def _print(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).digest()


def _errors_of(trace: ObservedTrace) -> dict[tuple[str, str, str], str]:
    """Each error of a trace once, by state, place and signature; of nested ones the innermost."""
    state = STATES[trace.status]
    failed = [span for span in trace.spans if span.status == "ERROR"]
    above = {span.parent_id for span in failed}
    found = {
        (state, span.name, signature(span.message)): span.message
        for span in reversed(failed)
        if span.span_id not in above
    }
    if not found and trace.status == "ERROR":
        return {(state, "", signature(trace.response)): trace.response}
    return found


# -- figures ------------------------------------------------------------------------------------


def spread(values: pd.Series[float]) -> dict[str, float] | None:
    """Count, median, p90, p99, largest and total of the values that are known; None without any."""
    known = pd.to_numeric(values).dropna()
    if known.empty:
        return None
    cuts = {f"p{round(100 * q)}": known.quantile(q) for q in (0.5, 0.9, 0.99)}
    figures = {"median": cuts.pop("p50"), **cuts, "largest": known.max(), "total": known.sum()}
    return {"count": len(known), **{name: float(f"{n:.6g}") for name, n in figures.items()}}


def _counts(values: pd.Series[str]) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().items()}


def _sorted(rows: Sequence[tuple[Json, ...]], columns: list[str], by: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values(by, ascending=False, kind="stable", ignore_index=True)


def _records(frame: pd.DataFrame) -> list[dict[str, Json]]:
    rounded = frame.round(4)
    known = rounded.astype(object).where(rounded.notna(), None)
    return [dict(zip(known.columns, row, strict=True)) for row in known.to_numpy().tolist()]


def _repeated(frame: pd.DataFrame) -> list[dict[str, Json]]:
    """Inputs that came several times, the most frequent first: how many answers came of them."""
    answered = frame[frame["answered"] & frame["has_inputs"]]
    groups = answered.groupby(["route", "likeness"], sort=False)
    sums = groups.agg(
        asked=("asked", "first"),
        traces=("trace_id", "size"),
        answers=("answer", "nunique"),
        trace_ids=("trace_id", lambda ids: list(ids[:EXAMPLES])),
    )
    often = sums[sums["traces"] > 1].sort_values("traces", ascending=False, kind="stable")
    return _records(often.head(20).reset_index(level="route"))
