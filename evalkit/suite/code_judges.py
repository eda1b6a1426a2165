"""A config's code judges, asked in this process: ``check``, ``module``, and scorers of MLflow.

One that asks a model is passed over, by name, unless a model and its key are there.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from evalkit.suite.room import asks_model, verdicts

JUDGE_SECONDS = 60
MODEL_VARIABLE = "EVALKIT_JUDGE_MODEL"
KEYED = ("anthropic", "cohere", "deepseek", "gemini", "groq", "mistral", "openai", "xai")
"""Makers of models whose key stands in ``NAME_API_KEY``; how others are reached is not known."""

_Entry: TypeAlias = Mapping[str, Any]
_Ask: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""What asks a judge about a record: all that agent-eval-harness shows of a case to its judges,
and the case's ``inputs``, ``expectations`` and ``trace``."""


class CodeJudges:
    """The judges of a config that can be asked here; ``skipped`` are the others, and why."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        """Load them; what a config or a module does wrong is raised as it is."""
        loaded = [(entry, _loaded(entry)) for entry in entries]
        self.skipped = {entry["name"]: why for entry, why in loaded if isinstance(why, str)}
        self._judges = [(entry, *way) for entry, way in loaded if not isinstance(way, str)]

    def scores(self, record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What each judge says, by its name, as a run's ``summary.yaml`` has it."""
        return {
            said.pop("scorer"): {**_score(said, entry), "judge_type": judge_type}
            for entry, judge_type, ask in self._judges
            for said in verdicts(
                entry["name"], partial(_asked, entry, ask, record), JUDGE_SECONDS, {}
            )
        }


def _loaded(entry: _Entry) -> tuple[str, _Ask] | str:
    """A judge's type in a summary, and what asks it; else why it cannot be asked here."""
    from mlflow.genai import scorers

    name, kind, arguments = entry["name"], entry["kind"], entry.get("arguments") or {}
    if kind == "check":
        body, names = textwrap.indent(str(entry["check"]), "    "), dict[str, Any]()
        code = compile(f"def check(outputs, arguments):\n{body}", f"<{name}>", "exec")
        exec(code, names)  # noqa: S102 - the config is the user's, who runs it
        return "check", lambda record: names["check"](record, arguments)
    if kind == "builtin":
        wanted = _plain(str(entry["builtin"]))
        if wanted == "costbudget":  # the harness's own
            return "builtin", lambda record: _within_budget(record, **arguments)
        made = next((getattr(scorers, n) for n in dir(scorers) if _plain(n) == wanted), None)
        if not (inspect.isclass(made) and issubclass(made, scorers.Scorer)):
            return f"MLflow has no scorer {entry['builtin']}"
        return _asking(made(**arguments), name, "builtin")
    if kind != "module":
        return "a model judges"
    target = getattr(importlib.import_module(entry["module"]), str(entry.get("function")))
    if not isinstance(target, scorers.Scorer):
        if not {"inputs", "expectations", "trace"} & inspect.signature(target).parameters.keys():
            return "code", lambda record: target(outputs=record, **arguments)
        target = scorers.scorer(name=name)(target)
    return _asking(target, name, "code")


def _within_budget(record: Mapping[str, Any], max_cost_usd: float = 1.0) -> tuple[Any, str]:
    if (cost := record.get("cost_usd")) is None:
        return None, "what it cost is not known"
    return cost <= max_cost_usd, f"it cost {cost:.4g} USD, of {max_cost_usd:g} allowed"


def _plain(name: str) -> str:
    return name.rpartition("/")[2].replace("_", "").casefold()


def _asking(found: Any, name: str, judge_type: str) -> tuple[str, _Ask] | str:
    scorer = copy.copy(found)
    scorer.name = name
    if getattr(scorer, "is_session_level_scorer", False):
        return "it judges whole conversations"
    if asks_model(scorer):
        scorer.model = scorer.model or os.environ.get(MODEL_VARIABLE, "")
        maker, judge_type = scorer.model.partition(":")[0], "llm"
        if not scorer.model:
            return f"a model judges, and {MODEL_VARIABLE} names none"
        if maker.lower() in KEYED and not os.environ.get(key := f"{maker.upper()}_API_KEY"):
            return f"a model judges, and {key} is not set"

    def ask(record: Mapping[str, Any]) -> Any:
        if record["exit_code"]:
            raise ValueError("there is no answer, for the execution failed")
        parts = {name: record[name] for name in ("inputs", "expectations", "trace")}
        return scorer.run(outputs=record["answer"], **parts)

    return judge_type, ask


def _asked(entry: _Entry, ask: _Ask, record: Mapping[str, Any]) -> Any:
    """What a judge says, where its condition holds."""
    condition = str(entry.get("if") or "True")
    names = {"annotations": record["annotations"], "outputs": record}
    if not eval(condition, {"__builtins__": {}}, names):  # noqa: S307 - as above
        return None, f"Skipped: condition '{condition}' is false"
    return ask(record)


def _score(said: dict[str, Any], entry: _Entry) -> dict[str, Any]:
    value, bounds = said["value"], entry.get("score_range")
    if entry["kind"] == "builtin" and value in ("yes", "no"):  # MLflow's words for a pass
        said["value"] = value == "yes"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if bounds and is_number and not bounds[0] <= value <= bounds[1]:
        said |= {"value": None, "error": f"{value} is not within {list(bounds)}"}
    return {key: each for key, each in said.items() if key != "error" or each}
