"""What the good answers of a route hold to, as bounds that a scorer can check."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from evalkit.core.agent.answer import Path
from evalkit.core.agent.code.measures import (
    AT_ONCE,
    IN_THE_END,
    LOOKS,
    answer_text,
    cut_off,
    error_in,
    failed_tools,
    figures_in,
    holds,
    is_empty,
    misfits,
    mislabelled,
    missing_parts,
    off_topic,
    parsed_json,
    ungrounded,
)
from evalkit.core.agent.suite import Row
from evalkit.core.examination.profile_schema import schema_of
from evalkit.core.values import Json

TOLERATED = 0.05
"""Share of the good answers that a check may fail: more, and its alarms would not be believed."""

MARGIN = 1.5
"""So many times what was usual is still fine."""

STRANGE = 3
"""More than so many times what was usual is strange, and nothing to learn from."""

SECONDS_MORE = 1.0
CHARS_MORE = 100
"""What is fine beyond that, because little times one and a half is still little."""

FEW = 3
"""Fewer different questions show nothing about what answers have in common."""

MANY = 8
"""So many have to be answered with a list, say, before a list counts as a part of answers."""

MOST_COMPARED = 200
MOST_PARTS = 4
GROUNDED_SHARES = (1.0, 0.9, 0.75, 0.5)


@dataclass(frozen=True, slots=True)
class Sample:
    """The good answers of a route.

    Attributes:
        rows: The answers; their expectations name what they have to mention and the tools.
        place: Where an answer's words lie.
        texts: The words of each answer.
        questions: How many different inputs there are.
        labels: The labels that the answers are; empty where they are none.
    """

    rows: Sequence[Row]
    place: Path
    texts: Sequence[str]
    questions: int
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Check:
    """Something that can be checked without a model.

    Attributes:
        name: The name of its scorer.
        learn: Finds its bound in good answers; text says why there is none.
        passes: Whether a row, with the words of its answer, keeps to a bound.
    """

    name: str
    learn: Callable[[Sample], Json]
    passes: Callable[[Row, str, Json], bool]


class Unsupported(str):
    """Why the good answers do not support a check."""

    __slots__ = ()


def words_of(row: Row, place: Path) -> str:
    """The words of a row's answer."""
    return answer_text(row.outputs, place)


def _most(values: Iterable[float]) -> float:
    """The largest value but for the few that may be strange."""
    ordered = sorted(values)
    return ordered[len(ordered) - 1 - math.floor(TOLERATED * len(ordered))]


def _least(values: Iterable[float]) -> float:
    return -_most(-value for value in values)


def _upper(values: Sequence[float], more: float) -> float:
    """What is still fine: more than usual, and whatever there was that is not strange."""
    usual = _most(values)
    largest = max(value for value in values if value <= STRANGE * usual)
    return max(MARGIN * usual + more, largest)


def _mostly(passed: Sequence[bool]) -> bool:
    return sum(passed) >= len(passed) - math.floor(TOLERATED * len(passed))


def _no_error(_: Sample) -> Json:
    return True


def _format(sample: Sample) -> Json:
    return schema_of([row.outputs for row in sample.rows])


