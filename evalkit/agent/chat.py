"""``evalkit agent -i``: a conversation in the terminal, with the agent's four tools.

An answer is shown as it is written, paragraph by paragraph as Markdown. Ctrl-C stops the answer and
not the conversation, which a later run goes on with.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from evalkit.agent import self_tracing
from evalkit.agent.loop import Ending, Event, Loop
from evalkit.agent.model_client import Model
from evalkit.agent.model_settings import settings_for
from evalkit.agent.openings import opening_message, prompt
from evalkit.agent.orchestrator import Orchestrator
from evalkit.agent.plan import VALIDATE, Limits
from evalkit.agent.session import Opening, Turn
from evalkit.agent.tools import SessionTools
from evalkit.agent.work import Work
from evalkit.core.brevity import short
from evalkit.core.errors import InputError, ModelError, Problem, StoreError
from evalkit.core.masking import mask_text

if TYPE_CHECKING:
    from rich.console import Console

    from evalkit.agent.request import Request

NO_MODEL = Problem(
    "a conversation needs a model, and rules are none",
    field="-i",
    fix="set ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN and ANTHROPIC_BASE_URL) and leave "
    "`--model offline` out; or leave -i out: a suite by rules needs no model",
)
LEAVING = {"exit", "quit", "/exit", "/quit", ":q"}
_HISTORY_LINES = 1_000


class ChatView:
    """Shows a conversation on a console; watches the work by being called."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._pending = ""
        self._has_streamed = False
        self._live: Live | None = None

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if event.kind == "delta":
            self._stream(_printable(event.text))
            return
        if event.kind == "words" and not self._has_streamed:
            self._pending = _printable(event.text)
        self.flush()
        if event.kind == "end" and event.spent is not None:
            early = "" if event.text == "finished" else f"{event.text}; "
            cost = f"{event.spent.tokens:,} tokens, {event.spent.usd:.2f} USD"
            self.aside(f"({early}{cost} so far)")
        elif event.kind != "words":
            self.aside(f"  {event.text}")
            self.wait()
        self._has_streamed = False

    def aside(self, text: str) -> None:
        """A line that is not the model's."""
        self.flush()
        self.console.print(Text(_printable(text), "dim"))

    def wait(self) -> None:
        """Show that something is to come, and what of it has come."""
        if not self.console.is_terminal:
            return
        if self._live is None:
            self._live = Live(console=self.console, transient=True, refresh_per_second=8)
            self._live.start()
        self._live.update(Text(self._pending or "…"))

    def flush(self) -> None:
        """Show what has come and not been shown."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._pending.strip():
            self._show(self._pending)
        self._pending = ""

    def _stream(self, text: str) -> None:
        self._has_streamed = True
        self._pending += text
        while end := _paragraph_end(self._pending):
            paragraph, rest = self._pending[:end], self._pending[end:]
            self._pending = paragraph
            self.flush()
            self._pending = rest
        self.wait()

    def _show(self, text: str) -> None:
        if self.console.is_terminal:
            self.console.print(Markdown(text, hyperlinks=False), soft_wrap=False)
            self.console.print()
        else:
            self.console.print(Text(text))


def _printable(text: str) -> str:
    """Words of a model without what a terminal would take for commands."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())


def _paragraph_end(text: str) -> int:
    """Where the first paragraph ends, code in fences being one; 0 where it has not."""
    at = text.find("\n\n")
    while at >= 0 and text[:at].count("```") % 2:
        at = text.find("\n\n", at + 1)
    return at + 2 if at >= 0 else 0


