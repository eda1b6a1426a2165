"""An agent's function, which answers one case after the other in a process of its own.

Both ends of the pipe: who starts the process and waits, and the program that it runs. It is not
confined, for the code is the user's; one that hangs or dies takes nothing with it.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from evalkit.entities import RECORDED_CASE_TAG, RECORDED_TAG
from evalkit.errors import InputError, Problem
from evalkit.files import write_text
from evalkit.jsonable import Json, well_formed
from evalkit.masking import mask_text
from evalkit.suite.code_judges import CodeJudges
from evalkit.suite.room import TooSlow, alarm, explained
from evalkit.tokens import TOKEN_USAGE, cost_of, usage_from

LOAD_SECONDS = 300  # in which the agent has to be imported
TIMED_OUT = 124
"""The exit code of an execution whose time was up, as of the command ``timeout``."""

BEGUN = ".begun"
"""In a case's folder, while it runs: which trace is being recorded."""


class AgentDied(Exception):
    """The process ended in the middle of something."""


class PredictProcess:
    """A process that answers one case after the other; ``skipped`` are judges it cannot ask."""

    is_late = False

    def __init__(self, setup: Mapping[str, Any], handle: int) -> None:
        """Start it, let it have an open handle, and wait until it has loaded the agent."""
        self._pipe, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=2,  # ours is for the report
            start_new_session=True,
            pass_fds=(theirs.fileno(), handle),
        )
        theirs.close()
        try:
            self.skipped: dict[str, str] = self.ask(setup, LOAD_SECONDS)
        except AgentDied as error:
            fix = f"evalkit imports it with {sys.executable}, which has to have what it needs"
            what = f"{setup['predict']} cannot be loaded: {error}"
            raise InputError(Problem(what, field="--predict", fix=fix)) from error

    def ask(self, what: Json, seconds: float) -> Any:
        """Tell it something, unless that is None; what it answers, or it is killed."""
        why = ""
        with suppress(EOFError, OSError):
            if what is not None:
                self._pipe.send(what)
            self.is_late = not self._pipe.poll(seconds)
            late = f"it did not end within {seconds:g} s, and was killed"
            if not isinstance(said := late if self.is_late else self._pipe.recv(), str):
                return said
            why = said
        self.end()
        raise AgentDied(why or f"its process ended with {self._process.returncode}")

    def end(self) -> None:
        """Kill it with all that it started."""
        if not self.is_over:  # else its id may be another's by now
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def is_over(self) -> bool:
        """Whether it was ended."""
        return self._process.returncode is not None


# -- inside of it -----------------------------------------------------------------------------


