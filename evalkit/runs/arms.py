"""Which runs are compared, and what each says, wherever it lies.

A run is named by its directory, by its id in MLflow, or as ``git:REF``: the newest that was logged
for that commit, else for its newest ancestor that has one. A run that lies only in MLflow has its
scores from the traces' assessments and its figures from the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

from evalkit.config_files import ProjectFiles
from evalkit.entities import COMMIT_TAG, EVALUATION_TAG, KEY_TAG, StoredTrace
from evalkit.errors import InputError, Problem
from evalkit.project import FIGURES
from evalkit.receipt import WHOLE_RUN
from evalkit.runs.metrics import run_key
from evalkit.runs.results import BASIS_TAG, UNCOMMITTED, ask_git
from evalkit.runs.run import Run, Score
from evalkit.runs.run_dir import RunFiles, list_runs
from evalkit.store import Store, StoredRun
from evalkit.tokens import Consumption

GIT = "git:"
MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""What the main branch may be called, the likeliest first."""

MOST_ANCESTORS = 1_000
"""Commits before the one that is meant, among which a logged run is looked for."""

NO_BASE = (
    "no run is logged for where this branch left the main one, or for a commit before, without"
    " uncommitted changes; log one there, fetch the main branch where the clone is shallow, or name"
    " a baseline"
)
_COUNTS = ("num_turns", "exit_code", "num_cases", "executions_failed")
_MLFLOW_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Trial:
    """A run of an arm: on disk, or with its traces by case where it lies only in MLflow."""

    run: Run
    files: RunFiles | None = None
    traces: Mapping[str, StoredTrace] = field(default_factory=dict)

    @property
    def places(self) -> set[str]:
        """What two names of one run have in common: its id, and where it lies."""
        return {self.run.run_id, *([str(self.files.folder.resolve())] if self.files else [])}


