"""What a project demands of its judges' figures, held against what a run has of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalkit.core.document import Document
from evalkit.errors import Problem
from evalkit.jsonable import Json, is_number, kind_of

if TYPE_CHECKING:
    from evalkit.core.project import Project
    from evalkit.core.results import Run

FIGURES = {
    "min_mean": "mean",
    "min_pass_rate": "pass_rate",
    "min_win_rate": "win_rate",
    "max_error_rate": "error_rate",
    "min_human_agreement": "human_agreement/value",
    "min_alpha": "stability/irr/value",
    "min_panel_alpha": "panel/alpha",
}
"""What a threshold can bound, and which of a judge's figures that is."""

SIMULATOR = "simulator"
"""The subject of a threshold that is no judge: who plays the user."""

SIMULATOR_FIGURES = {"max_fallback_rate": "fallback_rate"}


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


def parse_thresholds(
    found: Json, judges: Collection[str], document: Document
) -> tuple[dict[str, dict[str, float]], list[Problem]]:
    """The thresholds that a config names, and what is wrong with them, which stops no stage.

    Args:
        found: What stands under ``thresholds``.
        judges: The names of the judges.
        document: The config.
    """
    bounds: dict[str, dict[str, float]] = {}
    problems: list[Problem] = []

    def doubt(path: str, message: str, fix: str) -> None:
        problems.append(
            document.problem(".".join(filter(None, ("thresholds", path))), message, fix)
        )

    if found is not None and not isinstance(found, dict):
        doubt("", f"must be a mapping, is {kind_of(found)}", "write each judge as a key")
        return bounds, problems
    for judge, demanded in (found or {}).items():
        figures = SIMULATOR_FIGURES if judge == SIMULATOR else FIGURES
        if judge not in (*judges, SIMULATOR):
            doubt(judge, "there is no judge of that name", "correct the name")
        if not isinstance(demanded, dict):
            doubt(judge, f"must be a mapping, is {kind_of(demanded)}", "write `min_mean: 3.5`")
            continue
        bounds[judge] = {}
        for kind, bound in demanded.items():
            if kind not in figures:
                doubt(f"{judge}.{kind}", "no such threshold", f"write one of {', '.join(figures)}")
            elif not is_number(bound):
                what = f"must be a number, is {kind_of(bound)}"
                doubt(f"{judge}.{kind}", what, "write such as 3.5")
            else:
                bounds[judge][kind] = float(bound)
    return bounds, problems


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
