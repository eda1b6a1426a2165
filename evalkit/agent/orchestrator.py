"""From traces to a verified suite: an initializer plans, workers do one task each, or rules do all.

Every worker starts with a fresh context; what it needs to know stands in files. The program keeps
the tasks and proves the suite; what a model says of its work does not count.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import Any

from evalkit.agent import self_tracing
from evalkit.agent.loop import Loop
from evalkit.agent.plan import VALIDATE, Plan, Task
from evalkit.agent.session import KEPT_FILE, VALIDATION_FILE, Ending, SessionKind
from evalkit.agent.tools import SessionTools, ToolResult
from evalkit.agent.work import Event, Work, bounded, opening_message, prompt
from evalkit.errors import StoreError
from evalkit.suite.generate import rule_suite
from evalkit.suite.model import FEW_ROWS, SCORERS_FILE, Verification
from evalkit.suite.verify import verify

MOST_ATTEMPTS = 3  # sessions that a task gets before it counts as blocked
MOST_ROUNDS = 4  # times that rules leave out what the program refuses
PLANNING = Task("", "Look at the traces and plan the suite")
_SUBJECT = re.compile(r"(?:BAD_EXAMPLES\['|SCORERS has no scorer named )?(\w+)")


class Orchestrator:
    """Leads sessions over one session directory, and judges what they left.

    Attributes:
        led: Sessions that were led this time.
        found: What was found of the suite last; None where that was not necessary this time.
    """

    def __init__(self, work: Work) -> None:
        self._work, self._session = work, work.session
        self.led = 0
        self.found: Verification | None = None
        self._found_of: tuple[str, ...] = ()

    def run(self) -> str:
        """Build the suite, or go on building it; why there is no verified one, if there is none.

        Where the model gives no answer, or MLflow fails, what was done is kept.
        """
        if reason := self._work.survey.problem:
            return reason
        if plan := self._session.plan():
            self._session.save_plan(plan)  # also where the file for people was spoiled
        if not self._is_settled():
            if self._work.model is None:
                self._by_rules()
            elif reason := self._by_sessions():
                return reason
        return self.shortcoming()

    def shortcoming(self) -> str:
        """Why the suite as it is is not verified, by what was found; empty where it is."""
        kept = self._session.read_json(VALIDATION_FILE)
        if kept.get("word") == "too few traces":
            bare = self._work.survey.analysis["without_inputs"]
            unasked = f"; {bare} traces do not hold what was asked" if bare else ""
            return (
                f"too few traces: {kept.get('good_rows')} good answers are no proof, {FEW_ROWS} "
                f"are the least{unasked}. The suite is left as it is; start again when there are "
                "more"
            )
        problems = kept.get("problems")
        more = map(str, problems) if isinstance(problems, list) else ()
        is_now = kept.get("suite") == self._session.suite_hash
        is_verified = is_now and kept.get("word") == "verified"
        return "" if is_verified else "; ".join(["not verified", *more])

    @property
    def _tasks(self) -> tuple[Task, ...]:
        return plan.tasks if (plan := self._session.plan()) else ()

    def _is_settled(self) -> bool:
        """Whether the suite as it is was verified and kept, or cannot be for want of traces."""
        now, found = self._session.suite_hash, self._session.read_json(VALIDATION_FILE)
        is_kept = self._session.read_json(KEPT_FILE).get("suite") == now
        is_few = found.get("word") == "too few traces" and not found.get("problems")
        return found.get("suite") == now and (is_kept or is_few)

    # -- tasks --------------------------------------------------------------------------------

    def _by_sessions(self) -> str:
        """Do one task after the other; why the work has to end, if it has."""
        attempts = Counter[str]()
        while task := self._next_task():
            attempts[task.task_id] += 1
            task = replace(task, attempts=attempts[task.task_id])
            ending = self._lead(task)
            if ending.reason == "budget":
                return ending.detail
            found, how = self.check(task), f"{ending.reason}: {ending.detail}"
            if not found.is_error:
                continue
            early = "" if ending.reason == "finished" else f"the last session ended early ({how}). "
            is_over = task.attempts >= MOST_ATTEMPTS
            status, failure = "blocked" if is_over else "pending", early + found.text
            self._book(task, status=status, failure=failure)
            if is_over and not task.task_id:
                return f"{MOST_ATTEMPTS} sessions ended without a plan; the last one: {how}"
            if is_over:
                after = f"the task {task.task_id} is blocked after {task.attempts} attempts"
                return f"{after}: {failure}"
        for number, session in self._session.sessions().items():
            if session.ending is None and session.kind != "interactive":
                detail = "what it was to do was found done when the work went on"
                self._session.end(number, Ending("finished", detail))
        return ""

    def _next_task(self) -> Task | None:
        """The first task whose check does not pass, as the suite is now; the others are done."""
        for task in self._tasks or (PLANNING,):
            found = self.check(task)
            if found.is_error:
                # what earlier sessions left open is the last one's to do
                is_open = task.status == "done" or task.task_id == VALIDATE.task_id
                return replace(task, failure=task.failure or (found.text if is_open else ""))
            if task.status != "done":
                self._book(task, status="done", evidence=(found.evidence,), failure="")
        return None

    def _book(self, task: Task, **values: Any) -> None:
        """Keep, and tell, what became of a planned task."""
        task = replace(task, **values)
        tasks = tuple(task if each.task_id == task.task_id else each for each in self._tasks)
        if not tasks:
            return
        self._session.save_plan(Plan(tasks))
        if task.status != "in progress":
            said = task.failure if task.status != "done" else "; ".join(task.evidence)
            said = f"{task.title}: {'' if task.status == 'done' else 'not '}done, {said}"
            line, spent = " ".join(said.split())[:300], self._session.spent()
            self._work.watch(Event("task", line, spent=spent))

    def _lead(self, task: Task) -> Ending:
        """Lead a session; the last one that was for the same goes on where it was interrupted."""
        work, most, spent = self._work, self._work.budget.sessions, self._session.spent()
        assert work.model is not None  # noqa: S101 - rules lead no sessions
        if most is not None and self.led >= most:
            return Ending("budget", f"the budget of {most} sessions is spent")
        for over in work.budget.total.reached(spent, "the total"):
            return Ending("budget", over)
        self.led += 1
        self._book(task, status="in progress")
        kind: SessionKind = "worker" if task.task_id else "initializer"
        session = work.session.start(kind, task.task_id, work.model.name)
        on = " (goes on where it was)" if session.turns else ""
        work.watch(Event("session", task.title + on, session.number, spent))
        tools = SessionTools(work, kind, lambda: self.check(task))
        try:
            loop = Loop(work.model, work, tools, session.number)
            return loop.run(prompt(kind), opening_message(work, task))
        finally:
            with suppress(StoreError):  # at the end that is tried again
                self_tracing.write(work.store, work.own_experiment, work.session)

    # -- the program's check ------------------------------------------------------------------

    def check(self, task: Task) -> ToolResult:
        """The program's check of a task, as the suite is now; one that is as before is not run."""
        if not task.task_id:
            lacks = "" if self._tasks else "there is no plan yet: save eval_tasks.json"
            return ToolResult(lacks or "planned", bool(lacks), "planned")
        work, files = self._work, self._session.files()
        if SCORERS_FILE not in files:
            lacks = f"not done yet: {SCORERS_FILE} cannot be used: it is not there"
            return ToolResult(lacks, is_error=True)
        planned = [name for each in self._tasks for name in each.scorers]
        if self.found is None or self._found_of != (self._session.suite_hash, *planned):
            self._record(verify(work.runner, files, work.survey.rows, wanted=planned))
        found = self.found
        assert found is not None  # noqa: S101 - it was recorded
        # neither what is about another task's scorers, nor about what people rejected
        others = {"people", *planned} - set(task.scorers) if task.scorers else set()
        mine = [each for each in found.problems if _subject(each) not in others]
        text = replace(found, problems=tuple(mine)).as_text()
        if mine:
            return ToolResult(bounded(f"not done yet:\n{text}"), is_error=True)
        there = {*found.scorers, *found.judges} & set(task.scorers or planned or found.scorers)
        stands = f"{len(there)} scorers hold on {found.good_rows} good of {found.rows} rows"
        return ToolResult(bounded(text), evidence=stands)

    def _record(self, found: Verification) -> None:
        """Keep what was found of the suite, beside which suite and which plan that was."""
        self.found, suite = found, self._session.suite_hash
        self._found_of = (suite, *(name for each in self._tasks for name in each.scorers))
        about = {"suite": suite, "confinement": self._work.runner.confinement}
        what = {"people": found.people, **found.as_json(), **about, "text": found.as_text()}
        self._session.save(VALIDATION_FILE, what)

    # -- rules --------------------------------------------------------------------------------

    def _by_rules(self) -> None:
        """Let rules write the suite; one that somebody else wrote or changed is only judged."""
        session = self._session
        if not session.files() or not (session.sessions() or session.read_json(VALIDATION_FILE)):
            self.led = 1
            self._work.watch(Event("session", "Write a suite by rules", 1))
            self._write_by_rules()
        self.check(VALIDATE)
        if (left := self._next_task()) and left.task_id:
            self._book(left, status="pending")

    def _write_by_rules(self) -> None:
        """Write the scorers and the limits, and leave out what the program's check refuses.

        What is refused goes once, with the reason in ``LIMITS.md``; the others are verified again,
        as what it failed may now be nobody's to fail.
        """
        work, rows, without = self._work, self._work.survey.rows, dict[str, str]()
        for _ in range(MOST_ROUNDS):
            files = rule_suite(rows, without)
            for path, content in files.items():
                work.session.folder.write(path, content)
            tried = f"the scorers are tried on {len(rows)} answers, and on damaged ones"
            work.watch(Event("wait", tried))
            found = verify(work.runner, files, rows)
            work.watch(Event("wait", f"{len(found.scorers)} scorers: {found.word}"))
            whys = {_subject(each): " ".join(each.split())[:200] for each in found.problems}
            refused = {name: why for name, why in whys.items() if name in found.scorers}
            if not refused:
                break
            gone = ", ".join(sorted(refused))
            work.watch(Event("wait", f"left out, because they do not hold: {gone}"))
            without |= refused
        rules = Task("rules", "Write scorers that good answers hold to", tuple(found.scorers))
        work.session.save_plan(Plan((rules, VALIDATE)))
        self._record(found)


def _subject(problem: str) -> str:
    """The scorer that a problem is about; ``people`` where it is about what people rejected."""
    return match[1] if (match := _SUBJECT.match(problem)) else ""
