"""The bench on which a suite's code runs: a new room each time, one process, one answer."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from evalkit.adapters.suite.harness.errand import REQUEST
from evalkit.adapters.suite.room import Confining, Ended, Rooms
from evalkit.core.agent.suite import (
    SCORERS_FILE,
    SCRIPT_FILE,
    Loaded,
    PythonRun,
    Row,
    Score,
    ScriptRun,
)

HARNESS = Path(__file__).parent / "harness"
START = (
    "import sys; sys.path.insert(0, 'tools');"
    "from harness.errand import main; del sys.path[0]; main()"
)
SNIPPET = "evaluation/snippet.py"
MOST_ANSWER_BYTES = 64_000_000
MOST_OUTPUT_CHARS = 12_000
SCRIPT_GRACE_S = 30.0
"""What reading the results may take once the script has ended."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds the suite's code may take.

    Attributes:
        load: To be imported.
        score: For its scorers to judge all rows.
        scorer: For one scorer to judge one row.
        script: For its script to end.
        python: For a piece of Python beside it.
    """

    load: float = 60.0
    score: float = 240.0
    scorer: float = 20.0
    script: float = 300.0
    python: float = 120.0


@dataclass(frozen=True, slots=True)
class _Scored:
    scores: list[list[Score]] = field(default_factory=list)
    error: str = ""


Answer = TypeVar("Answer", Loaded, _Scored, ScriptRun)


class SuiteBench:
    """Runs a suite's files in rooms of their own; see :class:`evalkit.core.agent.suite.Workbench`.

    Attributes:
        confinement: What confines them, in words.
    """

    def __init__(
        self,
        confining: Confining,
        *,
        empty_database: Path | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Make it.

        Args:
            confining: What the code is run with.
            empty_database: An empty MLflow database, copied for the script, which otherwise takes
                two seconds to make one.
            patience: How long things may take.
        """
        self.confinement = confining.name
        self._rooms = Rooms(confining, empty_database)
        self._patience = patience or Patience()
        self._answered: dict[str, object] = {}

    def load(self, files: Mapping[str, bytes], *, scorers: bool) -> Loaded:
        """Import the dataset, and the scorers if asked for."""
        request = {"action": "load", "scorers": scorers}
        unused = {SCRIPT_FILE} if scorers else {SCRIPT_FILE, SCORERS_FILE}
        answer = self._errand(_without(unused, files), request, Loaded, self._patience.load)
        return answer if isinstance(answer, Loaded) else Loaded(error=answer)

    def score(
        self, files: Mapping[str, bytes], rows: Sequence[Row], only: Sequence[str] = ()
    ) -> list[list[Score]] | str:
        """What every scorer (or those named) says about each row; text where it could not run."""
        request = {
            "action": "score",
            "rows": [asdict(row) for row in rows],
            "only": list(only),
            "scorer_seconds": self._patience.scorer,
        }
        answer = self._errand(
            _without({SCRIPT_FILE}, files), request, _Scored, self._patience.score
        )
        if isinstance(answer, str) or answer.error:
            return answer if isinstance(answer, str) else answer.error
        if len(answer.scores) != len(rows) or not all(answer.scores):
            return "the scorers' answer does not cover every row"
        return answer.scores

    def run_script(self, files: Mapping[str, bytes]) -> ScriptRun:
        """Run ``run_eval.py`` as a person would, but in a store of its own."""
        seconds = self._patience.script
        request = {"action": "script", "seconds": seconds}
        answer = self._errand(files, request, ScriptRun, seconds + SCRIPT_GRACE_S)
        return answer if isinstance(answer, ScriptRun) else ScriptRun(error=answer)

    def run_python(self, files: Mapping[str, bytes], code: str) -> PythonRun:
        """Run a piece of Python beside the suite's files."""
        with self._rooms.open({**files, SNIPPET: code.encode("utf-8", "replace")}) as room:
            ended = room.run([f"suite/{SNIPPET}"], self._patience.python)
        output = "\n".join(part for part in (ended.stdout, ended.stderr) if part)
        if ended.timed_out:
            output += f"\nstopped after {self._patience.python:.0f} seconds"
        return PythonRun(ended.returncode == 0 and not ended.timed_out, _end_of(output))

    def _errand(
        self,
        files: Mapping[str, bytes],
        request: dict[str, Any],
        kind: type[Answer],
        seconds: float,
    ) -> Answer | str:
        """The harness's answer; text where there is none, or it is not what it should be.

        What went well with the same files is not run again: a task is checked when its model asks
        and again when its session ends, and each check costs seconds.
        """
        key = _digest(files, request)
        known = self._answered.get(key)
        if isinstance(known, kind):
            return known
        answer = self._new_answer(files, request, kind, seconds)
        if not isinstance(answer, str) and not answer.error:
            self._answered[key] = answer
        return answer

    def _new_answer(
        self,
        files: Mapping[str, bytes],
        request: dict[str, Any],
        kind: type[Answer],
        seconds: float,
    ) -> Answer | str:
        # The answer's name is known only to the harness, not to the code that it runs.
        name = f"{secrets.token_hex(16)}.json"
        with self._rooms.open(files) as room:
            errand = {**request, "answer": name, "database": str(room.database)}
            (room.path / REQUEST).write_text(json.dumps(errand), encoding="utf-8")
            tools = room.path / "tools" / "harness"
            shutil.copytree(HARNESS, tools, ignore=shutil.ignore_patterns("__pycache__"))
            ended = room.run(["-P", "-c", START], seconds)
            return _silence(ended, seconds) or _believed(room.path / name, kind) or _abrupt(ended)


def _without(unused: set[str], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files that an errand is about: another script changes nothing about the scorers."""
    return {path: content for path, content in files.items() if path not in unused}


def _digest(files: Mapping[str, bytes], request: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode())
    for path in sorted(files):
        digest.update(f"\n{path}:{len(files[path])}:".encode() + files[path])
    return digest.hexdigest()


def _silence(ended: Ended, seconds: float) -> str:
    if not ended.timed_out:
        return ""
    return (
        f"it did not end within {seconds:.0f} seconds and was stopped: look for an endless loop, "
        f"or for something that waits\n{_last_words(ended)}"
    )


def _abrupt(ended: Ended) -> str:
    return (
        f"the process ended with exit code {ended.returncode} before it was done: nothing in the "
        f"suite's files may end the process\n{_last_words(ended)}"
    )


def _last_words(ended: Ended) -> str:
    return (ended.stderr.strip() or ended.stdout.strip())[-1_500:]


def _believed(path: Path, kind: type[Answer]) -> Answer | str | None:
    """An answer of the kind that was agreed; None where there is none at all.

    The suite's code ran beside what wrote it: it may be a link, a pipe, or anything.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        raw = file.read(MOST_ANSWER_BYTES + 1)
    if len(raw) > MOST_ANSWER_BYTES:
        return f"its result takes more than {MOST_ANSWER_BYTES:,} bytes"
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"its result is not what was agreed: {error}"


def _end_of(text: str) -> str:
    return text if len(text) <= MOST_OUTPUT_CHARS else "…" + text[-MOST_OUTPUT_CHARS:]
