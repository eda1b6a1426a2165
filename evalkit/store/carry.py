"""What others left on a trace, carried over when evalkit has to delete and rewrite it.

Deleting a trace deletes its assessments. So before, everything on it that is not written anew is
parked on a second trace, in one piece, and only when the first stands again does the second go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from evalkit.entities import CASE_TAG, MARKER, RUN_TAG
from evalkit.jsonable import Json, derive_id
from evalkit.store.wire import location

PARKED_TAG = "evalkit.parked"
"""Tag of a second trace: the id of the first."""

_OWN_PREFIXES = ("evalkit.", "mlflow.")


@dataclass(frozen=True, slots=True)
class Carried:
    """What goes from the old version of a trace to the new one.

    Attributes:
        assessments: In MLflow's JSON form, by id.
        tags: Tags that neither evalkit nor MLflow sets.
    """

    assessments: Mapping[str, Json] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.assessments or self.tags)

    def without(self, written: Collection[str]) -> Carried:
        """What is left when the assessments of these ids are written anew."""
        left = {key: row for key, row in self.assessments.items() if key not in written}
        return Carried(left, self.tags)

    def at_once(self, written: Collection[str]) -> list[Json]:
        """The assessments that can be written together with the trace."""
        late = {row["assessment_id"] for row in self.afterwards(written)}
        return [row for key, row in self.assessments.items() if key not in late]

    def afterwards(self, written: Collection[str]) -> list[Json]:
        """Those that override another one, oldest first.

        MLflow marks an assessment as overridden only when the overriding one is created after it.
        """
        there = {*self.assessments, *written}
        late = [row for row in self.assessments.values() if row.get("overrides") in there]
        return sorted(late, key=lambda row: (row["create_time"], row["assessment_id"]))


def on_trace(info: Json | None) -> Carried:
    """What is on a trace, in MLflow's JSON form; nothing where there is no trace."""
    if info is None:
        return Carried()
    rows = {row["assessment_id"]: row for row in info.get("assessments", [])}
    tags = info.get("tags", {})
    return Carried(rows, {k: v for k, v in tags.items() if not k.startswith(_OWN_PREFIXES)})


def parked_id(trace_id: str) -> str:
    """The id of the second trace."""
    return "tr-" + derive_id("parked", trace_id)


def park(
    trace_id: str, carried: Carried, *, experiment_id: str, tags: Mapping[str, str], time: str
) -> Json:
    """The second trace, in MLflow's JSON form.

    Args:
        trace_id: The first trace.
        carried: What to park.
        experiment_id: The experiment of both.
        tags: The first one's tags; the run's key and the case are taken from them.
        time: When the first one began, as MLflow writes it.
    """
    marks = {key: tags[key] for key in (RUN_TAG, CASE_TAG) if key in tags}
    parcel = {"assessments": list(carried.assessments.values()), "tags": dict(carried.tags)}
    return {
        "trace_id": parked_id(trace_id),
        "trace_location": location(experiment_id),
        "request_preview": f"What people left on {trace_id} while evalkit rewrites it",
        "request_time": time,
        "execution_duration": "0s",
        "state": "OK",
        "trace_metadata": {"mlflow.trace_schema.version": "3"},
        "tags": {**marks, PARKED_TAG: trace_id, "mlflow.traceName": "kept by evalkit"},
        "assessments": [
            {
                "assessment_id": "a-" + derive_id("parked", trace_id),
                "assessment_name": "parcel",
                "trace_id": parked_id(trace_id),
                "source": {"source_type": "CODE", "source_id": "evalkit"},
                "create_time": time,
                "last_update_time": time,
                "metadata": {MARKER: "parked"},
                "feedback": {"value": parcel},
            }
        ],
    }


def unpark(info: Json | None) -> Carried:
    """What a second trace holds; nothing where there is none."""
    rows = (info or {}).get("assessments", [])
    parcel = rows[0]["feedback"]["value"] if rows else {"assessments": [], "tags": {}}
    kept = {row["assessment_id"]: row for row in parcel["assessments"]}
    return Carried(kept, parcel["tags"])


def together(parked: Carried, present: Carried) -> Carried:
    """Both; what is on the trace itself is newer than what was parked."""
    return Carried({**parked.assessments, **present.assessments}, {**parked.tags, **present.tags})
