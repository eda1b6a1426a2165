"""What the agent works with: MLflow, model, session, budget; and what a session is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Literal, TypeAlias

from evalkit.agent.model_client import OFFLINE
from evalkit.agent.plan import Budget, Spent, Task
from evalkit.agent.session import ANALYSIS_FILE, NOTES_FILE, SessionDirectory, SessionKind
from evalkit.jsonable import well_formed
from evalkit.masking import mask_text
from evalkit.suite.model import LIMITS_FILE, SCORERS_FILE

if TYPE_CHECKING:
    from evalkit.agent.claude import Claude
    from evalkit.store import Store
    from evalkit.suite.runner import Runner
    from evalkit.suite.sandbox import Sandbox
    from evalkit.traces.sample import Survey

EventKind: TypeAlias = Literal["session", "delta", "words", "tool", "result", "wait", "task", "end"]
"""``delta`` is a piece of the model's words, ``words`` all of an answer's."""

MOST_BYTES = 9_000
"""Of a tool's result, as UTF-8."""

FILES_SHOWN = {SCORERS_FILE: 14_000, LIMITS_FILE: 3_000, NOTES_FILE: 3_000}
"""What a session is shown of the files that are there, with the most bytes."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that just happened, for whoever watches: a terminal, a page, nobody.

    ``text`` is on one line where it is not the model's; ``session`` is 0 where none runs; ``spent``
    is of all sessions so far, None where it is as before.
    """

    kind: EventKind
    text: str
    session: int = 0
    spent: Spent | None = None


Watch: TypeAlias = Callable[[Event], None]
"""Told of every event, in the thread that works; what it raises ends the work, resumably."""


@dataclass
class Work:
    """What the agent works with; without a model rules do the work.

    ``own_experiment`` is the id of the experiment for the agent's own traces.
    """

    model: Claude | None
    session: SessionDirectory
    store: Store
    sandbox: Sandbox
    budget: Budget
    watch: Watch
    own_experiment: str

    @property
    def model_name(self) -> str:
        """The model's name, or what stands for rules."""
        return self.model.name if self.model else OFFLINE

    @cached_property
    def survey(self) -> Survey:
        """The traces: counted, all of them; whole, the same ones for all of a session's life."""
        from evalkit.traces.sample import survey

        kept = self.session.read_json(ANALYSIS_FILE)
        known = kept.get("trace_ids")
        ids = [str(each) for each in known] if isinstance(known, list) else []
        about = self.session.about
        self.watch(Event("wait", f"reading the traces of {about.experiment}"))
        found = survey(
            *(self.store, about.experiment_id),
            trace_ids=ids,
            say=lambda text: self.watch(Event("wait", text)),
        )
        now = {"trace_ids": ids or list(found.trace_ids), "is_sample": found.is_sample}
        self.session.save(ANALYSIS_FILE, {**kept, **now, "counted": dict(found.analysis)})
        return found

    @cached_property
    def runner(self) -> Runner:
        """Where the code of a suite runs, over these traces."""
        from evalkit.suite.runner import Runner

        return Runner(self.sandbox, self.survey.rows)


def prompt(kind: SessionKind) -> str:
    """What a model is told that it is and is to do in a session of that kind."""
    folder = resources.files(__package__) / "prompts"
    return "\n".join((folder / f"{name}.md").read_text("utf-8") for name in (kind, "scorers"))


def opening_message(work: Work, task: Task | None) -> str:
    """What a session is told first: its task, what is there, and what the traces say."""
    from evalkit.traces.report import opening

    parts = [f"Experiment: {work.session.about.experiment}."]
    if task is not None:
        name = f" ({task.task_id})" if task.task_id else ""
        parts.append(f"Your task{name}: {task.title}\n{task.instructions}".strip())
        if task.failure:
            parts.append(f"The program's check says:\n{bounded(task.failure)}")
    for path, most in FILES_SHOWN.items():
        if content := work.session.folder.read(path):
            text = bounded(content.decode(errors="replace"), most)
            parts.append(f"{path} as it is:\n~~~\n{text}\n~~~")
    is_first = task is not None and not task.task_id
    parts.append(opening(work.survey, most_chars=14_000 if is_first else 9_000))
    return "\n\n".join(parts)


def bounded(text: str, most: int = MOST_BYTES) -> str:
    """The text without secrets, cut where it is too long for a conversation."""
    raw = mask_text(str(well_formed(text)))[0].encode()
    if len(raw) <= most:
        return raw.decode()
    kept = raw[: most - 100].decode(errors="ignore")
    return f"{kept}\n… cut here: {len(raw) - len(kept.encode()):,} bytes more. Ask for less."