class Finder:
    """Looks for runs on disk and, where those do not do, in MLflow.

    What asks MLflow raises StoreAbsent where it cannot be reached, and StoreError where it answers
    with an error.
    """

    def __init__(
        self, files: ProjectFiles, read: Callable[[str], RunFiles], store: Callable[[], Store]
    ) -> None:
        self._files, self._project = files, files.project
        self._read, self._open = read, store
        self._git = files.config.resolve().parent

    @cached_property
    def store(self) -> Store:
        """MLflow, asked where a run is not on disk."""
        return self._open()

    @cached_property
    def experiment_id(self) -> str | None:
        """The experiment of the config; None where MLflow has none."""
        return self.store.experiment(self._project.experiment, create=False)

    def trials(
        self, names: Sequence[str], role: str, *, without: Sequence[Trial] | None = None
    ) -> list[Trial]:
        """The runs of an arm; the baseline's come ``without`` the candidate's.

        A commit of the candidate stands for itself, one of the baseline also for what was before.

        Raises:
            InputError: there is no such run, or its files are wrong.
        """
        found: list[Trial] = []
        taken = {place for each in without or () for place in each.places}
        for name in dict.fromkeys(names):
            try:
                found.append(trial := self._trial(name, without))
            except InputError as error:
                own = (p if p.file or p.field else replace(p, field=role) for p in error.problems)
                raise InputError(*own) from None
            if taken & trial.places:
                again = f"{name!r} would be compared with itself, or counted twice"
                raise InputError(Problem(again, field=role, fix="name another run"))
            taken |= trial.places
        return found

    def merge_base(self, without: Sequence[Trial]) -> list[Trial]:
        """The newest run logged for where HEAD left the main branch, or for an ancestor of that.

        The runs that are held against it (``without``) do not count; there may be none.
        """
        bases = (ask_git(self._git, "merge-base", "HEAD", branch) for branch in MAIN_BRANCHES)
        base = next(filter(None, bases), "")
        run = self._logged_for(base, without) if base else None
        return [] if run is None else [self.stored_trial(run)]

    def logged(self) -> Iterator[StoredRun]:
        """The evaluation's runs in MLflow, the newest first."""
        if self.experiment_id is not None:
            yield from self.store.runs_of(self.experiment_id, self._project.name)

    def linked(self, arm: Sequence[Trial]) -> list[Trial]:
        """Its runs with the datasets that MLflow links them to, if that has been asked anyway."""
        if "store" not in vars(self) or (where := self.experiment_id) is None:
            return list(arm)
        found = []
        for trial in arm:
            key = run_key(where, self._project, trial.run.run_id)
            digest = trial.run.dataset or _digest(self.store.find_run(where, key))
            found.append(replace(trial, run=replace(trial.run, dataset=digest)))
        return found

    def _trial(self, name: str, without: Sequence[Trial] | None) -> Trial:
        if name in list_runs(self._files):
            found = self._read(name)
            return Trial(found.run, found)
        run, what = None, repr(name)
        if name.startswith(GIT):
            run, what = self._of_reference(name.removeprefix(GIT), without), f"logged for {name}"
        elif _MLFLOW_ID.fullmatch(name):
            run = self.store.run(name)
        wrong = f"there is no finished run {what}"
        if run is not None:
            if not (unfit := self._unfit(run)):
                return self.stored_trial(run)
            wrong = f"{name} is {unfit}"
        known = ", ".join(list_runs(self._files)[-5:])
        fix = f"there are {known} on disk; an id of MLflow or git:REF will do as well"
        raise InputError(Problem(wrong, fix=fix))

    def _unfit(self, run: StoredRun) -> str:
        """What a run of MLflow's is that cannot be compared; empty where it can."""
        if KEY_TAG not in run.tags:
            return "a run of MLflow's that evalkit did not log"
        if (of := run.tags.get(EVALUATION_TAG)) != self._project.name:
            return f"a run of another evaluation, {of}"
        return "still being logged; log it again to the end" if run.status == "RUNNING" else ""

    def _of_reference(self, reference: str, without: Sequence[Trial] | None) -> StoredRun | None:
        exact = ("rev-parse", "--verify", "--quiet", "--end-of-options")
        if commit := ask_git(self._git, *exact, f"{reference}^{{commit}}"):
            return self._logged_for(commit, without)
        fix = "fetch it (a shallow clone has no other branches), or name a run"
        raise InputError(Problem(f"git knows no commit {reference!r} in {self._git}", fix=fix))

    def _logged_for(self, commit: str, without: Sequence[Trial] | None) -> StoredRun | None:
        """The newest run of the commit, else of its nearest ancestor; None: of no ancestor.

        What was merged into a branch comes after all that the branch itself went through. Runs of
        uncommitted changes say nothing of the commit, unless it is the candidate's own.
        """
        if self.experiment_id is None:
            return None
        count = f"--max-count={1 if without is None else MOST_ANCESTORS}"
        ways = ("--first-parent", "--topo-order")
        commits = chain(*(ask_git(self._git, "rev-list", w, count, commit).split() for w in ways))
        place = {each: n for n, each in enumerate(dict.fromkeys(commits))}
        names = (trial.run.run_id for trial in without or ())
        own = {run_key(self.experiment_id, self._project, name) for name in names}
        logged = (
            run
            for run in self.logged()
            if run.tags.get(COMMIT_TAG) in place
            and run.tags.get(KEY_TAG) not in own
            and not self._unfit(run)
            and (without is None or not run.tags.get(BASIS_TAG, "").endswith(UNCOMMITTED))
        )  # the newest first, which min keeps
        return min(logged, key=lambda run: place[run.tags[COMMIT_TAG]], default=None)

    def stored_trial(self, stored: StoredRun) -> Trial:
        """What MLflow holds of a run, which need not be on this machine."""
        traces = self.store.find_traces(stored.experiment_id, stored.tags[KEY_TAG])
        by_case = {trace.case_id: trace for trace in traces if trace.case_id is not None}
        scores = _scores(traces)
        figures = {name: metric.value for name, metric in stored.metrics.items()}
        whole = {name: int(figures[name]) for name in _COUNTS if name in figures}
        tokens = {  # what is below a kind is a model's
            name.removeprefix("tokens/"): int(value)
            for name, value in figures.items()
            if re.fullmatch("tokens/[^/]+", name)
        }
        cases = {*by_case, *(score.case_id for score in scores)}
        is_batch = stored.params.get("execution_mode") == "batch"
        gone = 0 if is_batch else max(0, whole.get("num_cases", 0) - len(cases))
        cases |= {f"a case whose trace is gone ({n + 1})" for n in range(gone)}
        count = whole.get("executions_failed")
        failed = [case for case, trace in by_case.items() if trace.status == "ERROR"]
        if len(failed) != count:
            failed = [f"execution {n + 1}" for n in range(count or 0)]
        told = {case for case, trace in by_case.items() if trace.status != "UNSET"}
        told |= {WHOLE_RUN} if told or "exit_code" in whole else set()
        judges = {*(score.judge for score in scores), *(j.name for j in self._project.judges)}
        run = Run(
            run_id=stored.params.get("run_id", stored.run_id),
            mode="batch" if is_batch else "case",
            judges={
                name: {kind: figures.get(f"{name}/{kind}") for kind in FIGURES.values()}
                for name in sorted(judges)
            },
            scores=scores,
            usage=Consumption(
                figures.get("duration_s"),
                figures.get("cost_usd"),
                whole.get("num_turns"),
                whole.get("exit_code"),
                tokens,
            ),
            cases=tuple(sorted(cases)),
            model=stored.params.get("model", ""),
            figures=figures,
            failed=dict.fromkeys(failed, "MLflow does not say why"),
            endings=frozenset(told),
            dataset=_digest(stored),
        )
        return Trial(run, None, by_case)


def _digest(stored: StoredRun | None) -> str:
    return next(iter(stored.datasets.values()), "") if stored is not None else ""


def _scores(traces: Sequence[StoredTrace]) -> tuple[Score, ...]:
    """What evalkit's judges said; several traces may say it of the same case, which counts once."""
    found: dict[tuple[str, str], Score] = {}
    for trace in traces:
        for each in trace.assessments:
            case = each.metadata.get("case_id") or trace.case_id
            if each.is_ours and each.source_type != "HUMAN" and case is not None:
                judge = each.name.removeprefix(f"{case}/")
                score = Score(case, judge, each.value, each.rationale, each.error)
                found.setdefault((case, judge), score)
    return tuple(sorted(found.values(), key=lambda score: score.case_id))
