"""The agent at work: what it is at, its tasks, its last steps, and what it has spent.

What the agent says and what its tools return is data: it is escaped, and never becomes markup.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import marimo as mo

from evalkit.agent import location
from evalkit.agent.plan import Budget, Plan, Spent, Task
from evalkit.agent.session import VALIDATION_FILE, SessionDirectory
from evalkit.agent.work import Event
from evalkit.ui import page
from evalkit.ui.work import bar

SECONDS_A_MINUTE = 60

MARKS = {
    "done": ("✓", "grass"),
    "in progress": ("●", "blue"),
    "pending": ("○", "slate"),
    "blocked": ("✗", "red"),
}
"""How each status of a task looks: its mark, and the hue of it."""

STYLE = """
.ek-agent-two { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)) }
.ek-agent-two > div { min-width: 0 }
.ek-agent-list { columns: 2 330px; column-gap: 1.5rem }
.ek-agent-list .ek-agent-task { break-inside: avoid }
.ek-agent-spent { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)) }
.ek-agent-quiet { color: var(--muted-foreground, #666); font-size: 0.8rem }
.ek-agent-track { height: 6px; border-radius: 3px; overflow: hidden; margin-top: 0.35rem;
  background: var(--slate-4, #e8e8ec) }
.ek-agent-track > div { height: 100%; background: var(--blue-9, #0090ff) }
.ek-agent-task { display: grid; grid-template-columns: 1.4rem minmax(0, 1fr);
  padding: 0.25rem 0; font-size: 0.9rem; overflow-wrap: anywhere }
.ek-agent-step { font-size: 0.85rem; padding: 0.2rem 0; overflow-wrap: anywhere }
.ek-agent-step summary { cursor: pointer; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap }
.ek-agent-mono { font-family: var(--monospace-font, monospace); font-size: 0.78rem;
  overflow-wrap: anywhere; white-space: pre-wrap }
.ek-agent-head { font-weight: 600; margin-bottom: 0.35rem }
"""

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


def live(moment: Moment, budget: Budget) -> Any:
    """The work as it is at this moment.

    Args:
        moment: The work.
        budget: What it may spend.
    """
    doing = f"Session {moment.session}: {moment.doing}" if moment.session else "Beginning"
    steps = "".join(map(_step, moment.steps)) or _quiet("Nothing yet.")
    tasks = _tasks(moment.plan) if moment.plan else _quiet("They are planned from the traces.")
    return mo.Html(
        f"<div><style>{STYLE}</style>{bar(_part(moment.plan))}"
        f'<div class="ek-agent-head" style="margin-top: 0.75rem">{html.escape(doing)}</div>'
        f'<div class="ek-agent-spent">{"".join(_spending(moment.spent, budget))}</div>'
        '<div class="ek-agent-two" style="margin-top: 1.25rem">'
        f'<div><div class="ek-agent-head">Tasks</div>{tasks}</div>'
        f'<div><div class="ek-agent-head">Last steps</div>{steps}</div></div></div>'
    )


def state_of(session: SessionDirectory) -> str:
    """How far a session is, in words: ``verified``, ``too few traces``, ``blocked`` and so on."""
    plan, word = session.plan(), session.read_json(VALIDATION_FILE).get("word")
    if plan is None:
        return "looking at traces"
    if plan.is_done:
        return str(word or "done")
    done = sum(task.status == "done" for task in plan.tasks)
    return "blocked" if plan.blocked else f"{done} of {len(plan.tasks)} tasks done"


def task_list(plan: Plan | None) -> Any:
    """The tasks with their status, their attempts, and the evidence of the program's checks.

    None where there are none yet.
    """
    if plan is None:
        return None
    if not page.is_live():
        return page.table(
            [
                {
                    "Task": task.title,
                    "Status": task.status,
                    "Attempts": task.attempts,
                    "Evidence": _proof(task),
                }
                for task in plan.tasks
            ]
        )
    return mo.Html(f'<div class="ek-agent-list"><style>{STYLE}</style>{_tasks(plan)}</div>')


def spent_cards(spent: Spent) -> Any:
    """What a session directory has cost so far; None where no model was asked."""
    if not spent.turns:
        return None
    used = spent.usage
    cost = f"${spent.usd:,.2f}" + (" and more" if spent.unpriced else "")
    unknown = f"{spent.unpriced} calls have no known price" if spent.unpriced else "in all sessions"
    return page.cards(
        ("Calls of the model", f"{spent.turns:,}", "each is kept and never paid twice"),
        ("Tokens", f"{spent.tokens:,}", f"{used.cache_read:,} of them cached"),
        ("Cost", cost, unknown),
        ("Time", f"{spent.seconds / SECONDS_A_MINUTE:,.1f} min", "with tools and checks"),
    )


def _part(plan: Plan | None) -> float:
    """How much of the work is done: the plan itself counts as a task."""
    tasks = plan.tasks if plan else ()
    over = sum(task.status == "done" for task in tasks)
    return (over + 1) / (len(tasks) + 1) if tasks else 0.02


def _spending(spent: Spent, budget: Budget) -> Iterator[str]:
    """Each kind of spending, against the budget of all sessions."""
    limits = budget.total
    minutes = spent.seconds / SECONDS_A_MINUTE
    yield _meter("Calls", f"{spent.turns:,}", spent.turns, limits.turns, "")
    yield _meter("Tokens", f"{spent.tokens:,}", spent.tokens, limits.tokens, "")
    yield _meter("Cost", f"{spent.usd:,.2f}", spent.usd, limits.usd, " USD")
    yield _meter("Time", f"{minutes:,.1f}", minutes, limits.minutes, " min")


def _meter(name: str, shown: str, used: float, limit: float | None, unit: str) -> str:
    of = f" of {limit:,g}{unit}" if limit is not None else unit
    part = 0.0 if limit is None else min(used / limit, 1.0)
    bar = f'<div class="ek-agent-track"><div style="width: {part:.1%}"></div></div>'
    return (
        f'<div><span class="ek-agent-quiet">{name}</span><div><b>{shown}</b>'
        f'<span class="ek-agent-quiet">{of}</span></div>{bar if limit is not None else ""}</div>'
    )


def _tasks(plan: Plan) -> str:
    return "".join(map(_task, plan.tasks))


def _task(task: Task) -> str:
    mark, hue = MARKS[task.status]
    tries = f"attempt {task.attempts}" if task.attempts > 1 else ""
    state = task.status if task.status != "done" else ""
    aside = " · ".join(each for each in (state, tries) if each)
    proof = _proof(task)
    below = f'<div class="ek-agent-quiet">{html.escape(proof)}</div>' if proof else ""
    return (
        f'<div class="ek-agent-task"><span style="color: var(--{hue}-11); font-weight: 700" '
        f'title="{task.status}">{mark}</span><div>{html.escape(task.title)} '
        f'<span class="ek-agent-quiet">{aside}</span>{below}</div></div>'
    )


def _proof(task: Task) -> str:
    """What the program's check found: what is missing, or the evidence."""
    if task.failure and task.status != "done":
        return " ".join(task.failure.split())
    return "; ".join(task.evidence)


def _step(step: Step) -> str:
    text = html.escape(step.text)
    if step.kind != "tool":
        return f'<div class="ek-agent-step">{text}</div>'
    name, _, given = step.text.partition(" ")
    came = html.escape(step.outcome or "…")
    return (
        f'<details class="ek-agent-step"><summary><b>{html.escape(name)}</b> '
        f'<span class="ek-agent-quiet">{came}</span></summary>'
        f'<div class="ek-agent-mono">{html.escape(given)}</div>'
        f'<div class="ek-agent-mono ek-agent-quiet">{came}</div></details>'
    )


def _quiet(text: str) -> str:
    return f'<div class="ek-agent-quiet">{text}</div>'
