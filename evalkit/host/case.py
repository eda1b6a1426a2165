"""How one case of a run looks: what the judges said, beside what the agent did."""

from __future__ import annotations

from typing import Any

from evalkit.host.glance import difference_table
from evalkit.reading import OpenedCase
from evalkit.ui import page
from evalkit.ui.case import beside, scorecard
from evalkit.ui.conversation import conversation


def case_view(opened: OpenedCase) -> Any:
    """A case's scores beside its conversation, or beside the reason why there is none."""
    if opened.trace is not None:
        told = conversation(opened.trace)
    else:
        told = page.problem(opened.refusal) if opened.refusal else None
    scores = scorecard(opened.case.scores, title=opened.case.case_id)
    return beside([scores], [told], wide=1.9)


def receipt_view(opened: OpenedCase) -> Any:
    """What became of a case's log, in plain words."""
    if opened.receipt is None:
        return page.callout("This case has no log, so there is nothing to account for.")
    return page.stack(
        page.record(opened.receipt.in_words()),
        difference_table(opened.receipt.differences),
    )
