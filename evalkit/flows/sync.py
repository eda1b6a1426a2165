"""Sync: make an MLflow dataset mirror the cases on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evalkit.core.dataset import Record
from evalkit.core.mirror import KINDS, Change, Plan, plan_mirror
from evalkit.errors import StoreError, Unfinished
from evalkit.jsonable import Json
from evalkit.store import Store


def preview_sync(store: Store, experiment: str, dataset: str, records: Sequence[Record]) -> Plan:
    """What a sync would change, without changing it.

    Raises:
        InputError: two records have equal inputs, or MLflow could not keep one as it is.
        StoreError: MLflow answered with an error.
    """
    store.check_records(records)
    stored = store.records(dataset, store.experiment(experiment, create=False))
    return plan_mirror(records, stored or (), replaces=store.replaces_records)


def apply_sync(
    store: Store,
    experiment: str,
    dataset: str,
    plan: Plan,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Bring the planned changes about.

    New rows are written before old ones are deleted, so that a kill at any point leaves a state
    from which the same command finishes the work. Only a row that loses an expectation is deleted
    first where MLflow would merge the new one into it.

    Raises:
        InputError: the workspace keeps a record otherwise than it was sent; it is written so.
        Unfinished: MLflow failed on the way; the message says so, and running again finishes.
        StoreError: MLflow failed before anything was written.
    """
    if plan.is_empty:
        return
    experiment_id = store.experiment(experiment, create=True)
    store.prepare_dataset(dataset, experiment_id)
    try:
        store.apply_records(
            dataset,
            experiment_id,
            delete=plan.delete_first,
            upsert=plan.upsert,
            say=say,
        )
        store.apply_records(dataset, experiment_id, delete=plan.delete_last, upsert=(), say=say)
    except StoreError as error:
        message = (
            f"{error}\nThe dataset may be half written; run the same command again to finish it."
        )
        raise Unfinished(message, {"dataset": dataset, "planned": _counts(plan)}) from error


def report(dataset: str, plan: Plan) -> dict[str, Json]:
    """The stage's report: how many cases each kind of change happens to, and which ones.

    ``changes`` leaves out the unchanged: ``{case, kind, fields}``, and ``renamed_from`` where a
    case had another name before.
    """
    changes = [_as_json(change) for change in plan.changes if change.kind != "unchanged"]
    return {"dataset": dataset, **_counts(plan), "changes": changes}


def _counts(plan: Plan) -> dict[str, Json]:
    return {kind: plan.count(kind) for kind in KINDS}


def _as_json(change: Change) -> dict[str, Json]:
    found: dict[str, Json] = {
        "case": change.case_id,
        "kind": change.kind,
        "fields": list(change.edited()),
    }
    return found | ({"renamed_from": change.renamed_from} if change.renamed_from else {})
