"""``evalkit agent -i``: a conversation in the terminal, with the agent's four tools.

An answer is shown as it is written, paragraph by paragraph as Markdown. Ctrl-C stops the answer and
not the conversation, which a later run goes on with.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from evalkit.agent import self_tracing
from evalkit.agent.loop import Ending, Event, Loop
from evalkit.agent.model_client import claude
from evalkit.agent.orchestrator import Orchestrator
from evalkit.agent.plan import VALIDATE, Limits
from evalkit.agent.run import leave, report_of
from evalkit.agent.session import KEPT_FILE, VALIDATION_FILE, Opening, now_ms
from evalkit.agent.tools import SessionTools
from evalkit.agent.work import Work, opened, opening_message, prompt
from evalkit.core.brevity import short
from evalkit.core.content import mapping_of
from evalkit.core.errors import EvalkitError, InputError, ModelError, Problem
from evalkit.core.masking import mask_text

if TYPE_CHECKING:
    from rich.console import Console

    from evalkit.agent.claude import Claude
    from evalkit.agent.request import Request

NO_MODEL = Problem(
    "a conversation needs a model, and rules are none",
    field="-i",
    fix="set ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN and ANTHROPIC_BASE_URL) and leave "
    "`--model offline` out; or leave -i out: a suite by rules needs no model",
)
LEAVING = {"exit", "quit", "/exit", "/quit", ":q"}


def talk(request: Request, console: Console) -> dict[str, Any]:
    """Talk with a person in the terminal until they leave or no more may be spent.

    A suite that was verified is kept at once, as of :func:`evalkit.agent.run.build`, whose report
    is given.

    Args:
        request: What is asked for; of its budget the total counts.
        console: Where the conversation is shown.

    Raises:
        InputError: the request is wrong, or there is no model to talk to.
        StoreAbsent: MLflow cannot be reached.
        ModelError: the last that was said has no answer; it can be said again.
    """
    view = ChatView(console)
    if claude(request, view.aside)[0] is None:
        raise InputError(NO_MODEL)  # before anything is started
    with opened(request, view) as work:
        assert work.model is not None  # noqa: S101 - it has settings
        chat = Conversation(work, work.model, view)
        chat.greet()
        while (said := read_line()) is not None and said.strip() not in LEAVING:
            if said.strip() and not chat.answer(said):
                break
        if chat.failure:
            raise chat.failure
        if work.session.files() and not chat.kept:
            again = f"evalkit agent --session {work.session.about.session_id}"
            view.aside(f"the suite is not verified; {again} goes on with it")
        ended = chat.ending.reason if chat.ending else "finished"
        return report_of(work, ended=ended, verified=bool(chat.kept), kept=chat.kept)


class ChatView:
    """Shows a conversation on a console; watches the work by being called."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._pending = ""
        self._live: Live | None = None

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if event.kind == "delta":
            self._pending += _printable(event.text)
            while end := _paragraph_end(self._pending):
                rest, self._pending = self._pending[end:], self._pending[:end]
                self.flush()
                self._pending = rest
            self.wait()
        elif event.kind == "end" and event.spent is not None:
            early = "" if event.text == "finished" else f"{event.text}; "
            spent = f"{event.spent.tokens:,} tokens, {event.spent.usd:.2f} USD"
            self.aside(f"({early}{spent} so far)")
        elif event.kind != "words":  # they were streamed
            self.aside(f"  {event.text}")
            self.wait()

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
        if text := self._pending.strip("\n"):
            is_seen = self.console.is_terminal
            self.console.print(Markdown(text, hyperlinks=False) if is_seen else Text(text))
            self.console.print()
        self._pending = ""


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
    with suppress(OSError):
        if not readline.get_current_history_length():
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
    readline.set_history_length(1_000)
    with suppress(OSError):
        history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        history.touch(mode=0o600)
        readline.write_history_file(history)
    return line


