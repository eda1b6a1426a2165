"""Runs a suite's code in the sandbox, a new directory each time; what it answers is data."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from evalkit.core.errors import InputError, Problem
from evalkit.core.masking import mask_text
from evalkit.core.values import Json
from evalkit.suite.harness import PROGRESS, REQUEST
from evalkit.suite.model import SCORERS_FILE, SCRIPT_FILE, Files, Probe, Row, Score
from evalkit.suite.room import ROWS_FILE, TRACES_FILE
from evalkit.suite.sandbox import Ended, Sandbox, remove_tree

MOST_ANSWER_BYTES = 64_000_000
MOST_OUTPUT_CHARS = 12_000
PROGRAMS = ("harness.py", "room.py")
SNIPPET = "snippet.py"


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds the suite's code may take: all of it, one scorer on one row, and so on."""

    score: float = 240.0
    scorer: float = 20.0
    script: float = 300.0
    python: float = 120.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What importing a suite gave, and what its scorers said.

    Attributes:
        scorers: The names in SCORERS that judge without a model.
        judges: Those that need one; they are not run here.
        serialized: Of those that MLflow can hold, the form in which it does.
        bad_examples: By scorer ``(trace_id, an answer that it has to fail)``.
        scores: What the scorers say about each probe.
        examples: What each says about its own bad example, where that names a row.
    """

    scorers: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    serialized: Mapping[str, str] = field(default_factory=dict)
    bad_examples: Mapping[str, tuple[str, Json]] = field(default_factory=dict)
    scores: list[list[Score]] = field(default_factory=list)
    examples: Mapping[str, list[Score]] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """How ``run_eval.py`` ended, and the end of what it printed."""

    returncode: int
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PythonRun:
    """Whether a piece of Python ended well and in time, and the end of what it printed."""

    ok: bool
    output: str


class Runner:
    """Runs a suite's files on the rows' whole traces; each run has a directory of its own.

    Attributes:
        confinement: What confines it, in words.
    """

    def __init__(
        self, sandbox: Sandbox, rows: Sequence[Row], *, patience: Patience | None = None
    ) -> None:
        self.confinement = sandbox.name
        self._sandbox = sandbox
        self._patience = patience or Patience()
        self._places = {row.trace_id: position for position, row in enumerate(rows)}
        self._outputs = {row.trace_id: row.outputs for row in rows}
        self._data = {
            ROWS_FILE: _lines(_row(row) for row in rows),
            TRACES_FILE: _lines(map(_trace, rows)),
        }
        self._answered: dict[str, Loaded] = {}

    def load(self, files: Files) -> Loaded | str:
        """The suite's scorers, judged on their bad examples; text where it cannot be imported."""
        return self.judge(files, ())

    def score(
        self, files: Files, probes: Sequence[Probe], only: Sequence[str] = ()
    ) -> list[list[Score]] | str:
        """What every scorer (or those named) says about each probe; text where it cannot run."""
        answer = self.judge(files, probes, only)
        return answer if isinstance(answer, str) else answer.scores

    def judge(
        self, files: Files, probes: Sequence[Probe], only: Sequence[str] = ()
    ) -> Loaded | str:
        """All of that in one process. What went well with the same files is not run again."""
        request = {
            "probes": [
                [
                    self._places[probe.trace_id],
                    [] if probe.outputs == self._outputs[probe.trace_id] else [probe.outputs],
                ]
                for probe in probes
            ],
            "only": list(only),
            "scorer_seconds": self._patience.scorer,
        }
        python = {path: content for path, content in files.items() if path.endswith(".py")}
        key = _digest({**python, SCRIPT_FILE: b""}, request)
        if key not in self._answered:
            answer = self._errand(files, request)
            if isinstance(answer, str) or answer.error:
                return answer if isinstance(answer, str) else answer.error
            self._answered[key] = answer
        return self._answered[key]

    def run_script(self, files: Files) -> ScriptRun:
        """Run ``run_eval.py`` as a person would, but in an MLflow store of its own."""
        with self._room(files) as place:
            ended = self._run([SCRIPT_FILE], place, self._patience.script)
        return ScriptRun(ended.returncode, _end_of(ended, self._patience.script), ended.seconds)

    def python(self, files: Files, code: str) -> PythonRun:
        """Run a model's Python beside the suite's files; ``from room import *`` has the traces."""
        own = {**self._data, SNIPPET: code.encode("utf-8", "replace")}
        with self._room(files, own) as place:
            ended = self._run([SNIPPET], place, self._patience.python)
        text, _ = mask_text(_end_of(ended, self._patience.python))
        return PythonRun(ended.returncode == 0 and not ended.timed_out, text)

    def _errand(self, files: Files, request: Mapping[str, Json]) -> Loaded | str:
        # The answer's name is known only to the harness, not to the code that it runs.
        name = f"{secrets.token_hex(16)}.json"
        asked = json.dumps({**request, "answer": name}).encode()
        with self._room(files, {**self._data, REQUEST: asked}) as place:
            ended = self._run(["harness.py"], place, self._patience.score)
            raw = _believed(place / name)
            if raw is None:
                at = (_believed(place / PROGRESS) or b"")[:400].decode(errors="replace").strip("\0")
                return _silence(ended, self._patience.score, at)
        try:
            answer = msgspec.json.decode(raw, type=Loaded)
        except (msgspec.DecodeError, RecursionError) as error:
            return f"its result is not what was agreed: {error}"
        if not answer.error and len(answer.scores) != len(request["probes"]):
            return "the scorers' answer does not cover every row"
        return answer

    def _run(self, argv: Sequence[str], place: Path, seconds: float) -> Ended:
        env = {
            "MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_MODEL_CATALOG_URI": "",  # otherwise prices are looked up in the network
            "MLFLOW_GENAI_EVAL_MAX_WORKERS": "4",  # more of them lose traces on sqlite
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "EVALKIT_JUDGE_MODEL": "",  # a check gives the same each time and costs nothing
        }
        return self._sandbox.run(argv, place, timeout_s=seconds, env=env)

    @contextmanager
    def _room(self, files: Files, own: Mapping[str, bytes] | None = None) -> Iterator[Path]:
        """A directory with the suite's files and the program's own beside them.

        Raises:
            InputError: the path of a file leads out of it.
        """
        programs = {name: Path(__file__).with_name(name).read_bytes() for name in PROGRAMS}
        place = Path(tempfile.mkdtemp(prefix="evalkit-")).resolve()
        try:
            for path, content in {**files, **(own or {}), **programs}.items():
                pure = PurePosixPath(path)
                if pure.is_absolute() or ".." in pure.parts:
                    raise InputError(
                        Problem("the path leads out of the session", file=path, fix="evaluation/…")
                    )
                (place / pure).parent.mkdir(parents=True, exist_ok=True)
                (place / pure).write_bytes(content)
            yield place
        finally:
            remove_tree(str(place))  # whose depth may be beyond what `TemporaryDirectory` removes


