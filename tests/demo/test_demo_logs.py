"""The demo's logs: every shape that was promised is there, and every figure adds up."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evalkit.demo.project import write_project
from evalkit.demo.run import RUN_ID, RUNS
from evalkit.demo.tokens import HAIKU, PRICES, SONNET

Event = dict[str, Any]

NEVER_RUN, CUT_OFF = "invoice-needs-vat-number", "parcel-lost-abroad"
COMPLETE = (
    "change-address-before-dispatch",
    "charged-twice",
    "coupon-rejected",
    "delete-my-account",
    "flicker-after-fourteen-months",
    "gift-card-balance",
    "lamp-arrived-cracked",
    "parcel-late-for-birthday",
    "third-contact-no-answer",
    "tisch-zerkratzt-rueckgabe",
)
KINDS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_read_input_tokens": "cacheReadInputTokens",
    "cache_creation_input_tokens": "cacheCreationInputTokens",
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_project(tmp_path_factory.mktemp("demo")).parent
    return root / RUNS / RUN_ID / "cases"


def lines(cases: Path, case: str) -> list[str]:
    return (cases / case / "stdout.log").read_text(encoding="utf-8").splitlines()


def events(cases: Path, case: str) -> list[Event]:
    return [json.loads(line) for line in lines(cases, case)]


def transcripts(cases: Path, case: str) -> list[Event]:
    files = sorted((cases / case / "subagents").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def blocks(log: list[Event], kind: str) -> Iterator[Event]:
    for event in log:
        content = event.get("message", {}).get("content", [])
        for block in content if isinstance(content, list) else []:
            if block["type"] == kind:
                yield {**block, "parent": event.get("parent_tool_use_id")}


def messages(log: list[Event]) -> dict[str, Event]:
    """The first event of each message, by the message's id."""
    found: dict[str, Event] = {}
    for event in log:
        if event["type"] == "assistant":
            found.setdefault(event["message"]["id"], event)
    return found


def subtypes(log: list[Event]) -> Counter[str]:
    return Counter(str(event.get("subtype", event["type"])) for event in log)


class TestLines:
    @pytest.mark.parametrize("case", COMPLETE)
    def test_every_line_is_an_event_and_the_last_one_the_result(
        self, cases: Path, case: str
    ) -> None:
        log = events(cases, case)

        assert all(isinstance(event, dict) for event in log)
        assert [event["type"] for event in log].count("result") == 1
        assert log[-1]["type"] == "result"

    def test_the_cut_off_log_breaks_within_its_last_line(self, cases: Path) -> None:
        *whole, last = lines(cases, CUT_OFF)

        assert all(json.loads(line)["type"] != "result" for line in whole)
        with pytest.raises(json.JSONDecodeError):
            json.loads(last)

    def test_the_case_that_never_ran_has_no_log(self, cases: Path) -> None:
        found = {path.name for path in (cases / NEVER_RUN).iterdir()}
        assert found == {"run_result.json", "stderr.log"}

    @pytest.mark.parametrize("case", COMPLETE)
    def test_ids_are_unique_and_every_tool_call_is_answered_once(
        self, cases: Path, case: str
    ) -> None:
        log = events(cases, case)
        uuids = [event["uuid"] for event in log if "uuid" in event]
        calls = [block["id"] for block in blocks(log, "tool_use")]

        assert len(set(uuids)) == len(uuids)
        assert len(set(calls)) == len(calls)
        answered = [block["tool_use_id"] for block in blocks(log, "tool_result")]
        assert sorted(answered) == sorted(calls)
        assert len({event["session_id"] for event in log if "session_id" in event}) == 1


