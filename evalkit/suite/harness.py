"""Runs a suite's scorers on whole traces: a program of its own, copied to where it runs confined.

It stands on the standard library and MLflow alone, so that nothing of evalkit is in reach
of code that a model wrote. What to do stands in a file that it deletes before such code runs; what
came of it goes into a file whose name only that file told. That keeps honest code out of the way;
code that means to forge an answer can, so whoever reads it believes nothing beyond its schema.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PLACE = Path(__file__).resolve().parent
REQUEST, PROGRESS = "request.json", "progress"
MOST_ERROR_CHARS = 1_500
MOST_RATIONALE_CHARS = 300


class TooSlow(BaseException):
    """A scorer's time is up; no ``Exception``, so that scorers rarely swallow it."""


def main() -> None:
    """Do what the request in this directory says."""
    request = json.loads((PLACE / REQUEST).read_bytes())
    (PLACE / REQUEST).unlink()
    try:
        answer = judged(request)
    except BaseException as error:  # noqa: BLE001 - the suite's code may raise whatever there is
        answer = {"error": explained(error)}
    with (PLACE / request["answer"]).open("xb") as file:
        file.write(json.dumps(answer, allow_nan=False).encode())
    os._exit(0)  # threads that the suite left running, and its hooks at exit, are not waited for


def judged(request: dict[str, Any]) -> dict[str, Any]:
    """The suite's scorers and examples, and what it says about each probe."""
    room = importlib.import_module("room")  # it lies beside this program
    rows, lines = room.rows_and_traces()
    module, scorers, judges = suite()
    names = [scorer.name for scorer in scorers]
    if unknown := set(request["only"]) - set(names):
        there = ", ".join(names)
        raise LookupError(f"SCORERS has no {', '.join(sorted(unknown))}, but {there}")
    wanted = [each for each in scorers if not request["only"] or each.name in request["only"]]
    examples = bad_examples(module)
    probes = [(position, outputs, wanted) for position, outputs in request["probes"]]
    places = {row["trace_id"]: position for position, row in enumerate(rows)}
    tried = [each for each in wanted if examples.get(each.name, [""])[0] in places]
    for scorer in tried:
        trace_id, outputs = examples[scorer.name]
        probes.append((places[trace_id], [outputs], [scorer]))
    scores = Judging(rows, lines, room.probe_trace, request["scorer_seconds"]).all(probes)
    split = len(request["probes"])
    return {
        "scorers": names,
        "judges": [judge.name for judge in judges],
        "builtins": [
            json.dumps(each.model_dump()) for each in scorers + judges if is_mlflows(each)
        ],
        "bad_examples": examples,
        "scores": scores[:split],
        "examples": {each.name: said for each, said in zip(tried, scores[split:], strict=True)},
    }


# -- the suite's files ------------------------------------------------------------------------


def suite() -> tuple[Any, list[Any], list[Any]]:
    """The module ``scorers``, its scorers, and those of them that ask a model.

    Raises:
        TypeError: SCORERS is not a list of MLflow scorers, each with a name of its own.
    """
    from mlflow.genai.scorers import Scorer

    if not (PLACE / "evaluation" / "scorers.py").exists():
        raise FileNotFoundError("there is no evaluation/scorers.py: write it first")
    sys.path.insert(0, str(PLACE / "evaluation"))
    module = importlib.import_module("scorers")
    given = getattr(module, "SCORERS", None)
    if not isinstance(given, list) or not given:
        raise TypeError("scorers.SCORERS has to be a list of at least one MLflow scorer")
    if other := next((each for each in given if not isinstance(each, Scorer)), None):
        raise TypeError(
            f"scorers.SCORERS holds {other!r}, which is no MLflow scorer: decorate the function "
            "with `@scorer` from mlflow.genai.scorers"
        )
    names = [scorer.name for scorer in given]
    if len(set(names)) < len(names):
        raise TypeError(f"two of scorers.SCORERS have the same name: {', '.join(sorted(names))}")
    judges = [each for each in given if is_mlflows(each) and hasattr(each, "model")]
    scorers = [each for each in given if each not in judges]
    for scorer in scorers:
        scorer.timeout = 0  # MLflow would judge in a thread, which cannot be stopped
    return module, scorers, judges


def is_mlflows(scorer: Any) -> bool:
    """Whether a scorer is MLflow's own, with or without a model behind it."""
    from mlflow.genai.judges.base import Judge

    return isinstance(scorer, Judge)


def bad_examples(module: Any) -> dict[str, list[Any]]:
    """``BAD_EXAMPLES`` as JSON: by scorer ``[trace_id, answer]``.

    Raises:
        TypeError: it is something else.
    """
    given = getattr(module, "BAD_EXAMPLES", {})
    if not isinstance(given, dict):
        raise TypeError("scorers.BAD_EXAMPLES has to be a dict: {scorer: (trace_id, answer)}")
    plain = {}
    for name, example in given.items():
        try:
            trace_id, answer = example
            plain[str(name)] = [str(trace_id), json.loads(json.dumps(answer, allow_nan=False))]
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"BAD_EXAMPLES[{name!r}] has to be (trace_id, an answer as JSON): {error}"
            ) from error
    return plain