def read_line() -> str | None:
    """What a person types next, with editing and the history of earlier times; None at the end."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None
    import readline

    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    history = Path(state) / "evalkit" / "chat_history"
    if not readline.get_current_history_length():
        with suppress(OSError):
            readline.read_history_file(history)
    try:
        line = input("> ")
    except EOFError:
        return None
    except KeyboardInterrupt:
        sys.stdout.write("\n(Ctrl-D or exit leaves)\n")
        return ""
    masked, found = mask_text(line)
    if found:  # no secret lasts in a file
        readline.replace_history_item(readline.get_current_history_length() - 1, masked)
    readline.set_history_length(_HISTORY_LINES)
    with suppress(OSError):
        history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        history.touch(mode=0o600)
        readline.write_history_file(history)
    return line


def converse(work: Work, view: ChatView, listen: Callable[[], str | None]) -> Ending | None:
    """Answer a person until they leave or no more may be spent.

    Args:
        work: What the agent works with; of its budget the total counts.
        view: Shows what happens.
        listen: What the person says next; None at the end.

    Returns:
        How the last answer ended; None where nothing was answered.

    Raises:
        InputError: there is no model to talk to.
        ModelError: the last that was said has no answer; it can be said again.
        StoreError: MLflow failed.
    """
    if work.model is None:
        raise InputError(NO_MODEL)
    talk = _Conversation(work, work.model, view)
    talk.greet()
    while (said := listen()) is not None and said.strip() not in LEAVING:
        if said.strip() and not talk.answer(said):
            break
    if talk.failure:
        raise talk.failure
    return talk.ending


class _Conversation:
    """The last conversation of a session directory, where it is open, else a new one."""

    def __init__(self, work: Work, model: Model, view: ChatView) -> None:
        orchestrator = Orchestrator(work)
        self._work, self._model, self._view = work, model, view
        self._tools = SessionTools(work, "interactive", lambda: orchestrator.check(VALIDATE))
        self._budget = replace(work.budget, session=Limits())
        self._unanswered = ""
        self.ending: Ending | None = None
        self.failure: ModelError | None = None
        sessions = work.session.sessions()
        last = [n for n, each in sessions.items() if each.opening.kind == "interactive"]
        if last and sessions[last[-1]].closing is None:
            self._number = last[-1]
        else:
            self._start()

    def _start(self) -> None:
        session = self._work.session
        self._number = max(session.sessions(), default=0) + 1
        now = self._work.clock.now_ms()
        session.start(Opening(self._number, "interactive", "", self._model.name, now))

    @property
    def _turns(self) -> tuple[Turn, ...]:
        return self._work.session.sessions()[self._number].turns

    def greet(self) -> None:
        """Say what it is about, what it may cost, and how to leave."""
        session, limits = self._work.session, self._budget.total
        about, spent = session.about, session.spent()
        bounds = {"USD": limits.usd, "tokens": limits.tokens, "calls": limits.turns}
        most = ", ".join(f"{n:,g} {unit}" for unit, n in bounds.items() if n is not None)
        self._view.aside(
            f"Conversation about {about.experiment}\n"
            f"  model    {self._model.name}\n"
            f"  budget   {most}; spent so far: {spent.usd:.2f} USD, {spent.tokens:,} tokens\n"
            f"  session  {about.session_id}; --session {about.session_id} goes on with it\n"
            "  Ctrl-C stops an answer; Ctrl-D or `exit` leaves."
        )
        if self._turns:
            self._view.aside(f"  It goes on after: {short(self._turns[-1].reply.text, 100)}")

    def answer(self, said: str) -> bool:
        """Have something answered, with what was said before and has no answer.

        Returns:
            Whether there may be further answers.
        """
        work, before = self._work, len(self._turns)
        text = "\n\n".join(filter(None, (self._unanswered, mask_text(said)[0])))
        loop = Loop(self._model, self._tools, work.session, self._budget, self._view, work.clock)
        self.failure = None
        self._view.wait()
        try:
            opening = opening_message(work, "interactive", None) if not before else ""
            told = opening + self_tracing.PERSON_SAYS + text if opening else text
            self.ending = loop.run(self._number, prompt("interactive"), told)
        except KeyboardInterrupt:
            self._view.aside("(stopped)")
        except ModelError as error:
            self._view.aside(str(error))
            self.failure = error
        finally:
            self._view.flush()
        self._unanswered = "" if len(self._turns) > before else text
        try:
            self_tracing.write(work.store, work.own_experiment, work.session)
        except StoreError as error:
            self._view.aside(f"the agent's own traces are written with the next answer: {error}")
        if work.session.sessions()[self._number].closing:
            self._view.aside("(it was too long to go on; what you say next starts a new one)")
            self._start()
        return not (self.ending and self.ending.reason == "budget")


def talk(request: Request, console: Console) -> dict[str, Any]:
    """Talk with a person in the terminal; the report is as of :func:`evalkit.agent.run.build`.

    Args:
        request: What is asked for.
        console: Where the conversation is shown.

    Raises:
        InputError: the request is wrong, or there is no model to talk to.
        StoreAbsent: MLflow cannot be reached.
        ModelError: the last that was said has no answer; what was said is kept.
    """
    from evalkit.agent.run import report_of
    from evalkit.agent.work import opened

    if settings_for(request) is None:
        raise InputError(NO_MODEL)  # before anything is started
    view = ChatView(console)
    with opened(request, view) as work:
        ending = converse(work, view, read_line)
        if work.session.files():
            view.aside(
                f"evalkit agent --session {work.session.about.session_id} proves and keeps it"
            )
        return report_of(work, ended=ending.reason if ending else "finished")
