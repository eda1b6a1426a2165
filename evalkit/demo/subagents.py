"""Subagents in a log: inline in the foreground, or with a transcript beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evalkit.core.values import Json
from evalkit.demo.conversation import SUBAGENT_PROMPT_TOKENS, Call, Event, Reply, Thread
from evalkit.demo.logs import Session
from evalkit.demo.tokens import estimate


@dataclass(slots=True)
class Subagent:
    """An agent that another one calls.

    Attributes:
        description: What it is for, in a few words.
        prompt: What it is asked.
        answer: What it hands back.
        model: Who speaks.
        play: Its turns, written into the session on its own thread.
        background: Whether its caller goes on meanwhile.
    """

    description: str
    prompt: str
    answer: str
    model: str
    play: Callable[[Session, Thread], None]
    background: bool = False
    _task: Event | None = None
    _thread: Thread | None = None

    def call(self) -> Call:
        """The tool call that starts it."""
        return Call(
            "Agent",
            {
                "description": self.description,
                "prompt": self.prompt,
                "subagent_type": "general-purpose",
                "run_in_background": self.background,
            },
            inside=self._launch if self.background else self._run,
        )

    def finish(self, session: Session) -> None:
        """Tell the main thread that the subagent in the background is done."""
        if self._thread is None or self._task is None:
            msg = f"the subagent {self.description!r} has not been started"
            raise ValueError(msg)
        session.main.clock_ms = max(session.main.clock_ms, self._thread.clock_ms)
        self._notify(session, self._thread, self._task)
        session.main.unread += estimate(self.answer)

    def _run(self, session: Session, caller: Thread, tool_id: str) -> Reply:
        thread, task = self._begin(session, caller, tool_id)
        self._notify(session, thread, task)
        caller.clock_ms = thread.clock_ms
        answer = {"type": "text", "text": self.answer}
        return Reply(
            [answer, {"type": "text", "text": f"agentId: {task['task_id']}"}],
            {
                "status": "completed",
                "prompt": self.prompt,
                "agentId": task["task_id"],
                "agentType": "general-purpose",
                "content": [answer],
                "resolvedModel": self.model,
                "totalDurationMs": thread.clock_ms - thread.began_ms,
                "totalTokens": thread.spent.total,
                "totalToolUseCount": thread.tool_uses,
                "usage": thread.spent.as_usage(),
            },
        )

    def _launch(self, session: Session, caller: Thread, tool_id: str) -> Reply:
        self._thread, self._task = self._begin(session, caller, tool_id)
        caller.clock_ms += 150
        agent_id = self._task["task_id"]
        text = (
            f"Async agent launched successfully.\nagentId: {agent_id}\n"
            "The agent works in the background; a notification follows when it is done."
        )
        return Reply(
            [{"type": "text", "text": text}],
            {
                "isAsync": True,
                "status": "async_launched",
                "agentId": agent_id,
                "description": self.description,
                "prompt": self.prompt,
                "resolvedModel": self.model,
                "outputFile": f"{session.cwd}/tasks/{agent_id}.output",
            },
        )

    def _begin(self, session: Session, caller: Thread, tool_id: str) -> tuple[Thread, Event]:
        task_id = "a" + session.ids.uuid().replace("-", "")[:16]
        task: Event = {"task_id": task_id, "tool_use_id": tool_id}
        session.system(
            "task_started",
            **task,
            description=self.description,
            subagent_type="general-purpose",
            task_type="local_agent",
            prompt=self.prompt,
        )
        thread = Thread(
            self.model,
            began_ms=caller.clock_ms,
            clock_ms=caller.clock_ms,
            parent=tool_id,
            unread=SUBAGENT_PROMPT_TOKENS,
            agent_id=task_id if self.background else "",
        )
        if self.background:
            session.asides.append(thread)
        session.say(self.prompt, thread)
        self.play(session, thread)
        return thread, task

    def _notify(self, session: Session, thread: Thread, task: Event) -> None:
        patch: Json = {"status": "completed"}
        session.system("task_updated", task_id=task["task_id"], patch=patch)
        session.system(
            "task_notification",
            **task,
            status="completed",
            output_file=f"{session.cwd}/tasks/{task['task_id']}.output" if self.background else "",
            summary=self.answer if self.background else self.description,
            usage={
                "total_tokens": thread.spent.total,
                "tool_uses": thread.tool_uses,
                "duration_ms": thread.clock_ms - thread.began_ms,
            },
        )
