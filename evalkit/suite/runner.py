"""Runs a suite's code in the sandbox, a new directory each time; what it answers is data."""

from __future__ import annotations

import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import msgspec

from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json
from evalkit.masking import mask_text
from evalkit.suite.harness import PROGRESS, REQUEST
from evalkit.suite.model import SCORERS_FILE, Files, Probe, Row, Score
from evalkit.suite.room import ROWS_FILE, TRACES_FILE
from evalkit.suite.sandbox import Ended, Sandbox, remove_tree

MOST_ANSWER_BYTES = 64_000_000
MOST_OUTPUT_CHARS = 12_000
SUITE_S, PYTHON_S = 240, 120
PROGRAMS = ("harness.py", "room.py")
SNIPPET = "snippet.py"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What importing a suite gave, and what its scorers said."""

    scorers: tuple[str, ...] = ()  # the names in SCORERS that judge without a model
    judges: tuple[str, ...] = ()  # those that need one; they are not run here
    serialized: Mapping[str, str] = field(default_factory=dict)  # as MLflow can hold them
    bad_examples: Mapping[str, tuple[str, Json]] = field(default_factory=dict)
    scores: list[Mapping[str, list[Score]]] = field(default_factory=list)  # of each probe
    examples: Mapping[str, list[Score]] = field(default_factory=dict)  # each of its own bad one
    error: str = ""  # why it could not be imported; then there is nothing else


class Runner:
    """Runs a suite's files on the rows' whole traces; each run has a directory of its own."""

    def __init__(
        self, sandbox: Sandbox, rows: Sequence[Row], *, scorer_seconds: float = 20
    ) -> None:
        self.confinement = sandbox.name  # in words
        self._sandbox, self._scorer_s = sandbox, scorer_seconds
        self._rows = {row.trace_id: (at, row.outputs) for at, row in enumerate(rows)}
        self._data = {
            ROWS_FILE: _lines(map(_row, rows)),
            TRACES_FILE: _lines(row.trace and json.loads(row.trace.to_json()) for row in rows),
        }
        self._last: tuple[Json, Loaded] | None = None

    def judge(self, files: Files, probes: Sequence[Probe]) -> Loaded | str:
        """A suite's scorers, their examples, and what they say about each probe, of one process.

        Text where it cannot be imported or run. What was just asked is not run again.
        """
        asked: list[Json] = []
        for probe in probes:
            at, recorded = self._rows[probe.trace_id]
            asked.append([at, [] if probe.outputs == recorded else [probe.outputs]])
        request = {"probes": asked, "scorer_seconds": self._scorer_s}
        code = sorted(each for each in files.items() if each[0].endswith(".py"))
        if self._last is None or self._last[0] != (code, request):
            answer = self._answer(files, request)
            if isinstance(answer, str) or answer.error:
                return answer if isinstance(answer, str) else answer.error
            self._last = (code, request), answer
        return self._last[1]

    def python(self, files: Files, code: str) -> tuple[bool, str]:
        """Run a model's Python beside the suite's files; ``from room import *`` has the traces.

        Gives whether it ended well and in time, and the end of what it printed.
        """
        with self._room(files, {SNIPPET: code.encode("utf-8", "replace")}) as place:
            ended = self._run(SNIPPET, place, PYTHON_S)
        over = f"stopped: {ended.exceeded}" if ended.exceeded else ""
        output = "\n".join(filter(None, (ended.stdout, ended.stderr, over)))
        if len(output) > MOST_OUTPUT_CHARS:
            output = "…" + output[-MOST_OUTPUT_CHARS:]
        return ended.returncode == 0 and not over, mask_text(output)[0]

    def _answer(self, files: Files, request: Mapping[str, Json]) -> Loaded | str:
        # The answer's name is known only to the harness, not to the code that it runs.
        name = f"{secrets.token_hex(16)}.json"
        asked = json.dumps({**request, "answer": name}).encode()
        with self._room(files, {REQUEST: asked}) as place:
            ended = self._run("harness.py", place, SUITE_S)
            raw, at = _believed(place / name), _believed(place / PROGRESS) or b""
        if raw is None:
            return _silence(ended, at[:400].decode(errors="replace").strip("\0"))
        try:
            return msgspec.json.decode(raw, type=Loaded)
        except (msgspec.DecodeError, RecursionError) as error:
            return f"its result is not what was agreed: {error}"

    def _run(self, program: str, place: Path, seconds: float) -> Ended:
        env = {
            "MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_MODEL_CATALOG_URI": "",  # otherwise prices are looked up in the network
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "EVALKIT_JUDGE_MODEL": "",  # a check gives the same each time and costs nothing
        }
        return self._sandbox.run([program], place, timeout_s=seconds, env=env)

    @contextmanager
    def _room(self, files: Files, own: Mapping[str, bytes]) -> Iterator[Path]:
        """A directory with the suite's files, the traces, and the program's own beside them.

        Raises:
            InputError: the path of a file leads out of it.
        """
        programs = {name: Path(__file__).with_name(name).read_bytes() for name in PROGRAMS}
        place = Path(tempfile.mkdtemp(prefix="evalkit-")).resolve()
        try:
            for path, content in {**files, **self._data, **own, **programs}.items():
                pure = PurePosixPath(path)
                if pure.is_absolute() or ".." in pure.parts:
                    raise InputError(Problem("the path leads out of the session", file=path))
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


def _lines(values: Iterable[Json]) -> bytes:
    # ASCII, so that no character but the line feed ends a line
    return "".join(json.dumps(value, default=str) + "\n" for value in values).encode()


def _believed(path: Path) -> bytes | None:
    """A file's bytes; None where there is none, or a link, a pipe, or too much."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        is_file = stat.S_ISREG(os.fstat(handle).st_mode)
        raw = file.read(MOST_ANSWER_BYTES + 1) if is_file else None
    return raw if raw is not None and len(raw) <= MOST_ANSWER_BYTES else None


def _silence(ended: Ended, at: str) -> str:
    """Why there is no answer, in words from which a repair can start."""
    where = f" (at {at})" if at else " while it was imported"
    last = (ended.stderr.strip() or ended.stdout.strip())[-1_500:]
    why = (
        f"{SCORERS_FILE} was stopped{where}, as it took {ended.exceeded}: look for an endless "
        "loop, or for something that waits or grows"
        if ended.exceeded
        else f"the process ended with exit code {ended.returncode} before it was done{where}: "
        "nothing in the suite may end the process, or take its answer's place"
    )
    return f"{why}\n{last}".strip()
