"""Two finished runs held against each other, case by case: figures and verdicts, no sentences.

It knows neither files nor MLflow. A comparison pairs what both runs have of a case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from evalkit.jsonable import Json, is_number
from evalkit.project import Project
from evalkit.runs.run import Run, Score, executions
from evalkit.stats import Change, paired_change
from evalkit.tokens import Consumption

Comparison: TypeAlias = dict[str, Json]
"""What :func:`compare` returns."""

ValueKind: TypeAlias = Literal["pass", "number", "label", "other", "mixed", "nothing"]
"""What values are: true or false, numbers, text, lists or mappings; of several kinds; none."""

FlipKind: TypeAlias = Literal[
    "broken", "worse", "fixed", "better", "changed", "only in baseline", "only in candidate", "same"
]
FLIP_KINDS: tuple[FlipKind, ...] = get_args(FlipKind)
"""The kinds of flips, those that want a look first."""

Scores: TypeAlias = Mapping[str, Score]
"""One judge's scores in one run, by case."""

_VERDICTS = {"more": "better", "less": "worse"}

_FIGURES: Mapping[tuple[str, str], Callable[[Consumption], float | None]] = {
    ("Cost", "USD"): lambda usage: usage.cost_usd,
    ("Duration", "s"): lambda usage: usage.duration_s,
    ("Turns", ""): lambda usage: usage.num_turns,
    ("Input tokens", ""): lambda usage: usage.tokens.get("input"),
    ("Output tokens", ""): lambda usage: usage.tokens.get("output"),
    ("Tokens read from the cache", ""): lambda usage: usage.tokens.get("cache_read"),
    ("Tokens written to the cache", ""): lambda usage: usage.tokens.get("cache_create"),
}
"""What is compared of what was consumed: name and unit, and where a session's usage says it."""


@dataclass(frozen=True, slots=True)
class Flip:
    """What one judge said about one case in both runs.

    Attributes:
        case_id: The case.
        judge: The judge.
        kind: What became of it. ``fixed`` and ``broken`` are passes and failures, ``better`` and
            ``worse`` numbers, ``changed`` anything else. Where only one run has a value, that one.
        before: The baseline's score; None where it has none.
        after: The candidate's.
    """

    case_id: str
    judge: str
    kind: FlipKind
    before: Score | None
    after: Score | None


def compare(baseline: Run, candidate: Run, project: Project) -> Comparison:
    """Hold a run against a baseline.

    Args:
        baseline: The run that was there before.
        candidate: The run that is judged.
        project: Says how far the scores of its judges reach.

    Returns:
        ``candidate``; ``cases`` that both know, and the ids of those that only one does;
        ``executions`` of both; ``judges``: of each ``kind``, ``verdict`` (better, worse, within
        noise, too few cases, same, changed, not in both), ``pairs`` of cases with a value in both
        and how many are ``differing``, ``errors`` in both, ``moves`` of labels, the ``scale`` of
        its scores and the change; ``flips`` (none that is the same) and ``counts`` of all kinds;
        ``usage``: of each figure the verdict (more, less, …), the change a case, and ``totals`` of
        both runs. A change is ``before``, ``after``, ``difference``, ``interval``, ``p``,
        ``resolution`` and ``needed``: see :class:`evalkit.stats.Change`.
    """
    old, new = scores_by_judge(baseline), scores_by_judge(candidate)
    ranges = {judge.name: judge.score_range for judge in project.judges}
    found = flips(baseline, candidate)
    return {
        "candidate": candidate.run_id,
        "cases": len(set(baseline.cases) & set(candidate.cases)),
        "executions": [executions(run) for run in (baseline, candidate)],
        "only_in_baseline": [each for each in baseline.cases if each not in candidate.cases],
        "only_in_candidate": [each for each in candidate.cases if each not in baseline.cases],
        "judges": [
            _judge(name, old.get(name, {}), new.get(name, {}), ranges.get(name))
            for name in dict.fromkeys((*old, *new))
        ],
        "counts": dict(Counter(flip.kind for flip in found)),
        "flips": [
            {
                "case": flip.case_id,
                "judge": flip.judge,
                "kind": flip.kind,
                "before": flip.before.value if flip.before else None,
                "after": flip.after.value if flip.after else None,
            }
            for flip in found
            if flip.kind != "same"
        ],
        "usage": list(_usage(baseline, candidate)),
    }


def scores_by_judge(run: Run) -> dict[str, dict[str, Score]]:
    """A run's scores by judge and case; judges of which only figures are known have none."""
    found: dict[str, dict[str, Score]] = {judge: {} for judge in run.judges}
    for score in run.scores:
        found.setdefault(score.judge, {})[score.case_id] = score
    return found


