"""What is to be done for a suite, task by task, and what may be spent on it.

The program keeps both; a model only proposes tasks, and never says that one is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Literal, TypeAlias

from evalkit.jsonable import Json
from evalkit.tokens import KINDS, Usage

TaskStatus: TypeAlias = Literal["pending", "in progress", "done", "blocked"]

MOST_TASKS = 5
MOST_SCORERS = 16
LEAST_TOKENS = 256  # that an answer needs room for to be worth asking


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
        """Why the program cannot work by it; ids of traces that it cites stand in ``known``."""
        names = Counter(name for task in self.tasks for name in task.scorers)
        if not 0 < len(self.tasks) <= MOST_TASKS or not all(task.scorers for task in self.tasks):
            yield f"there are {len(self.tasks)} tasks; plan 1 to {MOST_TASKS}, each with scorers"
        if len(names) > MOST_SCORERS:
            yield f"there are {len(names)} scorers; plan {MOST_SCORERS} at most, few and sharp"
        for name, times in names.items():
            if not name.isidentifier() or times > 1:
                yield f"the scorer {name!r} is no Python identifier, or planned twice"
        for finding in self.findings:
            for each in finding.evidence:
                if not each or each not in known:
                    yield f"the experiment has no trace {each}, which {finding.what[:60]!r} cites"

    def planned(self) -> Iterator[Task]:
        """The tasks that it leads to; the proof of the whole comes last."""
        for number, task in enumerate(self.tasks, 1):
            what = [task.instructions, *(f"- {n}: {w}" for n, w in task.scorers.items())]
            yield Task(f"scorers-{number}", task.title, tuple(task.scorers), "\n".join(what))
        yield VALIDATE


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do, for one session at a time."""

    task_id: str  # empty for the planning
    title: str
    scorers: tuple[str, ...] = ()  # that have to be there and hold; empty for the whole suite
    instructions: str = ""
    status: TaskStatus = "pending"
    attempts: int = 0  # since the command was last started
    evidence: tuple[str, ...] = ()  # of the program's check, once it is done
    failure: str = ""  # why the check did not pass


PLANNING = Task("", "Look at the traces and plan the suite")
VALIDATE = Task("validate", "Name the limits, and prove the whole suite")


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent: calls, tokens (cached ones included), USD, minutes; None: no limit."""

    turns: int | None = None
    tokens: int | None = None
    usd: float | None = None
    minutes: float | None = None

    def reached(self, spent: Spent, whose: str) -> str:
        """Which limit leaves no room for the next call, in words; empty where none does."""
        if self.usd is not None and spent.unpriced and self.tokens is None:
            return f"{whose} budget in USD cannot be kept: the model's price is not known"
        for unit, limit, used in (
            ("turns", self.turns, spent.turns),
            ("tokens", self.tokens, spent.tokens),
            ("USD", self.usd, round(spent.usd, 6)),
            ("minutes", self.minutes, round(spent.seconds / 60, 6)),
        ):
            room = LEAST_TOKENS if unit == "tokens" else 0
            if limit is not None and used + room >= limit:
                return f"{whose} budget of {limit:,.12g} {unit} is spent ({used:,.12g} used)"
        return ""


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
            **{name: getattr(self.usage, kind) for name, kind in KINDS.items()},
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
