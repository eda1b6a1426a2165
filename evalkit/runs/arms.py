"""Which runs are compared, and what each says, wherever it lies.

A run is named by its directory, by its id in MLflow, or as ``git:REF``: the newest that was logged
for that commit, else for its newest ancestor that has one. A run that lies only in MLflow has its
scores from the traces' assessments and its figures from the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from evalkit.config_files import ProjectFiles
from evalkit.entities import COMMIT_TAG, KEY_TAG, StoredTrace
from evalkit.errors import InputError, Problem
from evalkit.project import FIGURES, Project
from evalkit.runs.metrics import run_key
from evalkit.runs.origin import ask_git
from evalkit.runs.run import Run, Score
from evalkit.runs.run_dir import RunFiles, list_runs
from evalkit.store import Store, StoredRun
from evalkit.tokens import Consumption

TWO = 2
GIT = "git:"
MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""What the main branch may be called, the likeliest first."""

MOST_ANCESTORS = 1_000
"""Commits before the one that is meant, among which a logged run is looked for."""

_MLFLOW_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Trial:
    """A run of an arm.

    Attributes:
        run: What it says.
        files: Its directory; None where it lies only in MLflow.
        traces: Its traces in MLflow by case; empty where it lies on disk.
    """

    run: Run
    files: RunFiles | None = None
    traces: Mapping[str, StoredTrace] = field(default_factory=dict)


class Finder:
    """Looks for runs on disk and, where those do not do, in MLflow."""

    def __init__(
        self, files: ProjectFiles, read: Callable[[str], RunFiles], store: Callable[[], Store]
    ) -> None:
        self._files, self._read, self._open = files, read, store

    def trials(
        self, names: Sequence[str], role: str, *, without: Sequence[Trial] = ()
    ) -> list[Trial]:
        """The runs of an arm.

        Args:
            names: Run directories, ids of MLflow runs, or ``git:REF``.
            role: What the arm is, for messages.
            without: The runs of the other arm, which are in no two.

        Raises:
            InputError: there is no such run, or its files are wrong; with every problem of all.
            StoreAbsent: MLflow has to be asked and cannot be reached.
            StoreError: MLflow answered with an error.
        """
        problems: list[Problem] = []
        found: list[Trial] = []
        for name in dict.fromkeys(names):
            try:
                trial = self._trial(name, role, {each.run.run_id for each in without})
            except InputError as error:
                problems += error.problems
                continue
            if trial.run.run_id in {each.run.run_id for each in (*found, *without)}:
                again = f"{name!r} would be compared with itself, or counted twice"
                problems.append(Problem(again, field=role, fix="name another run"))
            found.append(trial)
        if problems:
            raise InputError(*problems)
        return found

    def merge_base(self, without: Sequence[Trial]) -> Trial | None:
        """The newest run logged for where HEAD left the main branch, or for an ancestor of that.

        Args:
            without: The runs that are held against it, which do not count.

        Returns:
            None where there is no repository, no main branch, or no such run.

        Raises:
            StoreAbsent: MLflow cannot be reached.
            StoreError: MLflow answered with an error.
        """
        for branch in MAIN_BRANCHES:
            if base := ask_git(self._folder, "merge-base", "HEAD", branch):
                run = self._logged_for(base, {each.run.run_id for each in without})
                return None if run is None else self.stored_trial(run)
        return None

    @cached_property
    def store(self) -> Store:
        """MLflow, asked where a run is not on disk."""
        return self._open()

    @cached_property
    def experiment_id(self) -> str | None:
        """The experiment of the config; None where MLflow has none."""
        return self.store.experiment(self._project.experiment, create=False)

    @property
    def _project(self) -> Project:
        return self._files.project

    @property
    def _folder(self) -> Path:
        return self._files.config.resolve().parent

    def _trial(self, name: str, role: str, without: AbstractSet[str]) -> Trial:
        if name in list_runs(self._files):
            found = self._read(name)
            return Trial(found.run, found)
        if name.startswith(GIT):
            run, what = (
                self._of_reference(name.removeprefix(GIT), role, without),
                f"logged for {name}",
            )
        else:
            run = self.store.run(name) if _MLFLOW_ID.fullmatch(name) else None
            what = f"{name!r}"
        if run is None or KEY_TAG not in run.tags:
            known = ", ".join(list_runs(self._files)[-5:])
            raise InputError(
                Problem(
                    f"there is no finished run {what}"
                    if run is None
                    else f"{name} is a run of MLflow's that evalkit did not log",
                    field=role,
                    fix=f"there are {known} on disk; an id of MLflow or git:REF will do as well",
                )
            )
        return self.stored_trial(run)

    def _of_reference(
        self, reference: str, role: str, without: AbstractSet[str]
    ) -> StoredRun | None:
        exact = ("rev-parse", "--verify", "--quiet", "--end-of-options")
        commit = ask_git(self._folder, *exact, f"{reference}^{{commit}}")
        if not commit:
            raise InputError(
                Problem(
                    f"git knows no commit {reference!r}",
                    str(self._folder),
                    field=role,
                    fix="fetch it (a shallow clone has no other branches), or name a run",
                )
            )
        return self._logged_for(commit, without)

    def _logged_for(self, commit: str, without: AbstractSet[str]) -> StoredRun | None:
        if self.experiment_id is None:
            return None
        count = f"--max-count={MOST_ANCESTORS}"
        commits = ask_git(self._folder, "rev-list", "--topo-order", count, commit).split()
        place = {each: index for index, each in enumerate(commits)}
        own = {run_key(self.experiment_id, self._project, run_id) for run_id in without}
        logged = [
            run
            for run in self.logged()
            if run.tags.get(COMMIT_TAG) in place
            and run.tags.get(KEY_TAG) not in own
            and run.status != "RUNNING"
        ]  # the newest first, which min keeps
        return min(logged, key=lambda run: place[run.tags[COMMIT_TAG]], default=None)

    def logged(self) -> Iterator[StoredRun]:
        """The evaluation's runs in MLflow, the newest first.

        Raises:
            StoreAbsent: MLflow cannot be reached.
            StoreError: MLflow answered with an error.
        """
        if self.experiment_id is not None:
            yield from self.store.runs_of(self.experiment_id, self._project.name)

    def stored_trial(self, stored: StoredRun) -> Trial:
        """What MLflow holds of a run, which need not be on this machine.

        Raises:
            StoreError: MLflow answered with an error.
        """
        traces = self.store.find_traces(stored.experiment_id, stored.tags[KEY_TAG])
        by_case = {trace.case_id: trace for trace in traces if trace.case_id is not None}
        scores = tuple(sorted(_scores(traces), key=lambda score: score.case_id))
        figures = {name: metric.value for name, metric in stored.metrics.items()}
        failed = int(figures.get("executions_failed", 0))
        tokens = {n.removeprefix("tokens/"): int(v) for n, v in figures.items() if _is_tokens(n)}
        usage = Consumption(
            figures.get("duration_s"),
            figures.get("cost_usd"),
            int(figures["num_turns"]) if "num_turns" in figures else None,
            int(figures["exit_code"]) if "exit_code" in figures else None,
            tokens,
        )
        judges = {score.judge for score in scores} | {j.name for j in self._project.judges}
        run = Run(
            run_id=stored.params.get("run_id", stored.run_id),
            mode="batch" if stored.params.get("execution_mode") == "batch" else "case",
            judges={
                name: {kind: figures.get(f"{name}/{kind}") for kind in FIGURES.values()}
                for name in sorted(judges)
            },
            scores=scores,
            usage=usage,
            cases=tuple(sorted({*by_case, *(score.case_id for score in scores)})),
            figures=figures,
            failed={f"execution {n + 1}": "MLflow does not say why" for n in range(failed)},
        )
        return Trial(run, None, by_case)


