"""ATIF, Harbor's trajectory.json: one document whose steps hold calls and results together.

Results that do not say which call they answer do so by their place; in a step without calls they
are what the agent read next. Totals are the whole run's, subagents and earlier parts included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from evalkit.agent_logs.events import Dialogue, blocks_of, tool_use, usage_of
from evalkit.claude_log.reader import Event
from evalkit.claude_log.session import UNKNOWN
from evalkit.jsonable import Json, id_of, list_of, mapping_of, text_of

_UNSAID = "a trajectory does not say how its session ended"
_Calls: TypeAlias = Sequence[tuple[str, Mapping[str, Json]]]
"""The calls of a step by their ids."""


@dataclass
class Atif(Dialogue):
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
        own = id_of(event.get("session_id")) or id_of(event.get("trajectory_id"))
        return root or own, bool(root)

    def split(self, event: Event) -> Iterable[Event]:
        """The head of a trajectory and its steps."""
        if not self.recognizes(event):
            return (event,)
        return [{**event, "steps": None}, *(dict(mapping_of(s)) for s in list_of(event["steps"]))]

    def read(self, line: Event) -> str:
        """Add the head, or a step."""
        if self.recognizes(line):
            self._head(line)
        elif "source" not in line:
            return "a step that is no object"
        elif line.get("is_copied_context") is True:
            self._is_part = self._documents == 1
            return "copied from an earlier part of the run"
        else:
            self._step(line)
        return "holds the conversation so far once more"

    def end(self) -> None:
        """The run's totals."""
        used, cost = usage_of(self._totals), self._totals.get("total_cost_usd")
        is_one = len(self._models) < 2  # noqa: PLR2004 - whose the totals are
        share = {next(iter(self._models), self.model): used} if used else None
        about: Event = {"modelUsage": share} if is_one else {"usage": used}
        about |= {"total_cost_usd": cost, "is_of_more": self._is_part}
        self.add("result", UNKNOWN, why=_UNSAID, **about)

    def _head(self, line: Event) -> None:
        agent = mapping_of(line.get("agent"))
        self._documents += 1
        self.model = text_of(agent.get("model_name")) or self.model
        self._totals = mapping_of(line.get("final_metrics")) or self._totals
        own = id_of(line.get("session_id")) or id_of(line.get("trajectory_id"))
        self.session_id = self.session_id or own
        root, is_part = self.session_of(line)
        link = {"agentId": self.session_id, "sessionId": root if is_part else self.session_id}
        name = " ".join(filter(None, (text_of(agent.get(key)) for key in ("name", "version"))))
        self.add("system", "init", agent=name, model=self.model, **link)

    def _step(self, step: Event) -> None:
        self.begin_message()
        called = enumerate(map(mapping_of, list_of(step.get("tool_calls"))))
        calls = [(id_of(c.get("tool_call_id")) or f"{self.number}.{n}", c) for n, c in called]
        said = _said(step.get("message"))
        if step["source"] != "agent":
            if said is not None:
                self.ask(said, is_meta=step["source"] != "user")
        else:
            thought = text_of(step.get("reasoning_content"))
            blocks: list[Json] = [{"type": "thinking", "thinking": thought}] if thought else []
            blocks += said if isinstance(said, list) else [text_of(said)]
            for call_id, call in calls:
                name = text_of(call.get("function_name"))
                blocks.append(tool_use(call_id, name, call.get("arguments")))
            metrics = mapping_of(step.get("metrics"))
            model = text_of(step.get("model_name")) or self.model
            self._models |= {model} - {""}
            cost = metrics.get("cost_usd")
            self.say(*blocks, model=model, usage=usage_of(metrics), cost_usd=cost)
        self._observe(mapping_of(step.get("observation")), calls)

    def _observe(self, observation: Mapping[str, Json], calls: _Calls) -> None:
        results = [mapping_of(result) for result in list_of(observation.get("results"))]
        named = {id_of(result.get("source_call_id")) for result in results}
        unnamed = iter([call_id for call_id, _ in calls if call_id not in named])
        for result in results:
            content = blocks_of(result.get("content"))
            started = self._started(list_of(result.get("subagent_trajectory_ref")))
            if call_id := id_of(result.get("source_call_id")) or next(unnamed, ""):
                agent_id = started.pop(0)[0] if started else ""
                failed = result.get("is_error") is True
                self.answer(call_id, content, failed=failed, agentId=agent_id)
            elif content is not None:
                self.ask(content, is_meta=True)
            for place, (agent_id, said) in enumerate(started):
                own = f"{self.number}.agent{place}"
                self.answer(own, said, name="subagent", agentId=agent_id)

    def _started(self, refs: Sequence[Json]) -> list[tuple[str, str]]:
        """Subagents' ids and summaries; its file names one that has the session's id, as seen."""
        found = []
        for ref in map(mapping_of, refs):
            own, path = id_of(ref.get("session_id")), id_of(ref.get("trajectory_path"))
            said = text_of(mapping_of(ref.get("extra")).get("summary"))
            found.append((path if own == self.session_id else own, said))
        return [each for each in found if each[0]]


def _said(message: Json) -> Json:
    """A message's text or blocks; None where there is none, or it repeats the agent's own.

    Some hand over a model's whole request, or the object that it answered with.
    """
    chat = [mapping_of(each) for each in (message if isinstance(message, list) else [message])]
    chat = [mapping_of(each) for part in chat for each in list_of(part.get("messages"))] or chat
    roles = [text_of(part.get("role")) for part in chat]
    if not any(roles):
        return blocks_of(message)
    if len(chat) > 1 and "assistant" in roles:
        return None
    said = [blocks_of(part.get("content")) for part in chat if part.get("role") != "system"]
    return said[0] if len(said) == 1 else [{"type": "text", "text": text_of(s)} for s in said]
