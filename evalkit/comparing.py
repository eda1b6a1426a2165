"""The comparison of finished runs as a notebook calls it: run ids in, comparisons and a report out.

It reads the run directories alone: MLflow is not asked, and runs without logs will do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from evalkit.adapters.files.run import list_runs
from evalkit.core.comparison import Comparison, JudgeChange, compare
from evalkit.core.consumption import UsageChange
from evalkit.core.describe import unknowns
from evalkit.core.executions import executions, told
from evalkit.core.findings import figure, findings, regressions
from evalkit.core.flips import Flip
from evalkit.core.paired import Change
from evalkit.core.results import Run
from evalkit.core.thresholds import Breach, thresholds
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json
from evalkit.workspace import Workspace

Report = dict[str, Json]

TWO = 2


class Shelf:
    """The finished runs of a project; each is read once, when it is first asked for.

    Attributes:
        workspace: The opened project.
        run_ids: Ids of its runs, sorted.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.run_ids = list_runs(workspace.files)
        self._read: dict[str, Run] = {}

    def run(self, run_id: str) -> Run:
        """A run.

        Raises:
            InputError: there is no such run, or its files are wrong.
        """
        if run_id not in self._read:
            self._read[run_id] = self.workspace.run(run_id).run
        return self._read[run_id]


def open_shelf(workspace: Workspace) -> Shelf:
    """The finished runs of a project.

    Raises:
        InputError: there are fewer than two.
    """
    shelf = Shelf(workspace)
    if len(shelf.run_ids) < TWO:
        known = f"only {shelf.run_ids[0]!r}" if shelf.run_ids else "none"
        raise InputError(
            Problem(
                f"a comparison needs two finished runs, there is {known}",
                ", ".join(map(str, workspace.files.runs_dirs)),
                fix="run the evaluation again, or name another runs folder",
            )
        )
    return shelf


@dataclass(frozen=True, slots=True)
class Choice:
    """Which runs are compared.

    Attributes:
        baseline: The run the others are held against.
        candidates: The others, at least one.
    """

    baseline: str
    candidates: tuple[str, ...]


def choose(shelf: Shelf, baseline: str = "", candidates: str = "") -> Choice:
    """The runs that are meant: those named, else the newest and the one before it.

    Args:
        shelf: The finished runs.
        baseline: A run id; may be empty.
        candidates: Run ids, separated by commas; may be empty.

    Raises:
        InputError: names every run that there is not, and a run that is compared with itself.
    """
    named = tuple(dict.fromkeys(filter(None, (part.strip() for part in candidates.split(",")))))
    if not named:
        named = (next(name for name in reversed(shelf.run_ids) if name != baseline),)
    if not baseline:
        others = [name for name in shelf.run_ids if name not in named]
        earlier = [name for name in others if name < min(named)]
        baseline = (earlier or others or [""])[-1]
    problems = list(_wrong(shelf, baseline, named))
    if problems:
        raise InputError(*problems)
    return Choice(baseline, named)


def _wrong(shelf: Shelf, baseline: str, candidates: Sequence[str]) -> Iterator[Problem]:
    known = f"there are {', '.join(shelf.run_ids[-5:])}"
    for field, name in (("baseline", baseline), *(("candidate", each) for each in candidates)):
        if name and name not in shelf.run_ids:
            yield Problem(f"there is no finished run {name!r}", field=field, fix=known)
    if not baseline or baseline in candidates:
        yield Problem(
            f"{baseline or candidates[0]!r} would be compared with itself",
            field="baseline",
            fix=f"name another run; {known}",
        )


@dataclass(frozen=True)
class Comparisons:
    """Runs of one project held against one baseline.

    Attributes:
        runs: The baseline, then the candidates.
        comparisons: One a candidate, in the order they were named.
        bounds: By run id, every threshold of the project with what the run has.
        unknown: By run id, what nobody can say of it, such as a threshold that was not measured.
    """

    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...]
    bounds: dict[str, tuple[Breach, ...]]
    unknown: dict[str, list[str]]

    @property
    def baseline(self) -> Run:
        """The run the others are held against."""
        return self.runs[0]

    @cached_property
    def shortfalls(self) -> list[str]:
        """What speaks against the candidates: what failed, got worse, or is not known."""
        return [
            f"{each.candidate.run_id}: {what}"
            for each in self.comparisons
            for what in (
                *filter(None, (told(executions(each.candidate)),)),
                *map(_breach, self.failing(each.candidate.run_id)),
                *regressions(each),
                *(f"not known: {what}" for what in self.unknown[each.candidate.run_id]),
            )
        ]

    def failing(self, run_id: str) -> tuple[Breach, ...]:
        """The thresholds that a run does not meet."""
        return tuple(bound for bound in self.bounds[run_id] if bound.is_worse)


