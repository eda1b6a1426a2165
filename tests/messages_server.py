"""A scripted Messages API on loopback, as strict about requests as the real one.

Each attempt takes the next step of the script, streamed where a stream is asked for; a request that
the real API would refuse (see ``messages_rules``) gets its error and takes no step::

    with messages_server(
        Reply(tools=(("look", {"at": "traces"}),)),  # one call of a tool
        Fault(529, retry_after="2"),                 # the next attempt is told to wait
        Reply("Done.", drop_after=3),                # the one after breaks off in the middle
        Reply("Done."),
    ) as server:
        Claude(ClaudeSettings(server.url, "claude-test", "k"))

Instead of steps one function may decide, by each request's body and the number of steps before it.
An ``AssertionError`` in it is raised again when the server is closed.
"""

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from messages_rules import Limits, complaint, signature_of
from servers import listening

PIECE = 9  # characters of a text that one event of a stream carries


@dataclass(frozen=True)
class Reply:
    """A message of the model.

    ``stop_reason`` is ``tool_use`` with tools and ``end_turn`` without. ``*_after`` is a number of
    events of the stream: then the connection is cut, the stream ends in good order, or an error
    comes. ``cut_input`` characters of the last tool's arguments are left out.
    """

    text: str = ""
    stop_reason: str = ""
    stop_details: dict | None = None
    tools: tuple = ()  # of names with what they are given
    thinking: str | None = None
    usage: dict = field(default_factory=lambda: {"input_tokens": 100, "output_tokens": 20})
    pause_s: float = 0.0  # after each event of the stream
    drop_after: int | None = None
    truncate_after: int | None = None
    error_after: int | None = None
    error_kind: str = "overloaded_error"
    cut_input: int = 0

    def message(self, model, number):
        """It in one piece, where so many steps were before it."""
        content = []
        if self.thinking is not None:
            signed = {"thinking": self.thinking, "signature": signature_of(self.thinking)}
            content.append({"type": "thinking", **signed})
        if self.text:
            content.append({"type": "text", "text": self.text, "citations": None})
        for at, (name, given) in enumerate(self.tools):
            made = {"id": f"toolu_{number:03}_{at}", "name": name, "input": given}
            content.append({"type": "tool_use", **made})
        return {
            "id": f"msg_{number:04}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
            "stop_reason": self.stop_reason or ("tool_use" if self.tools else "end_turn"),
            "stop_sequence": None,
            "stop_details": self.stop_details,
            "usage": self.usage,
        }

    def events(self, message):
        """It as the events of a stream."""
        unsaid = {"content": [], "stop_reason": None, "stop_details": None}
        usage = {**message["usage"], "output_tokens": 1}
        yield "message_start", {"message": {**message, **unsaid, "usage": usage}}
        yield "ping", {}
        last = len(message["content"]) - 1
        for index, block in enumerate(message["content"]):
            empty, deltas = started(block, self.cut_input if index == last else 0)
            yield "content_block_start", {"index": index, "content_block": empty}
            for delta in deltas:
                yield "content_block_delta", {"index": index, "delta": delta}
            yield "content_block_stop", {"index": index}
        ending = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
        written = {"output_tokens": message["usage"]["output_tokens"]}
        yield "message_delta", {"delta": ending, "usage": written}
        yield "message_stop", {}


def started(block, cut):
    """A block as it starts, and the deltas that complete it but for so many characters."""

    def deltas(kind, name, text):
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        return [{"type": f"{kind}_delta", name: each} for each in pieces]

    if block["type"] == "text":
        return {**block, "text": ""}, deltas("text", "text", block["text"])
    if block["type"] == "tool_use":
        text = json.dumps(block["input"])
        return {**block, "input": {}}, deltas("input_json", "partial_json", text[: len(text) - cut])
    thought = deltas("thinking", "thinking", block["thinking"])
    signed = {"type": "signature_delta", "signature": block["signature"]}
    return {**block, "thinking": "", "signature": ""}, [*thought, signed]