def flips(baseline: Run, candidate: Run) -> list[Flip]:
    """One flip for each case and judge with a value in at least one run, by case."""
    old, new = scores_by_judge(baseline), scores_by_judge(candidate)
    names = list(dict.fromkeys((*old, *new)))
    found: list[Flip] = []
    for name in names:
        before, after = old.get(name, {}), new.get(name, {})
        kind = _kind_in((before, after))
        for case in dict.fromkeys((*before, *after)):
            values = _value(before.get(case)), _value(after.get(case))
            if values != (None, None):
                flip = _flip_kind(kind, *values)
                found.append(Flip(case, name, flip, before.get(case), after.get(case)))
    order = {name: place for place, name in enumerate(names)}
    return sorted(found, key=lambda flip: (flip.case_id, order[flip.judge]))


def _judge(
    name: str, before: Scores, after: Scores, score_range: tuple[float, float] | None
) -> Comparison:
    kind = _kind_in((before, after))
    both = [(_value(score), _value(after.get(case))) for case, score in before.items()]
    pairs = [pair for pair in both if None not in pair]
    olds, news = [old for old, _ in pairs], [new for _, new in pairs]
    differing = sum(_differ(*pair) for pair in pairs)
    change = paired_change(olds, news) if pairs and kind in {"pass", "number"} else None
    verdict = "not in both" if not pairs else "changed" if differing else "same"
    if change:
        verdict = _VERDICTS.get(change.direction, change.direction)
    moves = Counter(pair for pair in pairs if kind == "label" and pair[0] != pair[1])
    low, high = score_range or (min(olds + news), max(olds + news)) if change else (0, 0)
    return {
        "judge": name,
        "kind": kind,
        "verdict": verdict,
        "pairs": len(pairs),
        "differing": differing,
        "errors": [sum(bool(each.error) for each in side.values()) for side in (before, after)],
        "moves": [
            [*move, count] for move, count in sorted(moves.items(), key=lambda m: (-m[1], m[0]))
        ],
        "scale": float(high - low) or 1.0 if kind == "number" else 1.0,
        **_as_json(change),
    }


def _usage(baseline: Run, candidate: Run) -> Iterator[Comparison]:
    """Of each figure what a case consumed in both runs.

    Cases whose execution failed in a run are left out: what crashes early is no saving.
    """
    there = set(candidate.case_usage) - {*baseline.failed, *candidate.failed}
    both = [
        (used, candidate.case_usage[c]) for c, used in baseline.case_usage.items() if c in there
    ]
    for (name, unit), figure in _FIGURES.items():
        known = [(figure(old), figure(new)) for old, new in both]
        pairs = [(old, new) for old, new in known if old is not None and new is not None]
        olds, news = [old for old, _ in pairs], [new for _, new in pairs]
        totals = [figure(baseline.usage), figure(candidate.usage)]
        if olds or totals != [None, None]:
            change = paired_change(olds, news) if olds else None
            yield {
                "figure": name,
                "unit": unit,
                "verdict": change.direction if change else "not in both",
                "pairs": len(olds),
                "totals": totals,
                **_as_json(change),
            }


def _as_json(change: Change | None) -> Comparison:
    if change is None:
        return {}
    return {
        "before": change.before,
        "after": change.after,
        "difference": change.after - change.before,
        "interval": None if change.low is None else [change.low, change.high],
        "p": change.p,
        "resolution": change.resolution,
        "needed": change.needed,
    }


def _value(score: Score | None) -> Json:
    """The value that counts: none where the judge failed, skipped the case or gave no number."""
    if score is None or score.error:
        return None
    value = score.value
    return None if _kind(value) == "number" and not is_number(value) else value


def _kind(value: Json) -> ValueKind:
    if isinstance(value, bool):
        return "pass"
    if isinstance(value, (int, float)):
        return "number"
    return "label" if isinstance(value, str) else "other"


def _kind_in(sides: Iterable[Scores]) -> ValueKind:
    """What all values of these scores are."""
    values = (_value(score) for side in sides for score in side.values())
    kinds = {_kind(value) for value in values if value is not None}
    if len(kinds) > 1:
        return "mixed"
    return kinds.pop() if kinds else "nothing"


def _differ(before: Json, after: Json) -> bool:
    """Whether two values are not the same; true is not the number one."""
    return _kind(before) != _kind(after) or bool(before != after)


def _flip_kind(kind: ValueKind, before: Json, after: Json) -> FlipKind:
    if before is None:
        return "only in candidate"
    if after is None:
        return "only in baseline"
    if not _differ(before, after):
        return "same"
    if kind == "pass":
        return "fixed" if after else "broken"
    if kind == "number":
        return "better" if after > before else "worse"
    return "changed"
