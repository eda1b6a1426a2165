"""Assessments in a store that gives them ids of its own: a mark says which one is which.

What evalkit writes there carries in its metadata the id that evalkit derived. Read back, it is put
under that id, so that the rest of this package compares, updates and deletes as it does anywhere.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Assessment

ID_MARK = "evalkit.id"
"""Metadata key: the id by which evalkit knows an assessment."""


def marked(row: Assessment, theirs: Mapping[str, str]) -> Assessment:
    """An assessment as such a store takes it.

    Args:
        row: The assessment, under the id by which evalkit knows it; without one it gets no mark.
        theirs: The store's ids of what stands on its trace, by evalkit's.
    """
    sent = copy.copy(row)
    if row.assessment_id:
        sent.metadata = {**(row.metadata or {}), ID_MARK: row.assessment_id}
        sent.assessment_id = None
    if row.overrides:
        sent.overrides = theirs.get(row.overrides, row.overrides)
    return sent


def recognise(said: Sequence[Assessment]) -> dict[str, str]:
    """Put the assessments of a trace under the ids that they are marked with, in place.

    Of several with the same mark, as two writers at once leave them, the oldest gets the id. The
    others keep the store's, so that they are found to be too many, and withdrawn.

    Returns:
        The store's id of each, by the id that it has now.
    """
    theirs: dict[str, str] = {}
    for each in sorted(said, key=lambda each: each.create_time_ms or 0):
        given = str(each.assessment_id)
        mark = each.metadata.pop(ID_MARK, "") if each.metadata else ""
        each.assessment_id = mark if mark and mark not in theirs else given
        theirs[each.assessment_id] = given
    ours = {given: own for own, given in theirs.items()}
    for each in said:
        if each.overrides:
            each.overrides = ours.get(each.overrides, each.overrides)
    return theirs
