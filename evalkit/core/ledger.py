"""The running account of a log while it is read; what it says in the end is the receipt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from evalkit.core.receipt import Difference, Receipt

_LONGEST_REASON = 80
_MOST_REASONS = 60
_OTHER_REASONS = "events of further kinds"


@dataclass(slots=True)
class Ledger:
    """Counts what becomes of every line, and keeps what a reader of the trace must know.

    Attributes:
        lines: Entries seen: lines that are not blank, or elements of a JSON array.
        used: Entries that ended in the trace.
        skipped: Reason to number of entries that carry nothing for a trace.
        unreadable: (one-based line number, why) of entries that are no JSON object.
        prefixed: Events that stand behind other text on their line.
        prefix: Such a text, of the first of them.
        masked: Kind of secret to places where it was masked.
        truncated: What was shortened, to characters left out.
        notes: Everything else, each said once.
    """

    lines: int = 0
    used: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    prefixed: int = 0
    prefix: str = ""
    masked: Counter[str] = field(default_factory=Counter)
    truncated: Counter[str] = field(default_factory=Counter)
    notes: dict[str, None] = field(default_factory=dict)

    def settle(self, reason: str | None) -> None:
        """Book an entry that was read: None if it was used, else why it was skipped."""
        if reason is None:
            self.used += 1
            return
        reason = reason[:_LONGEST_REASON]
        known = reason in self.skipped or len(self.skipped) < _MOST_REASONS
        self.skipped[reason if known else _OTHER_REASONS] += 1

    def use_after_all(self, reason: str, entries: int) -> None:
        """Book entries as used that were skipped for a reason which proved untrue."""
        self.skipped[reason if reason in self.skipped else _OTHER_REASONS] -= entries
        self.skipped += Counter()  # without those that none is left of
        self.used += entries

    def reject(self, number: int, why: str) -> None:
        """Book an entry that is no JSON object."""
        self.lines += 1
        self.unreadable.append((number, why))

    def note(self, text: str) -> None:
        """Keep something that a reader must know; saying it again changes nothing."""
        self.notes[text] = None

    def cut(self, what: str, characters: int) -> None:
        """Book that a value was shortened."""
        self.truncated[what] += characters

    def receipt(
        self, verdict: str, *, sessions: int = 0, differences: Iterable[Difference] = ()
    ) -> Receipt:
        """The account as it stands."""
        return Receipt(
            lines=self.lines,
            used=self.used,
            skipped=dict(sorted(self.skipped.items())),
            unreadable=tuple(self.unreadable),
            sessions=sessions,
            verdict=verdict,
            differences=tuple(differences),
            masked=dict(sorted(self.masked.items())),
            truncated=dict(sorted(self.truncated.items())),
            notes=tuple(self.notes),
        )
