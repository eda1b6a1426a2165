"""All receipts of a run in one: what became of every line of every log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from evalkit.core.receipt import Receipt
from evalkit.core.values import Json

WHOLE_RUN = "(whole run)"
"""Stands for the log of a batch run where a case's name would stand."""


@dataclass(frozen=True, slots=True)
class Receipts:
    """The receipts of a run's logs.

    Attributes:
        by_log: Case (or :data:`WHOLE_RUN`) to receipt; of the refused logs, too.
        refused: Case to the reason why its log gives no trace.
        missing: Cases that have no log.
    """

    by_log: Mapping[str, Receipt] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def totals(self) -> dict[str, Json]:
        """The sums over all logs, as the stage's report shows them."""
        found = self.by_log.values()
        skipped: Counter[str] = Counter()
        masked: Counter[str] = Counter()
        for receipt in found:
            skipped.update(receipt.skipped)
            masked.update(receipt.masked)
        return {
            "logs": len(self.by_log),
            "lines": sum(r.lines for r in found),
            "used": sum(r.used for r in found),
            "skipped": sum(skipped.values()),
            "unreadable": sum(len(r.unreadable) for r in found),
            "masked": sum(masked.values()),
            "verdicts": dict(sorted(Counter(r.verdict for r in found).items())),
            "refused": dict(self.refused),
            "missing": list(self.missing),
        }

    def as_dict(self) -> dict[str, Json]:
        """Everything, as it is written to ``receipt.json``."""
        logs = {name: receipt.as_dict() for name, receipt in sorted(self.by_log.items())}
        return {"totals": self.totals(), "logs": logs}
