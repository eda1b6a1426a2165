"""Assessments on traces that are there already.

MLflow has no request for several assessments. But a trace's list entry, sent again, merges the
assessments that come with it by id: one request a trace, and safe to repeat. Only assessments
that a person has overridden are updated one by one, because merging makes them count again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from evalkit.entities import MARKER, SOURCE_RUN, Assessment, Changes
from evalkit.errors import StoreError
from evalkit.jsonable import Json, derive_id
from evalkit.store.carry import Carried, on_trace
from evalkit.store.gateway import Gateway
from evalkit.store.search import fetch
from evalkit.store.wire import assessment_json, clean, is_finished

_AT_A_TIME = 100


def adopt(
    gateway: Gateway, experiment_id: str, run_id: str, tags: Mapping[str, Mapping[str, str]]
) -> None:
    """Take recorded traces of one experiment into a run.

    Args:
        gateway: The way into MLflow.
        experiment_id: Where the traces lie.
        run_id: The run.
        tags: Trace id to the tags it gets.

    Raises:
        StoreError: a trace is gone, or MLflow failed.
    """
    for ids in _portions(list(tags)):
        now = _present(gateway, experiment_id, ids)
        linked = {SOURCE_RUN: run_id}
        _send(
            gateway,
            [
                {**_again(now[each]), "tags": dict(tags[each]), "trace_metadata": linked}
                for each in ids
            ],
        )


def supersede(
    gateway: Gateway,
    experiment_id: str,
    successors: Mapping[str, tuple[str, Mapping[str, str]]],
) -> None:
    """Copy everything on some traces to others, and take these into the same run.

    Args:
        gateway: The way into MLflow.
        experiment_id: Where all of them lie.
        successors: Trace id to the other's id, with the tags that this one gets.

    Raises:
        StoreError: a trace is gone, or MLflow failed.
    """
    ids = [*successors, *(new for new, _ in successors.values())]
    now = _present(gateway, experiment_id, ids)
    for old, (new, tags) in successors.items():
        left = on_trace(now[old])
        run_id = now[old].get("trace_metadata", {}).get(SOURCE_RUN)
        if run_id:
            adopt(gateway, experiment_id, run_id, {new: {**left.tags, **tags}})
        there = {row["assessment_id"] for row in now[new].get("assessments", [])}
        moved = {key: _id_on(row, new) for key, row in left.assessments.items()}
        carried = Carried(
            {
                moved[key]: {**row, "assessment_id": moved[key], "trace_id": new}
                | ({"overrides": moved[row["overrides"]]} if row.get("overrides") in moved else {})
                for key, row in left.assessments.items()
            }
        )
        for row in (*carried.at_once(()), *carried.afterwards(())):
            if row["assessment_id"] not in there:
                gateway.create_assessment(row)


def _id_on(row: Json, trace_id: str) -> str:
    """The id of an assessment on another trace: evalkit's own as it is derived there."""
    metadata = row.get("metadata", {})
    if MARKER not in metadata:
        return "a-" + derive_id("moved", trace_id, row["assessment_id"])
    source = row["source"]["source_type"]
    case_id = metadata.get("case_id", "")
    return "a-" + derive_id(trace_id, case_id, row["assessment_name"], source)


def write_assessments(gateway: Gateway, experiment_of: Mapping[str, str], changes: Changes) -> None:
    """Bring changes about: deletions first, then updates and what is new.

    Args:
        gateway: The way into MLflow.
        experiment_of: The experiment of each trace, by id.
        changes: What is to be written.

    Raises:
        StoreError: a trace is gone, or MLflow failed.
    """
    for old in changes.delete:
        with gateway.answering("deleting an assessment"):
            gateway.tracking.delete_assessment(old.trace_id, old.assessment_id)
    by_trace: dict[str, list[Assessment]] = defaultdict(list)
    for each in (*changes.update, *changes.create):
        by_trace[each.trace_id].append(each)
    by_experiment: dict[str, list[str]] = defaultdict(list)
    for trace_id in by_trace:
        by_experiment[experiment_of[trace_id]].append(trace_id)
    for experiment_id, trace_ids in by_experiment.items():
        for ids in _portions(trace_ids):
            now = _present(gateway, experiment_id, ids)
            entries = [_merged(gateway, now[each], by_trace[each]) for each in ids]
            _send(gateway, [entry for entry in entries if entry["assessments"]])


def _merged(gateway: Gateway, info: Json, wanted: Sequence[Assessment]) -> Json:
    """The list entry that brings assessments with it; those that cannot come so are written."""
    rows = {row["assessment_id"]: row for row in info.get("assessments", [])}
    alone = [each for each in wanted if _stands_alone(each, rows, info)]
    for assessment in alone:
        if assessment.assessment_id in rows:
            patch(gateway, assessment)
        else:
            create(gateway, assessment)
    together = [assessment_json(each) for each in wanted if each not in alone]
    return {**_again(info), "assessments": together}


def create(gateway: Gateway, assessment: Assessment) -> None:
    """Create a single assessment."""
    gateway.create_assessment(assessment_json(assessment))


def patch(gateway: Gateway, assessment: Assessment) -> None:
    """Update an assessment in place; it stays overridden where a person overrode it."""
    from google.protobuf.json_format import ParseDict
    from mlflow.entities import Assessment as Entity

    from evalkit.store.internals import AssessmentMessage

    entity = Entity.from_proto(ParseDict(assessment_json(assessment), AssessmentMessage()))
    with gateway.answering("updating an assessment"):
        gateway.tracking.update_assessment(
            assessment.trace_id,
            assessment.assessment_id,
            name=entity.name,
            feedback=entity.feedback,
            expectation=entity.expectation,
            rationale=clean(assessment.rationale),
            metadata=dict(entity.metadata or {}),
        )


def _stands_alone(assessment: Assessment, rows: Mapping[str, Json], info: Json) -> bool:
    """Whether sending the list entry again would do harm.

    It would make an overridden assessment count again, and fix the times of a trace that is
    still being recorded.
    """
    overridden = rows.get(assessment.assessment_id, {}).get("valid") is False
    return overridden or not is_finished(info)


def _present(gateway: Gateway, experiment_id: str, ids: Sequence[str]) -> dict[str, Json]:
    now = fetch(gateway, experiment_id, ids)
    gone = [each for each in ids if each not in now]
    if gone:
        raise StoreError(
            f"{len(gone)} of the traces are no longer in MLflow, such as {gone[0]};"
            " run the same command again"
        )
    return now


def _again(info: Json) -> Json:
    """What MLflow would overwrite if it were not sent again."""
    kept = (
        "trace_id",
        "trace_location",
        "request_time",
        "execution_duration",
        "state",
        "client_request_id",
    )
    return {key: info[key] for key in kept if key in info}


def _send(gateway: Gateway, entries: Sequence[Json]) -> None:
    """Send list entries, as many at a time as the gateway bears; the first failure ends it."""
    with ThreadPoolExecutor(gateway.workers, thread_name_prefix="evalkit-store") as pool:
        for _ in pool.map(gateway.start_trace, entries):
            pass


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(ids), _AT_A_TIME):
        yield ids[begin : begin + _AT_A_TIME]
