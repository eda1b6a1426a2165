"""What an execution of a run becomes as a trace: its log's spans, else a stub; knows no store.

A case is None here where a whole batch run is meant.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from evalkit.agent_logs import FORMATS
from evalkit.claude_log.content_blocks import Trimmer
from evalkit.claude_log.log_trace import MAX_VALUE_CHARS, build_trace
from evalkit.claude_log.timing import Start, start_of
from evalkit.claude_log.usage import reported_usage
from evalkit.dataset.cases import read_case
from evalkit.dataset.mapping import SchemaMapping, apply_mapping, parse_mapping
from evalkit.entities import HASH_TAG, STUB_TAG, Span, Status, Trace
from evalkit.errors import InputError, LogRefused
from evalkit.feedback.trace_index import marks_of, trace_id_of
from evalkit.files import check_id, inside, read_document, read_text
from evalkit.jsonable import Json, canonical, derive_id, is_text
from evalkit.masking import mask_json, mask_text
from evalkit.receipt import WHOLE_RUN, Receipt, Receipts
from evalkit.runs.log_file import INPUT, LogFile
from evalkit.runs.run import executions, told
from evalkit.runs.run_dir import RunFiles
from evalkit.tokens import Consumption

STUB_BUILDER = "evalkit stub 1"  # part of every stub's content hash, as the builder's is of logs'
PLAIN_TEXT = "its log is plain text"  # why a trace has no steps
NAMED_FOR_INPUT = ("input", "prompt")  # files, whatever their suffix, with what the agent is asked


def case_trace(
    found: RunFiles, case_id: str | None, key: str, receipts: Receipts, *, stands: bool
) -> Trace | None:
    """The trace of a case, marked as this run's; what became of its log is added to the receipts.

    None where the log gives none, but one with steps ``stands`` in MLflow.
    """
    log, name = found.logs.get(case_id), WHOLE_RUN if case_id is None else case_id
    trace, refused = None, None
    try:
        trace = trace_of(found, log, key) if log is not None else None
    except LogRefused as error:
        refused = error
        if log is not None and error.receipt.is_text and is_text(log.text() or ""):
            error.receipt.use_as_text()
        else:
            receipts.refused[name] = str(error)
            error.receipt.verdict = "refused"
        receipts.by_log[name] = error.receipt
    if trace is not None:
        receipts.by_log[name] = trace.receipt
    elif stands:
        return None
    else:
        trace = stub_of(found, case_id, key, refused)
        receipts.missing += [] if log else [name]
    marks = marks_of(key, case_id) | {HASH_TAG: trace.content_hash}
    own_id = trace_id_of(key, case_id, trace.content_hash)
    return replace(trace, trace_id=own_id, tags={**trace.tags, **marks})


def trace_of(found: RunFiles, log: LogFile, key: str) -> Trace:
    """The trace that a log of a run becomes; its ids are derived from the run's key.

    Raises:
        LogRefused: no trace can be made of it.
    """
    run, case_id = found.run, log.case_id
    trace = build_trace(
        log.lines(),
        trace_id=trace_id_of(key, case_id),
        name=run.run_id if case_id is None else case_id,
        case_id=case_id,
        start=began(found, log.modified_ns()),
        sidecars=log.subagents(),
        times=log.events(),
        request=given(found, case_id),
        reported=run.usage if case_id is None else run.case_usage.get(case_id),
        formats=FORMATS,
    )
    return as_run_says(trace, run.usage_of(case_id).exit_code, _failure(found, case_id))


def as_run_says(trace: Trace, exit_code: int | None, failure: str) -> Trace:
    """The trace, ended as its run says: a log tells of a session, and not that it was killed.

    ``failure`` is why the execution failed; empty where it did not.
    """
    if trace.status == "ERROR" or (not failure and (trace.status == "OK" or exit_code is None)):
        return trace
    status, message = _outcome(exit_code, failure)
    root, *others = trace.spans
    message = ": ".join(filter(None, (message, root.message))) if failure else ""
    ended = replace(root, status=status, message=message)
    content = _hash([trace.content_hash, status, message])
    return replace(trace, status=status, spans=(ended, *others), content_hash=content)


def stub_of(
    found: RunFiles, case_id: str | None, key: str, refused: LogRefused | None = None
) -> Trace:
    """The trace of a case without steps, under the id of the log's trace that may replace it.

    ``refused`` is why its log gives no steps; None where there is no log.
    """
    return stub(
        found.run.run_id if case_id is None else case_id,
        trace_id_of(key, case_id),
        case_id,
        began(found, found.modified_ns()),
        found.run.usage_of(case_id),
        _failure(found, case_id),
        refused,
        (given(found, case_id), _output(found, case_id)),
    )


def stub(
    name: str,
    trace_id: str,
    case_id: str | None,
    start: Start,
    usage: Consumption,
    failure: str,
    refused: LogRefused | None,
    said: tuple[Json, Json],
) -> Trace:
    """The trace of an execution of one span, which says why it has no steps."""
    trim = Trimmer(MAX_VALUE_CHARS, Receipt())
    receipt = refused.receipt if refused else Receipt(verdict="no log")
    why = mask_text(refused.problems[0].message if refused else "there is no log of it")[0]
    why = PLAIN_TEXT if receipt.verdict == "text" else why
    status, message = _outcome(usage.exit_code, failure)
    facts = {
        "evalkit.no_steps": why,
        "evalkit.time": "inferred",
        "evalkit.exit_code": usage.exit_code,
        "evalkit.num_turns": usage.num_turns,
    }
    metadata: dict[str, str] = {}
    if usage.tokens:
        used = reported_usage(usage.tokens).as_mlflow(with_output="output" in usage.tokens)
        metadata["mlflow.trace.tokenUsage"] = canonical(used)
    if usage.cost_usd is not None:
        metadata["mlflow.trace.cost"] = canonical({"total_cost": usage.cost_usd})
    root = Span(
        span_id=derive_id(trace_id, "spans", length=16),
        parent_id=None,
        name=name,
        kind="AGENT",
        start_ns=start.ns,
        end_ns=start.ns + round((usage.duration_s or 0) * 10**9),
        inputs=trim.value(mask_json(said[0]), "input"),
        outputs=trim.value(mask_json(said[1]), "output"),
        attributes={key: value for key, value in facts.items() if value is not None},
        status=status,
        message=message,
    )
    decides = [STUB_BUILDER, root.name, root.inputs, root.outputs, why, status, message]
    decides += [None if start.inferred else start.ns, facts, usage.duration_s, metadata]
    return Trace(
        trace_id=trace_id,
        name=name,
        case_id=case_id,
        start_ns=root.start_ns,
        end_ns=root.end_ns,
        status=status,
        request=root.inputs,
        response=root.outputs,
        spans=(root,),
        tags={STUB_TAG: why, "evalkit.receipt": receipt.verdict},
        metadata=metadata,
        content_hash=_hash(decides),
        receipt=receipt,
    )


def began(found: RunFiles, modified_ns: int) -> Start:
    """When a run began, as far as its files tell; else when one of its logs was changed."""
    return start_of(found.first_ns, found.run.started, found.run.run_id, modified_ns)


def given(found: RunFiles, case_id: str | None) -> Json:
    """What a case gave to the agent; None where no file of the run or project says.

    It is ``input.yaml``, else what the mapping selects, else a file that is named like it.
    It is asked for what no log tells, so an unreadable file counts as none.
    """
    if case_id is None:
        return None
    theirs = found.cases_dir
    for folder, root in ((found.folder / "cases", found.folder), (theirs, theirs)):
        with suppress(InputError):
            path = folder and root and inside(folder / check_id(case_id, "case id") / INPUT, root)
            if path and path.is_file():
                return read_document(path).value
    with suppress(InputError):
        if theirs and inside(theirs / check_id(case_id, "case id"), theirs).is_dir():
            case, mapping = read_case(theirs, case_id), _mapping(found)
            if mapping and (inputs := apply_mapping(mapping, case).record.inputs):
                return dict(inputs)
            known = {**case.texts, **case.documents}
            return next((known[name] for name in known if Path(name).stem in NAMED_FOR_INPUT), None)
    return None


def _mapping(found: RunFiles) -> SchemaMapping | None:
    with suppress(InputError):
        if (path := found.mapping_file) and path.is_file():
            mapping = parse_mapping(read_text(path), str(path))
            return mapping if mapping.evaluation in {"", found.project.name} else None
    return None


def _hash(decides: list[Json]) -> str:
    return hashlib.sha256(canonical(decides).encode("utf-8", "replace")).hexdigest()


def _outcome(exit_code: int | None, failure: str) -> tuple[Status, str]:
    """How an execution ended, and why it failed; unspecified where nobody knows."""
    if failure:
        return "ERROR", failure
    return ("UNSET", "how it ended is not known") if exit_code is None else ("OK", "")


def _failure(found: RunFiles, case_id: str | None) -> str:
    if case_id is None:
        return found.run.failed.get(WHOLE_RUN) or told(executions(found.run))
    return found.run.failed.get(case_id, "")


def _output(found: RunFiles, case_id: str | None) -> Json:
    """The text of the one file that there is, all by name where there are several, else the log."""
    files = {n: text for n, text in found.produced(case_id).items() if n != INPUT}
    if not files:
        log = found.logs.get(case_id)
        return log.text() if log else None
    known = {name: "(no text, or too large)" if t is None else t for name, t in files.items()}
    return next(iter(known.values())) if len(known) == 1 else dict(known)
