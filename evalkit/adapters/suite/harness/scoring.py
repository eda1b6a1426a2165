"""Running a suite's scorers on rows, as MLflow's evaluation would, with nothing stored anywhere."""

from __future__ import annotations

import base64
import copy
import json
import math
import traceback
from pathlib import Path
from typing import Any

from .loading import suite_scorers

MOST_ERROR_CHARS = 1_500
MOST_RATIONALE_CHARS = 500
NS = 1_000_000_000


def score(request: dict[str, Any], evaluation: Path) -> dict[str, Any]:
    """``{"scores": a list of scores for each row, "error"}``; see ``core.agent.suite.Score``."""
    scorers = suite_scorers(evaluation)
    if missing := set(request["only"]) - {scorer.name for scorer in scorers}:
        there = ", ".join(scorer.name for scorer in scorers)
        return {"error": f"SCORERS has no scorer named {', '.join(sorted(missing))}, but {there}"}
    wanted = [scorer for scorer in scorers if not request["only"] or scorer.name in request["only"]]
    stuck: set[str] = set()
    scores = []
    for position, row in enumerate(request["rows"]):
        trace = row_trace(row, position)
        scores.append(
            [
                each
                for scorer in wanted
                for each in _scores(scorer, row, trace, stuck, request["scorer_seconds"])
            ]
        )
    return {"scores": scores}


def row_trace(row: dict[str, Any], position: int) -> Any:
    """The trace that replaying a row leaves: an AGENT span over a TOOL span for each step."""
    from mlflow.entities import (
        Span,
        SpanType,
        Trace,
        TraceData,
        TraceInfo,
        TraceLocation,
        TraceState,
    )

    trace_id, seconds = position + 1, row["seconds"]
    about = {"evalkit.source_trace_id": row["source_trace_id"], "evalkit.recorded_seconds": seconds}
    root = {"mlflow.spanInputs": row["inputs"], "mlflow.spanOutputs": row["outputs"]}
    root |= {name: value for name, value in about.items() if value is not None}
    spans = [_span(trace_id, 1, "agent", SpanType.AGENT, root)]
    for number, step in enumerate(row["steps"], 2):
        given = {"mlflow.spanOutputs": step["output"]}
        spans.append(
            _span(trace_id, number, step["name"], SpanType.TOOL, given, failed=step["failed"])
        )
    info = TraceInfo(
        trace_id=f"tr-{trace_id:032x}",
        trace_location=TraceLocation.from_experiment_id("0"),
        request_time=0,
        state=TraceState.OK,
        request_preview=json.dumps(row["inputs"])[:1000],
        response_preview=json.dumps(row["outputs"])[:1000],
        execution_duration=int((seconds or 0) * 1000),
        tags={"source_trace_id": row["source_trace_id"] or f"row-{position}"},
    )
    return Trace(info, TraceData([Span.from_dict(span) for span in spans]))


def _span(
    trace_id: int,
    span_id: int,
    name: str,
    kind: str,
    attributes: dict[str, Any],
    *,
    failed: bool = False,
) -> dict[str, Any]:
    own = {"mlflow.traceRequestId": f"tr-{trace_id:032x}", "mlflow.spanType": kind, **attributes}
    return {
        "trace_id": base64.b64encode(trace_id.to_bytes(16, "big")).decode(),
        "span_id": base64.b64encode(span_id.to_bytes(8, "big")).decode(),
        "parent_span_id": base64.b64encode((1).to_bytes(8, "big")).decode() if span_id > 1 else "",
        "name": name,
        "start_time_unix_nano": NS,
        "end_time_unix_nano": NS + 1,
        "status": {"code": "STATUS_CODE_ERROR" if failed else "STATUS_CODE_OK", "message": ""},
        "attributes": {key: json.dumps(value) for key, value in own.items()},
        "events": [],
    }


def _scores(
    scorer: Any, row: dict[str, Any], trace: Any, stuck: set[str], seconds: float
) -> list[dict[str, Any]]:
    """What a scorer says about a row; never nothing."""
    name = scorer.name
    if name in stuck:
        return [_failed(name, "not run, because it did not end on a row before")]
    try:
        scorer.timeout = min(scorer.timeout or seconds, seconds)  # MLflow waits five minutes
        given = {key: copy.deepcopy(row[key]) for key in ("inputs", "outputs", "expectations")}
        return _values(scorer.run(**given, trace=trace), name)
    except BaseException as error:  # noqa: BLE001 - the suite's code may raise whatever there is
        if type(error).__name__ == "MlflowTimeoutError":  # a class of MLflow's inside
            stuck.add(name)
            return [_failed(name, f"it did not end within {seconds:.0f} seconds")]
        return [_failed(name, _explained(error))]


def _explained(error: BaseException) -> str:
    """The exception, and the lines of the suite that led to it."""
    lines = traceback.extract_tb(error.__traceback__)
    own = [line for line in lines if Path(line.filename).parent.name == "evaluation"]
    said = "".join(traceback.format_exception_only(error))
    text = "".join(traceback.format_list(own)) + said
    return text[-MOST_ERROR_CHARS:].replace(str(Path.cwd()) + "/", "").strip()


def _values(value: Any, scorer: str) -> list[dict[str, Any]]:
    from mlflow.entities import Feedback

    if isinstance(value, Feedback):
        return [_feedback(value, scorer)]
    if isinstance(value, list) and value and all(isinstance(each, Feedback) for each in value):
        return [_feedback(each, scorer) for each in value]
    return [_valued(scorer, value)]


def _feedback(feedback: Any, scorer: str) -> dict[str, Any]:
    part = "" if feedback.name in {scorer, "feedback"} else feedback.name
    if feedback.error is not None:
        return {**_failed(scorer, f"its Feedback holds an error: {feedback.error}"), "part": part}
    rationale = str(feedback.rationale or "")[:MOST_RATIONALE_CHARS]
    return {**_valued(scorer, feedback.value), "rationale": rationale, "part": part}


def _valued(scorer: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value in {"yes", "no"}:
        return {"scorer": scorer, "value": str(value[:])}
    if isinstance(value, bool | int | float) and math.isfinite(value):
        plain = bool if isinstance(value, bool) else float if isinstance(value, float) else int
        return {"scorer": scorer, "value": plain(value)}
    return _failed(
        scorer,
        f"it returned {repr(value)[:200]}, which is no verdict: return True or False, "
        '"yes" or "no", a finite number, or a Feedback (or a list of them) with such a value',
    )


def _failed(scorer: str, error: str) -> dict[str, Any]:
    return {"scorer": scorer, "value": None, "error": error}
