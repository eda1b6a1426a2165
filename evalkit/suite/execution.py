"""Calls an agent's function on one case after the other, and has its answers judged.

A program of its own that ``evalkit run`` starts, unconfined: the code is the user's. It is told
what to do, and tells what came of it, through a pipe.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from traceback import format_exception_only
from typing import Any

from evalkit.entities import RECORDED_CASE_TAG, RECORDED_TAG
from evalkit.files import write_text
from evalkit.jsonable import Json, to_json, well_formed
from evalkit.masking import mask_json, mask_text
from evalkit.suite.code_judges import CodeJudges
from evalkit.suite.harness import TooSlow, alarm
from evalkit.tokens import TOKEN_USAGE, cost_of, usage_from

TIMED_OUT = 124
"""The exit code of an execution whose time was up, as of the command ``timeout``."""

BEGUN = ".begun"
"""In a case's folder, while it runs: which trace is being recorded."""


def main() -> None:
    """Do what the pipe says, until there is no more."""
    pipe = Connection(int(sys.argv[1]))
    os.set_inheritable(pipe.fileno(), False)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        agent = Agent(pipe.recv())
    except BaseException as error:  # noqa: BLE001 - the user's code may raise whatever there is
        traceback.print_exc()
        pipe.send({"error": _in_words(error)})
        os._exit(1)
    pipe.send({"skipped": agent.judges.skipped})
    with suppress(EOFError):
        while case := pipe.recv():
            sys.stdout.flush()
            with (Path(case["case_dir"]) / "stderr.log").open("wb") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            found, judged = agent.execute(case)
            pipe.send(found)
            pipe.send(agent.judges.scores(judged))
    os._exit(0)  # threads that the agent left running are not waited for


def _end_with(parent: int) -> None:
    """End, with all that the agent started, once nobody waits for answers any more."""
    while os.getppid() == parent:
        time.sleep(0.1)
    os.killpg(0, signal.SIGKILL)