def explained(error: BaseException) -> str:
    """The exception, and the lines of the suite that led to it."""
    lines = traceback.extract_tb(error.__traceback__)
    own = [line for line in lines if Path(line.filename).parent.name == "evaluation"]
    text = "".join(traceback.format_list(own)) + "".join(traceback.format_exception_only(error))
    if isinstance(error, SystemExit):
        text += "it ended the process; nothing in the suite may do that"
    return text[-MOST_ERROR_CHARS:].replace(f"{PLACE}{os.sep}", "").strip()


# -- scores -----------------------------------------------------------------------------------


class Judging:
    """Asks scorers about probes, one after the other in this thread, each with its time."""

    def __init__(
        self, rows: list[dict[str, Any]], lines: list[str], made: Callable[..., Any], seconds: float
    ) -> None:
        self.rows, self.lines, self.made, self.seconds = rows, lines, made, seconds
        self.stuck: dict[str, str] = {}
        self.progress = os.open(PLACE / PROGRESS, os.O_CREAT | os.O_WRONLY)
        signal.signal(signal.SIGALRM, self.stop)

    def stop(self, *_: Any) -> None:
        """What the alarm does."""
        raise TooSlow

    def all(self, probes: list[tuple[int, list[Any], list[Any]]]) -> list[list[dict[str, Any]]]:
        """Scores of each probe: a row's position, ``[its other answer]`` or ``[]``, and scorers.

        The order is one by chance, so that no scorer can go by it.
        """
        scores: list[list[dict[str, Any]]] = [[] for _ in probes]
        order = list(range(len(probes)))
        random.SystemRandom().shuffle(order)
        for number in order:
            position, outputs, scorers = probes[number]
            row = self.rows[position]
            trace = self.made(self.lines[position], row, outputs, number)
            answer = outputs[0] if outputs else row["outputs"]
            for scorer in scorers:
                os.pwrite(self.progress, f"{scorer.name} on {row['trace_id']}".encode()[:400], 0)
                scores[number] += self.ask(scorer, row, answer, trace)
        os.ftruncate(self.progress, 0)
        return scores

    def ask(
        self, scorer: Any, row: dict[str, Any], answer: Any, trace: Any
    ) -> list[dict[str, Any]]:
        """What a scorer says about an answer; never nothing."""
        if scorer.name in self.stuck:
            return [failed(scorer.name, self.stuck[scorer.name])]
        given = copy.deepcopy([row["inputs"], answer, row["expectations"]])
        try:
            # again each second, where code swallows the first
            signal.setitimer(signal.ITIMER_REAL, self.seconds, 1.0)
            value = scorer.run(
                inputs=given[0], outputs=given[1], expectations=given[2], trace=trace
            )
            signal.setitimer(signal.ITIMER_REAL, 0)
            return values(value, scorer.name)
        except TooSlow as error:
            why = f"it did not end within {self.seconds:.0f} s on {row['trace_id']}"
            self.stuck[scorer.name] = f"{why}\n{explained(error)}"  # it is not asked again
            return [failed(scorer.name, self.stuck[scorer.name])]
        except BaseException as error:  # noqa: BLE001 - the suite's code may raise whatever there is
            return [failed(scorer.name, explained(error))]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def values(value: Any, scorer: str) -> list[dict[str, Any]]:
    """A scorer's value, or the parts of a list of them, as JSON."""
    from mlflow.entities import Feedback

    said = []
    for part in value if isinstance(value, list) and value else [value]:
        if not isinstance(part, Feedback):
            said.append(valued(part, scorer))
        elif part.error is not None:
            said.append(failed(scorer, f"its Feedback holds an error: {part.error}"))
        else:
            name = scorer if part.name in {scorer, "feedback"} else f"{scorer}/{part.name}"
            rationale = str(part.rationale or "")[:MOST_RATIONALE_CHARS]
            said.append({**valued(part.value, name), "rationale": rationale})
    return said


def valued(value: Any, scorer: str) -> dict[str, Any]:
    """A value as JSON; whether it is a verdict is for others to say."""
    if value is None or isinstance(value, bool | int):
        return {"scorer": scorer, "value": value}
    if isinstance(value, str):
        return {"scorer": scorer, "value": str(value[:200])}
    if isinstance(value, float) and math.isfinite(value):
        return {"scorer": scorer, "value": float(value)}
    return failed(scorer, f"its value {repr(value)[:200]} is no verdict")


def failed(scorer: str, error: str) -> dict[str, Any]:
    """A score that says what went wrong."""
    return {"scorer": scorer, "value": None, "error": error}


if __name__ == "__main__":
    main()
