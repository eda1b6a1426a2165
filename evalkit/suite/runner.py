"""Runs a suite's code in the sandbox, a new directory each time; what it answers is data."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from evalkit.jsonable import Json
from evalkit.masking import mask_text
from evalkit.suite.model import SCORERS_FILE, Files, Probe, Row, ScorerValue
from evalkit.suite.room import PROGRESS, REQUEST, ROWS_FILE, TRACES_FILE
from evalkit.suite.sandbox import Ended, Sandbox, remove_tree

MOST_ANSWER_BYTES = 64_000_000
MOST_OUTPUT_CHARS = 12_000
SUITE_S, PYTHON_S = 240, 120
ROOM, SNIPPET = "room.py", "snippet.py"
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",  # otherwise prices are looked up in the network
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "EVALKIT_JUDGE_MODEL": "",  # a check gives the same each time and costs nothing
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What importing a suite gave, and what its scorers said."""

    scorers: tuple[str, ...] = ()  # the names in SCORERS that judge without a model
    judges: tuple[str, ...] = ()  # those that need one; they are not run here
    serialized: Mapping[str, str] = field(default_factory=dict)  # as MLflow can hold them
    bad_examples: Mapping[str, tuple[str, Json]] = field(default_factory=dict)
    scores: list[Mapping[str, list[ScorerValue]]] = field(default_factory=list)  # of each probe
    examples: Mapping[str, list[ScorerValue]] = field(
        default_factory=dict
    )  # each of its own bad one
    error: str = ""  # why there is nothing else


class Runner:
    """Runs a suite's files on the rows' whole traces; each run has a directory of its own."""

    def __init__(
        self, sandbox: Sandbox, rows: Sequence[Row], *, scorer_seconds: float = 20
    ) -> None:
        self.confinement = sandbox.name  # in words
        self._sandbox, self._scorer_s = sandbox, scorer_seconds
        self._places = {row.trace_id: at for at, row in enumerate(rows)}
        self._own = {
            ROOM: Path(__file__).with_name(ROOM).read_bytes(),
            ROWS_FILE: _lines(map(_row, rows)),
            TRACES_FILE: _lines(row.trace and json.loads(row.trace.to_json()) for row in rows),
        }
        self._last: tuple[Json, Loaded] | None = None

    def judge(self, files: Files, probes: Sequence[Probe]) -> Loaded:
        """A suite's scorers, their examples, and what they say about each probe, of one process.

        What was just asked is not run again.
        """
        asked = [(self._places[probe.trace_id], probe.outputs) for probe in probes]
        code = sorted(each for each in files.items() if each[0].endswith(".py"))
        if self._last is None or self._last[0] != (code, asked):
            # The answer's name is known only to the program, not to the code that it runs.
            name = f"{secrets.token_hex(16)}.json"
            request = {"answer": name, "asked": {"probes": asked, "seconds": self._scorer_s}}
            own = {REQUEST: json.dumps(request, default=str).encode()}
            ended, raw, at = self._run(ROOM, {**files, **own}, SUITE_S, name, PROGRESS)
            try:
                loaded = (
                    msgspec.json.decode(raw, type=Loaded)
                    if raw
                    else Loaded(error=_silence(ended, at))
                )
            except (msgspec.DecodeError, RecursionError) as error:
                loaded = Loaded(error=f"its result is not what was agreed: {error}")
            if loaded.error:
                return loaded
            self._last = (code, asked), loaded
        return self._last[1]

    def python(self, files: Files, code: str) -> tuple[bool, str]:
        """Run a model's Python beside the suite's files; ``from room import *`` has the traces.

        Gives whether it ended well and in time, and the end of what it printed.
        """
        snippet = {SNIPPET: code.encode("utf-8", "replace")}
        ended, *_ = self._run(SNIPPET, {**files, **snippet}, PYTHON_S)
        over = f"stopped: {ended.exceeded}" if ended.exceeded else ""
        output = "\n".join(filter(None, (ended.stdout, ended.stderr, over)))
        if len(output) > MOST_OUTPUT_CHARS:
            output = "…" + output[-MOST_OUTPUT_CHARS:]
        return ended.returncode == 0 and not over, mask_text(output)[0]

    def _run(self, program: str, files: Files, seconds: float, *left: str) -> tuple[Json, ...]:
        """Run a program among files, rows and traces; how it ended, and the files that it left."""
        place = Path(tempfile.mkdtemp(prefix="evalkit-")).resolve()
        try:
            for path, content in {**files, **self._own}.items():
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_bytes(content)
            env = {**ENVIRONMENT, "MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}"}
            ended = self._sandbox.run([program], place, timeout_s=seconds, env=env)
            return ended, *(_believed(place / name) for name in left)
        finally:
            remove_tree(str(place))  # whose depth may be beyond what `TemporaryDirectory` removes


def _row(row: Row) -> dict[str, Json]:
    names = ("trace_id", "route", "outputs", "failed", "verdict", "seconds", "is_good", "comments")
    values = {name: getattr(row, name) for name in names}
    return {**values, "inputs": dict(row.inputs), "expectations": dict(row.expectations)}


def _lines(values: Iterable[Json]) -> bytes:
    # ASCII, so that no character but the line feed ends a line
    return "".join(json.dumps(value, default=str) + "\n" for value in values).encode()


def _believed(path: Path) -> bytes:
    """A file's bytes; none where there is none, or a link, a pipe, or too much.

    Nothing of the sandbox is alive any more that could put another in its place.
    """
    is_own = path.is_file() and not path.is_symlink()
    return path.read_bytes() if is_own and path.stat().st_size <= MOST_ANSWER_BYTES else b""


def _silence(ended: Ended, at: bytes) -> str:
    """Why there is no answer, in words from which a repair can start."""
    asked = at[:400].decode(errors="replace").strip("\0")
    where = f" (at {asked})" if asked else " while it was imported"
    last = (ended.stderr.strip() or ended.stdout.strip())[-1_500:]
    why = (
        f"{SCORERS_FILE} was stopped{where}, as it took {ended.exceeded}: look for an endless "
        "loop, or for something that waits or grows"
        if ended.exceeded
        else f"the process ended with exit code {ended.returncode} before it was done{where}: "
        "nothing in the suite may end the process, or take its answer's place"
    )
    return f"{why}\n{last}".strip()
