"""Spans as MLflow hands them over, whole or in outline.

MLflow builds a span's object when one of its properties is asked for, which takes longer than
reading the span from the database did. So spans are read from the form in which they are stored.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalkit.core.observed import KINDS, in_order
from evalkit.core.spans import Span, SpanKind, Status
from evalkit.jsonable import Json, to_json, well_formed
from evalkit.store.forms import INPUTS, KIND, OUTPUTS

if TYPE_CHECKING:
    from mlflow.entities import Span as StoredSpan
    from mlflow.entities import Trace as MlflowTrace

TOO_DEEP = "[nested too deeply to be read]"

_NOTHING: Mapping[str, Json] = {}
_ODD = re.compile(r"\\u[dD]|NaN|Infinity|\d[eE]\+?\d{3}")  # in JSON, what is not well-formed
_ID_LENGTH = 12  # characters: eight bytes in base64
_STATUSES: dict[str, Status] = {"STATUS_CODE_OK": "OK", "STATUS_CODE_ERROR": "ERROR"}


def spans_of(trace: MlflowTrace) -> tuple[Span, ...]:
    """The spans of MLflow's own object without attributes, each parent before its children."""
    return in_order([_span(form, *_given(form)) for form in map(_form, trace.data.spans)])


def all_of(spans: Sequence[StoredSpan]) -> tuple[Span, ...]:
    """A trace's spans with all they hold, each parent before its children."""
    return in_order([_span(form, *_contents(form)) for form in map(_form, spans)])


def outline_of(spans: Sequence[StoredSpan]) -> tuple[Span, ...]:
    """The first span at the top with what it was given and gave; of the others tools and failures.

    These are in the order of time, without contents.
    """
    forms = sorted(map(_form, spans), key=_times)
    known = {form["span_id"] for form in forms}
    top = next((form for form in forms if form["parent_span_id"] not in known), None)
    if top is None:
        return ()
    others = [
        _span(form)
        for form in forms
        if form is not top
        and (
            _STATUSES.get(form["status"]["code"]) == "ERROR"
            or _kind(form["attributes"].get(KIND)) == "TOOL"
        )
    ]
    return _span(top, *_given(top)), *others


def _times(form: Mapping[str, Any]) -> tuple[int, int]:
    return form["start_time_unix_nano"] or 0, -(form["end_time_unix_nano"] or 0)


def _form(span: StoredSpan) -> Mapping[str, Any]:
    """A span as MLflow stores it now; older releases wrote ids and states in other ways."""
    form: Mapping[str, Any] = span.to_dict()
    if len(form.get("span_id", "")) == _ID_LENGTH:
        return form
    from mlflow.entities import Span as AnySpan

    renewed: Mapping[str, Any] = AnySpan.from_dict(dict(form)).to_dict()
    return renewed


def _span(
    form: Mapping[str, Any],
    inputs: Json = None,
    outputs: Json = None,
    attributes: Mapping[str, Json] = _NOTHING,
) -> Span:
    parent = form["parent_span_id"]
    start = form["start_time_unix_nano"] or 0
    return Span(
        binascii.a2b_base64(form["span_id"]).hex(),
        binascii.a2b_base64(parent).hex() if parent else None,
        well_formed(form["name"]),
        _kind(form["attributes"].get(KIND)),
        start,
        max(form["end_time_unix_nano"] or start, start),
        inputs,
        outputs,
        attributes,
        _STATUSES.get(form["status"]["code"], "UNSET"),
        _message(form),
    )


def _given(form: Mapping[str, Any]) -> tuple[Json, Json]:
    held = form["attributes"]
    return _decoded(held.get(INPUTS)), _decoded(held.get(OUTPUTS))


def _contents(form: Mapping[str, Any]) -> tuple[Json, Json, dict[str, Json]]:
    held = {well_formed(name): _decoded(raw) for name, raw in form["attributes"].items()}
    return held.pop(INPUTS, None), held.pop(OUTPUTS, None), held


def _kind(raw: object) -> SpanKind:
    return KINDS.get(raw.strip('"'), "CHAIN") if isinstance(raw, str) else "CHAIN"


def _decoded(raw: object) -> Json:
    """An attribute's value: MLflow writes JSON; others write what they like."""
    try:
        if not isinstance(raw, str):
            return well_formed(to_json(raw))
        try:
            value = json.loads(raw)
            return value if raw.isascii() and not _ODD.search(raw) else well_formed(value)
        except ValueError:
            return well_formed(raw)
    except RecursionError:
        return TOO_DEEP


def _message(form: Mapping[str, Any]) -> str:
    """Why a span failed: its own word, else that of an exception that it recorded."""
    own = form["status"].get("message")
    for event in () if own else form.get("events") or ():
        if event["name"] == "exception":
            attributes = event.get("attributes") or {}
            said = (attributes.get(f"exception.{part}", "") for part in ("type", "message"))
            own = ": ".join(str(each) for each in said if each)
            break
    message: str = well_formed(own or "")
    return message
