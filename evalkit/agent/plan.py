"""What is to be done for a suite, task by task, and what may be spent on it.

The program keeps both; a model only proposes tasks, and never says that one is done.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

from evalkit.core.usage import Usage
from evalkit.core.values import Json

TaskStatus: TypeAlias = Literal["pending", "in progress", "done", "blocked"]

MOST_ATTEMPTS = 3
"""Sessions that a task gets before it counts as blocked."""

MOST_TASKS = 5
MOST_SCORERS = 16
LEAST_TOKENS = 256
"""Tokens that an answer needs room for to be worth asking."""

SECONDS_A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the traces show, and the ids of traces that show it."""

    what: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposedTask:
    """A task as an initializer proposes it: ``scorers`` maps names to what each one checks."""

    title: str
    scorers: dict[str, str]
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an initializer saves as ``eval_tasks.json``."""

    tasks: tuple[ProposedTask, ...]
    findings: tuple[Finding, ...] = ()
    summary: str = ""

    def complaints(self, known: str) -> Iterator[str]:
        """Why the program cannot work by it.

        Args:
            known: A text in which the id of every trace stands that may be cited.
        """
        names = [name for task in self.tasks for name in task.scorers]
        if not 0 < len(self.tasks) <= MOST_TASKS or not all(task.scorers for task in self.tasks):
            yield f"there are {len(self.tasks)} tasks; plan 1 to {MOST_TASKS}, each with scorers"
        if len(names) > MOST_SCORERS:
            yield f"there are {len(names)} scorers; plan {MOST_SCORERS} at most, few and sharp"
        for name, times in Counter(names).items():
            if not name.isidentifier() or times > 1:
                yield f"the scorer {name!r} is no Python identifier, or planned twice"
        for finding in self.findings:
            for each in finding.evidence:
                if not each or each not in known:
                    yield f"the experiment has no trace {each}, which {finding.what[:60]!r} cites"


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do, for one session at a time.

    Attributes:
        task_id: Such as ``scorers-1``; the last one is ``validate``.
        scorers: Names of scorers that have to be there and hold; empty for the whole suite.
        attempts: Sessions that tried.
        evidence: What the program's check found, once it is done.
        failure: Why the last attempt did not pass the check, or what is to be seen to.
    """

    task_id: str
    title: str
    scorers: tuple[str, ...] = ()
    instructions: str = ""
    status: TaskStatus = "pending"
    attempts: int = 0
    evidence: tuple[str, ...] = ()
    failure: str = ""


VALIDATE = Task("validate", "Name the limits, and prove the whole suite")


@dataclass(frozen=True, slots=True)
class Plan:
    """All tasks of a session directory, in the order in which they are taken."""

    tasks: tuple[Task, ...]

    @classmethod
    def of(cls, proposal: Proposal) -> Plan:
        """The tasks that a proposal leads to; the proof of the whole comes last."""
        tasks = [
            Task(
                f"scorers-{number}",
                task.title,
                tuple(task.scorers),
                "\n".join([task.instructions, *(f"- {n}: {w}" for n, w in task.scorers.items())]),
            )
            for number, task in enumerate(proposal.tasks, 1)
        ]
        return cls((*tasks, VALIDATE))

    def as_bytes(self) -> bytes:
        """The plan as JSON text that a person reads."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()

    def next(self) -> Task | None:
        """The first task that is not over; None where all are, or one is blocked."""
        if self.blocked:
            return None
        return next((task for task in self.tasks if task.status != "done"), None)

    @property
    def blocked(self) -> Task | None:
        """The task that cannot be done, if there is one."""
        return next((task for task in self.tasks if task.status == "blocked"), None)

    @property
    def is_done(self) -> bool:
        """Whether every task is done."""
        return all(task.status == "done" for task in self.tasks)

    def task(self, task_id: str) -> Task:
        """The task of that id."""
        return next(task for task in self.tasks if task.task_id == task_id)

    def started(self, task_id: str) -> Plan:
        """A session starts with it."""
        return self.changed(task_id, status="in progress", attempts=self.task(task_id).attempts + 1)

    def done(self, task_id: str, evidence: Sequence[str]) -> Plan:
        """Its check passed."""
        return self.changed(task_id, status="done", evidence=tuple(evidence), failure="")

    def failed(self, task_id: str, failure: str) -> Plan:
        """Its check did not pass; after too many attempts it is blocked."""
        is_over = self.task(task_id).attempts >= MOST_ATTEMPTS
        return self.changed(task_id, status="blocked" if is_over else "pending", failure=failure)

    def changed(self, task_id: str, **values: Any) -> Plan:
        """The plan with other fields of a task."""
        return Plan(tuple(replace(t, **values) if t.task_id == task_id else t for t in self.tasks))


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent: calls, tokens (cached ones included), USD, minutes; None: no limit."""

    turns: int | None = None
    tokens: int | None = None
    usd: float | None = None
    minutes: float | None = None

    def reached(self, spent: Spent, whose: str) -> Iterator[str]:
        """Each limit that leaves no room for the next call, in words."""
        if self.turns is not None and spent.turns >= self.turns:
            yield f"{whose} budget of {self.turns} turns is spent"
        if self.tokens is not None and spent.tokens + LEAST_TOKENS > self.tokens:
            yield f"{whose} budget of {self.tokens:,} tokens is spent ({spent.tokens:,} used)"
        if self.usd is not None and spent.usd >= self.usd > 0:
            yield f"{whose} budget of {self.usd:g} USD is spent ({spent.usd:.2f} used)"
        if self.usd is not None and spent.unpriced and self.tokens is None:
            yield f"{whose} budget in USD cannot be kept: the model's price is not known"
        if self.minutes is not None and spent.seconds >= self.minutes * SECONDS_A_MINUTE:
            yield f"{whose} budget of {self.minutes:g} minutes is spent"


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent: calls, tokens by kind, USD of the priced calls, unpriced calls, seconds."""

    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def tokens(self) -> int:
        """Tokens of all kinds."""
        return sum(self.usage.read) + self.usage.output

    def as_json(self) -> dict[str, Json]:
        """The same by name; ``cost_usd`` is None where a call's price is not known."""
        return {
            "turns": self.turns,
            "tokens": self.tokens,
            "input_tokens": self.usage.input,
            "output_tokens": self.usage.output,
            "cache_read_input_tokens": self.usage.cache_read,
            "cache_creation_input_tokens": self.usage.cache_write,
            "cost_usd": None if self.unpriced else round(self.usd, 6),
            "priced_usd": round(self.usd, 6),
            "unpriced_calls": self.unpriced,
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Budget:
    """What one session may spend, what all of them together, and how many there may be now."""

    session: Limits
    total: Limits
    sessions: int | None = None

    def session_over(self, spent: Spent) -> str:
        """Which limit of a session is reached, in words; empty where the next call fits."""
        return next(self.session.reached(spent, "this session's"), "")

    def over(self, spent: Spent) -> str:
        """Which limit of all sessions together is reached; empty where the next call fits."""
        return next(self.total.reached(spent, "the total"), "")

    def output_tokens(self, wanted: int, session: Spent, total: Spent) -> int:
        """How many tokens the next answer may have."""
        pairs = ((self.session, session), (self.total, total))
        left = [of.tokens - spent.tokens for of, spent in pairs if of.tokens is not None]
        return max(LEAST_TOKENS, min([wanted, *left]))
