"""The trace of a case without steps: its input, what output there is, and why there is no more."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from evalkit.claude_log.accounting import Ledger
from evalkit.claude_log.content_blocks import Trimmer
from evalkit.claude_log.timing import Start
from evalkit.core import usage as tokens
from evalkit.core.masking import mask_json, mask_text
from evalkit.core.matching import STUB_TAG
from evalkit.core.receipt import Receipt
from evalkit.core.results import Usage
from evalkit.core.spans import Span, Status, Trace
from evalkit.core.values import Json, canonical, derive_id

BUILDER = "evalkit stub 1"
"""Part of every content hash, as the builder's of logs is."""

NO_LOG = "there is no log of it"

MAX_VALUE_CHARS = 100_000


def build_stub(  # noqa: PLR0913 - all of it decides what the trace looks like
    *,
    trace_id: str,
    name: str,
    case_id: str | None,
    start: Start,
    usage: Usage,
    failure: str,
    why: str,
    request: Json,
    response: Json,
    receipt: Receipt | None = None,
) -> Trace:
    """Build the trace of a case of whose steps nothing is known.

    Args:
        trace_id: The id that the trace of its log would have, which may replace it later.
        name: Name of the trace and of its only span.
        case_id: The case; None for a whole batch run.
        start: When the run began.
        usage: What the run says that the case consumed.
        failure: Why its execution failed; empty where it did not, or is not known to have.
        why: Why there are no steps.
        request: The case's input.
        response: What output there is.
        receipt: Of the log that was refused; None where there is no log.
    """
    trim = Trimmer(MAX_VALUE_CHARS, Ledger())
    asked = trim.value(mask_json(request), "input")
    answered = trim.value(mask_json(response), "output")
    why = mask_text(why)[0]
    status, message = outcome(usage.exit_code, failure)
    facts = {
        "evalkit.no_steps": why,
        "evalkit.time": "inferred",
        "evalkit.exit_code": usage.exit_code,
        "evalkit.num_turns": usage.num_turns,
    }
    end_ns = start.ns + round((usage.duration_s or 0) * 10**9)
    root = Span(
        span_id=derive_id(trace_id, "spans", length=16),
        parent_id=None,
        name=name,
        kind="AGENT",
        start_ns=start.ns,
        end_ns=end_ns,
        inputs=asked,
        outputs=answered,
        attributes={key: value for key, value in facts.items() if value is not None},
        status=status,
        message=message,
    )
    metadata = dict(_totals(usage))
    stated_start = None if start.inferred else start.ns
    decides = [BUILDER, name, asked, answered, why, status, message, stated_start]
    decides += [facts, usage.duration_s, metadata]
    return Trace(
        trace_id=trace_id,
        name=name,
        case_id=case_id,
        start_ns=start.ns,
        end_ns=end_ns,
        status=status,
        request=asked,
        response=answered,
        spans=(root,),
        tags={STUB_TAG: why, "evalkit.receipt": "refused" if receipt else "no log"},
        metadata=metadata,
        content_hash=hashlib.sha256(canonical(decides).encode("utf-8", "replace")).hexdigest(),
        receipt=receipt or Receipt(),
    )


def outcome(exit_code: int | None, failure: str) -> tuple[Status, str]:
    """How an execution ended, and why it failed; unspecified where nobody knows."""
    if failure:
        return "ERROR", failure
    return ("UNSET", "how it ended is not known") if exit_code is None else ("OK", "")


def with_outcome(trace: Trace, exit_code: int | None, failure: str) -> Trace:
    """The trace of a log, with how the run says that the execution ended.

    A log says how a session ended; that its process was killed, only the run knows.
    """
    if trace.status == "ERROR" or (not failure and (trace.status == "OK" or exit_code is None)):
        return trace
    status, message = outcome(exit_code, failure)
    root, *others = trace.spans
    message = ": ".join(filter(None, (message, root.message))) if failure else ""
    decides = [trace.content_hash, status, message]
    return replace(
        trace,
        status=status,
        spans=(replace(root, status=status, message=message), *others),
        content_hash=hashlib.sha256(canonical(decides).encode("utf-8", "replace")).hexdigest(),
    )


def _totals(usage: Usage) -> Mapping[str, str]:
    """What the case consumed, as MLflow keeps it."""
    found: dict[str, str] = {}
    if usage.tokens:
        kinds = ("input", "output", "cache_read", "cache_create")
        used = tokens.Usage(*(tokens.count(usage.tokens.get(kind)) for kind in kinds))
        with_output = "output" in usage.tokens
        found["mlflow.trace.tokenUsage"] = canonical(used.as_mlflow(with_output=with_output))
    if usage.cost_usd is not None:
        found["mlflow.trace.cost"] = canonical({"total_cost": usage.cost_usd})
    return found
