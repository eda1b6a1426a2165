"""An agent instrumented with MLflow: what it does becomes spans, on a clock of its own."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add

from evalkit.core.receipt import Receipt
from evalkit.core.spans import Span, SpanKind, Status, Trace
from evalkit.core.values import Json, canonical, derive_id
from evalkit.demo.tokens import HAIKU, PRICES, Tokens, estimate

NS = 10**9
FIRST_TOKEN_S = 0.6
SECONDS_A_TOKEN = 0.011
BETWEEN_S = 0.004


class Broken(Exception):
    """What the agent failed with, as its tracing would put it."""


@dataclass(slots=True)
class Recorder:
    """The tracing of one request.

    Attributes:
        key: What all ids are derived from.
        start: When the request came in.
        spans: The steps so far, without the root.
        spent: Tokens of each call of the model.
        clock_ns: Nanoseconds since the epoch.
    """

    key: str
    start: dt.datetime
    spans: list[Span] = field(default_factory=list)
    spent: list[Tokens] = field(default_factory=list)
    clock_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self.clock_ns = self._start_ns

    @property
    def trace_id(self) -> str:
        """The id of the trace."""
        return "tr-" + derive_id("production", self.key)

    def varied(self, *parts: str) -> float:
        """A number from 0.7 to 1.5 that differs from step to step, the same each time."""
        return 0.7 + 0.8 * int(derive_id(self.key, *parts, length=8), 16) / 16**8

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock_ns += round(seconds * NS)

    def step(
        self,
        name: str,
        kind: SpanKind,
        inputs: Json,
        outputs: Json = None,
        *,
        seconds: float,
        error: str = "",
        attributes: Mapping[str, Json] | None = None,
    ) -> None:
        """Something the agent did, one thing after the other."""
        begin = self.clock_ns
        self.wait(seconds)
        self.spans.append(
            Span(
                self._span_id(len(self.spans) + 1),
                self._span_id(0),
                name,
                kind,
                begin,
                self.clock_ns,
                inputs,
                None if error else outputs,
                attributes or {},
                "ERROR" if error else "OK",
                error,
            )
        )
        self.wait(BETWEEN_S)

    def chat(
        self,
        messages: Sequence[Json],
        reply: Mapping[str, Json],
        *,
        tools: Sequence[Json] = (),
        seconds: float | None = None,
        error: str = "",
    ) -> None:
        """A call of the model, in the form of OpenAI's API.

        Args:
            messages: What it was given.
            reply: The message it answered with.
            tools: The tools it might use.
            seconds: How long it took; by the length of the answer where None.
            error: What it failed with instead.
        """
        asked = {"model": HAIKU, "temperature": 0.2, "messages": list(messages)}
        if tools:
            asked["tools"] = list(tools)
        # the text alone: a model's own form has fewer marks than JSON
        said = str(reply.get("content") or "") + "".join(
            map(canonical, reply.get("tool_calls", ()))
        )
        tokens = Tokens(estimate(canonical(asked)), estimate(said))
        usual = FIRST_TOKEN_S + tokens.output * SECONDS_A_TOKEN
        taken = usual * self.varied("chat", str(len(self.spans))) if seconds is None else seconds
        if error:
            self.step("chat", "CHAT_MODEL", asked, seconds=taken, error=error)
            return
        self.spent.append(tokens)
        usage = _usage(tokens)
        answer = {
            "id": "chatcmpl-" + derive_id(self.key, "chat", str(len(self.spans)), length=24),
            "object": "chat.completion",
            "created": self.clock_ns // NS,
            "model": HAIKU,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", **reply},
                    "finish_reason": "tool_calls" if "tool_calls" in reply else "stop",
                }
            ],
            "usage": dict(
                zip(
                    ("prompt_tokens", "completion_tokens", "total_tokens"),
                    usage.values(),
                    strict=True,
                )
            ),
        }
        attributes = {
            "mlflow.message.format": "openai",
            "mlflow.llm.model": HAIKU,
            "mlflow.llm.provider": "anthropic",
            "mlflow.chat.tokenUsage": usage,
            "mlflow.llm.cost": _cost(tokens),
        }
        self.step("chat", "CHAT_MODEL", asked, answer, seconds=taken, attributes=attributes)

    def trace(
        self,
        route: str,
        inputs: Json,
        outputs: Json,
        *,
        status: Status,
        error: str = "",
        tags: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> Trace:
        """The trace of all that was done."""
        root = Span(
            self._span_id(0), None, route, "AGENT", self._start_ns, self.clock_ns,
            inputs, outputs, {}, status, error,
        )  # fmt: skip
        spent = reduce(add, self.spent, Tokens())
        totals = {
            "mlflow.trace.tokenUsage": canonical(_usage(spent)),
            "mlflow.trace.cost": canonical(_cost(spent)),
        }
        return Trace(
            trace_id=self.trace_id,
            name=route,
            case_id=None,
            start_ns=root.start_ns,
            end_ns=root.end_ns,
            status=status,
            request=inputs,
            response=outputs,
            spans=(root, *self.spans),
            tags=tags,
            metadata={**metadata, **(totals if self.spent else {})},
            content_hash="",
            receipt=Receipt(),
        )

    @property
    def _start_ns(self) -> int:
        milliseconds = int(derive_id(self.key, "begin", length=8), 16) % 60_000
        return int(self.start.timestamp()) * NS + milliseconds * 10**6

    def _span_id(self, number: int) -> str:
        return derive_id(self.trace_id, str(number), length=16)


def tool_call(key: str, name: str, arguments: Mapping[str, Json]) -> Json:
    """A tool call as it stands in a model's message."""
    return {
        "id": "call_" + derive_id(key, name, length=22),
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
    }


def _usage(tokens: Tokens) -> dict[str, Json]:
    return {
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "total_tokens": tokens.total,
    }


def _cost(tokens: Tokens) -> dict[str, Json]:
    price = PRICES[HAIKU]
    read, written = tokens.input * price.input / NS, tokens.output * price.output / NS
    return {"input_cost": read, "output_cost": written, "total_cost": tokens.cost_usd(HAIKU)}
