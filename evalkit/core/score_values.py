"""The values of a judge's scores: which count, of what kind they are, and whether two differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from evalkit.core.results import Score
from evalkit.jsonable import Json, exact, is_number

Kind: TypeAlias = Literal["pass", "number", "label", "other", "mixed", "nothing"]
"""What values are: true or false, numbers, text, lists or mappings; of
several kinds; or there are none."""

Scores: TypeAlias = Mapping[str, Score]
"""One judge's scores in one run, by case."""


def value_of(score: Score | None) -> Json:
    """The value that counts: none where the judge failed, skipped the case or gave no number."""
    if score is None or score.error:
        return None
    value = score.value
    return None if kind_of(value) == "number" and not is_number(value) else value


def kind_in(scores: Iterable[Scores]) -> Kind:
    """What all values of these scores are."""
    kinds = {
        kind_of(value)
        for found in scores
        for score in found.values()
        if (value := value_of(score)) is not None
    }
    if len(kinds) > 1:
        return "mixed"
    return kinds.pop() if kinds else "nothing"


def kind_of(value: Json) -> Kind:
    """What one value is; it is there."""
    if isinstance(value, bool):
        return "pass"
    if isinstance(value, (int, float)):
        return "number"
    return "label" if isinstance(value, str) else "other"


def beyond_floats(values: Iterable[tuple[str, str, Json]]) -> Iterator[str]:
    """That some values, each after its case and judge, are whole numbers which MLflow would round.

    They become text there.
    """
    large = {f"{case_id}/{judge}": "" for case_id, judge, value in values if exact(value) != value}
    if large:
        whose = ", ".join(large)
        yield f"whole numbers beyond 2^53, which MLflow would round, are text there: {whose}"


def differ(before: Json, after: Json) -> bool:
    """Whether two values are not the same; true is not the number one."""
    return kind_of(before) != kind_of(after) or bool(before != after)
