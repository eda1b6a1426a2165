"""The room that code of a model runs in, confined: whole traces, and what a suite says of them.

Copied to where it runs, it stands on the standard library and MLflow alone, so that nothing of
evalkit is in reach of such code; ``from room import *`` gives the traces. As a program it judges:
what to do stands in a file that it deletes before such code runs; what came of it goes into a file
whose name only that file told. That keeps honest code out of the way; code that means to forge an
answer can, so whoever reads it believes nothing beyond its schema.
"""

from __future__ import annotations

import base64
import copy
import importlib
import inspect
import json
import math
import os
import random
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["GOOD", "TRACES", "spans", "trace"]  # noqa: F822 - made when they are asked for

PLACE = Path(__file__).resolve().parent
ROWS_FILE, TRACES_FILE, REQUEST, PROGRESS = "rows.jsonl", "traces.jsonl", "request.json", "progress"
SOURCES = {"TOOL", "RETRIEVER"}
SHORTEST_ANSWER = 12  # characters; shorter texts of other spans are not taken for the answer
MOST_ERROR_CHARS, MOST_RATIONALE_CHARS = 1_500, 4_000


def main() -> None:
    """Do what the request in this directory says."""
    request = json.loads((PLACE / REQUEST).read_bytes())
    (PLACE / REQUEST).unlink()
    try:
        answer = judged(**request["asked"])
    except BaseException as error:  # noqa: BLE001 - the suite's code may raise whatever there is
        answer = {"error": explained(error)}
    with (PLACE / request["answer"]).open("xb") as file:
        file.write(json.dumps(answer, allow_nan=False).encode())
    os._exit(0)  # threads that the suite left running, and its hooks at exit, are not waited for


def judged(probes: list[tuple[int, Any]], seconds: float) -> dict[str, Any]:
    """The suite's scorers and examples, and what it says of each probe: a row's place, an answer.

    The order in which it is asked about them is one by chance, so that no scorer can go by it.
    """
    rows, lines = rows_and_traces()
    module, scorers, judges = suite()
    examples, places = bad_examples(module), {row["trace_id"]: at for at, row in enumerate(rows)}
    questions = [(position, answer, scorers) for position, answer in probes]
    for scorer in scorers:
        trace_id, bad = examples.get(scorer.name, ("", None))
        if trace_id in places:
            questions.append((places[trace_id], bad, [scorer]))
    serialized = {each.name: text for each in scorers + judges if (text := as_mlflow_keeps(each))}
    scores: list[dict[str, list[Any]]] = [{} for _ in questions]
    progress, stuck = os.open(PLACE / PROGRESS, os.O_CREAT | os.O_WRONLY), dict[str, str]()
    for number in random.SystemRandom().sample(range(len(questions)), len(questions)):
        position, answer, asked = questions[number]
        row = rows[position]
        probe, where = probe_trace(lines[position], row, answer), f" on {row['trace_id']}"
        parts = {"outputs": answer, **{n: row[n] for n in ("inputs", "expectations")}}
        for scorer in asked:
            os.pwrite(progress, f"{scorer.name}{where}".encode()[:400], 0)
            ask = partial(scorer.run, **copy.deepcopy(parts), trace=probe)
            scores[number][scorer.name] = verdicts(scorer.name, ask, seconds, stuck, where)
    os.ftruncate(progress, 0)
    return {
        "scorers": [scorer.name for scorer in scorers],
        "judges": [judge.name for judge in judges],
        "serialized": serialized,
        "bad_examples": examples,
        "scores": scores[: len(probes)],
        "examples": {name: said for one in scores[len(probes) :] for name, said in one.items()},
    }


# -- the suite's files ------------------------------------------------------------------------


