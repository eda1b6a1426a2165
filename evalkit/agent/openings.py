"""What a session is told before it says a word: its instructions, its task, what is there."""

from __future__ import annotations

from importlib import resources

from evalkit.agent.plan import Task
from evalkit.agent.session import NOTES_FILE, SessionKind
from evalkit.agent.tools import bounded
from evalkit.agent.work import Work
from evalkit.suite.model import LIMITS_FILE, SCORERS_FILE

OPENING_CHARS = {"initializer": 14_000, "worker": 9_000, "interactive": 9_000}
"""Of what an opening message says about the traces; a worker's plan stands on it already."""

FILE_BYTES = 14_000
"""Of a file of the suite that a worker is shown."""

NOTES_BYTES = 3_000


def prompt(kind: SessionKind) -> str:
    """What a model is told that it is and is to do in a session of that kind."""
    folder = resources.files(__package__) / "prompts"
    return "\n".join((folder / f"{name}.md").read_text("utf-8") for name in (kind, "scorers"))


def opening_message(work: Work, kind: SessionKind, task: Task | None) -> str:
    """What a session is told first: its task, what is there, and what the traces say.

    Args:
        work: What the agent works with.
        kind: The session's.
        task: The worker's task.
    """
    from evalkit.traces.report import opening

    folder = work.session.folder
    parts = [f"Experiment: {work.session.about.experiment}."]
    if kind == "initializer":
        parts.append("Look at the traces and plan the suite.")
    if task is not None:
        parts.append(f"Your task ({task.task_id}): {task.title}\n{task.instructions}".strip())
        if task.failure:
            parts.append(f"The program's check says:\n{bounded(task.failure)}")
    for path, most in (
        (SCORERS_FILE, FILE_BYTES),
        (LIMITS_FILE, NOTES_BYTES),
        (NOTES_FILE, NOTES_BYTES),
    ):
        if content := folder.read(path):
            text = bounded(content.decode(errors="replace"), most)
            parts.append(f"{path} as it is:\n~~~\n{text}\n~~~")
    parts.append(opening(work.survey, most_chars=OPENING_CHARS[kind]))
    return "\n\n".join(parts)
