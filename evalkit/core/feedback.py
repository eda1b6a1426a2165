"""Assessments that evalkit writes to MLflow, and annotations that people left there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from evalkit.core.values import Json

SourceType: TypeAlias = Literal["CODE", "LLM_JUDGE", "HUMAN"]

MARKER = "evalkit.key"
"""Metadata key on every assessment that evalkit wrote; people's own have none."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """One judgement about one trace, to be written or as MLflow returns it.

    Attributes:
        assessment_id: ``a-`` and 32 hex digits derived from (trace, case, judge, source) for
            those that evalkit writes; MLflow's own id for people's.
        trace_id: The trace it is about.
        name: The judge's name, ``human_review``, or ``{case_id}/{either}``.
        value: Bool, number, text, list or dict; None where the judge failed.
        source_type: Who judged: code, a model, or a person.
        source_id: Which judge or person.
        rationale: Why; empty where none was given.
        error: Why the judge gave no value; empty where it gave one.
        metadata: Text by key; holds :data:`MARKER` and ``case_id`` on evalkit's own.
        time_ms: When it was made, milliseconds since the epoch, from the data.
        kind: MLflow's kind of assessment.
        valid: False where a person overrode it in MLflow.
    """

    assessment_id: str
    trace_id: str
    name: str
    value: Json
    source_type: SourceType
    source_id: str
    rationale: str = ""
    error: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    time_ms: int = 0
    kind: Literal["feedback", "expectation"] = "feedback"
    valid: bool = True
