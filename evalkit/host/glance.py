"""What of a run comes first on every page: its failures; and what of a log does not add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evalkit.receipt import Difference
from evalkit.runs.run import Run, executions, told
from evalkit.ui import page


def failures(run: Run) -> Any:
    """How many executions failed, which comes first on every page; None where none did."""
    words = told(executions(run))
    return page.callout(f"**{page.quoted(words)}**", "danger") if words else None


def difference_table(differences: Sequence[Difference]) -> Any:
    """Figures of a trace that do not add up to the log's own; None where all do."""
    rows = [
        {
            "Figure": each.what.replace("_", " "),
            "Model": each.model or "all",
            "The spans add up to": f"{each.spans:,.6g}",
            "The result says": f"{each.result:,.6g}",
            "Why": each.why,
        }
        for each in differences
    ]
    return (
        page.table(rows, label="**What does not add up**", wrapped_columns=["Why"])
        if rows
        else None
    )
