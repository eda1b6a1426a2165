"""What people said of traces, made a verdict; the one place that knows their words and scales."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.core.feedback import HUMAN_REVIEW, Assessment
from evalkit.core.values import Json

Scale: TypeAlias = tuple[float, float]

HALF = 0.5

LOW = 0.25
"""A number is a rejection within this share of its scale, and acceptance within it of the end."""

SENTENCE = 3
"""Spaces in a value from which on it is a sentence and no label."""

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


@dataclass(frozen=True, slots=True)
class PeopleSaid:
    """What people said of one trace.

    Attributes:
        verdict: ``rejected`` where anybody rejected it, also against others.
        is_contradictory: Whether somebody else accepted what one rejected.
        comments: Their reasons and remarks, as they wrote them.
        expectations: What a right answer has to hold to, by name.
    """

    verdict: Literal["accepted", "rejected", "none"]
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
    for each in sorted(of_people(assessments), key=lambda each: each.time_ms):
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
    for each in of_people(assessments):
        if isinstance(each.value, int | float) and not isinstance(each.value, bool):
            given[_bare(each.name)].append(float(each.value))
    found: dict[str, Scale] = {}
    for name, numbers in given.items():
        low, high = min(numbers), max(numbers)
        scales = _SCALES[2:] if _STARS.search(name) and low >= 1 else _SCALES
        fitting = [scale for scale in scales if scale[0] <= low and high <= scale[1]]
        found[name] = fitting[0] if fitting else (low, high)
    return found


def of_people(assessments: Iterable[Assessment]) -> Iterator[Assessment]:
    """Those that people made and nobody took back."""
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
