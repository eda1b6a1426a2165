"""ATIF, Harbor's trajectory.json: one document whose steps hold calls and results together.

A step's results have no status, and often do not say which call they answer: then they do by
their place. Results in a step without calls are what the agent read next. Totals are those of the
whole run, subagents and earlier parts of it included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from evalkit.agent_logs.events import (
    blocks_of,
    model_said,
    tool_result,
    tool_use,
    usage_of,
    user_said,
)
from evalkit.claude_log.reader import Event, LogFormat
from evalkit.claude_log.session import UNKNOWN
from evalkit.jsonable import Json, id_of, is_number, list_of, mapping_of, text_of

_PREFIX = "ATIF-v"
_HEADER, _NO_STEP = "trajectory", "a step that is no object"
_UNSAID = "a trajectory does not say how its session ended"


@dataclass
class Atif(LogFormat):
    """One trajectory, perhaps with those that continue it behind it."""

    name: ClassVar[str] = "ATIF"
    is_whole: ClassVar[bool] = False

    _session_id: str = ""
    _agent: str = ""
    _model: str = ""
    _documents: int = 0
    _step: int = 0
    _models: set[str] = field(default_factory=set)
    _cost: float | None = None  # of the steps, in USD
    _totals: Event = field(default_factory=dict)
    _is_part: bool = False  # of a run whose earlier steps are not here

    @staticmethod
    def recognizes(event: Event) -> bool:
        """Whether the object is a trajectory: only its schema's version tells."""
        return text_of(event.get("schema_version")).startswith(_PREFIX)

    @staticmethod
    def session_of(event: Event) -> tuple[str, bool]:
        """A subagent's names its parent's."""
        about = mapping_of(mapping_of(event.get("agent")).get("extra"))
        root = id_of(about.get("parent_session_id"))
        own = id_of(event.get("session_id")) or id_of(event.get("trajectory_id"))
        return root or own, bool(root)

    def split(self, event: Event) -> Iterable[Event]:
        """The head of a trajectory and its steps."""
        if not self.recognizes(event):
            return (event,)
        head = {key: value for key, value in event.items() if key != "steps"}
        steps = list_of(event.get("steps"))
        return [{**head, "type": _HEADER}, *(s if isinstance(s, dict) else {} for s in steps)]

    def translate(self, line: Event) -> Sequence[Event] | str:
        """The events that a step comes to, or the head."""
        if line.get("type") == _HEADER and self.recognizes(line):
            return [self._event(line, self._head(line))]
        if "source" not in line:
            return _NO_STEP
        if line.get("is_copied_context") is True:
            self._is_part = self._documents == 1
            return "copied from an earlier part of the run"
        self._step += 1
        if line["source"] == "agent":
            events = self._agent_step(line)
        else:
            said = _said(line.get("message"))
            if said is None and not line.get("observation"):
                return "holds the conversation so far once more"
            is_meta = line["source"] != "user"
            events = [] if said is None else [user_said(said, is_meta=is_meta)]
        return [self._event(line, each) for each in (*events, *self._results(line))]

    def finish(self) -> Sequence[Event]:
        """The run's totals."""
        stated, model = self._totals, next(iter(self._models), self._model)
        kinds = ("prompt_tokens", "cached_tokens", "", "completion_tokens")
        used = usage_of(*(stated.get(f"total_{kind}", stated.get(kind)) for kind in kinds))
        cost = stated.get("total_cost_usd")
        cost = cost if is_number(cost) else self._cost
        about: dict[str, Json] = {"is_of_more": self._is_part}
        about |= {} if cost is None else {"total_cost_usd": cost}
        if any(used.values()) and len(self._models) < 2:  # noqa: PLR2004 - the totals are of one
            names = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
            share = dict(zip((*names, "outputTokens"), used.values(), strict=True))
            about["modelUsage"] = {model: share}
        elif any(used.values()):
            about["usage"] = used
        return [self._event({}, {"type": "result", "subtype": UNKNOWN, "why": _UNSAID, **about})]

    def _event(self, line: Event, event: Event) -> Event:
        stamp = {"timestamp": line["timestamp"]} if line.get("timestamp") is not None else {}
        return {**event, **stamp, "session_id": self._session_id}

    def _head(self, line: Event) -> Event:
        agent = mapping_of(line.get("agent"))
        self._documents += 1
        if self._documents == 1:
            self._session_id = id_of(line.get("session_id")) or id_of(line.get("trajectory_id"))
            names = (text_of(agent.get(key)) for key in ("name", "version"))
            self._agent = " ".join(filter(None, names))
        self._model = text_of(agent.get("model_name")) or self._model
        self._totals = dict(mapping_of(line.get("final_metrics"))) or self._totals
        root = id_of(mapping_of(agent.get("extra")).get("parent_session_id"))
        link = {"agentId": self._session_id, "sessionId": root or self._session_id}
        about = {"agent": self._agent, "model": self._model}
        return {"type": "system", "subtype": "init", **about, **link}

    def _agent_step(self, step: Event) -> list[Event]:
        blocks: list[Json] = []
        if thought := text_of(step.get("reasoning_content")):
            blocks.append({"type": "thinking", "thinking": thought})
        message = _said(step.get("message"))
        blocks += message if isinstance(message, list) else [text_of(message)]
        for call_id, call in self._calls(step):
            name = text_of(call.get("function_name"))
            blocks.append(tool_use(call_id, name, call.get("arguments")))
        metrics = mapping_of(step.get("metrics"))
        kinds = ("prompt_tokens", "cached_tokens", "", "completion_tokens")
        usage = usage_of(*map(metrics.get, kinds))
        model = text_of(step.get("model_name")) or self._model
        self._models |= {model} - {""}
        event = model_said(
            f"{self._session_id}/{self._step}",
            blocks,
            model=model,
            usage=usage if any(usage.values()) else None,
        )
        cost: Json = metrics.get("cost_usd")
        if is_number(cost):
            self._cost = (self._cost or 0.0) + cost
            event["cost_usd"] = cost
        return [event]

    def _calls(self, step: Event) -> list[tuple[str, Event]]:
        """The calls of a step by their ids; one without gets one of its own."""
        calls = map(mapping_of, list_of(step.get("tool_calls")))
        return [
            (id_of(call.get("tool_call_id")) or f"{self._step}.{number}", dict(call))
            for number, call in enumerate(calls)
        ]

    def _results(self, step: Event) -> Iterator[Event]:
        observed = list_of(mapping_of(step.get("observation")).get("results"))
        results = [mapping_of(result) for result in observed]
        named = {id_of(result.get("source_call_id")) for result in results}
        unnamed = iter([call_id for call_id, _ in self._calls(step) if call_id not in named])
        for result in results:
            content = blocks_of(result.get("content"))
            refs = map(mapping_of, list_of(result.get("subagent_trajectory_ref")))
            started = list(filter(None, map(self._started, refs)))
            call_id = id_of(result.get("source_call_id")) or next(unnamed, "")
            if call_id:
                about = {"agentId": started.pop(0)[0]} if started else {}
                failed = result.get("is_error") is True
                yield tool_result(call_id, content, failed=failed, **about)
            elif content is not None:
                yield user_said(content, is_meta=True)
            for number, (agent_id, summary) in enumerate(started):
                own = f"{self._step}.agent{number}"
                event = tool_result(own, summary, failed=False, agentId=agent_id)
                event["message"]["content"][0]["name"] = "subagent"
                yield event

    def _started(self, ref: Mapping[str, Json]) -> tuple[str, str] | None:
        """The id of a subagent and what is said of it."""
        agent_id, path = id_of(ref.get("session_id")), text_of(ref.get("trajectory_path"))
        if agent_id == self._session_id:  # seen where the file is not there either
            agent_id = id_of(path)
        summary = text_of(mapping_of(ref.get("extra")).get("summary"))
        return (agent_id, summary) if agent_id else None


def _said(message: Json) -> Json:
    """A message's text or blocks; None where there is none, or it repeats the agent's own.

    Some writers hand over a model's whole request, or the object that it answered with.
    """
    chat = message if isinstance(message, list) else [message]
    parts = [mapping_of(each) for each in chat]
    if nested := [each for part in parts for each in list_of(part.get("messages"))]:
        return _said(nested)
    if not any("role" in part for part in parts):
        return blocks_of(message)
    if len(parts) > 1 and any(part.get("role") == "assistant" for part in parts):
        return None
    contents = [blocks_of(part.get("content")) for part in parts if part.get("role") != "system"]
    return (
        contents[0]
        if len(contents) == 1
        else [{"type": "text", "text": text_of(content)} for content in contents]
    )
