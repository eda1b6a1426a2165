"""One session: every way in which an answer can end, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from scripted import ScriptedModel, says, uses

from evalkit.adapters.files.local_folder import LocalFolder
from evalkit.core.agent.budget import Budget, Limits
from evalkit.core.agent.conversation import Model, Reply
from evalkit.core.agent.journal import Opening
from evalkit.core.errors import ContextFull, ModelError
from evalkit.core.usage import Usage
from evalkit.flows.agent.directory import SessionDirectory
from evalkit.flows.agent.events import Event
from evalkit.flows.agent.loop import MOST_CUT_OFF, MOST_REPEATS, Clock, Ending, Loop
from evalkit.flows.agent.replaying import ReplayModel
from evalkit.flows.agent.toolbox import MOST_BYTES, Tool, Toolbox, ToolFailed

FREE = Budget(Limits(), Limits())


@dataclass(frozen=True)
class Named:
    name: str


@dataclass(frozen=True)
class Nothing:
    pass


class Bench:
    """A session directory, three tools, and a clock that ticks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events: list[Event] = []
        self.greeted: list[str] = []
        self.ends_at_greeting = False
        self._ticks = iter(range(10**6))

    @property
    def directory(self) -> SessionDirectory:
        return SessionDirectory(LocalFolder.make(self.root))

    def lead(self, model: Model, budget: Budget = FREE, number: int = 1) -> Ending:
        directory = self.directory
        if number not in directory.sessions():
            directory.begin(Opening(number, "worker", "dataset", model.name, 1_000))
        clock = Clock(lambda: 5_000, lambda: float(next(self._ticks)))
        tools = Toolbox(self._tools())
        loop = Loop(model, tools, directory, budget, self.events.append, clock)
        return loop.run(number, "You test.", "Begin.")

    def _tools(self) -> Iterator[Tool]:
        yield Tool("greet", "Greets.", Named, self._greet)
        yield Tool("fail", "Fails.", Nothing, self._fail)
        yield Tool("flood", "Says much.", Nothing, lambda _: "ä" * 100_000)

    def _greet(self, asked: Named) -> str:
        self.greeted.append(asked.name)
        if self.ends_at_greeting:
            raise KeyboardInterrupt
        return f"hello {asked.name}"

    def _fail(self, _: Nothing) -> str:
        raise ToolFailed("that cannot be done; do this instead")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "s")


def results(model: ScriptedModel, call: int = -1) -> list[dict[str, object]]:
    """What the tools gave, as the model was told of it."""
    return list(model.asked[call][-1]["content"])


def test_tools_are_used_until_the_model_has_nothing_more_to_ask(bench: Bench) -> None:
    model = ScriptedModel(
        uses(("greet", {"name": "a"}), ("greet", {"name": "b"})), says("that is all")
    )

    assert bench.lead(model) == Ending("finished", "that is all")
    assert bench.greeted == ["a", "b"]
    assert [r["content"] for r in results(model)] == ["hello a", "hello b"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("greet", {}), "the arguments of greet are wrong: Object missing required field `name`"),
        (("greet", {"name": 3}), "the arguments of greet are wrong: Expected `str`, got `int`"),
        (("shell", {"command": "ls"}), "there is no tool shell; there are greet, fail, flood"),
        (("fail", {}), "that cannot be done; do this instead"),
    ],
)
def test_a_call_that_fails_says_what_to_do_and_goes_on(
    bench: Bench, call: tuple[str, dict[str, object]], told: str
) -> None:
    model = ScriptedModel(uses(call), says("I see"))

    assert bench.lead(model).reason == "finished"
    (result,) = results(model)
    assert result["is_error"] is True
    assert str(result["content"]).startswith(told)


def test_a_tool_says_no_more_than_a_conversation_bears(bench: Bench) -> None:
    model = ScriptedModel(uses(("flood", {})), says("much"))
    bench.lead(model)

    told = str(results(model)[0]["content"])
    assert len(told.encode()) <= MOST_BYTES
    assert told.endswith("Ask for less.")


def test_a_call_in_an_answer_that_was_cut_off_is_not_run(bench: Bench) -> None:
    model = ScriptedModel(
        uses(("greet", {"name": "a"}), stop_reason="max_tokens"), says("smaller then")
    )

    assert bench.lead(model).reason == "finished"
    assert bench.greeted == []
    assert results(model)[0]["is_error"] is True


def test_words_that_were_cut_off_go_on_but_not_for_ever(bench: Bench) -> None:
    cut = [says("and", "max_tokens") for _ in range(MOST_CUT_OFF + 1)]
    model = ScriptedModel(*cut, says("never asked"))

    assert bench.lead(model).reason == "cut off"
    assert model.left == 1


def test_a_paused_turn_is_sent_back_as_it_is(bench: Bench) -> None:
    model = ScriptedModel(says("half", "pause_turn"), says("whole"))

    assert bench.lead(model).detail == "whole"
    assert model.asked[1][-1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "half"}],
    }


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Reply((), "refusal", explanation="not this"), "refused"),
        (says("…", "model_context_window_exceeded"), "context full"),
        (ContextFull("too long"), "context full"),
    ],
)
def test_an_answer_that_is_none_ends_the_session(
    bench: Bench, step: Reply | ContextFull, reason: str
) -> None:
    ending = bench.lead(ScriptedModel(step))

    assert ending.reason == reason
    closing = bench.directory.sessions()[1].closing
    assert closing is not None
    assert closing.reason == reason