def _is_tokens(metric: str) -> bool:
    return metric.startswith("tokens/") and metric.count("/") == 1


def _scores(traces: Sequence[StoredTrace]) -> Iterator[Score]:
    """What evalkit's judges said; several traces may say it of the same case, which counts once."""
    told: set[tuple[str, str]] = set()
    for trace in traces:
        for each in trace.assessments:
            case = each.metadata.get("case_id") or trace.case_id
            if not each.is_ours or each.source_type == "HUMAN" or case is None:
                continue
            judge = each.name.removeprefix(f"{case}/")
            if (case, judge) not in told:
                told.add((case, judge))
                yield Score(case, judge, each.value, each.rationale, each.error)


def run_ids(files: ProjectFiles) -> list[str]:
    """Ids of a project's finished runs, sorted, so that dated ones end with the latest.

    Raises:
        InputError: there are fewer than two.
    """
    found = list_runs(files)
    if len(found) < TWO:
        known = f"only {found[0]!r}" if found else "none"
        raise InputError(
            Problem(
                f"a comparison needs two finished runs, there is {known}",
                ", ".join(map(str, files.runs_dirs)),
                fix="run the evaluation again, or name another runs folder",
            )
        )
    return found


def choose(
    known: Sequence[str], baseline: Sequence[str] = (), candidate: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """The runs of both arms: those that are named, else the newest and the one before it.

    Args:
        known: What :func:`run_ids` returned.
        baseline: Names of runs; may be empty.
        candidate: Names of runs; may be empty.

    Raises:
        InputError: a run is compared with itself.
    """
    old = list(dict.fromkeys(baseline))
    new = list(dict.fromkeys(candidate)) or [name for name in known if name not in old][-1:]
    if new and not old:
        others = [name for name in known if name not in new]
        earlier = [name for name in others if name < min(new)]
        old = (earlier or others)[-1:]
    there = f"name another run; there are {', '.join(known[-5:]) or 'none on disk'}"
    if not (old and new):
        raise InputError(Problem("there is no other run to compare with", fix=there))
    if twice := [name for name in old if name in new]:
        same = f"{twice[0]!r} would be compared with itself"
        raise InputError(Problem(same, field="baseline", fix=there))
    return old, new
