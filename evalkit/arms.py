"""Which runs are compared, and what each says, wherever it lies.

A run is named by its directory, by its id in MLflow, or as ``git:REF``: the newest that was logged
for that commit, else for its newest ancestor that has one. A run that lies only in MLflow has its
scores from the traces' assessments and its figures from the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

from evalkit.context import Workspace
from evalkit.documents import scalar_text
from evalkit.entities import COMMIT_TAG, EVALUATION_TAG, KEY_TAG, WHOLE_TAG, StoredTrace
from evalkit.errors import InputError, Problem, StoreError
from evalkit.jsonable import Json
from evalkit.reading import TOKENS, read_trace
from evalkit.receipt import WHOLE_RUN
from evalkit.runs.metrics import run_key
from evalkit.runs.results import BASIS_TAG, UNCOMMITTED, ask_git
from evalkit.runs.run import Run, Score
from evalkit.runs.run_dir import RunFiles, list_runs
from evalkit.store import StoredRun
from evalkit.tokens import Consumption

GIT = "git:"
MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
MOST_ANCESTORS = 1_000  # commits before the one that is meant, among which a run is looked for
NO_BASE = (
    "no run is logged for where this branch left the main one, or for a commit before, without"
    " uncommitted changes; log one there, fetch the main branch where the clone is shallow, or name"
    " a baseline"
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A run of an arm: on disk, or with its traces by case where it lies only in MLflow."""

    run: Run
    files: RunFiles | None = None
    traces: Mapping[str, StoredTrace] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What two names of one run have in common, wherever it lies."""
        return self.files.folder.resolve().name if self.files else self.run.run_id

    def answer(self, workspace: Workspace, case: str) -> str:
        """What the agent answered; empty where no log and no trace tells."""
        found: Json = None
        with suppress(InputError, StoreError):
            if self.files is not None and self.run.mode == "case":
                found = read_trace(self.files, case).response
            elif case in self.traces:
                found = workspace.store.observe_one(self.traces[case].trace_id).response
        return scalar_text(found) if found else ""


class Finder:
    """Looks for a project's runs on disk, else in MLflow, with StoreError where that is no use."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._project = workspace, workspace.files.project
        self._git = workspace.files.config.resolve().parent

    @cached_property
    def _experiment(self) -> str | None:
        return self._workspace.store.experiment(self._project.experiment, create=False)

    def trials(
        self, names: Sequence[str], role: str, *, without: Sequence[Trial] | None = None
    ) -> list[Trial]:
        """The runs of an arm; the baseline's come ``without`` the candidate's.

        A commit of the candidate stands for itself, one of the baseline also for what was before.
        """
        found: list[Trial] = []
        for name in dict.fromkeys(names):
            trial = self._trial(name, role, without)
            if trial.name in {each.name for each in (*found, *(without or ()))}:
                again = f"{name!r} would be compared with itself, or counted twice"
                raise InputError(Problem(again, field=role, fix="name another run"))
            found.append(trial)
        return found

    def merge_base(self, without: Sequence[Trial]) -> list[Trial]:
        """The newest run logged for where HEAD left the main branch, or before; else none."""
        bases = (ask_git(self._git, "merge-base", "HEAD", branch) for branch in MAIN_BRANCHES)
        run = self._logged_for(next(filter(None, bases), ""), without)
        return [] if run is None else [self.stored_trial(run)]

    def logged(self) -> Iterator[StoredRun]:
        """The evaluation's runs in MLflow, the newest first."""
        if self._experiment is not None:
            yield from self._workspace.store.runs_of(self._experiment, self._project.name)

    def linked(self, *arms: Sequence[Trial]) -> list[list[Trial]]:
        """Arms with the datasets that MLflow links their runs to, where one had to be asked for."""
        if all(trial.files for trial in chain(*arms)) or (where := self._experiment) is None:
            return list(map(list, arms))

        def link(trial: Trial) -> Trial:
            key = run_key(where, self._project, trial.run.run_id)
            stored = self._workspace.store.find_run(where, key)
            return replace(trial, run=replace(trial.run, dataset=stored.dataset if stored else ""))

        return [[link(trial) if trial.files else trial for trial in arm] for arm in arms]

    def links(self, arm: Sequence[Trial]) -> dict[str, str]:
        """Where the traces of an arm are seen, by case; nothing where MLflow is no server."""
        if (where := self._experiment) is None:
            return {}
        store = self._workspace.store
        keys = (run_key(where, self._project, trial.run.run_id) for trial in reversed(arm))
        traces = chain(*(store.find_traces(where, key) for key in keys))
        urls = {trace.case_id or "": store.url(where, "traces", trace.trace_id) for trace in traces}
        return {case: url for case, url in urls.items() if url}

    def _trial(self, name: str, role: str, without: Sequence[Trial] | None) -> Trial:
        known = list_runs(self._workspace.files)
        if name in known:
            found = self._workspace.run(name)
            return Trial(found.run, found)
        run, wrong = None, f"there is no finished run {name!r}"
        fix = f"name one on disk ({', '.join(known[-5:])}), an id of MLflow or git:REF"
        if name.startswith(GIT):
            wrong, reference = f"there is no finished run logged for {name}", name.removeprefix(GIT)
            exact = ("rev-parse", "--verify", "--quiet", "--end-of-options")
            if commit := ask_git(self._git, *exact, f"{reference}^{{commit}}"):
                run = self._logged_for(commit, without)
            else:
                wrong = f"git knows no commit {reference!r} in {self._git}"
                fix = "fetch it (a shallow clone has no other branches), or name a run"
        elif re.fullmatch("[0-9a-f]{32}", name):
            run = self._workspace.store.run(name)
        if run is not None and not (wrong := self._unfit(run, name)):
            return self.stored_trial(run)
        raise InputError(Problem(wrong, field=role, fix=fix))

    def _unfit(self, run: StoredRun, name: str = "") -> str:
        """Why a run of MLflow's cannot be compared; empty where it can."""
        if KEY_TAG not in run.tags:
            return f"{name} is a run of MLflow's that evalkit did not log"
        if (of := run.tags.get(EVALUATION_TAG)) != self._project.name:
            return f"{name} is a run of another evaluation, {of}"
        again = f"{name} was not logged to its end; log it again"
        return "" if WHOLE_TAG in run.tags else again

    def _logged_for(self, commit: str, without: Sequence[Trial] | None) -> StoredRun | None:
        """The newest run of the commit, else of its nearest ancestor; None: of no ancestor.

        What was merged into a branch comes after all that the branch itself went through. Runs of
        uncommitted changes say nothing of the commit, unless it is the candidate's own.
        """
        if not commit or self._experiment is None:
            return None
        count = f"--max-count={1 if without is None else MOST_ANCESTORS}"
        ways = ("--first-parent", "--topo-order")
        commits = chain(*(ask_git(self._git, "rev-list", w, count, commit).split() for w in ways))
        place = {each: n for n, each in enumerate(dict.fromkeys(commits))}
        names = (trial.run.run_id for trial in without or ())
        own = {run_key(self._experiment, self._project, name) for name in names}
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
        traces = self._workspace.store.find_traces(stored.experiment_id, stored.tags[KEY_TAG])
        by_case = {trace.case_id: trace for trace in traces if trace.case_id is not None}
        scores = _scores(traces)
        figures = {name: metric.value for name, metric in stored.metrics.items()}
        turns, code, total, count = (
            int(figures[name]) if name in figures else None
            for name in ("num_turns", "exit_code", "num_cases", "executions_failed")
        )
        tokens = {n: int(figures[f"tokens/{n}"]) for n in TOKENS if f"tokens/{n}" in figures}
        is_batch = stored.params.get("execution_mode") == "batch"
        cases = {*by_case, *(score.case_id for score in scores)}
        gone = 0 if is_batch else (total or 0) - len(cases)
        cases |= {f"a case whose trace is gone ({n + 1})" for n in range(gone)}
        failed = [case for case, trace in by_case.items() if trace.status == "ERROR"]
        if len(failed) != count:
            failed = [f"execution {n + 1}" for n in range(count or 0)]
        told = {case for case, trace in by_case.items() if trace.status != "UNSET"}
        told |= {WHOLE_RUN} if told or code is not None else set()
        cost, lasted = figures.get("cost_usd"), figures.get("duration_s")
        run = Run(
            run_id=stored.params.get("run_id", stored.run_id),
            mode="batch" if is_batch else "case",
            scores=scores,
            usage=Consumption(lasted, cost, turns, code, tokens),
            cases=tuple(sorted(cases)),
            model=stored.params.get("model", ""),
            figures=figures,
            failed=dict.fromkeys(failed, "MLflow does not say why"),
            endings=frozenset(told),
            dataset=stored.dataset,
        )
        return Trial(run, None, by_case)


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


def answers(
    workspace: Workspace, arms: Sequence[Sequence[Trial]], case: str, judge: str
) -> list[str]:
    """What the agent answered in each of two arms; empty where no log and no trace tells.

    Of several trials it is that of the first with a score that no trial of the other arm has.
    """

    def values(trial: Trial) -> list[Json]:
        return [s.value for s in trial.run.scores if (s.case_id, s.judge) == (case, judge)]

    found = []
    for arm, other in zip(arms, reversed(arms), strict=True):
        others = list(map(values, other))
        order = [*(trial for trial in arm if values(trial) not in others), *arm]
        said = (trial.answer(workspace, case) for trial in order)
        found.append(next(filter(None, said), ""))
    return found