def compare_runs(shelf: Shelf, choice: Choice) -> Comparisons:
    """Hold each candidate against the baseline.

    Raises:
        InputError: a run's files are wrong; with every problem of every run.
    """
    problems: list[Problem] = []
    runs = []
    for run_id in (choice.baseline, *choice.candidates):
        try:
            runs.append(shelf.run(run_id))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    project = shelf.workspace.files.project
    return Comparisons(
        tuple(runs),
        tuple(compare(runs[0], candidate, project) for candidate in runs[1:]),
        {run.run_id: tuple(thresholds(project, run)) for run in runs},
        {run.run_id: unknowns(project, run) for run in runs},
    )


# -- the report -----------------------------------------------------------------------------------


def report(found: Comparisons) -> Report:
    """The comparison as JSON.

    Returns:
        ``baseline``, ``candidates``; ``comparisons``, one a candidate, with the cases, the
        ``executions`` of both runs and how many failed, the judges and their intervals, the flips,
        what was consumed, and the findings in words; ``thresholds`` with what
        each run has; and ``shortfalls``, what speaks against the
        candidates.
    """
    return {
        "baseline": found.baseline.run_id,
        "candidates": [each.candidate.run_id for each in found.comparisons],
        "comparisons": [_comparison(each) for each in found.comparisons],
        "thresholds": _thresholds(found),
        "shortfalls": found.shortfalls,
    }


def _comparison(each: Comparison) -> Report:
    return {
        "candidate": each.candidate.run_id,
        "cases": len(each.common),
        "executions": [executions(run) for run in (each.baseline, each.candidate)],
        "only_in_baseline": list(each.only_before),
        "only_in_candidate": list(each.only_after),
        "judges": [_judge(judge) for judge in each.judges],
        "counts": dict(each.counted()),
        "flips": [_flip(flip) for flip in each.flips if flip.kind != "same"],
        "usage": [_usage(usage) for usage in each.usage],
        "findings": [finding.text for finding in findings(each)],
    }


def _judge(each: JudgeChange) -> Report:
    return {
        "judge": each.judge,
        "kind": each.kind,
        "verdict": each.verdict,
        "pairs": each.pairs,
        "differing": each.differing,
        "errors": [each.before.errors, each.after.errors],
        "moves": [list(move) for move in each.moves],
        **_change(each.change),
    }


def _change(change: Change | None) -> Report:
    if change is None:
        return {}
    return {
        "before": change.before,
        "after": change.after,
        "difference": change.difference,
        "interval": None if change.low is None else [change.low, change.high],
        "p": change.p,
        "resolution": change.resolution,
        "needed": change.needed,
    }


def _flip(flip: Flip) -> Report:
    return {
        "case": flip.case_id,
        "judge": flip.judge,
        "kind": flip.kind,
        "before": flip.before.value if flip.before else None,
        "after": flip.after.value if flip.after else None,
    }


def _usage(each: UsageChange) -> Report:
    return {
        "figure": each.name,
        "unit": each.unit,
        "verdict": each.verdict,
        "pairs": len(each.before),
        "totals": [each.total_before, each.total_after],
        **_change(each.change),
    }


def _thresholds(found: Comparisons) -> list[Report]:
    return [
        {
            "judge": own.judge,
            "kind": own.kind,
            "bound": own.bound,
            "runs": {run.run_id: found.bounds[run.run_id][place].actual for run in found.runs},
            "fails_in": [
                run.run_id for run in found.runs if found.bounds[run.run_id][place].is_worse
            ],
        }
        for place, own in enumerate(found.bounds[found.baseline.run_id])
    ]


def _breach(breach: Breach) -> str:
    return f"{breach.judge} fails {demand(breach)}, it has {figure(breach.actual or 0.0)}"


def demand(breach: Breach) -> str:
    """What a threshold demands, in words, such as ``pass rate at least 0.9``."""
    way, _, name = breach.kind.partition("_")
    side = "at most" if way == "max" else "at least"
    return f"{name.replace('_', ' ')} {side} {figure(breach.bound)}"
