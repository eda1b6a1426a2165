"""The agent's work as a page follows it: sessions, their state, what the present one is at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from evalkit.agent import location
from evalkit.agent.loop import Event
from evalkit.agent.plan import Plan, Spent
from evalkit.agent.session import VALIDATION_FILE, SessionDirectory
from evalkit.core.errors import InputError
from evalkit.core.tracking import without_password

STEPS_KEPT = 12


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the agent did: ``words``, the use of a ``tool``, a ``wait``; its outcome."""

    kind: str
    text: str
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """The work at one moment: what its session is about, the tasks, the last steps, what it cost.

    ``session`` is 0 before the first, and ``plan`` None while there is none.
    """

    doing: str = ""
    session: int = 0
    plan: Plan | None = None
    steps: tuple[Step, ...] = ()
    spent: Spent = field(default_factory=Spent)


class Progress:
    """Notes what the agent does; tells of it in any thread.

    Args:
        base: Where session directories lie; None for the working directory.
        session_id: The session, started or not, whose tasks are read; None for one that is not
            known yet.
    """

    def __init__(self, base: str | None, session_id: str | None) -> None:
        self._base, self._session_id, self._moment = base, session_id, Moment()

    def __call__(self, event: Event) -> None:
        """Note an event.

        Raises:
            InputError: the session directory cannot be read.
        """
        now, found = self._moment, None
        if event.kind in {"session", "task", "end"} and self._session_id:
            found = location.find_session(self._base, self._session_id)
        match event.kind:
            case "session":
                now = replace(now, doing=event.text, session=event.session, steps=())
            case "result" if now.steps:
                *before, last = now.steps
                now = replace(now, steps=(*before, replace(last, outcome=event.text)))
            case "words" | "tool" | "wait":
                steps = (*now.steps, Step(event.kind, event.text))
                now = replace(now, steps=steps[-STEPS_KEPT:])
        plan = (found.plan() if found else None) or now.plan
        self._moment = replace(now, plan=plan, spent=event.spent or now.spent)

    def moment(self) -> Moment:
        """The work as it is now."""
        return self._moment


def sessions_about(
    base: str | None, experiment_id: str, tracking_uri: str
) -> Iterator[SessionDirectory]:
    """The sessions about an experiment, the newest first where nobody chose their names.

    Args:
        base: Where session directories lie; None for the working directory.
        experiment_id: The experiment.
        tracking_uri: The MLflow that it is in: every store counts its experiments from 1.
    """
    here = (experiment_id, location.lasting(without_password(tracking_uri)))
    for session_id in reversed(location.session_ids(base)):
        try:
            found = location.find_session(base, session_id)
        except InputError:
            continue  # of another form, or spoiled
        about = found.about if found else None
        if found and about and (about.experiment_id, location.lasting(about.tracking_uri)) == here:
            yield found


def state_of(session: SessionDirectory) -> str:
    """How far a session is, in words: ``verified``, ``too few traces``, ``blocked`` and so on."""
    plan, word = session.plan(), session.read_json(VALIDATION_FILE).get("word")
    if plan is None:
        return "looking at traces"
    if plan.is_done:
        return str(word or "done")
    done = sum(task.status == "done" for task in plan.tasks)
    return "blocked" if plan.blocked else f"{done} of {len(plan.tasks)} tasks done"
