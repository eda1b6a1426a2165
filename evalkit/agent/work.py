"""What the agent works with, and what the program finds of its work: one state for all parts.

The program proves the suite; what a model says of it does not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from evalkit.agent.model_client import OFFLINE
from evalkit.agent.plan import Budget, Spent, Task
from evalkit.agent.session import (
    ANALYSIS_FILE,
    KEPT_FILE,
    NOTES_FILE,
    VALIDATION_FILE,
    SessionDirectory,
    SessionKind,
)
from evalkit.jsonable import Json, list_of, mapping_of, well_formed
from evalkit.masking import mask_text
from evalkit.suite.model import FEW_ROWS, LIMITS_FILE, SCORERS_FILE, Verification
from evalkit.suite.runner import Runner
from evalkit.suite.verify import verify
from evalkit.traces.report import opening
from evalkit.traces.sample import Survey, survey

if TYPE_CHECKING:
    from evalkit.agent.claude import Claude
    from evalkit.store import Store
    from evalkit.suite.sandbox import Sandbox

EventKind: TypeAlias = Literal["session", "delta", "words", "tool", "result", "wait", "task", "end"]
"""``delta`` is a piece of the model's words, ``words`` all of an answer's."""

MOST_BYTES = 9_000
"""Of a tool's result, as UTF-8."""

FILES_SHOWN = {SCORERS_FILE: 14_000, LIMITS_FILE: 3_000, NOTES_FILE: 3_000}
"""What a session is shown of the files that are there, with the most bytes."""

_SUBJECT = re.compile(r"(?:BAD_EXAMPLES\['|SCORERS has no scorer named )?(\w+)")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that just happened, for whoever watches: a terminal, a page, nobody.

    ``text`` is on one line where it is not the model's; ``session`` is 0 where none runs; ``spent``
    is of all sessions so far where one starts, goes on or ends.
    """

    kind: EventKind
    text: str
    session: int = 0
    spent: Spent = field(default_factory=Spent)


Watch: TypeAlias = Callable[[Event], None]
"""Told of every event, in the thread that works; what it raises ends the work, resumably."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool or the program's check gave, or what is wrong and what to do instead.

    ``evidence`` is the same in short, where a check passed.
    """

    text: str
    is_error: bool = False
    evidence: str = ""


@dataclass
class Work:
    """What the agent works with; without a model rules do the work.

    Attributes:
        own_experiment: The id of the experiment for the agent's own traces; empty without a model.
        led: Sessions that were led this time.
        found: What was found of the suite last; None where that was not necessary this time.
    """

    model: Claude | None
    session: SessionDirectory
    store: Store
    sandbox: Sandbox
    budget: Budget
    watch: Watch
    own_experiment: str
    led: int = 0
    found: Verification | None = None
    _found_of: Sequence[str] = ()

    @property
    def model_name(self) -> str:
        """The model's name, or what stands for rules."""
        return self.model.name if self.model else OFFLINE

    @cached_property
    def survey(self) -> Survey:
        """The traces: counted, all of them; whole, the same ones for all of a session's life."""
        kept = self.session.read_json(ANALYSIS_FILE)
        ids, about = [str(each) for each in list_of(kept.get("trace_ids"))], self.session.about
        self.tell("wait", f"reading the traces of {about.experiment}")
        found = survey(
            *(self.store, about.experiment_id),
            trace_ids=ids,
            say=lambda text: self.tell("wait", text),
        )
        now = {"trace_ids": ids or list(found.trace_ids), "is_sample": found.is_sample}
        self.session.save(ANALYSIS_FILE, {**kept, **now, "counted": dict(found.analysis)})
        return found

    @cached_property
    def runner(self) -> Runner:
        """Where the code of a suite runs, over these traces."""
        return Runner(self.sandbox, self.survey.rows)

    def tell(self, kind: EventKind, text: str, number: int = 0) -> None:
        """Tell whoever watches of a session, with what all have spent."""
        self.watch(Event(kind, text, number, self.session.spent()))

    def book(self, task: Task, **values: Any) -> None:
        """Keep, and tell, what became of a planned task."""
        task, tasks = replace(task, **values), self.session.tasks
        if not tasks:
            return
        self.session.save_tasks(task if each.task_id == task.task_id else each for each in tasks)
        if task.status != "in progress":
            is_done = task.status == "done"
            said = f"done, {'; '.join(task.evidence)}" if is_done else f"not done, {task.failure}"
            self.tell("task", " ".join(f"{task.title}: {said}".split())[:300])

    # -- the program's check ------------------------------------------------------------------

    def check(self, task: Task) -> ToolResult:
        """The program's check of a task, as the suite is now; one that is as before is not run."""
        if not task.task_id:
            lacks = "" if self.session.tasks else "there is no plan yet: save eval_tasks.json"
            return ToolResult(lacks, bool(lacks), "planned")
        files, rows = self.session.files(), self.survey.rows
        if SCORERS_FILE not in files:
            lacks = f"not done yet: {SCORERS_FILE} cannot be used: it is not there"
            return ToolResult(lacks, is_error=True)
        planned = [name for each in self.session.tasks for name in each.scorers]
        found = self.found
        if found is None or self._found_of != [self.session.suite_hash, *planned]:
            found = self.record(verify(self.runner, files, rows, wanted=planned), planned)
        # neither what is about another task's scorers, nor about what people rejected
        others = {"people", *planned} - set(task.scorers) if task.scorers else set()
        mine = tuple(each for each in found.problems if subject(each) not in others)
        text = replace(found, problems=mine).as_text()
        if mine:
            return ToolResult(bounded(f"not done yet:\n{text}"), is_error=True)
        there = {*found.scorers, *found.judges} & set(task.scorers or planned or found.scorers)
        stands = f"{len(there)} scorers hold on {found.good_rows} good of {found.rows} rows"
        return ToolResult(bounded(text), evidence=stands)

    def record(self, found: Verification, planned: Sequence[str]) -> Verification:
        """Keep what was found of the suite, beside which suite and which plan that was."""
        self.found, suite = found, self.session.suite_hash
        self._found_of = [suite, *planned]
        about = {"suite": suite, "confinement": self.runner.confinement, "text": found.as_text()}
        self.session.save(VALIDATION_FILE, {"people": found.people, **found.as_json(), **about})
        return found

    def shortcoming(self) -> str:
        """Why the suite as it is is not verified, by what was found; empty where it is."""
        kept = self.session.read_json(VALIDATION_FILE)
        if kept.get("word") == "too few traces":
            bare = self.survey.analysis["without_inputs"]
            unasked = f"; {bare} traces do not hold what was asked" if bare else ""
            return (
                f"too few traces: {kept.get('good_rows')} good answers are no proof, {FEW_ROWS} "
                f"are the least{unasked}. The suite is left as it is; start again when there are "
                "more"
            )
        is_now = kept.get("suite") == self.session.suite_hash
        if is_now and kept.get("word") == "verified":
            return ""
        return "; ".join(["not verified", *map(str, list_of(kept.get("problems")))])

    @property
    def kept(self) -> dict[str, Json]:
        """Where MLflow holds the suite as it is; empty where that was not kept."""
        left = self.session.read_json(KEPT_FILE)
        is_now = left.get("suite") == self.session.suite_hash
        return dict(mapping_of(left.get("kept"))) if is_now else {}