class Agent:
    """The function that the user named, and the judges of what it answers."""

    def __init__(self, setup: Mapping[str, Any]) -> None:
        """Load them; what the user's code does wrong is raised as it is."""
        from evalkit.store.internals import configure_autologging_for_evaluation, prepare

        prepare()
        os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
        if setup["experiment_id"]:
            os.environ["MLFLOW_EXPERIMENT_ID"] = setup["experiment_id"]
            os.environ["MLFLOW_TRACKING_URI"] = setup["tracking_uri"]
        sys.path[:0] = setup["path"]
        import mlflow

        self.setup, self.loop = setup, asyncio.Runner()
        # as mlflow.genai.evaluate has it: libraries that MLflow knows are traced
        configure_autologging_for_evaluation(enable_tracing=True).__enter__()
        module, _, name = setup["predict"].partition(":")
        self.function: Any = importlib.import_module(module)
        for part in name.split("."):
            self.function = getattr(self.function, part)
        self.judges = CodeJudges(setup["judges"])
        mlflow.set_tracking_uri(setup["tracking_uri"])  # whatever the module has set
        _mask_spans() if setup["experiment_id"] else mlflow.tracing.disable()

    def execute(self, case: Mapping[str, Any]) -> tuple[dict[str, Json], dict[str, Any]]:
        """What came of one case (``exit_code``, what it took), and what its judges are told."""
        import mlflow
        from mlflow.entities.trace_location import MlflowExperimentLocation

        found: dict[str, Json] = {"exit_code": 0, "error": "", "trace_id": ""}
        answer, experiment_id = None, self.setup["experiment_id"]
        folder = Path(case["case_dir"])
        where = MlflowExperimentLocation(experiment_id) if experiment_id else None
        with mlflow.start_span(case["case_id"], "AGENT", trace_destination=where) as span:
            if experiment_id:
                marks = {RECORDED_TAG: self.setup["run_id"], RECORDED_CASE_TAG: case["case_id"]}
                mlflow.update_current_trace(tags=marks)
                found["trace_id"] = span.trace_id
            span.set_inputs(case["inputs"])
            write_text(folder / BEGUN, found["trace_id"])
            started = time.time()
            try:
                answer = self.answer(case["inputs"])
                span.set_outputs(answer)
            except Exception as error:  # noqa: BLE001 - the agent may raise whatever there is
                traceback.print_exc()
                span.record_exception(error)
                found["exit_code"] = TIMED_OUT if isinstance(error, _Late) else 1
                found["error"] = _in_words(error)
            found["duration_s"] = round(time.time() - started, 3)
        trace = mlflow.get_trace(found["trace_id"]) if experiment_id else None
        spans = trace.data.spans if trace is not None else []
        found |= _used(spans)
        name, text = ("", "") if found["exit_code"] else _as_file(answer)
        if name:
            write_text(folder / name, text)
        record = {  # as agent-eval-harness shows a case to its judges
            **{name: case[name] for name in ("annotations", "case_dir")},
            **found,
            "answer": answer,
            "files": {name: text} if name else {},
            "conversation": text,
            "tool_calls": [
                {"name": s.name, "input": s.inputs, "result": s.status.description or s.outputs}
                for s in spans
                if s.span_type == "TOOL"
            ],
        }
        given = {name: case[name] for name in ("inputs", "expectations")}
        judged = {**given, "outputs": answer, "trace": trace, "record": record}
        return found, judged

    def answer(self, inputs: Mapping[str, Any]) -> Any:
        """What the function answers; waited for, and whole where it comes in parts."""
        words, named = arguments_for(self.function, inputs)
        try:
            with alarm(self.setup["timeout"]):
                found = self.function(*words, **named)
                if inspect.isawaitable(found) or inspect.isasyncgen(found):
                    found = self.loop.run(_awaited(found), context=contextvars.copy_context())
                return list(found) if inspect.isgenerator(found) else found
        except TooSlow:
            self.loop.close()  # with what is still at work in it
            self.loop = asyncio.Runner()
            raise _Late(f"it did not end within {self.setup['timeout']:g} s") from None
        except (SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
            raise RuntimeError(f"it wanted to end the process: {error!r}") from error


class _Late(TimeoutError):
    """Its time was up."""


async def _awaited(found: Any) -> Any:
    return [each async for each in found] if inspect.isasyncgen(found) else await found


def arguments_for(
    function: Callable[..., Any], inputs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """How a function is given a case's inputs: by their names, as MLflow does, as far as it takes.

    One that takes none of the names is given the single input, or all as a dict.
    """
    taken = inspect.signature(function)
    if any(each.kind is each.VAR_KEYWORD for each in taken.parameters.values()):
        return [], dict(inputs)
    named = {name: value for name, value in inputs.items() if name in taken.parameters}
    single = next(iter(inputs.values())) if len(inputs) == 1 else dict(inputs)
    ways: list[tuple[list[Any], dict[str, Any]]] = [([], named), ([single], {})]
    for words, names in ways if named or not taken.parameters else ways[1:]:
        with suppress(TypeError):
            taken.bind(*words, **names)
            return words, names
    raise TypeError(f"it takes {taken}, and the mapping gives {', '.join(inputs)}")


def _mask_spans() -> None:
    """Have MLflow record spans, and exceptions in them, without secrets."""
    import mlflow
    from mlflow.entities import LiveSpan, SpanEvent, SpanStatus

    def mask(span: Any) -> None:
        for name, value in span.attributes.items():
            try:
                masked = mask_json(value)
            except Exception:  # noqa: BLE001 - else MLflow would keep it as it is
                masked = mask_text(repr(value))[0]
            if masked != value:
                span.set_attribute(name, masked)
        if why := span.status.description:
            span.set_status(SpanStatus(span.status.status_code, mask_text(why)[0]))

    add_event = LiveSpan.add_event

    def add_masked(span: Any, event: Any) -> None:
        add_event(span, SpanEvent(event.name, event.timestamp, mask_json(dict(event.attributes))))

    LiveSpan.add_event = add_masked  # type: ignore[method-assign, assignment, unused-ignore]
    before = mlflow.tracing.configure().previous_config.span_processors
    mlflow.tracing.configure(span_processors=[*before, mask])


def _used(spans: list[Any]) -> dict[str, Json]:
    """Tokens and cost of the models' calls, as a run has them; a cost that is not known is not."""
    models, costs = defaultdict[str, Counter[str]](Counter), list[float | None]()
    for held in (span.attributes for span in spans):
        model = held.get("mlflow.llm.model")
        if isinstance(model, str) and (usage := usage_from(held.get(TOKEN_USAGE))):
            cost = (held.get("mlflow.llm.cost") or {}).get("total_cost", cost_of(model, usage))
            models[model].update(input=usage.input, output=usage.output, cost_usd=cost or 0)
            costs.append(cost)
    if None in costs:
        for own in models.values():
            del own["cost_usd"]
    total = Counter[str]()
    for own in models.values():
        total.update(own)
    cost = {"cost_usd": total.pop("cost_usd")} if "cost_usd" in total else {}
    used = {"num_turns": len(costs), "token_usage": total, "per_model_usage": models, **cost}
    return used if costs else {}


def _as_file(answer: Any) -> tuple[str, str]:
    """The name of the file that holds an answer, and its text: JSON where it has such a form."""
    try:
        plain = answer.model_dump() if hasattr(answer, "model_dump") else answer  # pydantic's
        held = well_formed(to_json(plain))
    except (TypeError, RecursionError):
        held = str(answer)
    if isinstance(held, str):
        return "answer.md", held
    return "answer.json", json.dumps(held, indent=2, ensure_ascii=False) + "\n"


def _in_words(error: BaseException) -> str:
    is_own = isinstance(error, _Late)
    return (str(error) if is_own else "".join(format_exception_only(error)).strip())[:2_000]


if __name__ == "__main__":
    main()
