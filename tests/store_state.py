"""Everything that an experiment holds in MLflow's database, fit to be compared."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

Row = tuple[tuple[str, Any], ...]

_OF_RUNS = "run_uuid IN (SELECT run_uuid FROM runs WHERE experiment_id = :e)"
_OF_TRACES = "request_id IN (SELECT request_id FROM trace_info WHERE experiment_id = :e)"
_OF_DATASETS = (
    "dataset_id IN (SELECT source_id FROM entity_associations"
    " WHERE destination_type = 'experiment' AND destination_id = CAST(:e AS TEXT))"
)
_CLOCK = {"created_time", "last_update_time", "digest"}

# which rows of each table belong to an experiment, and what differs from one writing to the next
_TABLES: dict[str, tuple[str, set[str]]] = {
    "runs": ("experiment_id = :e", {"artifact_uri", "deleted_time", "user_id"}),
    "params": (_OF_RUNS, set()),
    "metrics": (_OF_RUNS, set()),
    "latest_metrics": (_OF_RUNS, set()),
    "tags": (_OF_RUNS, set()),
    "trace_info": ("experiment_id = :e", {"db_payload_generation"}),
    "trace_tags": (_OF_TRACES + " AND key <> 'mlflow.artifactLocation'", set()),
    "trace_request_metadata": (_OF_TRACES, set()),
    "spans": ("experiment_id = :e", set()),
    "assessments": (_OF_TRACES.replace("request_id", "trace_id", 1), {"last_updated_timestamp"}),
    "evaluation_datasets": (_OF_DATASETS, _CLOCK | {"dataset_id"}),
    "evaluation_dataset_records": (_OF_DATASETS, _CLOCK | {"dataset_id", "dataset_record_id"}),
}


def state(database: Path, experiment: str) -> dict[str, list[Row]]:
    """Each table's rows, sorted, without what is random or a time of the clock.

    Run ids are replaced by words, wherever they occur; the experiment's id is left out.
    """
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        named = "SELECT experiment_id FROM experiments WHERE name = ?"
        where = {"e": connection.execute(named, [experiment]).fetchone()[0]}
        runs = connection.execute("SELECT run_uuid FROM runs WHERE experiment_id = :e", where)
        words = {row[0]: f"run {n}" for n, row in enumerate(sorted(runs, key=tuple))}
        return {
            table: sorted(
                _row(row, words, skipped | {"experiment_id"})
                for row in connection.execute(
                    f"SELECT * FROM {table} WHERE {condition}",  # noqa: S608 - the constants above
                    where,
                )
            )
            for table, (condition, skipped) in _TABLES.items()
        }


def _row(row: sqlite3.Row, words: dict[str, str], skipped: set[str]) -> Row:
    columns = [name for name in row.keys() if name not in skipped]  # noqa: SIM118 - a row is no dict
    return tuple((name, words.get(row[name], _plain(row[name]))) for name in sorted(columns))


def _plain(value: Any) -> str:
    """The value as text; JSON with sorted keys, because MLflow writes some in random order."""
    if isinstance(value, str):
        with suppress(ValueError):
            return json.dumps(json.loads(value), sort_keys=True)
    return repr(value)


def artifacts(folder: Path) -> dict[str, bytes]:
    """The content of every artifact below a folder of MLflow's, by its path within its run."""
    return {
        path.as_posix().partition("/artifacts/")[2]: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
