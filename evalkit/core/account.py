"""What of a run stands in MLflow by now, counted as the writing goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from evalkit.core.executions import executions
from evalkit.core.receipt import WHOLE_RUN, Receipt, Receipts
from evalkit.core.results import Run, Score
from evalkit.core.score_values import beyond_floats
from evalkit.jsonable import Json


@dataclass
class Account:
    """The books of one run's logging; in the end they are the stage's report.

    Attributes:
        run: The run.
        receipts: Case (or ``WHOLE_RUN``) to the receipt of its log.
        refused: Case to why its log gives no steps.
        missing: Cases that have no log.
        unwritten: Case to why MLflow did not take its trace.
        standing: The cases whose traces stand in MLflow; ``WHOLE_RUN`` for that of a batch run.
        spans: Spans of the traces built from logs that stand.
        assessments: Judge feedback that stands on the traces.
        params: Params that stand.
        metrics: Metrics that stand.
        table_rows: Rows of the table of scores that stand.
        written: Whether anything had to be written.
        notes: What people should know.
    """

    run: Run
    receipts: dict[str, Receipt] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unwritten: dict[str, str] = field(default_factory=dict)
    standing: set[str] = field(default_factory=set)
    spans: int = 0
    assessments: int = 0
    params: int = 0
    metrics: int = 0
    table_rows: int = 0
    written: bool = False
    notes: list[str] = field(default_factory=list)

    def stands(self, name: str, *, spans: int, assessments: int) -> None:
        """Note that the trace of a case stands, with so many spans and so much feedback."""
        self.standing.add(name)
        self.spans += spans
        self.assessments += assessments

    def about_scores(self) -> Iterator[str]:
        """What people should know of the scores."""
        empty = sum(s.value is None and not s.error for s in self.run.scores)
        if empty:
            yield f"{empty} scores have neither value nor error; they stand in the table only"
        yield from beyond_floats((s.case_id, s.judge, s.value) for s in self.run.scores)
        if not self.run.scores:
            yield "there are no scores; judge feedback that stands in MLflow is left as it is"

    def all_receipts(self) -> Receipts:
        """The receipts of all logs, and which cases have none."""
        return Receipts(self.receipts, self.refused, tuple(self.missing))

    def as_report(self) -> dict[str, Json]:
        """The stage's report, as far as the run itself goes."""
        lost = [f"{score.case_id}/{score.judge}" for score in self._lost()]
        return {
            "executions": executions(self.run),
            "params": self.params,
            "metrics": self.metrics,
            "traces": len(self.standing),
            "spans": self.spans,
            "assessments": self.assessments,
            "table_rows": self.table_rows,
            "receipt": self.all_receipts().totals(),
            "unmatched": len(lost),
            "unmatched_names": lost,
            "unwritten": dict(self.unwritten),
            "written": self.written,
            "notes": self.notes,
        }

    def _lost(self) -> Iterator[Score]:
        """Scores that have nowhere to go: no trace of their case stands or can be built."""
        built = {*self.standing, *self.unwritten, *self.receipts}
        if WHOLE_RUN not in built:
            yield from (score for score in self.run.scores if score.case_id not in built)
