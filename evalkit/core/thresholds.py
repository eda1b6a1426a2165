"""What a project demands of its judges' figures, held against what a run has of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalkit.project import FIGURES, SIMULATOR, SIMULATOR_FIGURES

if TYPE_CHECKING:
    from evalkit.core.results import Run
    from evalkit.project import Project


@dataclass(frozen=True, slots=True)
class Bound:
    """A threshold, and what the run has instead.

    Attributes:
        judge: The judge.
        kind: What is bounded, such as ``min_mean``.
        bound: What was demanded.
        actual: What the run has; None where the summary does not say.
    """

    judge: str
    kind: str
    bound: float
    actual: float | None

    @property
    def metric(self) -> str:
        """The metric that holds the actual figure."""
        figures = SIMULATOR_FIGURES if self.judge == SIMULATOR else FIGURES
        return f"{self.judge}/{figures[self.kind]}"

    @property
    def demand(self) -> str:
        """What is demanded, in words, such as ``pass rate at least 0.9``."""
        way, _, name = self.kind.partition("_")
        side = "at most" if way == "max" else "at least"
        return f"{name.replace('_', ' ')} {side} {self.bound:g}"

    @property
    def verdict(self) -> Literal["fails", "not measured", "met"]:
        """Whether the figure is on the right side of the bound."""
        if self.actual is None:
            return "not measured"
        is_most = self.kind.startswith("max_")
        fails = self.actual > self.bound if is_most else self.actual < self.bound
        return "fails" if fails else "met"


def breaches(project: Project, run: Run) -> tuple[Bound, ...]:
    """The thresholds that the run does not meet; those it does not measure are no breach."""
    return tuple(b for b in thresholds(project, run) if b.verdict == "fails")


def unmeasured(project: Project, run: Run) -> tuple[Bound, ...]:
    """The thresholds about a figure that the run does not have.

    Such as a win rate, which needs a baseline, or one of a judge that did not run.
    """
    return tuple(b for b in thresholds(project, run) if b.actual is None)


def thresholds(project: Project, run: Run) -> Iterator[Bound]:
    """Every threshold with what the run has of it, be it enough or not."""
    for judge, bounds in project.thresholds.items():
        for kind, bound in bounds.items():
            yield Bound(judge, kind, bound, _figure(run, judge, kind))


def _figure(run: Run, judge: str, kind: str) -> float | None:
    if judge == SIMULATOR:
        return run.figures.get(f"{SIMULATOR}/{SIMULATOR_FIGURES[kind]}")
    found = run.judges.get(judge, {}).get(FIGURES[kind])
    if found is not None:
        return found
    if kind == "min_win_rate":  # the harness compares two runs once, not once a judge
        return run.figures.get("pairwise/win_rate")
    return _error_rate(run, judge) if kind == "max_error_rate" else None


def _error_rate(run: Run, judge: str) -> float | None:
    figures = run.judges.get(judge, {})
    scored, errored = figures.get("scored_cases"), figures.get("errored_cases")
    if scored is not None and errored is not None and scored + errored > 0:
        return errored / (scored + errored)
    own = [score for score in run.scores if score.judge == judge]
    return sum(bool(score.error) for score in own) / len(own) if own else None