class Conversation:
    """The last conversation of a session directory, where it is open, else a new one.

    Attributes:
        ending: How the last answer ended; None before it.
        failure: Why the last that was said has no answer; None where it has.
    """

    def __init__(self, work: Work, model: Claude, view: ChatView) -> None:
        self._work, self._model, self._view, self._session = work, model, view, work.session
        self._suite = Orchestrator(work)
        self._tools = SessionTools(work, "interactive", lambda: self._suite.check(VALIDATE))
        self._unanswered = ""
        self.ending: Ending | None = None
        self.failure: ModelError | None = None

    def greet(self) -> None:
        """Say what it is about, what it may cost, and how to leave."""
        limits, about, spent = self._work.budget.total, self._session.about, self._session.spent()
        bounds = {"USD": limits.usd, "tokens": limits.tokens, "calls": limits.turns}
        most = ", ".join(f"{n:,g} {unit}" for unit, n in bounds.items() if n is not None)
        self._view.aside(
            f"Conversation about {about.experiment}\n"
            f"  model    {self._model.name}\n"
            f"  budget   {most}; spent so far: {spent.usd:.2f} USD, {spent.tokens:,} tokens\n"
            f"  session  {about.session_id}; --session {about.session_id} goes on with it\n"
            "  Ctrl-C stops an answer; Ctrl-D or `exit` leaves."
        )
        if turns := self._session.sessions()[self._open()].turns:
            self._view.aside(f"  It goes on after: {short(turns[-1].reply.text, 100)}")

    def _open(self) -> int:
        """The number of the session that goes on; one is started where none can."""
        sessions = self._session.sessions()
        talks = [number for number, each in sessions.items() if each.opening.kind == "interactive"]
        if talks and sessions[talks[-1]].closing is None:
            return talks[-1]
        number = max(sessions, default=0) + 1
        self._session.start(Opening(number, "interactive", "", self._model.name, now_ms()))
        return number

    def answer(self, said: str) -> bool:
        """Have something answered, with what was said before and has no answer.

        Returns:
            Whether there may be further answers.
        """
        work, view, number = self._work, self._view, self._open()
        before = len(self._session.sessions()[number].turns)
        text = "\n\n".join(filter(None, (self._unanswered, mask_text(said)[0])))
        budget = replace(work.budget, session=Limits())
        loop = Loop(self._model, self._tools, self._session, budget, view)
        self.failure = None
        view.wait()
        try:
            opening = "" if before else opening_message(work, "interactive", None)
            told = opening + self_tracing.PERSON_SAYS + text if opening else text
            self.ending = loop.run(number, prompt("interactive"), told)
        except KeyboardInterrupt:
            view.aside("(stopped)")
        except ModelError as error:
            view.aside(str(error))
            self.failure = error
        finally:
            view.flush()
        there = self._session.sessions()[number]
        self._unanswered = "" if len(there.turns) > before else text
        self._keep()
        if there.closing:
            view.aside("(it was too long to go on; what you say next starts a new one)")
        return not (self.ending and self.ending.reason == "budget")

    @property
    def kept(self) -> dict[str, Any]:
        """Where MLflow holds the suite as it is; empty where that was not kept."""
        left = self._session.read_json(KEPT_FILE)
        is_this = left.get("suite") == self._session.suite_hash
        return dict(mapping_of(left.get("kept"))) if is_this else {}

    def _keep(self) -> None:
        """Write this answer's trace, and into MLflow a suite that was verified since."""
        work, found = self._work, self._session.read_json(VALIDATION_FILE)
        suite = (found.get("suite"), found.get("word"))
        try:
            if self.kept or suite != (self._session.suite_hash, "verified"):
                self_tracing.write(work.store, work.own_experiment, self._session)
                return
            self._view.wait()
            self._suite.check(VALIDATE)  # what an earlier process found is found again
            leave(work, self._suite.concluded())
            if kept := self.kept:
                where = f"run {kept['mlflow_run_id']} of {kept['experiment']}"
                self._view.aside(f"the suite is verified, and kept in MLflow: {where}")
        except (EvalkitError, KeyboardInterrupt) as error:
            why = str(error) or "stopped"
            self._view.aside(f"not everything is kept; the next answer tries again: {why}")
        finally:
            self._view.flush()
