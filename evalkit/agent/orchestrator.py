"""From traces to a verified suite: an initializer plans, workers do one task each, or rules do all.

Every worker starts with a fresh context; what it needs to know stands in files.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace

from evalkit.agent import self_tracing
from evalkit.agent.loop import Loop
from evalkit.agent.plan import PLANNING, VALIDATE, Task
from evalkit.agent.session import VALIDATION_FILE, Ending, SessionKind
from evalkit.agent.work import Work, opening_message, subject
from evalkit.errors import StoreError
from evalkit.suite.generate import rule_suite
from evalkit.suite.verify import verify

MOST_ATTEMPTS = 3  # sessions that a task gets before it counts as blocked
MOST_ROUNDS = 4  # times that rules leave out what the program refuses


def build_suite(work: Work) -> str:
    """Build the suite, or go on building it; why there is no verified one, if there is none.

    Where the model gives no answer, or MLflow fails, what was done is kept.
    """
    session = work.session
    if reason := work.survey.problem:
        return reason
    if session.tasks:
        session.save_tasks(session.tasks)  # also where the file for people was spoiled
    found = session.read_json(VALIDATION_FILE)
    is_hopeless = found.get("word") == "too few traces" and not found.get("problems")
    if found.get("suite") != session.suite_hash or not (work.kept or is_hopeless):
        if work.model is None:
            _by_rules(work)
        elif reason := _by_sessions(work):
            return reason
    return work.shortcoming()


def _by_sessions(work: Work) -> str:
    """Do one task after the other; why the work has to end, if it has."""
    attempts = Counter[str]()
    while task := _next_task(work):
        attempts[task.task_id] += 1
        task = replace(task, attempts=attempts[task.task_id])
        ending = _lead(work, task)
        if ending.reason == "budget":
            return ending.detail
        if not (found := work.check(task)).is_error:
            continue
        is_early, is_over = ending.reason != "finished", task.attempts >= MOST_ATTEMPTS
        how = f"the last session ended early ({ending.reason}: {ending.detail}). "
        failure = how * is_early + found.text
        work.book(task, status="blocked" if is_over else "pending", failure=failure)
        if is_over:
            name = task.task_id or "plan"
            return f"the task {name} is blocked after {task.attempts} attempts: {failure}"
    for session in work.session.sessions().values():
        if session.ending is None and session.kind != "interactive":
            detail = "what it was to do was found done when the work went on"
            work.session.end(session, Ending("finished", detail))
    return ""


def _next_task(work: Work) -> Task | None:
    """The first task whose check does not pass, as the suite is now; the others are done."""
    for task in work.session.tasks or (PLANNING,):
        found = work.check(task)
        if found.is_error:
            # what earlier sessions left open is the last one's to do
            is_open = task.status == "done" or task.task_id == VALIDATE.task_id
            return replace(task, failure=task.failure or (found.text if is_open else ""))
        if task.status != "done":
            work.book(task, status="done", evidence=(found.evidence,), failure="")
    return None


def _lead(work: Work, task: Task) -> Ending:
    """Lead a session; the last one that was for the same goes on where it was interrupted."""
    most = work.budget.sessions
    if most is not None and work.led >= most:
        return Ending("budget", f"the budget of {most} sessions is spent")
    if over := work.budget.total.reached(work.session.spent(), "the total"):
        return Ending("budget", over)
    work.led += 1
    work.book(task, status="in progress")
    kind: SessionKind = "worker" if task.task_id else "initializer"
    session = work.session.start(kind, task.task_id)
    on = " (goes on where it was)" if session.turns else ""
    work.tell("session", task.title + on, session.number)
    try:
        return Loop(work, session, task).run(opening_message(work, task))
    finally:
        with suppress(StoreError):  # at the end that is tried again
            self_tracing.write(work.store, work.own_experiment, work.session)


def _by_rules(work: Work) -> None:
    """Let rules write the suite; one that somebody else wrote or changed is only judged."""
    session = work.session
    if not session.files() or not (session.sessions() or session.read_json(VALIDATION_FILE)):
        work.led = 1
        work.tell("session", "Write a suite by rules", 1)
        _write_by_rules(work)
    work.check(VALIDATE)
    if (left := _next_task(work)) and left.task_id:
        work.book(left, status="pending")


def _write_by_rules(work: Work) -> None:
    """Write the scorers and the limits, and leave out what the program's check refuses.

    What is refused goes once, with the reason in ``LIMITS.md``; the others are verified again, as
    what it failed may now be nobody's to fail.
    """
    rows, without = work.survey.rows, dict[str, str]()
    for _ in range(MOST_ROUNDS):
        files = rule_suite(rows, without)
        for path, content in files.items():
            work.session.write(path, content)
        work.tell("wait", f"the scorers are tried on {len(rows)} answers, and on damaged ones")
        found = verify(work.runner, files, rows)
        work.tell("wait", f"{len(found.scorers)} scorers: {found.word}")
        whys = {subject(each): " ".join(each.split())[:200] for each in found.problems}
        refused = {name: why for name, why in whys.items() if name in found.scorers}
        if not refused:
            break
        gone = ", ".join(sorted(refused))
        work.tell("wait", f"left out, because they do not hold: {gone}")
        without |= refused
    rules = Task("rules", "Write scorers that good answers hold to", tuple(found.scorers))
    work.session.save_tasks((rules, VALIDATE))
    work.record(found, rules.scorers)
