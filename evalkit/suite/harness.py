"""Runs a suite's scorers on whole traces: a program of its own, copied to where it runs confined.

It stands on the standard library and MLflow alone, so that nothing of evalkit is in reach
of code that a model wrote. What to do stands in a file that it deletes before such code runs; what
came of it goes into a file whose name only that file told. That keeps honest code out of the way;
code that means to forge an answer can, so whoever reads it believes nothing beyond its schema.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import math
import os
import random
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PLACE = Path(__file__).resolve().parent
REQUEST, PROGRESS = "request.json", "progress"
MOST_ERROR_CHARS = 1_500
MOST_RATIONALE_CHARS = 300


class TooSlow(BaseException):
    """A scorer's time is up; no ``Exception``, so that scorers rarely swallow it."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the main thread once the time is up, and each second where it is caught."""

    def stop(*_: Any) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


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
    judging = Judging(request["scorer_seconds"])
    module, scorers, judges = suite()
    examples = bad_examples(module)
    probes = [(position, outputs, scorers) for position, outputs in request["probes"]]
    places = {row["trace_id"]: position for position, row in enumerate(judging.rows)}
    for scorer in scorers:
        trace_id, outputs = examples.get(scorer.name, ("", None))
        if trace_id in places:
            probes.append((places[trace_id], [outputs], [scorer]))
    serialized = {each.name: text for each in scorers + judges if (text := as_mlflow_keeps(each))}
    scores = judging.all(probes)
    split = len(request["probes"])
    return {
        "scorers": [scorer.name for scorer in scorers],
        "judges": [judge.name for judge in judges],
        "serialized": serialized,
        "bad_examples": examples,
        "scores": scores[:split],
        "examples": {name: said for one in scores[split:] for name, said in one.items()},
    }


# -- the suite's files ------------------------------------------------------------------------


def suite() -> tuple[Any, list[Any], list[Any]]:
    """The module ``scorers``, its scorers, and those of them that ask a model.

    Raises:
        TypeError: SCORERS is not a list of MLflow scorers, each with a name of its own.
    """
    if not (PLACE / "evaluation" / "scorers.py").exists():
        raise FileNotFoundError("there is no evaluation/scorers.py: write it first")
    sys.path.insert(0, str(PLACE / "evaluation"))
    module = importlib.import_module("scorers")
    from mlflow.genai.scorers import Scorer  # late: what cannot be imported fails at once

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
    judges = [each for each in given if asks_model(each)]
    scorers = [each for each in given if each not in judges]
    for scorer in scorers:
        scorer.timeout = 0  # MLflow would judge in a thread, which cannot be stopped
    return module, scorers, judges


def asks_model(scorer: Any) -> bool:
    """Whether a scorer asks a model."""
    from mlflow.genai.judges.base import Judge

    return isinstance(scorer, Judge) and hasattr(scorer, "model")


def bad_examples(module: Any) -> dict[str, list[Any]]:
    """``BAD_EXAMPLES`` as JSON: by scorer ``[trace_id, answer]``.

    Raises:
        TypeError: it is something else.
    """
    try:
        return {
            str(name): [str(trace_id), json.loads(json.dumps(answer, allow_nan=False))]
            for name, (trace_id, answer) in getattr(module, "BAD_EXAMPLES", {}).items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise TypeError(
            "each of scorers.BAD_EXAMPLES, a dict by scorer, has to be (trace_id, an answer as "
            f"JSON): {error}"
        ) from error


def as_mlflow_keeps(scorer: Any) -> str:
    """The scorer as MLflow registers it; empty where it would not run from that alone."""
    function = getattr(scorer, "_original_func", None)
    try:
        held = inspect.getclosurevars(function) if function else None
        if held and (held.nonlocals or held.globals.keys() - {"mlflow", "Feedback", "Trace"}):
            return ""
        return json.dumps(scorer.model_dump())
    except Exception:  # noqa: BLE001 - the suite's code may be whatever there is
        return ""


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

    def __init__(self, seconds: float) -> None:
        self.room = importlib.import_module("room")  # it lies beside this program
        self.rows, self.lines = self.room.rows_and_traces()
        self.seconds = seconds
        self.stuck: dict[str, str] = {}
        self.progress = os.open(PLACE / PROGRESS, os.O_CREAT | os.O_WRONLY)

    def all(self, probes: list[tuple[int, list[Any], list[Any]]]) -> list[dict[str, list[Any]]]:
        """Of each probe (a row's position, ``[its other answer]`` or ``[]``, scorers) the scores.

        The order is one by chance, so that no scorer can go by it.
        """
        scores: list[dict[str, list[Any]]] = [{} for _ in probes]
        for number in random.SystemRandom().sample(range(len(probes)), len(probes)):
            position, outputs, scorers = probes[number]
            row = self.rows[position]
            trace = self.room.probe_trace(self.lines[position], row, outputs)
            answer = outputs[0] if outputs else row["outputs"]
            for scorer in scorers:
                os.pwrite(self.progress, f"{scorer.name} on {row['trace_id']}".encode()[:400], 0)
                scores[number][scorer.name] = self.ask(scorer, row, answer, trace)
        os.ftruncate(self.progress, 0)
        return scores

    def ask(self, scorer: Any, row: dict[str, Any], answer: Any, trace: Any) -> list[Any]:
        """What a scorer says about an answer; never nothing. One that hung is not asked again."""
        name = scorer.name
        if name not in self.stuck:
            given = copy.deepcopy({**row, "outputs": answer})
            parts = {part: given[part] for part in ("inputs", "outputs", "expectations")}
            try:
                with alarm(self.seconds):
                    value = scorer.run(**parts, trace=trace)
                return scores_of(value, name)
            except TooSlow as error:
                why = f"it did not end within {self.seconds:.0f} s on {row['trace_id']}"
                self.stuck[name] = f"{why}\n{explained(error)}"
            except BaseException as error:  # noqa: BLE001 - the suite's code may raise what there is
                return [{"scorer": name, "value": None, "error": explained(error)}]
        return [{"scorer": name, "value": None, "error": self.stuck[name]}]


def scores_of(value: Any, scorer: str, most: int = MOST_RATIONALE_CHARS) -> list[Any]:
    """A scorer's value, or the parts of a list of them, as JSON; what passes others say.

    Of a rationale there are ``most`` characters.
    """
    from mlflow.entities import Feedback

    scores = []
    for part in value if isinstance(value, list) and value else [value]:
        name, said, why, error = scorer, part, "", ""
        if isinstance(part, Feedback):
            name = scorer if part.name in {scorer, "feedback"} else f"{scorer}/{part.name}"
            said, why = part.value, str(part.rationale or "")[:most]
            error = f"its Feedback holds an error: {part.error}" if part.error is not None else ""
        if isinstance(said, str):
            said = str(said[:200])
        elif not (said is None or (isinstance(said, int | float) and math.isfinite(said))):
            said, error = None, error or f"its value {repr(said)[:200]} is no verdict"
        scores.append({"scorer": name, "value": said, "rationale": why, "error": error})
    return scores


if __name__ == "__main__":
    main()