def subject(problem: str) -> str:
    """The scorer that a problem is about; ``people`` where it is about what people rejected."""
    return match[1] if (match := _SUBJECT.match(problem)) else ""


# -- what a model is told ---------------------------------------------------------------------


def prompt(kind: SessionKind) -> str:
    """What a model is told that it is and is to do in a session of that kind."""
    folder = resources.files(__package__) / "prompts"
    return "\n".join((folder / f"{name}.md").read_text("utf-8") for name in (kind, "scorers"))


def opening_message(work: Work, task: Task | None) -> str:
    """What a session is told first: its task, what is there, and what the traces say."""
    parts = [f"Experiment: {work.session.about.experiment}."]
    if task is not None:
        name = f" ({task.task_id})" if task.task_id else ""
        parts.append(f"Your task{name}: {task.title}\n{task.instructions}".strip())
        if task.failure:
            parts.append(f"The program's check says:\n{bounded(task.failure)}")
    for path, most in FILES_SHOWN.items():
        if content := work.session.read(path):
            text = bounded(content.decode(errors="replace"), most)
            parts.append(f"{path} as it is:\n~~~\n{text}\n~~~")
    is_first = task is not None and not task.task_id
    return "\n\n".join([*parts, opening(work.survey, most_chars=14_000 if is_first else 9_000)])


def bounded(text: str, most: int = MOST_BYTES) -> str:
    """The text without secrets, cut where it is too long for a conversation."""
    raw = mask_text(str(well_formed(text)))[0].encode()
    if len(raw) <= most:
        return raw.decode()
    kept = raw[: most - 100].decode(errors="ignore")
    return f"{kept}\n… cut here: {len(raw) - len(kept.encode()):,} bytes more. Ask for less."