def _row(row: Row) -> dict[str, Json]:
    names = ("trace_id", "route", "outputs", "failed", "verdict", "seconds", "is_good")
    values = {name: getattr(row, name) for name in names}
    lists = {"inputs": dict(row.inputs), "expectations": dict(row.expectations)}
    return {**values, **lists, "comments": list(row.comments)}


def _trace(row: Row) -> Json:
    if row.trace is None:
        raise ValueError(f"the row of {row.trace_id} comes without its trace")
    return json.loads(row.trace.to_json())


def _lines(values: Any) -> bytes:
    # ASCII, so that no character but the line feed ends a line
    return "".join(json.dumps(value, default=str) + "\n" for value in values).encode()


def _digest(files: Files, request: Mapping[str, Json]) -> str:
    digest = hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode())
    for path in sorted(files):
        digest.update(f"\n{path}:{len(files[path])}:".encode() + files[path])
    return digest.hexdigest()


def _believed(path: Path) -> bytes | None:
    """A file's bytes; None where there is none, or a link, a pipe, or too much."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        raw = file.read(MOST_ANSWER_BYTES + 1)
    return raw if len(raw) <= MOST_ANSWER_BYTES else None


def _silence(ended: Ended, seconds: float, at: str) -> str:
    """Why there is no answer, in words from which a repair can start."""
    where = f" (at {at})" if at else " while it was imported"
    last = (ended.stderr.strip() or ended.stdout.strip())[-1_500:]
    if ended.timed_out:
        return (
            f"{SCORERS_FILE} did not end within {seconds:.0f} seconds and was stopped{where}: look "
            f"for an endless loop, or for something that waits\n{last}"
        )
    return (
        f"the process ended with exit code {ended.returncode} before it was done{where}: nothing "
        f"in the suite may end the process, or take its answer's place. {ended.exceeded}\n{last}"
    ).strip()


def _end_of(ended: Ended, seconds: float) -> str:
    output = "\n".join(part for part in (ended.stdout, ended.stderr) if part)
    if ended.timed_out:
        output += f"\nstopped after {seconds:.0f} seconds"
    if ended.exceeded:
        output += f"\nstopped: {ended.exceeded}"
    return output if len(output) <= MOST_OUTPUT_CHARS else "…" + output[-MOST_OUTPUT_CHARS:]
