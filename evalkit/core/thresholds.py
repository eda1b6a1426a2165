"""What a project demands of its judges' figures, held against what a run has of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evalkit.core.project import Project
from evalkit.core.results import Run


@dataclass(frozen=True, slots=True)
class Breach:
    """A threshold, and what the run has instead.

    Attributes:
        judge: The judge.
        kind: The bound, such as ``min_mean``.
        bound: What was demanded.
        actual: What the run has; None where the summary does not say.
    """

    judge: str
    kind: str
    bound: float
    actual: float | None

    @property
    def is_worse(self) -> bool:
        """Whether the actual figure lies on the wrong side of the bound."""
        if self.actual is None:
            return False
        return (
            self.actual > self.bound if self.kind.startswith("max_") else self.actual < self.bound
        )


def breaches(project: Project, run: Run) -> tuple[Breach, ...]:
    """The thresholds that the run does not meet; those it does not measure are no breach."""
    return tuple(b for b in thresholds(project, run) if b.actual is not None and b.is_worse)


def unmeasured(project: Project, run: Run) -> tuple[Breach, ...]:
    """The thresholds about a figure that the run does not have.

    Such as a win rate, which needs a baseline, or one of a judge that did not run.
    """
    return tuple(b for b in thresholds(project, run) if b.actual is None)


def thresholds(project: Project, run: Run) -> Iterator[Breach]:
    """Every threshold with what the run has of it, be it enough or not."""
    for judge, bounds in project.thresholds.items():
        for kind, bound in bounds.items():
            yield Breach(judge, kind, bound, _figure(run, judge, kind[len("min_") :]))


def _figure(run: Run, judge: str, name: str) -> float | None:
    found = run.judges.get(judge, {}).get(name)
    return _error_rate(run, judge) if found is None and name == "error_rate" else found


def _error_rate(run: Run, judge: str) -> float | None:
    own = [score for score in run.scores if score.judge == judge]
    return sum(bool(score.error) for score in own) / len(own) if own else None
