"""What is to be done for a suite, task by task; the program keeps the list, not the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeAlias

import msgspec

from evalkit.core.agent.analysis import Analysis

TaskKind: TypeAlias = Literal["dataset", "scorer", "script", "validate", "fix"]
TaskStatus: TypeAlias = Literal["pending", "in progress", "done", "dropped", "blocked"]

MOST_ATTEMPTS = 3
"""Sessions that a task gets before it counts as blocked."""

MOST_FIXES = 4
"""Repairs that a suite gets after it is complete."""

OPEN: frozenset[TaskStatus] = frozenset({"pending", "in progress"})


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do, for one session at a time.

    Attributes:
        task_id: Such as ``scorer-grounded``.
        kind: What sort of thing.
        title: The same for people.
        target: The scorer that it is about; empty where it is about none.
        instructions: What the analysis says about it.
        status: How far it is.
        attempts: Sessions that tried; of the validation, repairs that it asked for.
        evidence: What the program's check found, once it is done.
        failure: Why the last attempt did not pass the check.
    """

    task_id: str
    kind: TaskKind
    title: str
    target: str = ""
    instructions: str = ""
    status: TaskStatus = "pending"
    attempts: int = 0
    evidence: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All tasks of a session directory, in the order in which they are taken.

    Attributes:
        tasks: The tasks.
    """

    tasks: tuple[Task, ...]

    def next(self) -> Task | None:
        """The first task that is not over; None where all are, or one is blocked."""
        if self.blocked:
            return None
        return next((task for task in self.tasks if task.status in OPEN), None)

    @property
    def blocked(self) -> Task | None:
        """The task that cannot be done, if there is one."""
        return next((task for task in self.tasks if task.status == "blocked"), None)

    @property
    def is_done(self) -> bool:
        """Whether every task is done or was dropped for a reason."""
        return all(task.status in {"done", "dropped"} for task in self.tasks)

    def of(self, task_id: str) -> Task:
        """The task of that id."""
        return next(task for task in self.tasks if task.task_id == task_id)

    def begun(self, task_id: str) -> Plan:
        """A session begins with it."""
        task = self.of(task_id)
        return self._with(replace(task, status="in progress", attempts=task.attempts + 1))

    def done(self, task_id: str, evidence: Sequence[str]) -> Plan:
        """Its check passed."""
        done = replace(self.of(task_id), status="done", evidence=tuple(evidence), failure="")
        return self._with(done)

    def failed(self, task_id: str, failure: str) -> Plan:
        """Its check did not pass; after too many attempts it is blocked."""
        task = self.of(task_id)
        status: TaskStatus = "blocked" if task.attempts >= MOST_ATTEMPTS else "pending"
        return self._with(replace(task, status=status, failure=failure))

    def dropped(self, scorer: str, reason: str) -> Plan:
        """The scorer is not to be part of the suite after all."""
        tasks = [
            replace(task, status="dropped", evidence=(reason,), failure="")
            if task.kind == "scorer" and task.target == scorer
            else task
            for task in self.tasks
        ]
        return Plan(tuple(tasks))

    def to_fix(self, failure: str) -> Plan:
        """The whole suite does not pass: a repair comes before the next validation.

        After too many repairs the validation is blocked.
        """
        fixes = sum(task.kind == "fix" for task in self.tasks)
        validate = next(task for task in self.tasks if task.kind == "validate")
        if validate.attempts >= MOST_FIXES:
            return self._with(replace(validate, status="blocked", failure=failure))
        fix = Task(f"fix-{fixes + 1}", "fix", "Repair what the validation found", failure=failure)
        at = self.tasks.index(validate)
        tried = validate.attempts + 1
        waiting = replace(validate, status="pending", failure=failure, attempts=tried)
        return Plan((*self.tasks[:at], fix, waiting, *self.tasks[at + 1 :]))

    def again(self, task_id: str) -> Plan:
        """What it stood on has changed since: it is checked anew."""
        task = self.of(task_id)
        return self._with(replace(task, status="pending", evidence=(), attempts=0))

    def _with(self, task: Task) -> Plan:
        return Plan(tuple(task if each.task_id == task.task_id else each for each in self.tasks))


def plan_of(analysis: Analysis) -> Plan:
    """The tasks that an analysis leads to."""
    scorers = [
        Task(
            f"scorer-{scorer.name}",
            "scorer",
            f"Write the scorer {scorer.name}",
            scorer.name,
            f"{scorer.what}\nWhy: {scorer.why}",
        )
        for scorer in analysis.scorers
    ]
    return Plan(
        (
            Task("dataset", "dataset", "Write the dataset", instructions=analysis.strategy_why),
            *scorers,
            Task("script", "script", "Write the script that runs the evaluation"),
            Task("validate", "validate", "Run the suite and show that it catches damage"),
        )
    )


def plan_text(plan: Plan) -> str:
    """The plan as JSON text that a person reads."""
    return json.dumps({"tasks": [asdict(task) for task in plan.tasks]}, indent=2) + "\n"


def read_plan(text: bytes) -> Plan | None:
    """The plan of a file; None where it is cut off or no plan."""
    try:
        return msgspec.json.decode(text, type=Plan)
    except msgspec.DecodeError:
        return None