def suite() -> tuple[Any, list[Any], list[Any]]:
    """The module ``scorers``, its scorers, and those of them that ask a model."""
    if not (PLACE / "evaluation" / "scorers.py").exists():
        raise FileNotFoundError("there is no evaluation/scorers.py: write it first")
    sys.path.insert(0, str(PLACE / "evaluation"))
    module = importlib.import_module("scorers")
    from mlflow.genai.scorers import Scorer  # late: what cannot be imported fails at once

    given = getattr(module, "SCORERS", None)
    if not isinstance(given, list) or not given:
        raise TypeError("scorers.SCORERS has to be a list of at least one MLflow scorer")
    if other := next((each for each in given if not isinstance(each, Scorer)), None):
        fix = "decorate the function with `@scorer` from mlflow.genai.scorers"
        raise TypeError(f"scorers.SCORERS holds {other!r}, which is no MLflow scorer: {fix}")
    names = [scorer.name for scorer in given]
    if len(set(names)) < len(names):
        raise TypeError(f"two of scorers.SCORERS have the same name: {', '.join(sorted(names))}")
    scorers = [each for each in given if not asks_model(each)]
    for scorer in scorers:
        scorer.timeout = 0  # MLflow would judge in a thread, which cannot be stopped
    return module, scorers, [each for each in given if asks_model(each)]


def asks_model(scorer: Any) -> bool:
    """Whether a scorer asks a model."""
    from mlflow.genai.judges.base import Judge

    return isinstance(scorer, Judge) and hasattr(scorer, "model")


