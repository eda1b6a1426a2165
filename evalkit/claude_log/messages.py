"""Messages of a thread: lines of one message put together, tool results brought to their calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evalkit.claude_log.content_blocks import TOOL_USES, Trimmer
from evalkit.claude_log.reader import Event
from evalkit.claude_log.session import ModelCall, Thread, ToolCall
from evalkit.claude_log.subagents import ToolCalls
from evalkit.claude_log.timing import Tick
from evalkit.jsonable import Json, id_of, is_number, list_of, mapping_of, plain_text, text_of
from evalkit.masking import mask_json
from evalkit.receipt import Receipt
from evalkit.tokens import Usage, count, usage_from

_REPEATED = "repeated message: another thread has it"
_WHOLE = "stream_event: repeated by the whole message"
_DURATIONS = ("durationMs", "totalDurationMs", "duration_ms")
_REFUSED = ("User rejected", "The user doesn't want", "Error: The user doesn't want")
_TAIL = re.compile(r"(\[masked:[a-z0-9-]+\])[\w+/=.~-]+")
"""A secret of which the lines' masking saw only the begin, for the rest came in further pieces."""


@dataclass(slots=True)
class _Stream:
    """A message in the making; ``whole`` counts those of its blocks that the log has whole."""

    call: ModelCall
    last: Tick
    whole: int = 0
    pieces: dict[int, list[Mapping[str, Json]]] = field(default_factory=dict)


