"""A config's code judges, asked in this process: ``check``, ``module``, and scorers of MLflow.

One that asks a model is passed over, by name, unless a model and its key are there.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from traceback import format_exception_only
from typing import Any, TypeAlias

from evalkit.suite.harness import TooSlow, alarm, asks_model, scores_of

JUDGE_SECONDS = 60
MOST_RATIONALE_CHARS = 4_000
MODEL_VARIABLE = "EVALKIT_JUDGE_MODEL"
KEYED = ("anthropic", "cohere", "deepseek", "gemini", "groq", "mistral", "openai", "xai")
"""Makers of models whose key stands in ``NAME_API_KEY``; how others are reached is not known."""

_Entry: TypeAlias = Mapping[str, Any]
_Ask: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""What asks a judge about a case.

A case has ``inputs``, ``outputs``, ``expectations``, ``trace``, and as ``record`` all that
agent-eval-harness shows of it to its judges.
"""


class CodeJudges:
    """The judges of a config that can be asked here; ``skipped`` are the others, and why."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        """Load them; what a config or a module does wrong is raised as it is."""
        self.skipped: dict[str, str] = {}
        self._judges: list[tuple[_Entry, str, _Ask]] = []
        for entry in entries:
            try:
                self._judges.append((entry, *_loaded(entry)))
            except _NotHere as error:
                self.skipped[entry["name"]] = str(error)

    def scores(self, case: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What each judge says, by its name, as a run's ``summary.yaml`` has it."""
        return {
            said.pop("scorer"): {**said, "judge_type": judge_type}
            for entry, judge_type, ask in self._judges
            for said in _asked(entry, ask, case)
        }


class _NotHere(Exception):
    """Why a judge cannot be asked here, though nothing is wrong with it."""


def _loaded(entry: _Entry) -> tuple[str, _Ask]:
    """A judge's type in a summary, and what asks it."""
    from mlflow.genai import scorers

    name, kind, arguments = entry["name"], entry["kind"], entry.get("arguments") or {}
    if kind == "check":
        body, names = textwrap.indent(str(entry["check"]), "    "), dict[str, Any]()
        code = compile(f"def check(outputs, arguments):\n{body}", f"<{name}>", "exec")
        exec(code, names)  # noqa: S102 - the config is the user's, who runs it
        return "check", lambda case: names["check"](case["record"], arguments)
    if kind == "builtin":
        wanted = _plain(str(entry["builtin"]))
        if wanted == "costbudget":  # the harness's own
            return "builtin", lambda case: _within_budget(case["record"], **arguments)
        made = next((getattr(scorers, n) for n in dir(scorers) if _plain(n) == wanted), None)
        if not (inspect.isclass(made) and issubclass(made, scorers.Scorer)):
            raise _NotHere(f"MLflow has no scorer {entry['builtin']}")
        return _asking(made(**arguments), name, "builtin")
    if kind != "module":
        raise _NotHere("a model judges")
    target = getattr(importlib.import_module(entry["module"]), str(entry.get("function")))
    if not isinstance(target, scorers.Scorer):
        if not {"inputs", "expectations", "trace"} & inspect.signature(target).parameters.keys():
            return "code", lambda case: target(outputs=case["record"], **arguments)
        target = scorers.scorer(name=name)(target)
    return _asking(target, name, "code")


def _within_budget(record: Mapping[str, Any], max_cost_usd: float = 1.0) -> tuple[Any, str]:
    if (cost := record.get("cost_usd")) is None:
        return None, "what it cost is not known"
    return cost <= max_cost_usd, f"it cost {cost:.4g} USD, of {max_cost_usd:g} allowed"


def _plain(name: str) -> str:
    return name.rpartition("/")[2].replace("_", "").casefold()


def _asking(found: Any, name: str, judge_type: str) -> tuple[str, _Ask]:
    scorer = copy.copy(found)
    scorer.name = name
    if getattr(scorer, "is_session_level_scorer", False):
        raise _NotHere("it judges whole conversations")
    if asks_model(scorer):
        scorer.model = scorer.model or os.environ.get(MODEL_VARIABLE, "")
        maker, judge_type = scorer.model.partition(":")[0], "llm"
        if not scorer.model:
            raise _NotHere(f"a model judges, and {MODEL_VARIABLE} names none")
        if maker.lower() in KEYED and not os.environ.get(key := f"{maker.upper()}_API_KEY"):
            raise _NotHere(f"a model judges, and {key} is not set")

    def ask(case: Mapping[str, Any]) -> Any:
        if case["record"]["exit_code"]:
            raise ValueError("there is no answer, for the execution failed")
        return scorer.run(**{name: case[name] for name in case if name != "record"})

    return judge_type, ask


def _asked(entry: _Entry, ask: _Ask, case: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    name, condition = entry["name"], str(entry.get("if") or "True")
    names = {"annotations": case["record"]["annotations"], "outputs": case["record"]}
    try:
        with alarm(JUDGE_SECONDS):
            if not eval(condition, {"__builtins__": {}}, names):  # noqa: S307 - as above
                said: Any = None, f"Skipped: condition '{condition}' is false"
            else:
                said = ask(case)
        is_pair = isinstance(said, tuple) and len(said) == 2  # noqa: PLR2004 - with its rationale
        value, why = said if is_pair else (said, "")
        for each in scores_of(value, name, MOST_RATIONALE_CHARS):
            yield _score({**each, "rationale": each["rationale"] or why}, entry)
    except TooSlow:
        yield {"scorer": name, "value": None, "error": f"it did not end within {JUDGE_SECONDS} s"}
    except BaseException as failure:  # noqa: BLE001 - a judge may raise whatever there is
        error = "".join(format_exception_only(failure)).strip()[:MOST_RATIONALE_CHARS]
        yield {"scorer": name, "value": None, "error": error}


def _score(said: dict[str, Any], entry: _Entry) -> dict[str, Any]:
    value, bounds = said["value"], entry.get("score_range")
    if entry["kind"] == "builtin" and value in ("yes", "no"):  # MLflow's words for a pass
        said["value"] = value == "yes"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if bounds and is_number and not bounds[0] <= value <= bounds[1]:
        said |= {"value": None, "error": f"{value} is not within {list(bounds)}"}
    return {key: each for key, each in said.items() if key != "error" or each}
