"""Messages of a thread: lines of one message put together, tool results brought to their calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from evalkit.core.content import Trimmer, id_of, list_of, mapping_of, plain_text, text_of
from evalkit.core.conversation import ModelCall, Thread, ToolCall, ToolCalls
from evalkit.core.ledger import Ledger
from evalkit.core.loglines import Event
from evalkit.core.masking import mask_json
from evalkit.core.subagents import Tasks
from evalkit.core.timing import Tick
from evalkit.core.usage import Usage, count, usage_from
from evalkit.core.values import Json

_TOOL_USES = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_RESULT_ENDING = "tool_result"
_REPEATED = "repeated message: another thread has it"
_DURATIONS = ("durationMs", "totalDurationMs", "duration_ms")


_TAIL = re.compile(r"(\[masked:[a-z0-9-]+\])[\w+/=.~-]+")
"""A secret of which the lines' masking saw only the begin, for the rest came in further pieces."""
_WHOLE = "stream_event: repeated by the whole message"


@dataclass(slots=True)
class _Piece:
    """A block of a message in the making: how it began, what was added, in how many lines."""

    begun: dict[str, Json]
    texts: list[str] = field(default_factory=list)
    lines: int = 0

    def add(self, delta: Mapping[str, Json]) -> None:
        self.lines += 1
        for key in ("text", "thinking", "partial_json"):
            if text := text_of(delta.get(key)):
                self.texts.append(text)

    def whole(self) -> Json:
        text, kind = _TAIL.sub(r"\1", "".join(self.texts)), self.begun.get("type")
        if not text:
            return self.begun
        key = kind if kind in {"text", "thinking"} else "input"
        return {**self.begun, key: text_of(self.begun.get(key)) + text}


@dataclass(slots=True)
class _Stream:
    """A message in the making; ``whole`` counts those of its blocks that the log has whole."""

    call: ModelCall
    last: Tick
    whole: int = 0
    pieces: dict[int, _Piece] = field(default_factory=dict)


