"""ATIF, Harbor's trajectory.json: one document whose steps hold calls and results together.

Results that do not say which call they answer do so by their place; in a step without calls they
are what the agent read next. Totals are the whole run's, subagents and earlier parts included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from evalkit.agent_logs import events as stream
from evalkit.claude_log.reader import Event
from evalkit.claude_log.session import UNKNOWN
from evalkit.jsonable import Json, id_of, is_number, list_of, mapping_of, text_of

_UNSAID = "a trajectory does not say how its session ended"


@dataclass
class Atif(stream.Dialogue):
    """One trajectory, perhaps with those that continue it behind it."""

    name: ClassVar[str] = "ATIF"
    is_whole: ClassVar[bool] = False

    _documents: int = 0
    _models: set[str] = field(default_factory=set)
    _totals: Mapping[str, Json] = field(default_factory=dict)
    _is_part: bool = False  # of a run whose earlier steps are not here

    @staticmethod
    def recognizes(event: Event) -> bool:
        """Whether the object is a trajectory: only its schema's version tells."""
        return text_of(event.get("schema_version")).startswith("ATIF-v")

    @staticmethod
    def session_of(event: Event) -> tuple[str, bool]:
        """A subagent's names its parent's."""
        about = mapping_of(mapping_of(event.get("agent")).get("extra"))
        root = id_of(about.get("parent_session_id"))
        return root or _id_of(event), bool(root)

    def split(self, event: Event) -> Iterable[Event]:
        """The head of a trajectory and its steps."""
        if not self.recognizes(event):
            return (event,)
        steps = list_of(event.get("steps"))
        return [{**event, "steps": None}, *(s if isinstance(s, dict) else {} for s in steps)]

    def read(self, line: Event) -> Sequence[Event] | str:
        """The events that a step comes to, or the head."""
        if self.recognizes(line):
            return [self._head(line)]
        if "source" not in line:
            return "a step that is no object"
        if line.get("is_copied_context") is True:
            self._is_part = self._documents == 1
            return "copied from an earlier part of the run"
        self.begin_message()
        if line["source"] == "agent":
            events = [self._agent_step(line)]
        else:
            said = _said(line.get("message"))
            if said is None and not line.get("observation"):
                return "holds the conversation so far once more"
            is_meta = line["source"] != "user"
            events = [] if said is None else [stream.user_said(said, is_meta=is_meta)]
        return [*events, *self._results(line)]

    def end(self) -> Sequence[Event]:
        """The run's totals."""
        used, cost = stream.usage_of(self._totals), self._totals.get("total_cost_usd")
        about: dict[str, Json] = {"is_of_more": self._is_part}
        about |= {"total_cost_usd": cost} if is_number(cost) else {}
        if any(used.values()) and len(self._models) < 2:  # noqa: PLR2004 - the totals are of one
            about["modelUsage"] = {next(iter(self._models), self.model): used}
        elif any(used.values()):
            about["usage"] = used
        return [{"type": "result", "subtype": UNKNOWN, "why": _UNSAID, **about}]

    def _head(self, line: Event) -> Event:
        agent = mapping_of(line.get("agent"))
        self._documents += 1
        self.model = text_of(agent.get("model_name")) or self.model
        self._totals = mapping_of(line.get("final_metrics")) or self._totals
        self.session_id = self.session_id or _id_of(line)
        root, is_part = self.session_of(line)
        link = {"agentId": self.session_id, "sessionId": root if is_part else self.session_id}
        name = " ".join(filter(None, (text_of(agent.get(key)) for key in ("name", "version"))))
        return {"type": "system", "subtype": "init", "agent": name, "model": self.model, **link}

    def _agent_step(self, step: Event) -> Event:
        blocks: list[Json] = []
        if thought := text_of(step.get("reasoning_content")):
            blocks.append({"type": "thinking", "thinking": thought})
        message = _said(step.get("message"))
        blocks += message if isinstance(message, list) else [text_of(message)]
        for call_id, call in self._calls(step):
            name = text_of(call.get("function_name"))
            blocks.append(stream.tool_use(call_id, name, call.get("arguments")))
        metrics, of_head = mapping_of(step.get("metrics")), self.model
        self.model = text_of(step.get("model_name")) or of_head
        self._models |= {self.model} - {""}
        used = stream.usage_of(metrics)
        event = self.says(*blocks, usage=used if any(used.values()) else None)
        self.model, cost = of_head, metrics.get("cost_usd")
        return {**event, "cost_usd": cost} if is_number(cost) else event

    def _calls(self, step: Event) -> list[tuple[str, Mapping[str, Json]]]:
        """The calls of a step by their ids; one without gets one of its own."""
        calls = map(mapping_of, list_of(step.get("tool_calls")))
        return [
            (id_of(call.get("tool_call_id")) or f"{self.number}.{place}", call)
            for place, call in enumerate(calls)
        ]

    def _results(self, step: Event) -> Iterator[Event]:
        observed = list_of(mapping_of(step.get("observation")).get("results"))
        results = [mapping_of(result) for result in observed]
        named = {id_of(result.get("source_call_id")) for result in results}
        unnamed = iter([call_id for call_id, _ in self._calls(step) if call_id not in named])
        for result in results:
            content = stream.blocks_of(result.get("content"))
            refs = map(mapping_of, list_of(result.get("subagent_trajectory_ref")))
            started = [(own, ref) for ref in refs if (own := self._started(ref))]
            if call_id := id_of(result.get("source_call_id")) or next(unnamed, ""):
                about = {"agentId": started.pop(0)[0]} if started else {}
                failed = result.get("is_error") is True
                yield stream.tool_result(call_id, content, failed=failed, **about)
            elif content is not None:
                yield stream.user_said(content, is_meta=True)
            for place, (agent_id, ref) in enumerate(started):
                own = f"{self.number}.agent{place}"
                said = text_of(mapping_of(ref.get("extra")).get("summary"))
                yield stream.tool_result(own, said, failed=False, name="subagent", agentId=agent_id)

    def _started(self, ref: Mapping[str, Json]) -> str:
        """The id of a subagent; its file's name where it has the session's, as seen."""
        agent_id = id_of(ref.get("session_id"))
        return id_of(ref.get("trajectory_path")) if agent_id == self.session_id else agent_id


def _id_of(trajectory: Event) -> str:
    return id_of(trajectory.get("session_id")) or id_of(trajectory.get("trajectory_id"))


def _said(message: Json) -> Json:
    """A message's text or blocks; None where there is none, or it repeats the agent's own.

    Some hand over a model's whole request, or the object that it answered with.
    """
    chat = [mapping_of(each) for each in (message if isinstance(message, list) else [message])]
    chat = [mapping_of(each) for part in chat for each in list_of(part.get("messages"))] or chat
    roles = [text_of(part.get("role")) for part in chat]
    if not any(roles):
        return stream.blocks_of(message)
    if len(chat) > 1 and "assistant" in roles:
        return None
    said = [stream.blocks_of(part.get("content")) for part in chat if part.get("role") != "system"]
    return said[0] if len(said) == 1 else [{"type": "text", "text": text_of(s)} for s in said]
