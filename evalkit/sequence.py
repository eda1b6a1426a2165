"""``all``: stages one after the other, each of which returns its report as the README lists it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from evalkit.context import Workspace
from evalkit.dataset.mapping_file import find_mapping, map_schema
from evalkit.dataset.sync import sync_dataset
from evalkit.errors import EvalkitError, StoreAbsent
from evalkit.feedback.push_pull import Names, push_feedback
from evalkit.jsonable import Json
from evalkit.log_run import log_results

Report: TypeAlias = dict[str, Json]
Tell: TypeAlias = Callable[[str, Report | None], None]


def run_all(
    workspace: Workspace,
    *,
    run_id: str,
    mapping: str | Path | None = None,
    dataset_name: str | None = None,
    distinguish: bool = False,
    names: Names = "auto",
    say: Callable[[str], None] = lambda _: None,
    tell: Tell = lambda *_: None,
) -> Report:
    """Map if there is no mapping, sync, log, push; stop at the first stage that fails.

    Where MLflow is absent, the mapping is still written and the other stages are skipped.
    Arguments are the stages' own; ``tell`` is told each stage's name with None when it begins, and
    with its report when it is done.

    Returns:
        Each stage's report, by the stage's name.

    Raises:
        EvalkitError: as the failing stage; ``report`` holds the reports of those before it.
    """
    workspace.run(run_id)  # a wrong run id is told before anything is written
    path = Path(mapping) if mapping else find_mapping(workspace)
    steps: dict[str, Callable[[], Report]] = {
        "sync-dataset": lambda: sync_dataset(
            workspace, mapping=mapping, dataset_name=dataset_name, distinguish=distinguish, say=say
        ),
        "log-results": lambda: log_results(
            workspace, run_id=run_id, names=names, dataset_name=dataset_name, say=say
        ),
        "push-feedback": lambda: push_feedback(workspace, run_id=run_id, names=names, say=say),
    }
    if not path.exists():
        steps = {"map": lambda: map_schema(workspace, out=path), **steps}
    return run_stages(steps, tell)


def run_stages(steps: Mapping[str, Callable[[], Report]], tell: Tell = lambda *_: None) -> Report:
    """Run stages in order; once MLflow is absent, the stages that are left are skipped unasked.

    Raises:
        EvalkitError: as the failing stage; ``report`` holds the reports so far.
    """
    reports: Report = {}
    absent: Report | None = None
    for name, step in steps.items():
        if absent is not None:
            reports[name] = absent
            continue
        tell(name, None)
        try:
            reports[name] = step()
        except StoreAbsent as error:
            reports[name] = absent = {"skipped": True, "reason": str(error)}
        except EvalkitError as error:
            error.report = {**reports, name: {**error.report, "error": str(error)}}
            raise
        tell(name, reports[name])
    return reports