@dataclass(frozen=True)
class Fault:
    """An HTTP error, as JSON or ``plain`` as of a proxy; a dropped connection for status 0."""

    status: int
    message: str = "scripted fault"
    retry_after: str | None = None
    location: str | None = None
    plain: bool = False


@dataclass(frozen=True)
class Request:
    """A request as it arrived; header names in lower case."""

    path: str
    headers: dict
    body: dict


@dataclass
class MessagesServer:
    """The server's state; ``answered`` steps were taken, ``refused`` is what it had against others.

    It accepts all secrets where none are named.
    """

    script: object  # a function of a body and the number of steps before it
    limits: Limits
    secrets: frozenset
    requests: list = field(default_factory=list)
    refused: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    url: str = ""
    answered: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    paused: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, request):
        """The answer to a request, and how many were before it."""
        with self.lock:
            self.requests.append(request)
            number = self.answered
            if fault := self.fault(request):
                self.refused.append(fault.message)
                return fault, number
            try:
                step = self.script(request.body, number)
            except AssertionError as error:
                self.failures.append(error)
                return Fault(400, f"the script says: {error}"), number
            self.answered += 1
            if isinstance(step, Reply) and step.stop_reason == "pause_turn":
                self.paused.append(step.message("", number)["content"])
            return step, number

    def fault(self, request):
        headers = request.headers
        if not request.path.endswith("/v1/messages"):
            return Fault(404, f"no route {request.path}")
        secret = headers.get("authorization", "").removeprefix("Bearer ")
        if not secret or (self.secrets and secret not in self.secrets):
            return Fault(401, "invalid or missing credentials")
        if headers.get("content-type") != "application/json" or "anthropic-beta" in headers:
            return Fault(400, "content-type: application/json is required, and no beta")
        version = headers.get("anthropic-version", "")
        complains = complaint(request.body, version, self.limits, self.paused)
        return Fault(400, complains) if complains else None


@contextmanager
def messages_server(*script, secrets=frozenset(), **limits):
    """A running server with that script: steps, or one function that gives them; see ``Limits``."""

    def step(body, number):
        if len(script) == 1 and not isinstance(script[0], Reply | Fault):
            return script[0](body, number)
        if number >= len(script):
            return Fault(400, f"the script has only {len(script)} steps")
        return script[number]

    state = MessagesServer(step, Limits(**limits), secrets)
    with listening(lambda connection, body: answer(state, connection, body)) as state.url:
        yield state
        state.closing.set()
    for failure in state.failures:
        raise failure


def answer(state, connection, body):
    """Answer a request on its connection."""
    asked = json.loads(body or b"{}")
    headers = {name.lower(): value for name, value in connection.headers.items()}
    step, number = state.step(Request(connection.path, headers, asked))
    more = {"content_type": "application/json", "request_id": f"req_{len(state.requests):04}"}
    if isinstance(step, Reply):
        message = step.message(asked["model"], number)
        if asked.get("stream"):
            more |= {"content_type": "text/event-stream", "transfer_encoding": "chunked"}
            connection.send(200, None, **more)
            stream(step, message, connection, state.closing)
        else:
            connection.send(200, json.dumps(message).encode(), **more)
    elif not step.status:
        connection.hang_up()
    else:
        error = {"type": "api_error", "message": step.message}
        text = step.message if step.plain else json.dumps({"type": "error", "error": error})
        given = {"retry_after": step.retry_after, "location": step.location}
        more |= {name: value for name, value in given.items() if value is not None}
        more |= {"content_type": "text/html"} if step.plain else {}
        connection.send(step.status, text.encode(), **more)


def stream(reply, message, connection, closing):
    """Send a reply event by event, as far as it goes."""
    for at, (name, data) in enumerate(reply.events(message)):
        if at == reply.drop_after:
            connection.hang_up()
            return
        if at == reply.truncate_after:
            break
        if at == reply.error_after:
            error = {"type": reply.error_kind, "message": "scripted error"}
            send_event(connection, "error", {"error": error})
            break
        send_event(connection, name, data)
        closing.wait(reply.pause_s)
    connection.wfile.write(b"0\r\n\r\n")


def send_event(connection, name, data):
    text = f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()
    connection.wfile.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
    connection.wfile.flush()
