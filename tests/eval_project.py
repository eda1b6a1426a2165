"""A small evaluation project on disk: three cases and one finished run, for tests to change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from agentlogs import SONNET, Event, answer, as_lines, ask, finish, init, say, text, usage, use

RUN_ID = "2026-07-09-v1"
RUN = ("--run-id", RUN_ID)
CASES = ("alpha", "beta", "gamma")
MAPPING = {
    "inputs": {"prompt": "input.yaml:prompt"},
    "expectations": {"outcome": "expected.yaml:outcome"},
}


def log_of(case: str, *, reply: str = "done", tools: int = 1) -> bytes:
    """A log whose tokens and cost add up: a question, some tool calls, an answer."""
    calls: list[Event] = []
    for number in range(tools):
        tool = f"t{number}"
        calls += [
            say(f"m{number}", use(tool, "Bash", command=f"look at {case}"), used=usage(10, 5)),
            answer(tool, f"{case} is fine"),
        ]
    last = say("last", text(reply), used=usage(10, 5))
    total = usage(10 * (tools + 1), 5 * (tools + 1))
    end = finish(reply, models={SONNET: total}, main=total)
    return b"".join(as_lines([init(), ask(f"please handle {case}"), *calls, last, end]))


def unasked_log_of(case: str) -> bytes:
    """A log as Claude Code writes it mostly: without what the agent was asked."""
    init_line, _, *rest = log_of(case).splitlines(keepends=True)
    return b"".join([init_line, *rest])


def score(value: Any, rationale: str = "", **more: Any) -> dict[str, Any]:
    """What a summary holds of one judge and case."""
    return {"value": value, "rationale": rationale or f"because it is {value}", **more}


def scores_of(case: str, number: int = 0) -> dict[str, dict[str, Any]]:
    """A score of every type that a judge can give."""
    return {
        "polite": score(number != 1, f"{case} was greeted"),
        "quality": score(3 + number, f"{case} read well", judge_type="llm"),
        "tone": score(("warm", "plain", "cold")[number % 3], judge_type="check"),
        "broken": {"value": None, "error": f"no answer about {case}"},
    }


DUMPED: dict[str, str] = {}
"""What has been written as YAML, by its `repr`."""


class EvalProject:
    """The project's folder ``root``, to which every path is relative; ``name`` is the eval's."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.configure()
        for number, case in enumerate(CASES):
            self.add_case(case, f"please handle {case}", f"{case} is handled")
            self.log(case, log_of(case, tools=1 + number))
        self.summarise({case: scores_of(case, n) for n, case in enumerate(CASES)})
        self.write(f"{self.run_dir}/run_result.json", RESULT)
        self.write("tmp/schema_mapping.json", MAPPING)

    @property
    def run_dir(self) -> str:
        return f"eval/runs/{self.name}/{RUN_ID}"

    @property
    def summary(self) -> str:
        return f"{self.run_dir}/summary.yaml"

    @property
    def review(self) -> Path:
        return self.root / self.run_dir / "review.yaml"

    def write(self, path: str, content: Any) -> Path:
        """Write text or bytes as they are, anything else as JSON or YAML."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        elif isinstance(content, str):
            target.write_text(content, encoding="utf-8", newline="")
        elif target.suffix == ".json":
            target.write_text(json.dumps(content), encoding="utf-8")
        else:
            key = repr(content)  # most projects begin alike, and PyYAML is slow
            if key not in DUMPED:
                DUMPED[key] = yaml.safe_dump(content, sort_keys=False)
            target.write_text(DUMPED[key], encoding="utf-8")
        return target

    def read(self, path: str) -> str:
        return (self.root / path).read_text("utf-8")

    def remove(self, path: str) -> None:
        target = self.root / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink()

    def configure(self, **changes: Any) -> None:
        """Write eval.yaml, with other values for some of its keys."""
        usual = {
            "name": self.name,
            "skill": "helper",
            "dataset": {"path": "cases", "schema": "input.yaml holds the prompt"},
            "judges": [{"name": name, "check": "..."} for name in scores_of("")],
            "thresholds": {"quality": {"min_mean": 3.5}},
            "mlflow": {"tags": {"team": "blue"}},
        }
        self.write("eval.yaml", {**usual, **changes})

    def add_case(self, case: str, prompt: Any, outcome: Any = None) -> None:
        self.write(f"cases/{case}/input.yaml", {"prompt": prompt})
        if outcome is not None:
            self.write(f"cases/{case}/expected.yaml", {"outcome": outcome})

    def log(self, case: str, content: bytes) -> Path:
        return self.write(f"{self.run_dir}/cases/{case}/stdout.log", content)

    def unlog(self, *cases: str) -> None:
        """Take the logs of these cases away, as if the agent had not been started."""
        for case in cases:
            self.remove(f"{self.run_dir}/cases/{case}")

    def summarise(self, per_case: Mapping[str, Mapping[str, Any]], **more: Any) -> None:
        """Write summary.yaml, its figures computed from the scores."""
        found: dict[str, list[Any]] = {}
        for judged in per_case.values():
            for judge, given in judged.items():
                found.setdefault(judge, []).append(given.get("value"))
        judges = {judge: _figures(values) for judge, values in found.items()}
        self.write(self.summary, {"judges": judges, "per_case": dict(per_case), **more})

    def make_batch(self) -> None:
        """Turn the run into a batch run: one log for all cases, of which none has its own."""
        self.unlog(*CASES)
        self.write(f"{self.run_dir}/run_result.json", {**RESULT, "execution_mode": "batch"})
        self.write(f"{self.run_dir}/stdout.log", log_of("everything"))


RESULT = {
    "execution_mode": "case",
    "exit_code": 0,
    "duration_s": 30.0,
    "cost_usd": 0.25,
    "num_turns": 9,
    "model": SONNET,
    "token_usage": {"input": 90, "output": 45},
    "per_model_usage": {SONNET: {"input": 90, "output": 45, "cost_usd": 0.25}},
}


def _figures(values: Iterable[Any]) -> dict[str, float | None]:
    numbers = [value for value in values if isinstance(value, (bool, int, float))]
    mean = sum(numbers) / len(numbers) if numbers else None
    is_pass = bool(numbers) and all(isinstance(value, bool) for value in numbers)
    return {"mean": mean, "pass_rate": mean if is_pass else None}