class TestFigures:
    @pytest.mark.parametrize("case", COMPLETE)
    def test_blocks_of_one_message_repeat_its_usage(self, cases: Path, case: str) -> None:
        by_message: dict[str, set[str]] = {}
        for event in events(cases, case):
            if event["type"] == "assistant":
                usage = json.dumps(event["message"]["usage"])
                by_message.setdefault(event["message"]["id"], set()).add(usage)
        assert all(len(usages) == 1 for usages in by_message.values())

    @pytest.mark.parametrize("case", COMPLETE)
    def test_the_main_threads_messages_add_up_to_the_results_usage(
        self, cases: Path, case: str
    ) -> None:
        log = events(cases, case)
        main = [m for m in messages(log).values() if m["parent_tool_use_id"] is None]
        exact = set(KINDS) - {"output_tokens"}
        for kind in exact:
            total = sum(event["message"]["usage"][kind] for event in main)
            assert total == log[-1]["usage"][kind], kind

    @pytest.mark.parametrize("case", COMPLETE)
    def test_cost_is_tokens_times_prices(self, cases: Path, case: str) -> None:
        result = events(cases, case)[-1]
        for model, used in result["modelUsage"].items():
            price = PRICES[model]
            nano_usd = (
                used["inputTokens"] * price.input
                + used["outputTokens"] * price.output
                + used["cacheReadInputTokens"] * price.cache_read
                + used["cacheCreationInputTokens"] * price.cache_create
            )
            assert used["costUSD"] == pytest.approx(nano_usd / 1e9)
        total = sum(used["costUSD"] for used in result["modelUsage"].values())
        assert result["total_cost_usd"] == pytest.approx(total)

    @pytest.mark.parametrize(
        ("case", "missing"),
        [
            ("lamp-arrived-cracked", set()),
            ("change-address-before-dispatch", set()),
            ("coupon-rejected", set()),
            ("flicker-after-fourteen-months", set()),
            ("third-contact-no-answer", set()),
            ("tisch-zerkratzt-rueckgabe", set()),
            ("gift-card-balance", set()),  # with the transcript beside the log
            ("charged-twice", {(HAIKU, kind) for kind in KINDS}),
            (
                "parcel-late-for-birthday",
                {(SONNET, "output_tokens"), (HAIKU, "input_tokens"), (HAIKU, "output_tokens")},
            ),
            (
                "delete-my-account",
                {(SONNET, "output_tokens"), (SONNET, "cache_read_input_tokens")},
            ),
        ],
    )
    def test_what_messages_do_not_show_of_model_usage(
        self, cases: Path, case: str, missing: set[tuple[str, str]]
    ) -> None:
        log = events(cases, case)
        shown: Counter[tuple[str, str]] = Counter()
        for event in messages(log + transcripts(cases, case)).values():
            for kind in KINDS:
                shown[event["message"]["model"], kind] += event["message"]["usage"][kind]

        short = {
            (model, kind): used[name] - shown[model, kind]
            for model, used in log[-1]["modelUsage"].items()
            for kind, name in KINDS.items()
            if used[name] != shown[model, kind]
        }

        assert all(tokens > 0 for tokens in short.values())
        assert set(short) == missing

    @pytest.mark.parametrize("case", ["parcel-late-for-birthday", "delete-my-account"])
    def test_placeholders_are_far_below_what_was_written(self, cases: Path, case: str) -> None:
        log = events(cases, case)
        shown = [event["message"]["usage"]["output_tokens"] for event in messages(log).values()]

        assert all(1 <= tokens <= 8 for tokens in shown)
        assert log[-1]["usage"]["output_tokens"] > 5 * sum(shown)


def has_stamp(event: Event) -> bool:
    return "timestamp" in event


class TestTimes:
    @pytest.mark.parametrize(
        ("case", "stamped"),
        [
            ("lamp-arrived-cracked", lambda _: True),
            ("gift-card-balance", lambda _: True),
            ("charged-twice", lambda event: event["type"] == "user"),
            ("delete-my-account", lambda event: event["type"] == "user"),
            ("flicker-after-fourteen-months", lambda _: False),
            ("tisch-zerkratzt-rueckgabe", lambda _: False),
        ],
    )
    def test_events_are_stamped_all_in_part_or_not_at_all(
        self, cases: Path, case: str, stamped: Callable[[Event], bool]
    ) -> None:
        log = events(cases, case)

        assert [has_stamp(event) for event in log] == [stamped(event) for event in log]
        stamps = [event["timestamp"] for event in log if has_stamp(event)]
        assert stamps == sorted(stamps)


