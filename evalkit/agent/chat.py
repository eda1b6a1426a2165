"""``evalkit agent -i``: a conversation in the terminal, with the agent's four tools.

An answer is shown as it is written, paragraph by paragraph as Markdown. Ctrl-C stops the answer and
not the conversation, which a later run goes on with.
"""

from __future__ import annotations

import readline  # gives `input` editing and history
import sys
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from evalkit.agent.loop import Loop
from evalkit.agent.model_client import claude
from evalkit.agent.plan import VALIDATE
from evalkit.agent.run import leave, opened, report_of
from evalkit.agent.self_tracing import said_in
from evalkit.agent.session import Reason
from evalkit.agent.work import Event, Work, opening_message
from evalkit.errors import EvalkitError, InputError, ModelError, Problem
from evalkit.jsonable import truncate
from evalkit.masking import mask_text

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


def talk(request: Request, console: Console) -> dict[str, Any]:
    """Talk with a person in the terminal until they leave or no more may be spent.

    Of the budget the total counts. A suite is kept as soon as it is verified; errors and report are
    those of :func:`evalkit.agent.run.build`, and a ModelError where the last that was said has no
    answer.
    """
    view = ChatView(console)
    if claude(request, view.aside)[0] is None:
        raise InputError(NO_MODEL)  # before anything is started
    with opened(request, view) as work:
        chat = Conversation(work, view)
        while (said := _read_line()) is not None and said.strip() not in LEAVING:
            if said.strip() and chat.answer(said) == "budget":
                break
        if chat.failure:
            raise chat.failure
        if work.session.files() and not work.kept:
            again = f"evalkit agent --session {work.session.about.session_id}"
            view.aside(f"the suite is not verified; {again} goes on with it")
        return report_of(work, ended=chat.ended, verified=bool(work.kept), kept=work.kept)


class ChatView:
    """Shows a conversation on a console, and an answer to come while it is entered."""

    def __init__(self, console: Console) -> None:
        self._console, self._pending = console, ""
        self._live = Live(console=console, transient=True)  # not yet shown

    def __enter__(self) -> None:
        self._live = Live(Text("…"), console=self._console, transient=True, refresh_per_second=8)
        self._live.start()

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._show(self._pending)

    def __call__(self, event: Event) -> None:
        """Show an event of the work on an answer."""
        if event.kind == "delta":
            self._pending += _printable(event.text)
            paragraphs, blank, rest = self._pending.rpartition("\n\n")
            if blank and paragraphs.count("```") % 2 == 0:  # else it is within code
                self._show(paragraphs, rest)
        elif event.kind == "end":
            early = "" if event.text == "finished" else f"{event.text}; "
            spent = f"{event.spent.tokens:,} tokens, {event.spent.usd:.2f} USD"
            self.aside(f"({early}{spent} so far)")
        elif event.kind != "words":  # they were streamed
            self.aside(f"  {event.text}")
        self._live.update(Text(self._pending or "…"))

    def aside(self, text: str) -> None:
        """A line that is not the model's."""
        self._show(self._pending)
        self._console.print(Text(_printable(text), "dim"))

    def _show(self, markdown: str, rest: str = "") -> None:
        self._pending = rest
        # first, because what is printed has it drawn again
        self._live.update(Text(rest or "…"), refresh=True)
        if text := markdown.strip("\n"):
            is_seen = self._console.is_terminal
            self._console.print(Markdown(text, hyperlinks=False) if is_seen else Text(text))
            self._console.print()


def _printable(text: str) -> str:
    """Words of a model without what a terminal would take for commands."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())


def _read_line() -> str | None:
    """What a person types next; None at the end."""
    try:
        return input("> " if sys.stdin.isatty() else "")
    except EOFError:
        return None
    except KeyboardInterrupt:
        sys.stdout.write("\n(Ctrl-D or exit leaves)\n")
        return ""


class Conversation:
    """The last conversation of a session directory, where it is open, else a new one.

    ``ended`` is how the last answer ended, ``failure`` why there was none.
    """

    def __init__(self, work: Work, view: ChatView) -> None:
        """Say what it is about, what it may cost, and how to leave."""
        self._work, self._view, self._unanswered = work, view, ""
        self.ended: Reason = "finished"
        self.failure: ModelError | None = None
        limits, about, spent = work.budget.total, work.session.about, work.session.spent()
        bounds = {"USD": limits.usd, "tokens": limits.tokens, "calls": limits.turns}
        most = ", ".join(f"{n:,g} {unit}" for unit, n in bounds.items() if n is not None)
        view.aside(
            f"Conversation about {about.experiment}\n"
            f"  model    {work.model_name}\n"
            f"  budget   {most}; spent so far: {spent.usd:.2f} USD, {spent.tokens:,} tokens\n"
            f"  session  {about.session_id}; --session {about.session_id} goes on with it\n"
            "  Ctrl-C stops an answer; Ctrl-D or `exit` leaves."
        )
        if turns := work.session.start("interactive", "").turns:
            view.aside(f"  It goes on after: {truncate(turns[-1].reply.text, 100)}")
            for words in filter(None, map(said_in, turns)):
                readline.add_history(words.splitlines()[-1])

    def answer(self, said: str) -> Reason:
        """Have it answered, with what has no answer yet; how that ended."""
        work, view, session = self._work, self._view, self._work.session.start("interactive", "")
        before, self.failure = len(session.turns), None
        text = "\n\n".join(filter(None, (self._unanswered, mask_text(said)[0])))
        with view:
            try:
                opening = () if before else (opening_message(work, None),)
                self.ended = Loop(work, session, VALIDATE).run(*opening, text).reason
            except KeyboardInterrupt:
                view.aside("(stopped)")
            except ModelError as error:
                view.aside(str(error))
                self.failure = error
            self._unanswered = "" if len(session.turns) > before else text
            try:
                self._keep()
            except (EvalkitError, KeyboardInterrupt) as error:
                why = str(error) or "stopped"
                view.aside(f"not everything is kept; the next answer tries again: {why}")
        if session.ending:
            view.aside("(it was too long to go on; what you say next starts a new one)")
        return self.ended

    def _keep(self) -> None:
        """Write this answer's trace, and into MLflow a suite that was verified since."""
        work, was_kept = self._work, self._work.kept
        is_verified = not work.shortcoming()
        if is_verified and not was_kept:
            work.check(VALIDATE)  # what an earlier process found is found again
        leave(work, verified=is_verified)
        if not was_kept and (kept := work.kept):
            where = f"run {kept['mlflow_run_id']} of {kept['experiment']}"
            self._view.aside(f"the suite is verified, and kept in MLflow: {where}")
