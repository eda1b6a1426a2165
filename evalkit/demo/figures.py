"""What sessions and runs consumed, as ``run_result.json`` says it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import yaml

from evalkit.core.values import Json
from evalkit.demo.tokens import SONNET, Tokens, total_cost

PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Figures:
    """What one session, or all of a run, consumed.

    Attributes:
        exit_code: The agent process's exit code.
        duration_s: Seconds it took.
        messages: Messages of the main thread.
        spent: Tokens by model; empty where nobody knows.
    """

    exit_code: int
    duration_s: float
    messages: int
    spent: Mapping[str, Tokens]

    def cost_usd(self) -> float | None:
        """What it cost; None where nobody knows."""
        return total_cost(self.spent) if self.spent else None

    def tokens(self) -> Tokens:
        """The tokens of all models together."""
        return reduce(add, self.spent.values(), Tokens())

    def as_dict(self) -> dict[str, Json]:
        """The figures as ``run_result.json`` holds them."""
        return {
            "exit_code": self.exit_code,
            "duration_s": self.duration_s,
            "token_usage": self.tokens().as_run_usage(),
            "cost_usd": self.cost_usd(),
            "num_turns": self.messages,
            "per_model_usage": {
                model: {**tokens.as_run_usage(), "cost_usd": tokens.cost_usd(model)}
                for model, tokens in self.spent.items()
            },
        }

    def rates(self) -> dict[str, float]:
        """The ``run_metrics`` of a ``summary.yaml``; the figures must not be empty."""
        tokens, cost = self.tokens(), total_cost(self.spent)
        return {
            "cache_hit_rate": round(tokens.cache_read / (tokens.total - tokens.output), 6),
            "cost_per_mtok_usd": round(cost / tokens.total * 1_000_000, 4),
            "cost_per_turn_usd": round(cost / self.messages, 6),
            "output_tokens_per_turn": round(tokens.output / self.messages, 2),
        }


def combined(figures: Iterable[Figures]) -> Figures:
    """What several sessions consumed together; the worst exit code is the run's."""
    sessions = list(figures)
    spent: dict[str, Tokens] = {}
    for session in sessions:
        for model, tokens in session.spent.items():
            spent[model] = spent.get(model, Tokens()) + tokens
    return Figures(
        exit_code=max(session.exit_code for session in sessions),
        duration_s=round(sum(session.duration_s for session in sessions), 1),
        messages=sum(session.messages for session in sessions),
        spent=spent,
    )


def run_result(
    skill: str, arguments: str, cli: str, figures: Mapping[str, Figures]
) -> dict[str, Json]:
    """The content of a ``run_result.json``.

    Args:
        skill: The skill under evaluation.
        arguments: Template of its arguments.
        cli: Version of Claude Code.
        figures: What each case consumed.
    """
    total = combined(figures.values())
    return {
        **total.as_dict(),
        "wall_clock_s": round(total.duration_s / PARALLEL + 6, 1),
        "num_cases": len(figures),
        "model": SONNET,
        "agent": "claude-code",
        "agent_version": f"{cli} (Claude Code)",
        "execution_mode": "case",
        "eval_params": {
            "skill": skill,
            "skill_args": arguments,
            "execution_mode": "case",
            "timeout_s": 120,
        },
        "per_case": {case: found.as_dict() for case, found in figures.items()},
    }


def as_json(value: Json) -> str:
    """A value as the harness writes JSON files."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def as_yaml(value: Json) -> str:
    """A value as the harness writes YAML files."""
    text: str = yaml.safe_dump(value, allow_unicode=True, width=100)
    return text
