"""The agent's outer loop: analyse, then one task a session, until the program has proof."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from evalkit.core.agent.journal import Closing
from evalkit.core.agent.task import MOST_ATTEMPTS, Plan, Task, plan_of
from evalkit.core.values import Json
from evalkit.flows.agent.directory import VALIDATION_FILE
from evalkit.flows.agent.events import Event
from evalkit.flows.agent.loop import Ending
from evalkit.flows.agent.sessions import Means, initialize, work
from evalkit.flows.agent.verification import (
    Check,
    check_dataset,
    check_scorer,
    check_script,
    check_suite,
)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How the agent's work ended.

    Attributes:
        verified: Whether the suite is complete and the program's checks passed.
        reason: Why not, and what to do next; empty where it is.
        sessions_run: Sessions that were led this time.
        validation: What the validation found; empty where it has not been that far.
    """

    verified: bool
    reason: str
    sessions_run: int
    validation: Mapping[str, Json] = field(default_factory=dict)


def build_suite(means: Means) -> Conclusion:
    """Build the suite, or go on building it.

    Args:
        means: What the agent works with.

    Raises:
        ModelError: the model gives no answer; what was done is kept.
        StoreError: MLflow failed; what was done is kept.
    """
    return _Autonomy(means).run()


class _Autonomy:
    def __init__(self, means: Means) -> None:
        self._means = means
        self._directory = means.directory
        self._led = 0

    def run(self) -> Conclusion:
        if reason := self._analyse():
            return self._concluded(reason)
        self._recheck()
        while task := self._plan.next():
            if reason := self._do(task):
                return self._concluded(reason)
        if blocked := self._plan.blocked:
            return self._concluded(
                f"the task {blocked.task_id} is blocked after {blocked.attempts} attempts: "
                f"{blocked.failure}"
            )
        self._close_what_was_left()
        return self._concluded("")

    @property
    def _plan(self) -> Plan:
        plan = self._directory.plan()
        if plan is None:
            raise AssertionError  # the analysis is not saved without one
        return plan

    # -- the initializer ----------------------------------------------------------------------

    def _analyse(self) -> str:
        """Have the plan made where there is none; why not, if that fails."""
        ending: Ending | None = None
        for _ in range(MOST_ATTEMPTS):
            if self._is_planned():
                return ""
            if not self._means.evidence.recorded:
                return self._nothing_recorded()
            if reason := self._no_more_sessions():
                return reason
            self._led += 1
            ending = initialize(self._means)
            if ending.reason == "budget":
                return ending.detail
        if self._is_planned():
            return ""
        detail = f"{ending.reason}: {ending.detail}" if ending else ""
        return f"{MOST_ATTEMPTS} sessions ended without a plan; the last one: {detail}"

    def _is_planned(self) -> bool:
        """Whether there is a plan; one that is lost follows anew from the analysis."""
        analysis = self._directory.analysis()
        if analysis is None:
            return False
        self._directory.save_plan(self._directory.plan() or plan_of(analysis))
        return True

    def _nothing_recorded(self) -> str:
        return (
            f"the experiment {self._means.evidence.experiment} has no traces that show what was "
            "asked, so there is nothing to build a suite from: let the agent be used with tracing "
            "on, then begin again"
        )

    # -- one task -----------------------------------------------------------------------------

    def _do(self, task: Task) -> str:
        """Bring a task forward; why the work has to end here, if it has."""
        check = partial(self._check, task)
        if task.kind == "validate":
            return self._validate(task, check())
        found = check() if task.kind != "fix" else None
        if found is not None and found.ok:
            return self._settle(task, found)
        if reason := self._no_more_sessions():
            return reason
        resumed = task.status == "in progress" and self._is_open(task)
        if not resumed:
            self._directory.save_plan(self._plan.begun(task.task_id))
        self._led += 1
        ending = work(self._means, self._plan.of(task.task_id), check)
        if ending.reason == "budget":
            return ending.detail
        if self._plan.of(task.task_id).status == "dropped":
            self._tell(f"{task.title}: dropped", task)
            return ""
        return self._settle(task, check(), ending)

    def _settle(self, task: Task, found: Check, ending: Ending | None = None) -> str:
        """Book what the check says."""
        if found.ok:
            self._directory.save_plan(self._plan.done(task.task_id, found.evidence))
            self._tell(f"{task.title}: done, {'; '.join(found.evidence)}", task)
            return ""
        failure = found.failure
        if ending is not None and ending.reason != "finished":
            failure = f"the last session ended early ({ending.reason}: {ending.detail}). {failure}"
        self._directory.save_plan(self._plan.failed(task.task_id, failure))
        self._tell(f"{task.title}: not done, {failure}", task)
        return ""

    def _validate(self, task: Task, found: Check) -> str:
        results = {
            "ok": found.ok,
            "failure": found.failure,
            "suite": self._suite_hash(),
            "confinement": self._means.workbench.confinement,
            **found.details,
        }
        text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
        self._directory.folder.write(VALIDATION_FILE, text.encode())
        if found.ok:
            return self._settle(task, found)
        self._directory.save_plan(self._plan.to_fix(found.failure))
        self._tell(f"{task.title}: {found.failure}", task)
        return ""

    def _check(self, task: Task) -> Check:
        """The program's check of a task, as the suite is now."""
        suite = self._directory.suite()
        bench, evidence = self._means.workbench, self._means.evidence
        analysed = evidence.experiment
        claims = self._claims()
        match task.kind:
            case "dataset":
                return check_dataset(bench, suite, evidence)
            case "scorer":
                catches = claims.get(task.target, ())
                return check_scorer(bench, suite, evidence, task.target, catches)
            case "script":
                return check_script(bench, suite, evidence, analysed)
            case _:
                return check_suite(
                    bench, suite, evidence, self._expected(), claims=claims, analysed=analysed
                )

    def _claims(self) -> Mapping[str, Sequence[str]]:
        """The damages that each scorer was planned to notice."""
        analysis = self._directory.analysis()
        return {each.name: each.catches for each in analysis.scorers} if analysis else {}

    def _expected(self) -> list[str]:
        """The scorers that the suite has to have."""
        return [t.target for t in self._plan.tasks if t.kind == "scorer" and t.status != "dropped"]

    # -- what holds it together ---------------------------------------------------------------

    def _recheck(self) -> None:
        """What was blocked gets another chance; a suite that was changed is validated anew."""
        plan = self._plan
        if blocked := plan.blocked:
            plan = plan.again(blocked.task_id)
            self._directory.save_plan(plan)
        results = self.validation()
        done = [task for task in plan.tasks if task.kind == "validate" and task.status == "done"]
        if done and results.get("suite") != self._suite_hash():
            self._directory.save_plan(plan.again(done[0].task_id))

    def validation(self) -> Mapping[str, Json]:
        """What the last validation found."""
        try:
            found = json.loads(self._directory.folder.read(VALIDATION_FILE) or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _suite_hash(self) -> str:
        return _hash(self._directory.suite())

    def _is_open(self, task: Task) -> bool:
        sessions = self._directory.sessions()
        last = sessions[max(sessions)] if sessions else None
        return last is not None and last.opening.task_id == task.task_id and last.closing is None

    def _no_more_sessions(self) -> str:
        most = self._means.budget.sessions
        if most is not None and self._led >= most:
            return f"the budget of {most} sessions is spent"
        return self._means.budget.over(self._directory.spent())

    def _tell(self, text: str, task: Task) -> None:
        event = Event(
            "task", " ".join(text.split())[:300], 0, task.task_id, self._directory.spent()
        )
        self._means.watch(event)

    def _close_what_was_left(self) -> None:
        """End the sessions that a kill or a budget cut short and that nothing is left for."""
        for number, session in self._directory.sessions().items():
            if session.closing is None and session.opening.kind != "interactive":
                detail = "what it was to do was found done when the work went on"
                closing = Closing("finished", detail, self._means.clock.now_ms())
                self._directory.end(number, closing)

    def _concluded(self, reason: str) -> Conclusion:
        return Conclusion(not reason, reason, self._led, self.validation())


def _hash(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}:{len(content)}:".encode() + content)
    return digest.hexdigest()
