"""What an agent notes on a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.entities import Assessment
from evalkit.errors import Problem
from evalkit.jsonable import Json, canonical, derive_id

NoteKind: TypeAlias = Literal["tag", "feedback", "expectation"]

SOURCE = "evalkit-agent"
"""Source of the feedback and expectations that an agent leaves."""

RESERVED = ("mlflow.", "evalkit.")
NAME_CHARS = 250
TAG_CHARS = 8_000


@dataclass(frozen=True, slots=True)
class Note:
    """Something to be noted on a trace.

    Attributes:
        trace_id: The trace.
        kind: A tag, feedback or an expectation.
        name: Its name.
        value: Text, number, truth value, list or object; of a tag, its text.
        rationale: Why; tags have none.
    """

    trace_id: str
    kind: NoteKind
    name: str
    value: Json
    rationale: str = ""

    def problems(self) -> Iterator[Problem]:
        """Why it cannot be noted."""
        if self.kind not in {"tag", "feedback", "expectation"}:
            fix = "use tag, feedback or expectation"
            yield Problem(f"{self.kind!r} is no kind of note", field="kind", fix=fix)
        if not self.name.strip() or len(self.name) > NAME_CHARS:
            fix = f"name it, in {NAME_CHARS} characters at most"
            yield Problem("the name is empty or too long", field="name", fix=fix)
        if self.name.strip().lower().startswith(RESERVED):
            fix = f"use a name that does not begin with {' or '.join(RESERVED)}"
            yield Problem(f"the name {self.name[:80]!r} is reserved", field="name", fix=fix)
        if self.value is None or self.value == "":
            yield Problem("there is no value", field="value", fix="give one")
        if self.kind == "tag" and len(self.text) > TAG_CHARS:
            fix = f"use {TAG_CHARS:,} characters at most"
            yield Problem("the tag's value is too long", field="value", fix=fix)

    @property
    def text(self) -> str:
        """The value as a tag holds it."""
        return self.value if isinstance(self.value, str) else canonical(self.value)

    def assessment(self, time_ms: int) -> Assessment:
        """The note as an assessment; of one name and kind an agent has one word on a trace.

        MLflow keeps no rationale of an expectation, so that one goes into its metadata.
        """
        is_feedback = self.kind == "feedback"
        return Assessment(
            "a-" + derive_id(SOURCE, self.trace_id, self.kind, self.name),
            self.trace_id,
            self.name,
            self.value,
            "CODE",
            SOURCE,
            self.rationale if is_feedback else "",
            metadata={"rationale": self.rationale} if self.rationale and not is_feedback else {},
            time_ms=time_ms,
            kind="feedback" if is_feedback else "expectation",
        )
