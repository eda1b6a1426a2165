"""What became of every line of a log, whether its tokens and cost add up, and that in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias, get_args

from evalkit.jsonable import Json

WHOLE_RUN = "(whole run)"  # stands for the log of a batch run where a case's name would stand

Cause: TypeAlias = Literal["", "unlogged tokens", "output tokens", "cost"]
"""What of the result's figures calls do not carry, the gravest first; empty where nothing
explains the difference."""

VERDICTS = {
    "reconciled": "Tokens and cost of the spans add up to the log's own totals.",
    "reconciled, output tokens from the result": "What the models read adds up. What they wrote "
    "is the log's own total: its messages hold placeholders.",
    "reconciled, cost from the result": "The tokens of the spans add up. The cost is the log's own "
    "total, which it does not say how to share among the calls.",
    "reconciled, unlogged tokens from the result": "The log's own totals also count calls, or "
    "tokens of calls, that it does not show: a subagent's, helpers'.",
    "differs": "Figures contradict each other, as listed; the trace's totals are the log's own.",
    "incomplete": "The log states no totals: it was cut off, or is of a format without any.",
    "text": "The log is plain text: its trace has no steps.",
    "refused": "No trace can be made of this log.",
}
"""What each verdict means."""

MOST_LINES = 5  # unreadable ones that are named before the rest is only counted
_LONGEST_REASON = 80
_MOST_REASONS = 60
_OTHER_REASONS = "events of further kinds"


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that the spans and the log's own result event do not agree on."""

    what: str  # such as ``output_tokens`` or ``cost_usd``
    model: str  # empty for the whole log
    spans: float  # the sum over the spans: tokens, or USD
    result: float  # what the log's result event says, or the run's own
    why: str
    cause: Cause = ""


def verdict_on(differences: Iterable[Difference]) -> str:
    """``reconciled``, perhaps with what the trace has from the result alone, or ``differs``."""
    causes = {each.cause for each in differences}
    gravest = next((cause for cause in get_args(Cause) if cause in causes), None)
    if gravest is None:
        return "reconciled"
    return f"reconciled, {gravest} from the result" if gravest else "differs"


@dataclass(slots=True)
class Receipt:
    """What became of every line of one log; kept while the log is read.

    ``used + sum(skipped.values()) + len(unreadable) == lines`` holds in the end.
    """

    lines: int = 0  # that are not blank, transcripts' too; of what shares a line, or an array, each
    used: int = 0  # that ended in a span, or in the trace itself
    skipped: Counter[str] = field(default_factory=Counter)  # why they carry nothing for a trace
    # one-based line number, and why it is no JSON object; that begins with a transcript's name
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    sessions: int = 0
    verdict: str = "incomplete"  # one of :data:`VERDICTS`
    differences: list[Difference] = field(default_factory=list)
    masked: Counter[str] = field(default_factory=Counter)  # places by the kind of secret
    truncated: Counter[str] = field(default_factory=Counter)  # characters left out of large values
    notes: list[str] = field(default_factory=list)  # what else a reader must know

    @property
    def is_text(self) -> bool:
        """Whether the log has lines of text and nothing else, not even part of an event."""
        reasons = [why for _, why in self.unreadable]
        plain = all(why in {"no JSON", "broken JSON"} or "but no object" in why for why in reasons)
        return plain and "no JSON" in reasons and len(reasons) == self.lines

    def use_as_text(self) -> None:
        """Book all lines as used: what they say is the answer."""
        self.used, self.unreadable, self.verdict = self.lines, [], "text"
        self.note("the log is plain text: the trace has no steps")

    def settle(self, reason: str | None) -> None:
        """Book a line that was read: None if it was used, else why it was skipped."""
        if reason is None:
            self.used += 1
            return
        reason = reason[:_LONGEST_REASON]
        known = reason in self.skipped or len(self.skipped) < _MOST_REASONS
        self.skipped[reason if known else _OTHER_REASONS] += 1

    def use_after_all(self, reason: str, lines: int) -> None:
        """Book lines as used that were skipped for a reason which proved untrue."""
        self.skipped[reason if reason in self.skipped else _OTHER_REASONS] -= lines
        self.skipped += Counter()  # without those that none is left of
        self.used += lines

    def note(self, text: str) -> None:
        """Keep something that a reader must know."""
        if text not in self.notes:
            self.notes.append(text)

    def as_dict(self) -> dict[str, Json]:
        """The receipt as it is written to ``receipt.json``."""
        counts = ("skipped", "masked", "truncated")
        return asdict(self) | {name: dict(sorted(getattr(self, name).items())) for name in counts}

    def in_words(self) -> dict[str, str]:
        """What became of the log, by heading. Words of the log itself may be among it."""
        skipped, unreadable = sum(self.skipped.values()), len(self.unreadable)
        lines = f"{self.lines:,} lines: {self.used:,} became part of the trace"
        lines += f", {skipped:,} carry nothing for a trace" if skipped else ""
        lines += f", {unreadable:,} could not be read" if unreadable else ""
        named = [f"line {number}: {why}" for number, why in self.unreadable[:MOST_LINES]]
        named += [f"and {unreadable - len(named):,} more"] if unreadable > len(named) else []
        masked = "{name}: {count:,}, replaced by a mark before anything is shown or sent"
        told = {
            "Verdict": f"{self.verdict}. {VERDICTS.get(self.verdict, '')}".strip(),
            "Lines": lines,
            "Skipped": _listed(self.skipped, "{name}: {count:,}"),
            "Unreadable": "\n".join(named),
            "Masked": _listed(self.masked, masked),
            "Shortened": _listed(self.truncated, "{name}: {count:,} characters left out"),
            "Sessions": f"{self.sessions}, one after the other" if self.sessions > 1 else "",
            "To know": "\n".join(self.notes),
        }
        return {heading: text for heading, text in told.items() if text}


def _listed(counts: Mapping[str, int], form: str) -> str:
    return "\n".join(form.format(name=name, count=n) for name, n in sorted(counts.items()))


@dataclass(slots=True)
class Receipts:
    """The receipts of a run's logs by case, or :data:`WHOLE_RUN`."""

    by_log: dict[str, Receipt] = field(default_factory=dict)  # of the refused logs, too
    refused: dict[str, str] = field(default_factory=dict)  # why its log gives no trace
    missing: list[str] = field(default_factory=list)  # that have no log

    def totals(self) -> dict[str, Json]:
        """The sums over all logs, as the stage's report shows them."""
        found = self.by_log.values()
        return {
            "logs": len(found),
            "lines": sum(r.lines for r in found),
            "used": sum(r.used for r in found),
            "skipped": sum(sum(r.skipped.values()) for r in found),
            "unreadable": sum(len(r.unreadable) for r in found),
            "masked": sum(sum(r.masked.values()) for r in found),
            "verdicts": dict(sorted(Counter(r.verdict for r in found).items())),
            "refused": dict(self.refused),
            "missing": list(self.missing),
        }

    def as_dict(self) -> dict[str, Json]:
        """Everything, as it is written to ``receipt.json``."""
        logs = {name: receipt.as_dict() for name, receipt in sorted(self.by_log.items())}
        return {"totals": self.totals(), "logs": logs}
