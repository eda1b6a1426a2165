"""What people said of traces, made a verdict; the one place that knows their words and scales."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.entities import HUMAN_REVIEW, Assessment
from evalkit.jsonable import Json

Scale: TypeAlias = tuple[float, float]

_HALF = 0.5
_LOW = 0.25  # a rejection lies within this share of its scale, acceptance as near to its end
_SENTENCE = 3  # spaces in a value from which on it is a sentence and no label
_SCALES: tuple[Scale, ...] = ((0, 1), (-1, 1), (1, 5), (0, 5), (0, 10), (-5, 5), (0, 100))
_STARS = re.compile(r"rating|stars?$|score_1_")
_UNNAMED = {"", "default", "User", "user", "unknown"}  # MLflow's, for people it does not know apart
_GOOD = re.compile(
    r"yes|true|pass(?:ed)?|ok(?:ay)?|good|great|correct|right|accurate|helpful|accept(?:ed)?|"
    r"approved?|positive|excellent|perfect|satisfied|liked?|(?:thumbs?_?)?up|👍|✅"
)
_BAD = re.compile(
    r"no|false|fail(?:ed)?|bad|wrong|in(?:correct|accurate|complete)|poor|unhelpful|reject(?:ed)?|"
    r"negative|dissatisfied|disliked?|unsafe|irrelevant|ungrounded|misleading|not_(?:ok|good|correct|helpful)|"
    r"(?:thumbs?_?)?down|👎|❌"
)
_FAULTS = re.compile(
    r"(?:^|_)(?:toxic\w*|harm\w*|unsafe|hallucinat\w*|incorrect|wrong|inaccurate|errors?|bug|issue|"
    r"problem|fault|bad|offensive|biased?|leak\w*|irrelevant|refus\w*|reject\w*|unhelpful|"
    r"misleading|thumbs_down|dislike\w*)$"
)


@dataclass(frozen=True, slots=True)
class PeopleSaid:
    """What people said of one trace."""

    verdict: Literal["accepted", "rejected", "none"]  # rejected also where others accepted it
    is_contradictory: bool
    comments: tuple[str, ...]  # their reasons and remarks, as they wrote them
    expectations: Mapping[str, Json]  # what a right answer has to hold to


def people_said(assessments: Iterable[Assessment], scales: Mapping[str, Scale]) -> PeopleSaid:
    """What people said of a trace: HUMAN assessments only, without what they took back."""
    spoken: dict[tuple[str, ...], Assessment] = {}
    for each in sorted(of_people(assessments), key=lambda each: each.time_ms):
        # a later word of the same person replaces the earlier one
        who = each.source_id if each.source_id not in _UNNAMED else each.assessment_id
        spoken[each.kind, each.trace_id, each.name, who] = each
    feedback = [each for each in spoken.values() if each.kind == "feedback"]
    found = [(each, *_judged(each, scales)) for each in feedback]
    judged = {verdict for _, verdict, _ in found if verdict is not None}
    remarks = [text.strip() for each, _, remark in found for text in (each.rationale, remark)]
    return PeopleSaid(
        "rejected" if False in judged else "accepted" if judged else "none",
        len(judged) > 1,
        tuple(dict.fromkeys(filter(None, remarks))),
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
        fitting = (scale for scale in scales if scale[0] <= low and high <= scale[1])
        found[name] = next(fitting, (low, high))
    return found


def of_people(assessments: Iterable[Assessment]) -> Iterator[Assessment]:
    """Those that people made and nobody took back."""
    return (a for a in assessments if a.source_type == "HUMAN" and a.valid and not a.error)


def _bare(name: str) -> str:
    """The name without the case that evalkit puts before it on a trace of several."""
    return re.sub(r"\W+", "_", name.rpartition("/")[2].strip().casefold())


def _judged(said: Assessment, scales: Mapping[str, Scale]) -> tuple[bool | None, str]:
    """Whether somebody accepted a trace (None: they spoke of something else); what they wrote."""
    name, value = _bare(said.name), said.value
    is_fault = bool(_FAULTS.search(name))  # "hallucination: yes" is no praise
    if isinstance(value, bool):
        return value is not is_fault, ""
    if isinstance(value, int | float):
        low, high = scales.get(name) or scales_of([said])[name]
        place = (value - low) / (high - low) if high > low else _HALF
        is_between = _LOW < place < 1 - _LOW
        return None if is_between else (place > _HALF) is not is_fault, ""
    text = value if isinstance(value, str) else ""
    word = re.sub(r"[\s-]+", "_", text.strip().rstrip(".!").casefold())
    is_good = _GOOD.fullmatch(word) is not None
    if is_good or _BAD.fullmatch(word):
        is_named = word in {"yes", "true", "no", "false"} and is_fault
        return is_good is not is_named, ""
    # a review's words are what is wrong, and none mean that nothing is
    is_review = name == HUMAN_REVIEW
    is_sentence = word.count("_") >= _SENTENCE or is_review
    remark = (text if is_sentence else f"{said.name}: {text}") if word else ""
    return not word if is_review and isinstance(value, str) else None, remark