class TestShapes:
    def test_thinking(self, cases: Path) -> None:
        log = events(cases, "parcel-late-for-birthday")
        assert len(list(blocks(log, "thinking"))) == 3
        assert subtypes(log)["thinking_tokens"] == 6

    def test_a_failing_tool(self, cases: Path) -> None:
        log = events(cases, "change-address-before-dispatch")
        (failed,) = (block for block in blocks(log, "tool_result") if block.get("is_error"))
        assert failed["content"].startswith("Exit code 2")

    def test_a_foreground_subagent_with_its_own_model(self, cases: Path) -> None:
        log = events(cases, "charged-twice")
        (call,) = (block for block in blocks(log, "tool_use") if block["name"] == "Agent")
        inside = [event for event in log if event.get("parent_tool_use_id") == call["id"]]
        assert {e["message"]["model"] for e in inside if e["type"] == "assistant"} == {HAIKU}
        assert subtypes(log)["task_notification"] == 1

    def test_a_subagent_in_a_subagent(self, cases: Path) -> None:
        log = events(cases, "flicker-after-fourteen-months")
        outer, inner = (block for block in blocks(log, "tool_use") if block["name"] == "Agent")
        assert outer["parent"] is None
        assert inner["parent"] == outer["id"]
        assert any(event.get("parent_tool_use_id") == inner["id"] for event in log)

    def test_a_background_subagent_with_a_transcript_and_a_notification(self, cases: Path) -> None:
        log, aside = events(cases, "gift-card-balance"), transcripts(cases, "gift-card-balance")
        order = [event.get("subtype", event["type"]) for event in log]
        (launched,) = (
            event["tool_use_result"]
            for event in log
            if event.get("tool_use_result", {}).get("status") == "async_launched"
        )
        assert order.index("task_started") < order.index("task_notification")
        assert {line["agentId"] for line in aside} == {launched["agentId"]}
        assert all(event.get("parent_tool_use_id") is None for event in log)

    def test_several_blocks_in_one_event(self, cases: Path) -> None:
        log = events(cases, "tisch-zerkratzt-rueckgabe")
        kinds = [
            [b["type"] for b in e["message"]["content"]] for e in log if e["type"] == "assistant"
        ]
        assert kinds[0] == ["thinking", "text", "tool_use", "tool_use"]

    def test_several_blocks_of_a_message_in_several_events(self, cases: Path) -> None:
        log = events(cases, "lamp-arrived-cracked")
        lines_of = Counter(e["message"]["id"] for e in log if e["type"] == "assistant")
        assert max(lines_of.values()) > 1

    def test_a_compaction(self, cases: Path) -> None:
        log = events(cases, "delete-my-account")
        (boundary,) = (e for e in log if e.get("subtype") == "compact_boundary")
        assert boundary["compact_metadata"]["pre_tokens"] > 140_000
        assert any(event.get("isSynthetic") for event in log)

    def test_retries_a_rate_limit_and_a_denied_tool(self, cases: Path) -> None:
        log = events(cases, "third-contact-no-answer")
        assert subtypes(log)["api_retry"] == 2
        assert subtypes(log)["rate_limit_event"] == 1
        assert [denial["tool_name"] for denial in log[-1]["permission_denials"]] == ["WebFetch"]

    def test_kinds_of_events_that_nobody_knows(self, cases: Path) -> None:
        assert {"workspace_snapshot", "context_digest"} <= set(
            subtypes(events(cases, "coupon-rejected"))
        )

    def test_a_session_out_of_turns(self, cases: Path) -> None:
        result = events(cases, "coupon-rejected")[-1]
        assert result["subtype"] == "error_max_turns"
        assert "result" not in result

    def test_secrets_in_one_log_only_and_in_no_file_of_the_package(self, cases: Path) -> None:
        looks_secret = re.compile(r"ghp_[A-Za-z0-9]{36}|Bearer [\w.]{20,}")
        leaking = {
            p.parent.name for p in cases.rglob("*.log") if looks_secret.search(p.read_text())
        }
        package = Path(write_project.__code__.co_filename).parent
        shipped = [p for p in package.rglob("*") if p.suffix in {".py", ".yaml", ".md"}]

        assert leaking == {"coupon-rejected"}
        assert len(shipped) > 30
        assert not [path for path in shipped if looks_secret.search(path.read_text())]
