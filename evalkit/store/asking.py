"""One trace of an experiment, and notes left on it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from evalkit.core.notes import Note
from evalkit.core.observed import ObservedTrace
from evalkit.entities import Changes
from evalkit.errors import InputError, Problem
from evalkit.store.assessments import write_assessments
from evalkit.store.gateway import Gateway
from evalkit.store.observing import assessments_of, with_spans, within
from evalkit.store.wire import as_kept

if TYPE_CHECKING:
    from mlflow.entities import TraceInfo

_IS_ID = re.compile(r"(?!.*\.\.)[\w.:/-]{1,250}")


def trace_of(gateway: Gateway, experiment_id: str, trace_id: str) -> ObservedTrace:
    """One trace of an experiment with its spans.

    Raises:
        InputError: the experiment has no such trace.
        StoreError: MLflow failed.
    """
    return with_spans(gateway, _info(gateway, experiment_id, trace_id))


def annotate(gateway: Gateway, experiment_id: str, note: Note) -> bool:
    """Note something on a trace; False where just that is noted already.

    Raises:
        InputError: the note is not one, or the experiment has no such trace.
        StoreError: MLflow failed.
    """
    if problems := tuple(note.problems()):
        raise InputError(*problems)
    info = _info(gateway, experiment_id, note.trace_id)
    if note.kind == "tag":
        if info.tags.get(note.name) == note.text:
            return False
        with gateway.answering("setting a tag"):
            gateway.tracking.set_trace_tag(note.trace_id, note.name, note.text)
        return True
    wanted = note.assessment(round(time.time() * 1000))
    if any(as_kept(wanted).says_the_same(each) for each in assessments_of(info)):
        return False
    write_assessments(gateway, {note.trace_id: experiment_id}, Changes(create=(wanted,)))
    return True


def _info(gateway: Gateway, experiment_id: str, trace_id: str) -> TraceInfo:
    info = within(gateway, experiment_id, trace_id) if _IS_ID.fullmatch(trace_id) else None
    if info is None:
        what = f"there is no trace {trace_id[:80]!r} in this experiment"
        raise InputError(Problem(what, field="trace_id", fix="take an id from a search"))
    return info
