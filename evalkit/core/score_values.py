"""The values of a judge's scores that MLflow cannot hold as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evalkit.jsonable import Json, exact


def beyond_floats(values: Iterable[tuple[str, str, Json]]) -> Iterator[str]:
    """That some values, each after its case and judge, are whole numbers which MLflow would round.

    They become text there.
    """
    large = {f"{case_id}/{judge}": "" for case_id, judge, value in values if exact(value) != value}
    if large:
        whose = ", ".join(large)
        yield f"whole numbers beyond 2^53, which MLflow would round, are text there: {whose}"