def test_a_model_that_runs_in_circles_is_told_and_then_stopped(bench: Bench) -> None:
    model = ScriptedModel(*(uses(("fail", {})) for _ in range(MOST_REPEATS + 3)))

    assert bench.lead(model).reason == "stuck"
    assert "Do something else" in str(results(model, 2)[0]["content"])
    assert model.left == 3


def test_of_a_dead_api_what_was_answered_stays(bench: Bench) -> None:
    with pytest.raises(ModelError, match="unreachable"):
        bench.lead(ScriptedModel(uses(("greet", {"name": "a"})), ModelError("unreachable")))
    resumed = ScriptedModel(says("there you are"))

    assert bench.lead(resumed).reason == "finished"
    assert bench.greeted == ["a", "a"]  # asked again of the tool, not of the model
    assert [m["role"] for m in resumed.asked[0]] == ["user", "assistant", "user"]


def test_a_call_that_ended_the_program_twice_is_not_run_a_third_time(bench: Bench) -> None:
    deadly = ScriptedModel(uses(("greet", {"name": "a"})))
    bench.ends_at_greeting = True
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            bench.lead(deadly)
    model = ScriptedModel(says("without it, then"))
    bench.lead(model)

    assert len(bench.greeted) == 2
    assert "interrupted twice" in str(results(model)[0]["content"])


def test_a_program_interrupted_while_it_waits_for_the_model_runs_its_tools_again(
    bench: Bench,
) -> None:
    steps = [uses(("greet", {"name": "a"})), *(KeyboardInterrupt() for _ in range(3))]
    model = ScriptedModel(*steps, says("here I am"))
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            bench.lead(model)
    bench.lead(model)

    assert results(model)[0]["content"] == "hello a"


def test_an_answer_that_was_written_half_counts_as_not_given(bench: Bench) -> None:
    bench.lead(ScriptedModel(uses(("greet", {"name": "a"})), says("done")))
    for name in ("0002", "closing"):
        file = bench.root / f"state/journal/001/{name}.json"
        file.write_bytes(file.read_bytes()[:-20])

    assert bench.lead(ScriptedModel(says("once more"))).detail == "once more"


@pytest.mark.parametrize(
    ("session", "total", "reason"),
    [
        (Limits(turns=2), Limits(), "session budget"),
        (Limits(tokens=500), Limits(), "session budget"),
        (Limits(minutes=0.05), Limits(), "session budget"),
        (Limits(), Limits(turns=2), "budget"),
        (Limits(), Limits(tokens=500), "budget"),
        (Limits(), Limits(usd=0.02), "budget"),
        (Limits(), Limits(minutes=0.05), "budget"),
    ],
)
def test_no_call_is_made_beyond_a_budget(
    bench: Bench, session: Limits, total: Limits, reason: str
) -> None:
    calls = [uses(("greet", {"name": str(n)})) for n in range(9)]
    priced = [Reply(c.content, c.stop_reason, Usage(100, 10), cost_usd=0.01) for c in calls]
    model = ScriptedModel(*priced)

    ending = bench.lead(model, Budget(session, total))
    assert ending.reason == reason
    assert len(model.asked) <= 3


def test_with_a_larger_budget_a_session_goes_on_where_it_was(bench: Bench) -> None:
    bench.lead(ScriptedModel(uses(("greet", {"name": "a"}))), Budget(Limits(), Limits(turns=1)))
    model = ScriptedModel(says("at last"))

    assert bench.lead(model, Budget(Limits(), Limits(turns=2))).reason == "finished"
    assert len(model.asked[0]) == 3


def test_a_price_that_is_not_known_is_never_nothing(bench: Bench) -> None:
    bench.lead(ScriptedModel(says("done", cost_usd=None)))

    spent = bench.directory.spent().as_json()
    assert spent["cost_usd"] is None
    assert spent["unpriced_calls"] == 1


def test_a_recorded_session_is_replayed_exactly(bench: Bench, tmp_path: Path) -> None:
    bench.lead(ScriptedModel(uses(("greet", {"name": "a"})), uses(("fail", {})), says("done")))
    recorded = bench.directory.sessions()

    again = Bench(tmp_path / "again")
    again.lead(ReplayModel(recorded.values()))
    replayed = again.directory.sessions()
    assert [t.reply for t in replayed[1].turns] == [t.reply for t in recorded[1].turns]
    assert [t.asked for t in replayed[1].turns] == [t.asked for t in recorded[1].turns]


def test_a_replay_of_something_else_says_so(bench: Bench, tmp_path: Path) -> None:
    bench.lead(ScriptedModel(uses(("greet", {"name": "a"})), says("done")))
    other = Bench(tmp_path / "again")
    other._greet = lambda asked: f"goodbye {asked.name}"  # type: ignore[method-assign]

    with pytest.raises(ModelError, match="turn 2 of session 1 is asked something else"):
        other.lead(ReplayModel(bench.directory.sessions().values()))
