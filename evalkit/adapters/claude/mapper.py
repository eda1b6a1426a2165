"""Claude proposes a schema mapping: one question, one answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anthropic
from anthropic.types import Message

from evalkit.adapters.claude.connecting import client_of
from evalkit.adapters.claude.failing import failed
from evalkit.adapters.claude.retrying import TROUBLE, Patience
from evalkit.adapters.claude.settings import ClaudeSettings
from evalkit.core.errors import ModelError
from evalkit.core.mapping.asking import Question

MAX_TOKENS = 8_000
"""Of an answer; a mapping of some hundred lines fits."""

_INSTEAD = "or use `--by rules`, which needs no model"
_STOPPED = {
    "refusal": f"Claude refused to answer{{}}; change the schema or the sample case, {_INSTEAD}",
    "max_tokens": f"Claude's answer was cut off at {MAX_TOKENS} tokens; map fewer fields by hand, "
    f"{_INSTEAD}",
    "model_context_window_exceeded": f"the question is too long for the model; choose another with "
    f"MODEL, {_INSTEAD}",
}


class ClaudeMapper:
    """Answers mapping questions by asking Claude once each."""

    def __init__(
        self, settings: ClaudeSettings, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Remember how to ask; nothing is sent yet.

        Args:
            settings: How Claude is reached.
            sleep: Waits between attempts, in seconds.
        """
        self._settings = settings
        self._patience = Patience(sleep)

    def answer(self, question: Question) -> str:
        """Claude's answer as JSON text.

        Raises:
            ModelError: Claude cannot be reached, refuses, or is cut off.
        """
        with client_of(self._settings) as client:
            try:
                return _text(self._asked(client, question))
            except TROUBLE as error:
                raise failed(error, self._settings, _INSTEAD) from error

    def _asked(self, client: anthropic.Anthropic, question: Question) -> Message:
        """The answer in the strict form; where a gateway does not know it, as the text asks."""
        form = {"type": "json_schema", "schema": dict(question.answer_schema)}
        try:
            return self._created(client, question, output_config={"format": form})
        except anthropic.BadRequestError as error:
            if "output_config" not in str(error):
                raise
        return self._created(client, question)

    def _created(self, client: anthropic.Anthropic, question: Question, **more: Any) -> Message:
        def attempt() -> Message:
            message: Message = client.messages.create(
                model=self._settings.model,
                max_tokens=MAX_TOKENS,
                system=question.system,
                messages=[{"role": "user", "content": question.user}],
                **more,
            )
            return message

        return self._patience.run(attempt)


def _text(message: Message) -> str:
    if message.stop_reason in _STOPPED:
        details = message.stop_details
        why = f" ({details.explanation})" if details and details.explanation else ""
        raise ModelError(_STOPPED[message.stop_reason].format(why))
    text = "".join(block.text for block in message.content if block.type == "text")
    if not text.strip():
        raise ModelError(
            f"Claude's answer is empty (it stopped by {message.stop_reason}); repeat the command, "
            f"{_INSTEAD}"
        )
    return text
