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
from itertools import chain
from pathlib import Path

from evalkit.config_files import ProjectFiles
from evalkit.entities import COMMIT_TAG, EVALUATION_TAG, KEY_TAG, StoredTrace
from evalkit.errors import InputError, Problem
from evalkit.project import FIGURES, Project
from evalkit.runs.metrics import run_key
from evalkit.runs.origin import BASIS_TAG, UNCOMMITTED, ask_git
from evalkit.runs.run import Run, Score
from evalkit.runs.run_dir import RunFiles, list_runs
from evalkit.store import Store, StoredRun
from evalkit.tokens import Consumption

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

    @property
    def places(self) -> set[str]:
        """What two names of one run have in common: its id, and where it lies."""
        return {self.run.run_id, *([str(self.files.folder.resolve())] if self.files else [])}


class Finder:
    """Looks for runs on disk and, where those do not do, in MLflow."""

    def __init__(
        self, files: ProjectFiles, read: Callable[[str], RunFiles], store: Callable[[], Store]
    ) -> None:
        self._files, self._read, self._open = files, read, store

    def trials(
        self, names: Sequence[str], role: str, *, without: Sequence[Trial] | None = None
    ) -> list[Trial]:
        """The runs of an arm.

        Args:
            names: Run directories, ids of MLflow runs, or ``git:REF``.
            role: What the arm is, for messages.
            without: For the baseline, the candidate's runs, which are in no two. A commit of the
                candidate stands for itself, one of the baseline also for what was before it.

        Raises:
            InputError: there is no such run, or its files are wrong; with every problem of all.
            StoreAbsent: MLflow has to be asked and cannot be reached.
            StoreError: MLflow answered with an error.
        """
        problems: list[Problem] = []
        found: list[Trial] = []
        others = None if without is None else {each.run.run_id for each in without}
        taken = {place for each in without or () for place in each.places}
        for name in dict.fromkeys(names):
            try:
                trial = self._trial(name, role, others)
            except InputError as error:
                problems += error.problems
                continue
            if taken & trial.places:
                again = f"{name!r} would be compared with itself, or counted twice"
                problems.append(Problem(again, field=role, fix="name another run"))
            taken |= trial.places
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

    def why_no_base(self) -> str:
        """Why :meth:`merge_base` found none, and what to do."""
        if not ask_git(self._folder, "rev-parse", "--git-dir"):
            return "this is no git repository, or git is not installed; name a baseline"
        if self.experiment_id is None:
            return f"MLflow has no experiment {self._project.experiment}: log a run of main first"
        return (
            "no run is logged for where this branch left the main one, or for a commit before,"
            " without uncommitted changes; log one there, fetch the main branch where the clone is"
            " shallow, or name a baseline"
        )

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

    def _trial(self, name: str, role: str, without: AbstractSet[str] | None) -> Trial:
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
        if run is None or (wrong := self._unfit(run)):
            known = ", ".join(list_runs(self._files)[-5:])
            raise InputError(
                Problem(
                    f"there is no finished run {what}" if run is None else f"{name} is {wrong}",
                    field=role,
                    fix=f"there are {known} on disk; an id of MLflow or git:REF will do as well",
                )
            )
        return self.stored_trial(run)

    def _unfit(self, run: StoredRun) -> str:
        """What a run of MLflow's is that cannot be compared; empty where it can."""
        if KEY_TAG not in run.tags:
            return "a run of MLflow's that evalkit did not log"
        if (of := run.tags.get(EVALUATION_TAG)) != self._project.name:
            return f"a run of another evaluation, {of}"
        return "still being logged; log it again to the end" if run.status == "RUNNING" else ""

    def _of_reference(
        self, reference: str, role: str, without: AbstractSet[str] | None
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

    def _logged_for(self, commit: str, without: AbstractSet[str] | None) -> StoredRun | None:
        """The newest run of the commit, else of its nearest ancestor; None: of no ancestor.

        What was merged into a branch comes after all that the branch itself went through. Runs of
        uncommitted changes say nothing of the commit, unless it is the candidate's own.
        """
        if self.experiment_id is None:
            return None
        count = f"--max-count={MOST_ANCESTORS if without is not None else 1}"
        ways = (("--first-parent",), ("--topo-order",))
        lists = (ask_git(self._folder, "rev-list", *way, count, commit).split() for way in ways)
        place = {each: n for n, each in enumerate(dict.fromkeys(chain.from_iterable(lists)))}
        own = {run_key(self.experiment_id, self._project, run_id) for run_id in without or ()}
        logged = [
            run
            for run in self.logged()
            if run.tags.get(COMMIT_TAG) in place
            and run.tags.get(KEY_TAG) not in own
            and not self._unfit(run)
            and (without is None or not run.tags.get(BASIS_TAG, "").endswith(UNCOMMITTED))
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
        is_batch = stored.params.get("execution_mode") == "batch"
        cases = {*by_case, *(score.case_id for score in scores)}
        gone = 0 if is_batch else max(0, int(figures.get("num_cases", 0)) - len(cases))
        cases |= {f"a case whose trace is gone ({n + 1})" for n in range(gone)}
        run = Run(
            run_id=stored.params.get("run_id", stored.run_id),
            mode="batch" if is_batch else "case",
            judges={
                name: {kind: figures.get(f"{name}/{kind}") for kind in FIGURES.values()}
                for name in sorted(judges)
            },
            scores=scores,
            usage=usage,
            cases=tuple(sorted(cases)),
            model=stored.params.get("model", ""),
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