@dataclass(slots=True)
class Messages:
    """Fills threads with what the model and its tools said.

    Attributes:
        trim: Shortens what they said.
        tools: Tool calls by their id.
        tasks: Learns from tool results about subagents.
        streamed: Message id to its final usage, where partial messages were logged.
    """

    trim: Trimmer
    tools: ToolCalls
    tasks: Tasks
    streamed: dict[str, Usage] = field(default_factory=dict)
    _calls: dict[tuple[int, str], ModelCall] = field(default_factory=dict)
    _first: dict[str, tuple[Thread, ModelCall]] = field(default_factory=dict)
    _repeating: set[int] = field(default_factory=set)
    _streams: dict[int, _Stream] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin a log: it repeats no message of one before."""
        self.end()
        self._first.clear()

    def assistant(self, thread: Thread, event: Event, tick: Tick) -> str | None:
        """A line of a message by the model; returns why it was skipped, if it was."""
        message = event.get("message")
        if not isinstance(message, dict):
            return "assistant event without a message"
        if self._is_repeated(thread, message):
            self._repeating.add(id(thread))
            return _REPEATED
        self._repeating.discard(id(thread))
        call = self._call(thread, message, tick)
        raw = message.get("usage")
        if raw != call.logged_usage:  # each line of a message repeats it
            call.logged_usage = raw
            usage = usage_from(raw)
            if usage is not None:
                call.usage = usage if call.usage is None else call.usage.largest(usage)
        call.stop_reason = text_of(message.get("stop_reason")) or call.stop_reason
        if request_id := id_of(event.get("request_id")):
            call.facts["evalkit.request_id"] = request_id
        content = message.get("content")
        blocks = content if isinstance(content, list) else [text_of(content)]
        for block in blocks:
            self._block(thread, call, block, tick)
        stream = self._streams.get(id(thread)) if self._streams else None
        if stream is not None and stream.call is call:
            for index in range(stream.whole, stream.whole + len(blocks)):
                stream.pieces.pop(index, None)
            stream.whole += len(blocks)
        if (error := event.get("error")) or event.get("is_api_error_message") is True:
            call.error = f"{text_of(error) or 'API error'}: {plain_text(call.blocks)}"
        call.end = thread.last = tick
        return None

    def _call(self, thread: Thread, message: Mapping[str, Json], tick: Tick) -> ModelCall:
        message_id = id_of(message.get("id"))
        call = self._calls.get((id(thread), message_id)) if message_id else None
        if call is None:
            model = text_of(message.get("model"))
            call = ModelCall(message_id, model, start=thread.last, end=tick)
            call.inputs, thread.waiting = thread.waiting, []
            call.facts, thread.facts = thread.facts, {}
            thread.calls.append(call)
            self._calls[id(thread), message_id] = call
            if message_id:
                self._first.setdefault(message_id, (thread, call))
        return call

    def _is_repeated(self, thread: Thread, message: Mapping[str, Json]) -> bool:
        """Whether it is another thread's: a forked agent's transcript begins with its caller's.

        The id alone does not say so: some gateways count ids anew in each session.
        """
        first, call = self._first.get(id_of(message.get("id")), (thread, None))
        if first is thread or call is None or call.usage is None:
            return False
        usage = usage_from(message.get("usage"))
        if (
            usage is None
            or usage.read != call.usage.read
            or text_of(message.get("model")) != call.model
        ):
            return False
        looked_at = Trimmer(self.trim.limit, Ledger())  # what is only looked at is not booked
        return all(
            looked_at.block(block, "") in call.blocks for block in list_of(message.get("content"))
        )

    def _block(self, thread: Thread, call: ModelCall, block: Json, tick: Tick) -> None:
        kind = text_of(mapping_of(block).get("type"))
        if kind.endswith(_RESULT_ENDING):  # of a tool that the API ran itself
            self._answer(thread, block, None, tick)
            return
        kept = self.trim.block(block, "model output")
        if kept["type"] == "text" and not kept["text"]:
            return
        call.blocks.append(kept)
        if kind in _TOOL_USES:
            tool = ToolCall(kept["id"], kept["name"], start=tick, input=kept["input"])
            key = (tool.tool_use_id, tool.input)
            if not key[0] or all((t.tool_use_id, t.input) != key for t in call.tools):
                call.tools.append(tool)
                self.tools.add(thread, tool)

    def user(self, thread: Thread, event: Event, tick: Tick) -> str | None:
        """A line from the user's side: words, or results of tools; returns why it was skipped."""
        message = event.get("message")
        if not isinstance(message, dict):
            return self._wordless(thread, event, tick)
        content = message.get("content")
        results = [b for b in list_of(content) if mapping_of(b).get("type") == "tool_result"]
        if results and id(thread) in self._repeating:
            return _REPEATED
        told = event.get("tool_use_result") if len(results) == 1 else None
        for block in results:
            self._answer(thread, block, told, tick)
        own = event.get("isSynthetic") is not True and event.get("isMeta") is not True
        if own and not results and not thread.calls and thread.prompt is None:
            thread.prompt = self.trim.text(plain_text(content), "prompt") or None
        thread.waiting.append(self.trim.message("user", content, "model input"))
        thread.last = tick
        return None

    def _wordless(self, thread: Thread, event: Event, tick: Tick) -> str | None:
        """A user event whose message was left out: it can answer the one open tool only."""
        thread.last = tick
        told = event.get("tool_use_result")
        asked = thread.calls[-1].tools if thread.calls else []
        waiting = [tool for tool in asked if not tool.answered]
        if told is None or len(waiting) != 1:
            return "user event without a message"
        block = {"tool_use_id": waiting[0].tool_use_id, "content": None}
        self._answer(thread, block, told, tick)
        return None

    def _answer(self, thread: Thread, block: Json, told: Json, tick: Tick) -> None:
        tool_id = id_of(block.get("tool_use_id"))
        tool = self.tools.waiting(thread, tool_id)
        if tool is None:
            tool = ToolCall(tool_id, "", start=thread.last)
            thread.strays.append(tool)
            self.tools.add(thread, tool)
        what = f"{tool.name or 'tool'} output"
        content = block.get("content")
        if content is None:
            content = told
        if isinstance(content, list):
            blocks = self.trim.blocks(content, what)
            texts = all(block["type"] == "text" for block in blocks)
            tool.output = plain_text(blocks) if texts else blocks
        else:
            tool.output = self.trim.value(content, what)
        tool.answered, tool.end = True, tick
        tool.failed = block.get("is_error") is True
        if block.get("type") != "tool_result":  # of a tool that the API ran itself
            told_of = [block.get("content"), *list_of(block.get("content"))]
            tool.failed = tool.failed or any(map(_is_failure, told_of))
        self._details(tool, told)
        self.tasks.answered(tool, told)

    def _details(self, tool: ToolCall, told: Json) -> None:
        result = mapping_of(told)
        tool.duration_ms = next((d for key in _DURATIONS if (d := count(result.get(key)))), None)
        if result.get("interrupted") is True:
            tool.facts["evalkit.interrupted"] = True

    def partial(self, thread: Thread, event: Event, tick: Tick) -> str | None:
        """A piece of a message in the making, kept until the log has the whole of it."""
        piece = mapping_of(event.get("event"))
        kind, index = piece.get("type"), count(piece.get("index"))
        message = mapping_of(piece.get("message"))
        if kind == "message_start" and id_of(message.get("id")):
            self._settle(self._streams.pop(id(thread), None))
            call = self._call(thread, message, tick)
            call.usage = call.usage or usage_from(message.get("usage"))
            self._streams[id(thread)] = _Stream(call, tick)
            return None
        stream = self._streams.get(id(thread))
        if stream is None:
            return "stream_event: of a message that did not begin in the log"
        stream.last = tick
        usage = usage_from(piece.get("usage"))
        if kind == "message_delta" and usage is not None:
            self.streamed[stream.call.message_id] = usage
            return None
        if kind == "content_block_start":
            block = mapping_of(piece.get("content_block"))
            stream.pieces[index] = _Piece(dict(block))
        if kind == "message_stop" and stream.whole:
            stream.pieces.clear()
        if index in stream.pieces and str(kind).startswith("content_block_"):
            stream.pieces[index].add(mapping_of(piece.get("delta")))
        return _WHOLE

    def end(self) -> None:
        """End a log: of messages still in the making, keep what there is."""
        for stream in self._streams.values():
            self._settle(stream)
        self._streams.clear()

    def _settle(self, stream: _Stream | None) -> None:
        """Keep those blocks of a message that the log has only in pieces."""
        if stream is None or (stream.whole and not stream.pieces):
            return
        call = stream.call
        call.partial, call.end = True, stream.last
        for piece in stream.pieces.values():
            kept = self.trim.block(mask_json(piece.whole()), "model output")
            if kept.get("text") != "":
                call.blocks.append(kept)
            self.trim.ledger.use_after_all(_WHOLE, piece.lines)


def _is_failure(content: Json) -> bool:
    """Whether a tool that the API ran itself says that it failed."""
    told = mapping_of(content)
    code = told.get("return_code")
    ended_badly = isinstance(code, int) and code != 0
    return ended_badly or text_of(told.get("type")).endswith("tool_result_error")