@dataclass(slots=True)
class Messages:
    """Fills threads with what the model and its tools said."""

    trim: Trimmer
    tools: ToolCalls
    # message id to its final usage, where partial messages were logged
    streamed: dict[str, Usage] = field(default_factory=dict)
    _calls: dict[tuple[int, str], ModelCall] = field(default_factory=dict)
    _first: dict[str, tuple[Thread, ModelCall]] = field(default_factory=dict)
    _repeating: set[int] = field(default_factory=set)
    _streams: dict[int, _Stream] = field(default_factory=dict)

    def start_log(self) -> None:
        """Start a log: it repeats no message of one before."""
        self.end_log()
        self._first.clear()

    def end_log(self) -> None:
        """End a log: of messages still in the making, keep what there is."""
        for stream in self._streams.values():
            self._settle(stream)
        self._streams.clear()

    def add(self, thread: Thread, event: Event, tick: Tick) -> str | None:
        """Add a line by the model or from the user's side; returns why it was skipped, if so."""
        message = event.get("message")
        if not isinstance(message, dict):
            return self._wordless(thread, event, tick)
        if event["type"] == "user":
            return self._user(thread, event, message.get("content"), tick)
        if self._is_repeated(thread, message):
            self._repeating.add(id(thread))
            return _REPEATED
        self._repeating.discard(id(thread))
        self._assistant(thread, event, message, tick)
        return None

    def _assistant(self, thread: Thread, event: Event, message: Event, tick: Tick) -> None:
        call = self._call(thread, message, tick)
        _add_figures(call, event, message.get("usage"))
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
        if blocks:
            call.end = tick
        thread.last = tick

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
        usage, model = usage_from(message.get("usage")), text_of(message.get("model"))
        if usage is None or usage.read != call.usage.read or model != call.model:
            return False
        unbooked = Trimmer(self.trim.limit, Receipt())
        blocks = (unbooked.block(block, "") for block in list_of(message.get("content")))
        return all(block in call.blocks for block in blocks)

    def _block(self, thread: Thread, call: ModelCall, block: Json, tick: Tick) -> None:
        kind = text_of(mapping_of(block).get("type"))
        if kind.endswith("tool_result"):  # of a tool that the API ran itself
            self._answer(thread, block, None, tick)
            return
        kept = self.trim.block(block, "model output")
        if kept["type"] == "text" and not kept["text"]:
            return
        call.blocks.append(kept)
        if kind in TOOL_USES:
            tool = ToolCall(kept["id"], kept["name"], start=tick, input=kept["input"])
            key = (tool.tool_use_id, tool.input)
            if not key[0] or all((t.tool_use_id, t.input) != key for t in call.tools):
                call.tools.append(tool)
                self.tools.add(thread, tool)

    def _user(self, thread: Thread, event: Event, content: Json, tick: Tick) -> str | None:
        """Words from the user's side, or results of tools."""
        results = [b for b in list_of(content) if mapping_of(b).get("type") == "tool_result"]
        if results and id(thread) in self._repeating:
            return _REPEATED
        details = event.get("tool_use_result") if len(results) == 1 else None
        for block in results:
            self._answer(thread, block, details, tick)
        own = event.get("isSynthetic") is not True and event.get("isMeta") is not True
        if own and not results and not thread.calls and thread.prompt is None:
            thread.prompt = self.trim.text(plain_text(content), "prompt") or None
        blocks = self.trim.blocks(content, "model input")
        thread.waiting.append({"role": "user", "content": blocks})
        thread.last = tick
        return None

    def _wordless(self, thread: Thread, event: Event, tick: Tick) -> str | None:
        """An event whose message was left out: a user's can answer the one open tool only."""
        thread.last, details = tick, event.get("tool_use_result")
        waiting = [t for call in thread.calls[-1:] for t in call.tools if not t.answered]
        if event["type"] != "user" or details is None or len(waiting) != 1:
            return f"{event['type']} event without a message"
        block = {"tool_use_id": waiting[0].tool_use_id, "content": None}
        self._answer(thread, block, details, tick)
        return None

    def _answer(self, thread: Thread, block: Json, details: Json, tick: Tick) -> None:
        tool_id = id_of(block.get("tool_use_id"))
        tool = self.tools.waiting(thread, tool_id)
        if tool is None:
            tool = ToolCall(tool_id, text_of(block.get("name")), start=thread.last)
            thread.strays.append(tool)
            self.tools.add(thread, tool)
        what = f"{tool.name or 'tool'} output"
        content = block.get("content")
        tool.failed = block.get("is_error") is True
        if block.get("type") != "tool_result":  # of a tool that the API ran itself
            tool.failed = tool.failed or any(map(_is_failure, [content, *list_of(content)]))
        if content is None:
            content = details
        if isinstance(content, list):
            blocks = self.trim.blocks(content, what)
            texts = all(block["type"] == "text" for block in blocks)
            tool.output = plain_text(blocks) if texts else blocks
        else:
            tool.output = self.trim.value(content, what)
        tool.answered, tool.end = True, tick
        result = mapping_of(details)
        tool.duration_ms = next((d for key in _DURATIONS if (d := count(result.get(key)))), None)
        if isinstance(details, str) and details.startswith(_REFUSED):
            tool.denied = True
        self.tools.add_result(tool, result)

    def add_piece(self, thread: Thread, event: Event, tick: Tick) -> str | None:
        """Add a piece of a message in the making, kept until the log has the whole of it."""
        piece = mapping_of(event.get("event"))
        kind, index = piece.get("type"), count(piece.get("index"))
        message = mapping_of(piece.get("message"))
        if kind == "message_start" and id_of(message.get("id")):
            if stream := self._streams.pop(id(thread), None):
                self._settle(stream)
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
            stream.pieces[index] = []
        if kind == "message_stop" and stream.whole:
            stream.pieces.clear()
        if index in stream.pieces and str(kind).startswith("content_block_"):
            stream.pieces[index].append(piece)
        return _WHOLE

    def _settle(self, stream: _Stream) -> None:
        """Keep those blocks of a message that the log has only in pieces."""
        if stream.whole and not stream.pieces:
            return
        call = stream.call
        call.partial, call.end = True, stream.last
        for pieces in stream.pieces.values():
            kept = self.trim.block(mask_json(_joined(pieces)), "model output")
            if kept.get("text") != "":
                call.blocks.append(kept)
            self.trim.receipt.use_after_all(_WHOLE, len(pieces))


def _joined(pieces: Sequence[Mapping[str, Json]]) -> Json:
    """A block as far as its pieces go, of which the first says how it began."""
    block = dict(mapping_of(pieces[0].get("content_block")))
    kind, deltas = text_of(block.get("type")), [mapping_of(p.get("delta")) for p in pieces]
    added = [text_of(d.get(key)) for d in deltas for key in ("text", "thinking", "partial_json")]
    if text := _TAIL.sub(r"\1", "".join(added)):
        key = kind if kind in {"text", "thinking"} else "input"
        block[key] = text_of(block.get(key)) + text
    return block


def _add_figures(call: ModelCall, event: Event, raw: Json) -> None:
    if raw != call.logged_usage:  # each line of a message repeats it
        call.logged_usage = raw
        if (usage := usage_from(raw)) is not None:
            call.usage = usage if call.usage is None else call.usage.largest(usage)
            call.output_basis = "logged" if event.get("usage_is_final") is True else ""
    cost: Json = event.get("cost_usd")
    if is_number(cost) and cost >= 0:
        call.stated_cost = float(cost)


def _is_failure(content: Json) -> bool:
    """Whether a tool that the API ran itself says that it failed."""
    result = mapping_of(content)
    code = result.get("return_code")
    ended_badly = isinstance(code, int) and code != 0
    return ended_badly or text_of(result.get("type")).endswith("tool_result_error")
