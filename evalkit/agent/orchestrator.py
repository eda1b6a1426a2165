"""From traces to a verified suite: an initializer plans, workers do one task each, rules do it all.

Every worker starts with a fresh context; what it needs to know stands in files. The program keeps
the tasks and proves the suite; what a model says of its work does not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evalkit.agent import self_tracing
from evalkit.agent.loop import Ending, Event, Loop
from evalkit.agent.plan import MOST_ATTEMPTS, VALIDATE, Plan, Task
from evalkit.agent.session import (
    KEPT_FILE,
    VALIDATION_FILE,
    Closing,
    Opening,
    Session,
    SessionKind,
    now_ms,
)
from evalkit.agent.tools import Check, SessionTools
from evalkit.agent.work import Work, bounded, opening_message, prompt
from evalkit.core.errors import StoreError
from evalkit.suite.model import FEW_ROWS, SCORERS_FILE

if TYPE_CHECKING:
    from evalkit.suite.verify import Verification

PEOPLE = "people rejected "
"""How a problem begins that is about what people rejected: the last task's to answer."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How the agent's work ended: why there is no verified suite (empty where there is one).

    ``verification`` is what was found of the whole suite this time, where it was that far.
    """

    reason: str
    sessions_run: int = 0
    verification: Verification | None = field(default=None, repr=False)


class Orchestrator:
    """Leads sessions over one session directory, and judges what they left."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._session = work.session
        self._led = 0
        self._verified: dict[tuple[str, ...], Verification] = {}
        self._whole: Verification | None = None

    def run(self) -> Conclusion:
        """Build the suite, or go on building it, until it is verified or the work has to end.

        Raises:
            ModelError: the model gives no answer; what was done is kept.
            StoreError: MLflow failed; what was done is kept.
        """
        if reason := self.work.survey.problem:
            return Conclusion(reason)
        return self.concluded(self._by_rules() if self.work.model is None else self._with_a_model())

    def concluded(self, reason: str = "") -> Conclusion:
        """Where the work ends; without a reason of its own, what the program found decides."""
        found = self._session.read_json(VALIDATION_FILE)
        if not reason and found.get("word") == "too few traces":
            reason = (
                f"too few traces: {found.get('good_rows')} good answers are no proof, {FEW_ROWS} "
                "are the least. The suite is left as it is; start again when there are more"
            )
        is_current = found.get("suite") == self._session.suite_hash
        if not reason and not (is_current and found.get("word") == "verified"):
            problems = found.get("problems")
            more = map(str, problems) if isinstance(problems, list) else ()
            reason = "; ".join(["not verified", *more])
        return Conclusion(reason, self._led, self._whole)

    def _with_a_model(self) -> str:
        """Plan, and do one task after the other; why the work has to end, if it has."""
        if reason := self._plan_suite():
            return reason
        self._recheck()
        while task := self._plan.next():
            if reason := self._do(task):
                return reason
        if blocked := self._plan.blocked:
            after = f"the task {blocked.task_id} is blocked after {blocked.attempts} attempts"
            return f"{after}: {blocked.failure}"
        for number, session in self._session.sessions().items():
            if session.closing is None and session.opening.kind != "interactive":
                detail = "what it was to do was found done when the work went on"
                self._session.end(number, Closing("finished", detail, now_ms()))
        if not self._is_settled():
            self.check(VALIDATE)
        return ""

    @property
    def _plan(self) -> Plan:
        return self._session.plan() or Plan(())

    def _plan_suite(self) -> str:
        """Have the plan made where there is none; why not, if that fails."""

        def is_planned() -> Check:
            if self._session.plan():
                return Check(True, "planned")
            return Check(False, "there is no plan yet: save eval_tasks.json")

        ending = Ending("finished", "")
        for _ in range(MOST_ATTEMPTS):
            if self._session.plan():
                break
            if reason := self._no_more_sessions():
                return reason
            ending = self._lead("initializer", None, is_planned)
            if ending.reason == "budget":
                return ending.detail
        if plan := self._session.plan():
            self._session.save_plan(plan)  # also where the file for people was spoiled
            return ""
        last = f"{ending.reason}: {ending.detail}"
        return f"{MOST_ATTEMPTS} sessions ended without a plan; the last one: {last}"

    def _recheck(self) -> None:
        """What was blocked gets another chance; a suite that was changed is validated anew."""
        plan = self._plan
        if blocked := plan.blocked:
            plan = plan.changed(blocked.task_id, status="pending", attempts=0)
        validated = self._session.read_json(VALIDATION_FILE).get("suite")
        is_done = plan.task(VALIDATE.task_id).status == "done"
        if is_done and validated != self._session.suite_hash:
            plan = plan.changed(VALIDATE.task_id, status="pending", evidence=(), attempts=0)
        self._session.save_plan(plan)

    # -- one task -----------------------------------------------------------------------------

    def _do(self, task: Task) -> str:
        """Bring a task forward; why the work has to end here, if it has."""
        written = self._session.files().get(SCORERS_FILE, b"").decode(errors="replace")
        if all(name in written for name in task.scorers):
            found = self.check(task)
            if found.ok:
                return self._settle(task, found)
            if not task.scorers:  # what earlier sessions left open is its worker's to do
                self._session.save_plan(self._plan.changed(task.task_id, failure=found.text))
        if reason := self._no_more_sessions():
            return reason
        if not (task.status == "in progress" and self._open_session("worker", task.task_id)):
            self._session.save_plan(self._plan.started(task.task_id))
        task = self._plan.task(task.task_id)
        ending = self._lead("worker", task, lambda: self.check(task))
        if ending.reason == "budget":
            return ending.detail
        return self._settle(task, self.check(task), ending)

    def _settle(self, task: Task, found: Check, ending: Ending | None = None) -> str:
        """Book what the check says."""
        if found.ok:
            plan = self._plan.done(task.task_id, found.evidence)
            said = f"{task.title}: done, {'; '.join(found.evidence)}"
        else:
            failure = found.text
            if ending is not None and ending.reason != "finished":
                early = f"the last session ended early ({ending.reason}: {ending.detail})"
                failure = f"{early}. {failure}"
            plan = self._plan.failed(task.task_id, failure)
            said = f"{task.title}: not done, {failure}"
        self._session.save_plan(plan)
        line, spent = " ".join(said.split())[:300], self._session.spent()
        self.work.watch(Event("task", line, 0, task.task_id, spent))
        return ""

    def check(self, task: Task) -> Check:
        """The program's check of a task, as the suite is now; the same is not run twice."""
        from evalkit.suite.verify import verify

        work, files, plan = self.work, self._session.files(), self._plan
        if SCORERS_FILE not in files:
            return Check(False, f"not done yet: {SCORERS_FILE} cannot be used: it is not there")
        wanted = [n for each in ([task] if task.scorers else plan.tasks) for n in each.scorers]
        key = (self._session.suite_hash, *wanted)
        if key not in self._verified:
            self._verified[key] = verify(work.runner, files, work.survey.rows, wanted=wanted)
        found = self._verified[key]
        others = {name for each in plan.tasks for name in each.scorers} - set(task.scorers)
        problems = [p for p in found.problems if not task.scorers or _concerns(p, others)]
        if not task.scorers:
            self._record(found)
        if problems:
            text = "\n".join(["not done yet:", *(f"- {each}" for each in problems)])
            return Check(False, bounded(f"{text}\n\n{found.as_text()}"))
        there = [name for name in wanted if name in (*found.scorers, *found.judges)]
        evidence = f"{len(there)} scorers hold on {found.good_rows} good of {found.rows} rows"
        return Check(True, bounded(found.as_text()), (evidence,))

    def _record(self, found: Verification) -> None:
        """Keep what was found of the whole suite, beside which suite that was."""
        self._whole = found
        about = {
            "suite": self._session.suite_hash,
            "confinement": self.work.runner.confinement,
            "text": found.as_text(),
        }
        self._session.write_json(VALIDATION_FILE, {**found.as_json(), **about})

    # -- sessions -----------------------------------------------------------------------------

    def _lead(self, kind: SessionKind, task: Task | None, check: Callable[[], Check]) -> Ending:
        """Lead a session; one of the same kind and task that was interrupted goes on."""
        work, session, task_id = self.work, self._session, task.task_id if task else ""
        assert work.model is not None  # noqa: S101 - rules lead no sessions
        self._led += 1
        text = task.title if task else "Look at the traces and plan the suite"
        if known := self._open_session(kind, task_id):
            number, text = known.opening.number, f"{text} (goes on where it was)"
        else:
            number = max(session.sessions(), default=0) + 1
            session.start(Opening(number, kind, task_id, work.model.name, now_ms()))
        work.watch(Event("session", text, number, task_id, session.spent()))
        tools = SessionTools(work, kind, check)
        loop = Loop(work.model, tools, session, work.budget, work.watch)
        try:
            return loop.run(number, prompt(kind), opening_message(work, kind, task))
        finally:
            with suppress(StoreError):  # at the end that is tried again
                self_tracing.write(work.store, work.own_experiment, session)

    def _open_session(self, kind: SessionKind, task_id: str) -> Session | None:
        """The last session, where it is such a one and was interrupted."""
        last = next(reversed(self._session.sessions().values()), None)
        if last is None or last.closing is not None:
            return None
        return last if (last.opening.kind, last.opening.task_id) == (kind, task_id) else None

    def _no_more_sessions(self) -> str:
        most = self.work.budget.sessions
        if most is not None and self._led >= most:
            return f"the budget of {most} sessions is spent"
        return self.work.budget.over(self._session.spent())

    # -- rules --------------------------------------------------------------------------------

    def _by_rules(self) -> str:
        """Let rules write the suite; one that somebody else wrote or changed is only judged."""
        from evalkit.agent import baseline

        session, work = self._session, self.work
        if self._is_settled():
            return ""
        if session.files() and (session.sessions() or session.read_json(VALIDATION_FILE)):
            self.check(VALIDATE)
        else:
            self._led = 1
            work.watch(Event("session", "Write a suite by rules", 1))
            self._record(baseline.build(session, work.survey, work.runner, work.watch))
        if self._whole and not session.sessions():
            session.save_plan(baseline.plan_of(self._whole))
        return ""

    def _is_settled(self) -> bool:
        """Whether the suite as it is was verified and kept, or cannot be for want of traces."""
        now, found = self._session.suite_hash, self._session.read_json(VALIDATION_FILE)
        is_kept = self._session.read_json(KEPT_FILE).get("suite") == now
        return found.get("suite") == now and (is_kept or found["word"] != "verified")


def _concerns(problem: str, others: set[str]) -> bool:
    """Whether it is a task's to mend: neither about another scorer nor about people."""
    subject = re.match(r"(?:BAD_EXAMPLES\[')?(\w+)", problem)
    return not problem.startswith(PEOPLE) and not (subject and subject[1] in others)
