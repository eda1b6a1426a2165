"""The receipt of a log: what became of every line, and whether tokens and cost add up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from evalkit.core.values import Json

Cause: TypeAlias = Literal["", "unlogged tokens", "output tokens", "cost"]
"""What of the result's figures calls do not carry, the gravest first; empty where nothing
explains the difference."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that the spans and the log's own result event do not agree on.

    Attributes:
        what: The figure, such as ``output_tokens`` or ``cost_usd``.
        model: The model it is about; empty for the whole log.
        spans: The sum over the spans (tokens, or USD).
        result: What the log's result event says, or the run's own.
        why: Why they differ, where that is known.
        cause: What kind of difference it is; empty where figures contradict each other.
    """

    what: str
    model: str
    spans: float
    result: float
    why: str
    cause: Cause = ""


def verdict_on(differences: Iterable[Difference]) -> str:
    """``reconciled``, perhaps with what the trace has from the result alone, or ``differs``."""
    causes = {each.cause for each in differences}
    gravest = next((cause for cause in get_args(Cause) if cause in causes), None)
    if gravest is None:
        return "reconciled"
    return f"reconciled, {gravest} from the result" if gravest else "differs"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of every line of one log.

    ``used + sum(skipped.values()) + len(unreadable) == lines`` always holds.

    Attributes:
        lines: Lines that are not blank, of the log and of its subagents' transcripts; of a log
            that is one JSON array, its elements; events and texts that share a line each count.
        used: Lines that ended in a span, or in the trace itself.
        skipped: Reason to number of lines that carry nothing for a trace.
        unreadable: (one-based line number, why) of lines that are no JSON object; the reason
            begins with the file's name where it is a transcript's line.
        sessions: Sessions found in the log.
        verdict: What :func:`verdict_on` says of the differences, ``incomplete`` (the log is cut
            off or says no totals) or ``refused``.
        differences: The figures that do not agree; empty when reconciled.
        masked: Kind of secret to number of places where it was masked.
        truncated: Values that were shortened because of their size, and the characters left out.
        notes: Everything else a reader must know, such as inferred times.
    """

    lines: int = 0
    used: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    unreadable: tuple[tuple[int, str], ...] = ()
    sessions: int = 0
    verdict: str = "incomplete"
    differences: tuple[Difference, ...] = ()
    masked: Mapping[str, int] = field(default_factory=dict)
    truncated: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Json]:
        """The receipt as it is written to ``receipt.json``."""
        from dataclasses import asdict

        return asdict(self)