def main() -> None:
    """Do what the pipe says, until there is no more."""
    pipe = Connection(int(sys.argv[1]))
    os.set_inheritable(pipe.fileno(), False)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        agent = Agent(pipe.recv())
    except BaseException as error:  # noqa: BLE001 - the user's code may raise whatever there is
        traceback.print_exc()
        pipe.send(explained(error))
        os._exit(1)
    pipe.send(agent.judges.skipped)
    with suppress(EOFError):
        while True:
            case = pipe.recv()
            sys.stdout.flush()
            with (Path(case["case_dir"]) / "stderr.log").open("wb") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            found, record = agent.execute(case)
            pipe.send(found)
            pipe.send(agent.judges.scores(record))
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
        self.function: Any = pkgutil.resolve_name(setup["predict"])
        self.judges = CodeJudges(setup["judges"])
        mlflow.set_tracking_uri(setup["tracking_uri"])  # whatever the module has set
        _mask_spans() if setup["experiment_id"] else mlflow.tracing.disable()

    def execute(self, case: Mapping[str, Any]) -> tuple[dict[str, Json], dict[str, Any]]:
        """What came of a case (``exit_code``, what it took), and all that its judges are shown."""
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
            except BaseException as error:  # noqa: BLE001 - the agent may raise whatever there is
                traceback.print_exc()
                found["exit_code"] = TIMED_OUT if isinstance(error, TooSlow) else 1
                found["error"] = why = explained(error)
                span.record_exception(error if isinstance(error, Exception) else why)
            found["duration_s"] = round(time.time() - started, 3)
        trace = mlflow.get_trace(found["trace_id"]) if experiment_id else None
        spans = trace.data.spans if trace is not None else []
        found |= _used(spans)
        name, text = ("", "") if found["exit_code"] else _as_file(answer)
        if name:
            write_text(folder / name, text)
        shown = {  # as agent-eval-harness shows a case to its judges
            "answer": answer,
            "files": {name: text} if name else {},
            "conversation": text,
            "tool_calls": [
                {"name": s.name, "input": s.inputs, "result": s.status.description or s.outputs}
                for s in spans
                if s.span_type == "TOOL"
            ],
        }
        return found, {**case, **found, **shown, "trace": trace}

    def answer(self, inputs: Mapping[str, Any]) -> Any:
        """What the function answers; waited for, and whole where it comes in parts."""
        words, named = self._arguments(inputs)
        try:
            with alarm(self.setup["timeout"]):
                found = self.function(*words, **named)
                if inspect.isawaitable(found) or inspect.isasyncgen(found):
                    found = self.loop.run(_awaited(found), context=contextvars.copy_context())
                return list(found) if inspect.isgenerator(found) else found
        except TooSlow:
            self.loop.close()  # with what is still at work in it
            self.loop = asyncio.Runner()
            raise

    def _arguments(self, inputs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The inputs by their names, as MLflow gives them, as far as the function takes them.

        One that takes none of the names is given the single input, or all as a dict.
        """
        taken = inspect.signature(self.function)
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


async def _awaited(found: Any) -> Any:
    return [each async for each in found] if inspect.isasyncgen(found) else await found


def _mask_spans() -> None:
    """Have MLflow record spans, and exceptions in them, without secrets."""
    import mlflow
    from mlflow.entities import LiveSpan, SpanEvent, SpanStatus

    def masked(value: Any) -> Any:
        return json.loads(mask_text(json.dumps(value, default=repr))[0])

    def mask(span: Any) -> None:
        found = {name: masked(value) for name, value in span.attributes.items()}
        span.set_attributes({n: each for n, each in found.items() if each != span.attributes[n]})
        if why := span.status.description:
            span.set_status(SpanStatus(span.status.status_code, masked(why)))

    add_event = LiveSpan.add_event

    def add_masked(span: Any, event: Any) -> None:
        add_event(span, SpanEvent(event.name, event.timestamp, masked(dict(event.attributes))))

    LiveSpan.add_event = add_masked  # type: ignore[method-assign, assignment, unused-ignore]
    before = mlflow.tracing.configure().previous_config.span_processors
    mlflow.tracing.configure(span_processors=[*before, mask])


def tokens_of(models: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The tokens of all models, by kind."""
    return {kind: sum(own[kind] for own in models.values()) for kind in ("input", "output")}


def _used(spans: Iterable[Any]) -> dict[str, Json]:
    """Tokens and cost of the models' calls, as a run has them; a cost that is not known is not."""
    models, costs = defaultdict[str, Counter[str]](Counter), list[float | None]()
    for held in (span.attributes for span in spans):
        model, usage = held.get("mlflow.llm.model"), usage_from(held.get(TOKEN_USAGE))
        if isinstance(model, str) and usage:
            cost = (held.get("mlflow.llm.cost") or {}).get("total_cost", cost_of(model, usage))
            models[model].update(input=usage.input, output=usage.output, cost_usd=cost or 0)
            costs.append(cost)
    if not costs:
        return {}
    used = {"num_turns": len(costs), "token_usage": tokens_of(models), "per_model_usage": models}
    if None not in costs:
        return used | {"cost_usd": sum(own["cost_usd"] for own in models.values())}
    for own in models.values():
        del own["cost_usd"]
    return used


def _as_file(answer: Any) -> tuple[str, str]:
    """The name of the file that holds an answer, and its text: JSON where it has such a form."""
    try:
        plain = answer.model_dump() if hasattr(answer, "model_dump") else answer  # pydantic's
        held = well_formed(plain)
    except (TypeError, RecursionError):
        held = str(answer)
    if isinstance(held, str):
        return "answer.md", held
    return "answer.json", json.dumps(held, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
