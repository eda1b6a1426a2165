"""What people, models and code said about traces, summed up by who said it and under which name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from evalkit.core.brevity import short
from evalkit.core.feedback import Assessment
from evalkit.core.values import Json, canonical

EXAMPLES = 5
"""Traces that are named as assessed badly."""

HALF = 0.5
"""A number is low below this share of its scale, which goes to 1 or to the highest value given."""

BAD_WORDS = frozenset(
    [
        "no",
        "false",
        "fail",
        "failed",
        "failing",
        "bad",
        "wrong",
        "incorrect",
        "inaccurate",
        "poor",
        "unsatisfactory",
        "rejected",
        "negative",
        "unsafe",
        "irrelevant",
        "ungrounded",
        "incomplete",
    ]
)
"""Values in words that say that a trace is not good."""

_VALUE_CHARS = 60
_VALUES = 40


def is_negative(assessment: Assessment) -> bool:
    """Whether an assessment by itself says that a trace is not good.

    An expectation says nothing of the kind, nor does a judge that failed.
    """
    value = assessment.value
    if assessment.kind == "expectation" or assessment.error:
        return False
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value < HALF
    return isinstance(value, str) and value.strip().rstrip(".!").casefold() in BAD_WORDS


@dataclass(frozen=True, slots=True)
class AssessmentSummary:
    """What one judge or person says under one name.

    Attributes:
        name: The name.
        kind: Feedback or expectation.
        source: Who says it: the type of source and, except for people, which one.
        count: How often.
        errors: How often the judge failed.
        values: How often it gave which value, in words; the most frequent first.
        other_values: How often it gave another value than those.
        mean: The mean of its numbers; None where it gave none.
        failing: The first traces that it calls bad.
    """

    name: str
    kind: Literal["feedback", "expectation"]
    source: str
    count: int
    errors: int
    values: tuple[tuple[str, int], ...]
    other_values: int
    mean: float | None
    failing: tuple[str, ...]


@dataclass(slots=True)
class Opinions:
    """Assessments as they come, of all traces."""

    _groups: dict[tuple[str, Literal["feedback", "expectation"], str], _Group] = field(
        default_factory=dict
    )

    def add(self, assessments: Iterable[Assessment]) -> None:
        """Add the assessments of a trace."""
        for each in assessments:
            key = (each.name, each.kind, source_of(each))
            self._groups.setdefault(key, _Group()).add(each)

    def summaries(self) -> tuple[AssessmentSummary, ...]:
        """What was said, the most frequent first."""
        found = [group.summary(*key) for key, group in self._groups.items()]
        return tuple(sorted(found, key=lambda each: (-each.count, each.name, each.source)))


def source_of(assessment: Assessment) -> str:
    """Who made an assessment, in words; people are not told apart."""
    if assessment.source_type == "HUMAN" or not assessment.source_id:
        return assessment.source_type
    return f"{assessment.source_type} {assessment.source_id}"


@dataclass(slots=True)
class _Group:
    count: int = 0
    errors: int = 0
    values: Counter[str] = field(default_factory=Counter)
    other_values: int = 0
    numbers: list[tuple[float, str]] = field(default_factory=list)
    negative: list[str] = field(default_factory=list)

    def add(self, assessment: Assessment) -> None:
        self.count += 1
        if assessment.error:
            self.errors += 1
        elif is_number(assessment.value):
            self.numbers.append((float(assessment.value), assessment.trace_id))
        else:
            self._count(assessment.value)
            if is_negative(assessment):
                self.negative.append(assessment.trace_id)

    def _count(self, value: Json) -> None:
        text = short(value if isinstance(value, str) else canonical(value), _VALUE_CHARS)
        if text in self.values or len(self.values) < _VALUES:
            self.values[text] += 1
        else:
            self.other_values += 1

    def summary(
        self, name: str, kind: Literal["feedback", "expectation"], source: str
    ) -> AssessmentSummary:
        values = [number for number, _ in self.numbers]
        bad = [] if kind == "expectation" else [*self.negative, *_lowest(self.numbers)]
        return AssessmentSummary(
            name,
            kind,
            source,
            self.count,
            self.errors,
            tuple(self.values.most_common()),
            self.other_values,
            sum(values) / len(values) if values else None,
            tuple(dict.fromkeys(bad))[:EXAMPLES],
        )


def is_number(value: Json) -> bool:
    """Whether the value is a number and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _lowest(numbers: list[tuple[float, str]]) -> list[str]:
    """The traces with a low number, the lowest first."""
    highest = max((number for number, _ in numbers), default=0.0)
    bound = HALF * max(1.0, highest)
    return [trace_id for number, trace_id in sorted(numbers) if number < bound]
