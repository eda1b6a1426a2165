"""A recorded session directory, answering as it was answered then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evalkit.core.agent.conversation import Message, Reply, ToolSpec
from evalkit.core.agent.journal import Session, Turn, fingerprint
from evalkit.core.errors import ModelError


class ReplayModel:
    """Gives the recorded answers in their order, as long as it is asked the very same.

    Attributes:
        name: The model that was recorded.
        is_priced: Nothing is paid again.
    """

    is_priced = True

    def __init__(self, sessions: Iterable[Session]) -> None:
        """Remember the answers.

        Args:
            sessions: The recorded sessions, in their order.
        """
        told = list(sessions)
        self.name = told[0].opening.model if told else "nothing"
        self._turns: list[tuple[int, Turn]] = [
            (session.opening.number, turn) for session in told for turn in session.turns
        ]
        self._given = 0

    def create(
        self,
        *,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        max_tokens: int,  # noqa: ARG002, the answer is as long as it was
    ) -> Reply:
        """The next recorded answer.

        Raises:
            ModelError: there is none left, or something else is asked than was then.
        """
        if self._given == len(self._turns):
            raise ModelError(f"the recording ends after {self._given} answers")
        session, turn = self._turns[self._given]
        if fingerprint(system, messages, tools) != turn.asked:
            raise ModelError(
                f"turn {turn.number} of session {session} is asked something else than was "
                "recorded; the traces, the tools or the prompts have changed since"
            )
        self._given += 1
        return turn.reply
