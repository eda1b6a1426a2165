"""The support agent's three routes in production: what it did with each request, as a trace."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evalkit.core.spans import Status, Trace
from evalkit.core.values import Json, derive_id
from evalkit.demo.instrumented import Broken, Recorder, tool_call
from evalkit.demo.shop import Shop, filled

TRIES = 3
TIMEOUT_S = 15.0
SLOW_S = {"track_parcel": 13.2, "issue_refund": 11.8, "chat": 41.3}
"""How long steps take on a slow day; at the carrier's, just short of the timeout."""

ORDER = re.compile(r"\bQM-\d{5}\b")
SIGNATURE = "Kind regards\nQuillmoor Customer Care (Monday to Friday)"


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the agent.

    Attributes:
        entry: What a file of ``traffic`` holds about it.
        situation: What the file holds about requests of its kind.
        moment: When it came in, to the minute.
        facts: What the shop's systems know about it.
        release: The release of the agent that was in production.
    """

    entry: Mapping[str, Any]
    situation: Mapping[str, Any]
    moment: dt.datetime
    facts: Mapping[str, Any]
    release: str

    @property
    def key(self) -> str:
        """What ids are derived from; no two requests of a route came in the same minute."""
        return f"{self.entry['at']} {self.entry.get('who') or self.entry['subject']}"

    def one_of(self, name: str) -> str:
        """One of the situation's texts of a name, with its facts; the same each time."""
        texts = self.situation[name]
        chosen = texts[int(derive_id(self.key, name, length=8), 16) % len(texts)]
        return str(chosen.format_map(self.facts)).strip()


@dataclass(slots=True)
class Work:
    """The agent at work on one request.

    Attributes:
        shop: The shop's systems.
        route: What it was called for.
        request: The request.
        tracing: Where everything it does is written down.
        messages: The conversation with the model so far.
    """

    shop: Shop
    route: str
    request: Request
    tracing: Recorder
    messages: list[Json]

    @classmethod
    def begin(cls, shop: Shop, route: str, request: Request) -> Work:
        """Begin with the route's prompt."""
        tracing = Recorder(f"{route} {request.key}", request.moment)
        return cls(shop, route, request, tracing, [_message("system", shop.prompts[route])])

    def end(self, inputs: Json, outputs: Json, error: str = "") -> Trace:
        """The trace; without an end where the request is still being worked on."""
        unfinished = self.request.entry.get("unfinished")
        status: Status = "UNSET" if unfinished else "ERROR" if error else "OK"
        metadata = {"mlflow.source.name": "support-service", "mlflow.source.type": "PROJECT"}
        if "who" in self.request.entry:
            customer = str(self.request.facts["customer_id"])
            session = derive_id(customer, self.request.entry["at"][:5], length=12)
            metadata |= {"mlflow.trace.user": customer, "mlflow.trace.session": f"conv-{session}"}
        return self.tracing.trace(
            self.route,
            inputs,
            None if unfinished or error else outputs,
            status=status,
            error=error,
            tags={"environment": "production", "release": self.request.release},
            metadata=metadata,
        )

    def retrieve(self, query: str) -> None:
        """Search the policies, and put what was found before the model."""
        found = [
            {
                **document,
                "metadata": {**document["metadata"], "score": round(0.88 - 0.09 * rank, 2)},
            }
            for rank, document in enumerate(map(self.shop.policies.get, self._policies))
            if document is not None
        ]
        seconds = 0.12 * self.tracing.varied("search")
        inputs = {"query": query[:200], "k": len(found)}
        self.tracing.step("search_policies", "RETRIEVER", inputs, found, seconds=seconds)
        texts = "\n\n".join(document["page_content"] for document in found)
        self.messages.append(_message("system", f"Policies that may apply:\n\n{texts}"))

    def use(self, names: Sequence[str]) -> None:
        """Let the model call tools, and call them.

        Raises:
            Broken: a tool failed for good.
        """
        calls = [(name, filled(self.shop.tools[name].given, self.request.facts)) for name in names]
        asked = [tool_call(self.tracing.key, name, given) for name, given in calls]
        self.ask({"content": None, "tool_calls": asked})
        for (name, given), call in zip(calls, asked, strict=True):
            result = self._call(name, given)
            self.messages.append(
                {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)}
            )

    def ask(self, reply: Mapping[str, Json]) -> None:
        """A call of the model; what it replies joins the conversation.

        Raises:
            Broken: there was no answer.
        """
        entry = self.request.entry
        is_last = "tool_calls" not in reply
        error = OVERLOADED if is_last and entry.get("overloaded") else ""
        slow = SLOW_S["chat"] if is_last and entry.get("slow") == "chat" else None
        self.tracing.chat(self.messages, reply, tools=self._offered(), seconds=slow, error=error)
        if error:
            raise Broken(error)
        self.messages.append({"role": "assistant", **reply})

    @property
    def _policies(self) -> Sequence[str]:
        found: Sequence[str] = self.request.situation["policies"]
        return found

    def _offered(self) -> list[Json]:
        """The tools of the route in the form in which the model is told of them."""
        if self.route == "classify_ticket":
            return []
        names = REFUND_TOOLS if self.route == "draft_refund" else self.request.situation["calls"]
        return [
            {
                "type": "function",
                "function": {"name": name, "description": self.shop.tools[name].about},
            }
            for name in names
        ]

    def _call(self, name: str, given: Json) -> Json:
        tool, entry, tracing = self.shop.tools[name], self.request.entry, self.tracing
        seconds = tool.seconds * tracing.varied(name)
        if entry.get("outage") and name == "lookup_order":
            self._give_up(name, given)
        if entry.get("declined") and name == "issue_refund":
            reference = derive_id(tracing.key, "declined", length=10)
            error = f"PaymentError: declined by the payment provider (reference psp_{reference})"
            tracing.step(name, "TOOL", given, seconds=seconds, error=error)
            raise Broken(error)
        if entry.get("flaky") == name:
            error = f"ToolTimeout: carrier-gateway did not answer within {TIMEOUT_S:g} s"
            tracing.step(name, "TOOL", given, seconds=TIMEOUT_S, error=error)
            tracing.wait(0.5)
        if entry.get("slow") == name:
            seconds = SLOW_S[name]
        result = filled(tool.gives, self.request.facts)
        tracing.step(name, "TOOL", given, result, seconds=seconds)
        return result

    def _give_up(self, name: str, given: Json) -> None:
        """Try a tool while the service behind it is down.

        Raises:
            Broken: after the last try.
        """
        error = ""
        for attempt in range(TRIES):
            call = derive_id(self.tracing.key, name, str(attempt), length=12)
            error = f"OrderServiceError: 503 Service Unavailable from orders-api (request {call})"
            seconds = 1.5 * self.tracing.varied(name, str(attempt))
            self.tracing.step(name, "TOOL", given, seconds=seconds, error=error)
            self.tracing.wait(2.0**attempt)
        raise Broken(error)