def _parts(sample: Sample) -> Json:
    if sample.questions < FEW or len(set(sample.texts)) < FEW:
        return Unsupported("too few different answers to see what all of them hold")
    if all(parsed_json(text) is not None for text in sample.texts):
        return Unsupported("the answers are JSON, whose form is checked as such")
    shortest = sorted(set(sample.texts), key=lambda text: (len(text), text))[:FEW]
    looks = LOOKS if sample.questions >= MANY else ()
    candidates = [*looks, *dict.fromkeys(line for text in shortest for line in _pieces(text))]
    texts = sample.texts[:: len(sample.texts) // MOST_COMPARED + 1]
    shared = [part for part in candidates if _mostly([holds(text, part) for text in texts])]
    parts = [
        part for part in shared if not any(part in other and part != other for other in shared)
    ]
    return parts[:MOST_PARTS] or Unsupported("the good answers have no wording in common")


def _labels(sample: Sample) -> Json:
    return list(sample.labels) or Unsupported("the answers are no labels, or not all are known")


def _pieces(text: str) -> Iterable[str]:
    """Lines, and what stands before a colon in them: headings, labels, fixed sentences."""
    for line in text.splitlines():
        bare = line.strip(" #*-_>\t")
        label, colon, _ = bare.partition(":")
        for piece in (bare, label.strip(" *") + colon):
            if 3 < len(piece) <= 80 and any(char.isalpha() for char in piece):  # noqa: PLR2004 - a heading's length
                yield piece


def _grounded(sample: Sample) -> Json:
    told = [
        (row, text) for row, text in zip(sample.rows, sample.texts, strict=True) if figures_in(text)
    ]
    if len({str(dict(row.inputs)) for row, _ in told}) < FEW:
        return Unsupported("too few good answers give numbers, dates, ids or addresses")
    shares = [_grounded_share(row, text) for row, text in told]
    bound = next((b for b in GROUNDED_SHARES if _mostly([s >= b for s in shares])), None)
    if bound is None:
        return Unsupported("good answers give figures that neither inputs nor tools gave")
    return bound


def _grounded_share(row: Row, text: str) -> float:
    figures = figures_in(text)
    if not figures:
        return 1.0
    return 1 - len(ungrounded(text, _sources(row))) / len(figures)


def _sources(row: Row) -> list[Json]:
    return [dict(row.inputs), *(step.output for step in row.steps)]


def _on_topic(sample: Sample) -> Json:
    if not any(row.expectations.get("must_mention") for row in sample.rows):
        return Unsupported("no answer has words that tell it from the others")
    return True


def _tools(sample: Sample) -> Json:
    if not any(row.steps for row in sample.rows):
        return Unsupported("no tool is seen at work")
    counts = Counter(name for row in sample.rows for name in {step.name for step in row.steps})
    return sorted(name for name, n in counts.items() if n >= len(sample.rows) * (1 - TOLERATED))


def _tools_worked(sample: Sample) -> Json:
    if not any(row.steps for row in sample.rows):
        return Unsupported("no tool is seen at work")
    worked = {
        when: [not _failed(row, when) for row in sample.rows] for when in (AT_ONCE, IN_THE_END)
    }
    when = max(worked, key=lambda when: sum(worked[when]))
    if not _mostly(worked[when]):
        return Unsupported("tools fail in good answers too")
    return when


def _failed(row: Row, when: str) -> list[str]:
    return failed_tools([(step.name, step.failed) for step in row.steps], when)


def _seconds(sample: Sample) -> Json:
    known = [row.seconds for row in sample.rows if row.seconds is not None]
    if not known:
        return Unsupported("no trace says how long it took")
    return math.ceil(_upper(known, SECONDS_MORE) * 10) / 10


def _length(sample: Sample) -> Json:
    lengths = [len(text) for text in sample.texts]
    least = int(_least(lengths) / MARGIN / 2)
    return [max(1, least), int(_upper(lengths, CHARS_MORE))]


def _ends(sample: Sample) -> Json:
    if not _mostly([not cut_off(text) for text in sample.texts]):
        return Unsupported("good answers end in many ways")
    return True


def _has_tools(row: Row, expected: Sequence[str]) -> bool:
    used = {step.name for step in row.steps}
    return {*expected, *row.expectations.get("tools", ())} <= used


CHECKS: Mapping[str, Check] = {
    check.name: check
    for check in (
        Check(
            "no_error",
            _no_error,
            lambda row, text, _: (
                not is_empty(row.outputs) and bool(text.strip()) and not error_in(text)
            ),
        ),
        Check("format_kept", _format, lambda row, _, schema: not misfits(row.outputs, schema)),
        Check("parts_present", _parts, lambda _, text, parts: not missing_parts(text, parts)),
        Check(
            "label_kept",
            _labels,
            lambda row, text, labels: not mislabelled(text, labels, row.expectations.get("label")),
        ),
        Check("grounded", _grounded, lambda row, text, least: _grounded_share(row, text) >= least),
        Check(
            "on_topic",
            _on_topic,
            lambda row, text, _: not off_topic(text, row.expectations.get("must_mention", ())),
        ),
        Check("tools_used", _tools, lambda row, _, expected: _has_tools(row, expected)),
        Check(
            "tools_worked",
            _tools_worked,
            lambda row, _, when: not _failed(row, when),
        ),
        Check(
            "in_time",
            _seconds,
            lambda row, _, most: row.seconds is None or row.seconds <= most,
        ),
        Check("length_usual", _length, lambda _, text, bound: bound[0] <= len(text) <= bound[1]),
        Check("not_cut_off", _ends, lambda _, text, __: not cut_off(text)),
    )
}
"""All checks by name, the plainest first."""