def bad_examples(module: Any) -> dict[str, list[Any]]:
    """``BAD_EXAMPLES`` as JSON: by scorer ``[trace_id, answer]``; a TypeError for anything else."""
    try:
        return {
            str(name): [str(trace_id), json.loads(json.dumps(answer, allow_nan=False))]
            for name, (trace_id, answer) in getattr(module, "BAD_EXAMPLES", {}).items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        what = "each of scorers.BAD_EXAMPLES, a dict, has to be (trace_id, an answer as JSON)"
        raise TypeError(f"{what}: {error}") from error


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


# -- what scorers say -------------------------------------------------------------------------


class TooSlow(BaseException):
    """Somebody's time is up; no ``Exception``, so that scorers rarely swallow it."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the main thread once the time is up, and each second where it is caught."""

    def stop(*_: Any) -> None:
        raise TooSlow(f"it did not end within {seconds:g} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def verdicts(
    name: str, ask: Callable[[], Any], seconds: float, stuck: dict[str, str], where: str = ""
) -> list[dict[str, Any]]:
    """What a scorer says, never nothing; one that hung, as ``stuck`` has it, is not asked again."""
    if name not in stuck:
        try:
            with alarm(seconds):
                return scores_of(ask(), name)
        except TooSlow as error:
            stuck[name] = explained(error) + where
        except BaseException as error:  # noqa: BLE001 - its code may raise whatever there is
            return [{"scorer": name, "value": None, "error": explained(error)}]
    return [{"scorer": name, "value": None, "error": stuck[name]}]


def scores_of(value: Any, scorer: str) -> list[dict[str, Any]]:
    """A scorer's value, also with its rationale, or the parts of a list of them, as JSON."""
    from mlflow.entities import Feedback

    scores, is_pair = [], isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004
    value, reason = value if is_pair else (value, "")
    for part in value if isinstance(value, list) and value else [value]:
        name, said, why, error = scorer, part, reason, ""
        if isinstance(part, Feedback):
            name = scorer if part.name in {scorer, "feedback"} else f"{scorer}/{part.name}"
            said, why = part.value, part.rationale or reason
            error = f"its Feedback holds an error: {part.error}" if part.error is not None else ""
        if isinstance(said, str):
            said = str(said[:200])
        elif not (said is None or (isinstance(said, int | float) and math.isfinite(said))):
            said, error = None, error or f"its value {repr(said)[:200]} is no verdict"
        why = str(why)[:MOST_RATIONALE_CHARS]
        scores.append({"scorer": name, "value": said, "rationale": why, "error": error})
    return scores


def explained(error: BaseException) -> str:
    """The exception, and the lines of the suite that led to it."""
    lines = traceback.extract_tb(error.__traceback__)
    own = [line for line in lines if Path(line.filename).parent.name == "evaluation"]
    said = [str(error)] if isinstance(error, TooSlow) else traceback.format_exception_only(error)
    if isinstance(error, SystemExit):
        said.append("it ended the process; nothing that runs here may do that")
    text = "".join(traceback.format_list(own) + said)
    return text[-MOST_ERROR_CHARS:].replace(f"{PLACE}{os.sep}", "").strip()


# -- traces -----------------------------------------------------------------------------------


def rows_and_traces() -> tuple[list[dict[str, Any]], list[str]]:
    """The rows, and of each its trace as JSON."""
    rows, traces = ((PLACE / name).read_text().splitlines() for name in (ROWS_FILE, TRACES_FILE))
    return [json.loads(row) for row in rows], traces


def probe_trace(line: str, row: dict[str, Any], answer: Any) -> Any:
    """The row's trace as MLflow's object, with this answer, and an id that no scorer can go by."""
    from mlflow.entities import Trace

    raw = os.urandom(16)
    if old := re.search(r"[0-9a-f]{32}$", row["trace_id"]):
        line = line.replace(old[0], raw.hex())
    trace = json.loads(line)
    for span in trace["data"]["spans"] if old else ():
        span["trace_id"] = base64.b64encode(raw).decode()
    put_in_place(trace, row["outputs"], answer)
    return Trace.from_dict(trace)


def put_in_place(trace: dict[str, Any], was: Any, answer: Any) -> None:
    """Let the trace have answered this, wherever it holds its answer but in sources."""
    texts = [tuple(json.dumps(text)[1:-1] for text in pair) for pair in changed(was, answer)]
    for span in trace["data"]["spans"]:
        held, is_root = span["attributes"], not span.get("parent_span_id")
        kind = held.get("mlflow.spanType", "").strip('"')
        if not is_root and (kind in SOURCES or "mlflow.spanOutputs" not in held):
            continue
        outputs = held.get("mlflow.spanOutputs")
        with suppress(ValueError, TypeError):  # it is the value, and no JSON text
            outputs = json.loads(outputs)
        before = said = json.dumps(outputs)
        for old, new in texts:
            said = said.replace(old, new)
        is_answer = outputs == was or (is_root and said == before)
        held["mlflow.spanOutputs"] = json.dumps(answer) if is_answer else said
    trace["info"]["response_preview"] = json.dumps(answer)[:1000]
    trace["info"].get("trace_metadata", {}).pop("mlflow.traceOutputs", None)


def changed(was: Any, answer: Any) -> Iterator[tuple[str, str]]:
    """Texts that stand in both answers at the same place and differ, old and new."""
    if isinstance(was, str) and isinstance(answer, str):
        if was != answer and len(was) >= SHORTEST_ANSWER:
            yield was, answer
    elif isinstance(was, dict) and isinstance(answer, dict):
        for name in was.keys() & answer.keys():
            yield from changed(was[name], answer[name])
    elif isinstance(was, list) and isinstance(answer, list):
        for old, new in zip(was, answer, strict=False):
            yield from changed(old, new)


def __getattr__(name: str) -> Any:
    """TRACES and GOOD (frames, a row a trace), ``spans(trace_id)`` and ``trace(trace_id)``."""
    if name not in __all__:
        raise AttributeError(name)
    import pandas as pd
    from mlflow.entities import Trace

    rows, lines = rows_and_traces()
    traces = {row["trace_id"]: Trace.from_json(line) for row, line in zip(rows, lines, strict=True)}
    frame, whole = pd.DataFrame(rows), list(traces.values())
    frame["status"] = [each.info.state.value for each in whole]
    events = [[e for s in each.data.spans for e in s.events] for each in whole]
    errors = [[e.attributes.get("exception.message") for e in some] for some in events]
    frame["error"] = [next(filter(None, some), None) for some in errors]
    for column, kind, part in (("tools", "TOOL", "name"), ("retrieved", "RETRIEVER", "outputs")):
        frame[column] = [[getattr(s, part) for s in t.search_spans(span_type=kind)] for t in whole]
    frame["disliked"] = frame["verdict"] == "rejected"
    good, frame = frame[frame["is_good"]], frame.drop(columns="is_good")
    frames = {"TRACES": frame, "GOOD": good.drop(columns="is_good")}
    globals().update(frames, spans=lambda key: traces[key].data.spans, trace=traces.__getitem__)
    return globals()[name]


if __name__ == "__main__":
    main()