REFUND_TOOLS = ("lookup_order", "issue_refund", "escalate")
OVERLOADED = "OverloadedError: Error code: 529 - the model is overloaded, try again later"


def answer_customer(shop: Shop, request: Request) -> Trace:
    """A customer's message in, the answer out, as it is sent."""
    work, facts = Work.begin(shop, "answer_customer", request), request.facts
    message = request.entry["message"].format_map(facts)
    channel = "chat" if len(message) < CHAT_CHARS else "email"
    inputs = {"message": message, "customer": request.entry["who"], "channel": channel}
    greeting = request.situation.get("greeting", "Dear {name},").format_map(facts)
    parts = (greeting, request.one_of("answers"), request.one_of("closings"), SIGNATURE)
    answer = "\n\n".join(part for part in parts if part)
    error = ""
    try:
        work.retrieve(message)
        work.messages.append(_message("user", message))
        first, *further = request.situation["calls"]
        work.use([first])
        if request.entry.get("unfinished"):
            return work.end(inputs, None)
        if further:
            work.use(further)
        work.ask({"content": answer})
    except Broken as broken:
        error = str(broken)
    return work.end(inputs, answer, error)


def classify_ticket(shop: Shop, request: Request) -> Trace:
    """A ticket in, an object with a fixed form out."""
    work, entry = Work.begin(shop, "classify_ticket", request), request.entry
    number = int(derive_id(request.key, "ticket", length=8), 16) % 90_000 + 10_000
    inputs = {"ticket_id": f"T-{number}", "subject": entry["subject"], "body": entry["body"]}
    category, urgency, language, needs_human = entry["label"]
    named = ORDER.search(entry["body"])
    label = {
        "category": category,
        "urgency": urgency,
        "language": language,
        "order": named[0] if named else None,
        "needs_human": needs_human,
    }
    work.messages.append(_message("user", f"{entry['subject']}\n\n{entry['body']}"))
    if entry.get("garbled"):
        work.ask({"content": "Hi! How can I help you today?"})
        return work.end(inputs, None, "JSONDecodeError: Expecting value: line 1 column 1 (char 0)")
    work.ask({"content": json.dumps(label)})
    return work.end(inputs, label)


def draft_refund(shop: Shop, request: Request) -> Trace:
    """An order and a reason in; a decision, what was issued, and a letter out."""
    situation = request.situation
    amount = request.facts[situation["share"]] if "share" in situation else None
    facts = {
        **request.facts,
        "amount": amount,
        "team": "refunds",
        "summary": request.entry["reason"],
    }
    request = replace(request, facts=facts)
    work = Work.begin(shop, "draft_refund", request)
    inputs = {"order": facts["order"], "customer": facts["name"], "reason": request.entry["reason"]}
    drafted = {
        "decision": situation["decision"],
        "order": facts["order"],
        "amount": amount,
        "currency": "EUR",
        "refund_id": facts["refund"] if amount else None,
        "policy": situation["policies"][0],
        "letter": f"Dear {facts['name']},\n\n{request.one_of('letters')}\n\n{SIGNATURE}",
    }
    error = ""
    try:
        work.retrieve(request.entry["reason"])
        work.messages.append(_message("user", json.dumps(inputs, ensure_ascii=False)))
        work.use(["lookup_order"])
        if acting := ACTS.get(situation["decision"]):
            work.use([acting])
        work.ask({"content": json.dumps(drafted, ensure_ascii=False)})
    except Broken as broken:
        error = str(broken)
    return work.end(inputs, drafted, error)


ACTS = {"refund": "issue_refund", "escalate": "escalate"}
"""The tool that a decision takes."""

CHAT_CHARS = 90
"""Shorter messages come by chat."""


def _message(role: str, content: str) -> Json:
    return {"role": role, "content": content}
