"""Writes an evaluation project of any size, the same each time.

    python tests/bench/generate.py DIR --cases 200 --events 60 --judges 5
    python tests/bench/generate.py DIR --log-mb 20

The second form writes one case whose log is that large. Tokens and cost of each log add up; two in
a hundred tool answers hold a made-up secret.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

NAME = "bench-eval"
RUN_ID = "2026-05-12-bench"
START = dt.datetime(2026, 5, 12, 6, tzinfo=dt.UTC)
AROUND_TURNS = 3  # the events that are no tool turn: init, the last answer, result
FEWEST_EVENTS = 6
SPEECHLESS = 7  # one turn in so many calls a tool without a word: about 64 spans in 60 events
SECRETIVE = 50
SECRET = "GITHUB_TOKEN=" + "ghp" + "_" + "7Qm2" + "Lw9x" * 8
MODEL = "claude-sonnet-4-6"
NANO_USD = {"input": 3_000, "output": 15_000, "cache_read": 300, "cache_create": 3_750}
PROMPT_TOKENS = 14_200
MS_A_TURN = 1_150
TEXT = (
    "parcel invoice shelf lamp carrier depot scan label refund voucher order ledger balance "
    "address window cable dimmer spare part stock return receipt table"
)
WORDS = TEXT.split()
SCORES: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("order_quoted", "check", (True, True, True, False)),
    ("resolution", "llm", (5, 4, 4, 3, 2)),
    ("grounding", "llm", (1.0, 0.75, 0.5)),
    ("tone", "llm", ("polite", "neutral", "rude")),
    ("within_budget", "builtin", (True,)),
)


def write_project(
    directory: Path, *, cases: int, events: int, judges: int, tracking_uri: str, log_mb: float
) -> None:
    """Write the project.

    Args:
        directory: An empty or new folder: cases of another project in it would count, too.
        cases: How many cases, each with a log.
        events: How many events a log has.
        judges: How many judges score each case.
        tracking_uri: The MLflow server that ``eval.yaml`` names.
        log_mb: Size of each log in millions of bytes, instead of ``events``; 0: by events.
    """
    run = directory / "eval" / "runs" / NAME / RUN_ID
    figures: dict[str, dict[str, Any]] = {}
    scores: dict[str, dict[str, Any]] = {}
    for number in range(cases):
        case = f"case-{number:05}"
        folder = directory / "eval" / "cases" / case
        _write(folder / "input.yaml", _yaml(_inputs(number)))
        _write(folder / "annotations.yaml", _yaml({"expected_outcome": _prose(number, 40)}))
        log = Log(number)
        log.tell(events, round(log_mb * 1_000_000))
        _write(run / "cases" / case / "stdout.log", "".join(log.lines))
        figures[case] = log.figures()
        scores[case] = dict(_scores(number, judges))
    _write(run / "summary.yaml", _yaml(_summary(scores)))
    _write(run / "run_result.json", json.dumps(_run_result(figures), indent=2))
    _write(directory / "eval.yaml", _yaml(_config(judges, tracking_uri)))


@dataclass
class Log:
    """One session's log, a line an event; what the events say of tokens adds up."""

    number: int
    lines: list[str] = field(default_factory=list)
    size: int = 0
    messages: int = 0
    spent: Counter[str] = field(default_factory=Counter)
    cached: int = 0
    unread: int = PROMPT_TOKENS

    def tell(self, events: int, least_bytes: int) -> None:
        """Write it: with so many events, or of at least so many bytes where that is not 0."""
        system = {"cwd": "/workspace", "tools": ["Bash"], "claude_code_version": "2.1.204"}
        self._add(type="system", subtype="init", model=MODEL, skills=["bench"], **system)
        # tool turns have three events, or two where nothing is said
        left = events - AROUND_TURNS
        wordless = left // (SPEECHLESS * 3)
        wordless += (left - 2 * wordless) % 3 * 2 % 3  # so that the others come out even
        turns = wordless + (left - 2 * wordless) // 3
        index = 0
        while self.size < least_bytes if least_bytes else index < turns:
            self._turn(index, spoken=index % SPEECHLESS != 0 if least_bytes else index >= wordless)
            index += 1
        answer = f"QB-{self.number:05} is settled. {_prose(self.number, 30)}"
        self._message([{"type": "text", "text": answer}])
        figures = self.figures()
        self._add(
            type="result",
            subtype="success",
            is_error=False,
            duration_ms=self.messages * MS_A_TURN,
            num_turns=index + 1,
            result=answer,
            total_cost_usd=figures["cost_usd"],
            usage=_usage(self.spent),
            modelUsage={
                MODEL: {
                    "inputTokens": self.spent["input"],
                    "outputTokens": self.spent["output"],
                    "cacheReadInputTokens": self.spent["cache_read"],
                    "cacheCreationInputTokens": self.spent["cache_create"],
                    "costUSD": figures["cost_usd"],
                }
            },
            permission_denials=[],
        )

    def figures(self) -> dict[str, Any]:
        """What it consumed, as ``run_result.json`` has it."""
        tokens = {kind: self.spent[kind] for kind in NANO_USD}
        cost = sum(count * NANO_USD[kind] for kind, count in tokens.items()) / 10**9
        return {
            "exit_code": 0,
            "duration_s": round(self.messages * MS_A_TURN / 1000, 1),
            "token_usage": tokens,
            "cost_usd": cost,
            "num_turns": self.messages,
            "per_model_usage": {MODEL: {**tokens, "cost_usd": cost}},
        }

    def _turn(self, index: int, *, spoken: bool) -> None:
        said = [{"type": "text", "text": _prose(index, 20)}] if spoken else []
        part = f"bin/orders step QB-{self.number:05} --part {index}"
        call_id = f"toolu_01{self._digest(20)}"
        use = {"type": "tool_use", "id": call_id, "name": "Bash"}
        self._message([*said, {**use, "input": {"command": part, "description": "Look"}}])
        text = _prose(self.number + index, 90)
        if (self.number + index) % SECRETIVE == SECRETIVE - 1:
            text += f"\n{SECRET}"
        result = {"type": "tool_result", "tool_use_id": call_id, "content": text}
        structured: Any = {"stdout": text, "stderr": "", "interrupted": False, "isImage": False}
        if index % 17 == 16:
            result, structured = {**result, "is_error": True}, f"Error: {text}"
        self.unread += len(text) // 4
        moment = START + dt.timedelta(minutes=self.number, milliseconds=self.messages * MS_A_TURN)
        self._add(
            type="user",
            message={"role": "user", "content": [result]},
            parent_tool_use_id=None,
            timestamp=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            tool_use_result=structured,
        )

    def _message(self, blocks: list[dict[str, Any]]) -> None:
        """A message of the model, an event a block, each with the usage of the whole."""
        used = {
            "input": 1 if self.messages else 3,
            "output": len(json.dumps(blocks)) // 4,
            "cache_read": self.cached,
            "cache_create": self.unread,
        }
        self.cached, self.unread = self.cached + self.unread, used["output"]
        self.messages += 1
        self.spent.update(used)
        message = {"model": MODEL, "id": f"msg_01{self._digest(22)}", "type": "message"}
        message |= {"role": "assistant", "stop_reason": None, "usage": _usage(used)}
        for block in blocks:
            self._add(type="assistant", message={**message, "content": [block]})

    def _add(self, **event: Any) -> None:
        ids = {"session_id": self._uuid("session"), "uuid": self._uuid(str(len(self.lines)))}
        line = json.dumps({**event, **ids}, separators=(",", ":")) + "\n"
        self.lines.append(line)
        self.size += len(line)

    def _digest(self, length: int) -> str:
        text = f"{RUN_ID}/{self.number}/{len(self.lines)}/{self.messages}"
        return hashlib.sha256(text.encode()).hexdigest()[:length]

    def _uuid(self, name: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{RUN_ID}/{self.number}/{name}"))


def _usage(tokens: dict[str, int] | Counter[str]) -> dict[str, Any]:
    return {
        "input_tokens": tokens["input"],
        "cache_creation_input_tokens": tokens["cache_create"],
        "cache_read_input_tokens": tokens["cache_read"],
        "output_tokens": tokens["output"],
    }


def _run_result(figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    each = list(figures.values())
    tokens = {kind: sum(one["token_usage"][kind] for one in each) for kind in NANO_USD}
    cost = sum(one["cost_usd"] for one in each)
    seconds = round(sum(one["duration_s"] for one in each), 1)
    return {
        "exit_code": 0,
        "duration_s": seconds,
        "token_usage": tokens,
        "cost_usd": cost,
        "num_turns": sum(one["num_turns"] for one in each),
        "per_model_usage": {MODEL: {**tokens, "cost_usd": cost}},
        "wall_clock_s": seconds,
        "num_cases": len(figures),
        "model": MODEL,
        "agent": "claude-code",
        "agent_version": "2.1.204 (Claude Code)",
        "execution_mode": "case",
        "eval_params": {"skill": "bench", "skill_args": "{message}", "execution_mode": "case"},
        "per_case": figures,
    }


def _summary(scores: dict[str, dict[str, Any]]) -> dict[str, Any]:
    judges = {}
    for judge in next(iter(scores.values()), {}):
        values = [found[judge]["value"] for found in scores.values()]
        mean = None if isinstance(values[0], str) else round(sum(values) / len(values), 4)
        judges[judge] = {"mean": mean, "pass_rate": mean if isinstance(values[0], bool) else None}
    return {"run_id": RUN_ID, "judges": judges, "per_case": scores}


def _config(judges: int, tracking_uri: str) -> dict[str, Any]:
    schema = (
        "- input.yaml: what the skill reads, with 'message' and 'order'\n"
        "- annotations.yaml: 'expected_outcome', for the judges, never copied to the workspace\n"
    )
    return {
        "name": NAME,
        "skill": "bench",
        "execution": {"mode": "case", "arguments": "{message}"},
        "runner": {"type": "claude-code"},
        "mlflow": {"experiment": NAME, "tracking_uri": tracking_uri},
        "dataset": {"path": "eval/cases", "schema": schema},
        "judges": [
            {"name": name, "builtin": "cost_budget"}
            if kind == "builtin"
            else {"name": name, "check" if kind == "check" else "prompt": "return True"}
            for name, kind, _ in _judges(judges)
        ],
        "thresholds": {"order_quoted": {"min_pass_rate": 0.9}} if judges else {},
    }


def _inputs(number: int) -> dict[str, Any]:
    order = {"number": f"QB-{number:05}", "total": 20 + number % 300, "currency": "EUR"}
    return {"message": f"About order QB-{number:05}: {_prose(number, 30)}", "order": order}


def _judges(count: int) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    for index in range(count):
        name, kind, values = SCORES[index % len(SCORES)]
        again = index // len(SCORES)
        yield f"{name}_{again}" if again else name, kind, values


def _scores(number: int, judges: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, (name, kind, values) in enumerate(_judges(judges)):
        value = values[(number * 7 + index) % len(values)]
        rationale = _prose(number + index, 12)
        yield name, {"value": value, "rationale": rationale, "judge_type": kind}


def _prose(seed: int, words: int) -> str:
    """Text that differs by seed, without chance."""
    return " ".join(WORDS[(seed * 31 + i * (3 + seed % 5)) % len(WORDS)] for i in range(words))


def _yaml(value: dict[str, Any]) -> str:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # 5,000 cases in seconds
    return str(yaml.dump(value, Dumper=dumper, allow_unicode=True, width=100))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Read the command line and write the project."""
    parser = argparse.ArgumentParser(description="Write an evaluation project of any size.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--events", type=int, default=60, help="events a log")
    parser.add_argument("--judges", type=int, default=5)
    parser.add_argument("--tracking-uri", default="http://127.0.0.1:5000")
    parser.add_argument("--log-mb", type=float, default=0.0, help="one case, with a log so large")
    args = parser.parse_args()
    if args.events < FEWEST_EVENTS:
        parser.error(f"--events must be at least {FEWEST_EVENTS}")
    if args.directory.exists() and any(args.directory.iterdir()):
        parser.error(f"{args.directory} is not empty")
    began = time.perf_counter()
    write_project(
        args.directory,
        cases=1 if args.log_mb else args.cases,
        events=args.events,
        judges=args.judges,
        tracking_uri=args.tracking_uri,
        log_mb=args.log_mb,
    )
    print(f"{args.directory}: run {RUN_ID}, written in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
