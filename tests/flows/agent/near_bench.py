"""A bench that runs a suite's code in the test's own process: the same harness, no confinement."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evalkit.adapters.suite.harness import loading, scoring
from evalkit.core.agent.suite import Loaded, PythonRun, Row, Score, ScriptRun, ToolStep

SECONDS = 30.0


class NearBench:
    """See :class:`evalkit.core.agent.suite.Workbench`; it runs no scripts."""

    confinement = "none"

    def load(self, files: Mapping[str, bytes], *, scorers: bool) -> Loaded:
        answer = _beside(files, lambda folder: loading.load({"scorers": scorers}, folder))
        if isinstance(answer, str) or answer.get("error"):
            return Loaded(error=answer if isinstance(answer, str) else answer["error"])
        rows = tuple(
            Row(**{**row, "steps": tuple(ToolStep(**step) for step in row["steps"])})
            for row in answer["rows"]
        )
        return Loaded(rows, tuple(answer["scorers"]))

    def score(
        self, files: Mapping[str, bytes], rows: Sequence[Row], only: Sequence[str] = ()
    ) -> list[list[Score]] | str:
        given = {"rows": [asdict(row) for row in rows], "only": only, "scorer_seconds": SECONDS}
        answer = _beside(files, lambda folder: scoring.score(given, folder))
        if isinstance(answer, str) or answer.get("error"):
            return answer if isinstance(answer, str) else str(answer["error"])
        return [[Score(**each) for each in row] for row in answer["scores"]]

    def run_script(self, files: Mapping[str, bytes]) -> ScriptRun:
        raise NotImplementedError

    def run_python(self, files: Mapping[str, bytes], code: str) -> PythonRun:
        raise NotImplementedError


def _beside(files: Mapping[str, bytes], job: Callable[[Path], dict[str, Any]]) -> Any:
    """What a job gives beside the suite's files, or why the files cannot be used."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "evaluation"
        folder.mkdir()
        for path, content in files.items():
            (Path(root) / path).write_bytes(content)
        try:
            return job(folder)
        except (ImportError, OSError, SyntaxError, TypeError) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            sys.path[:] = [each for each in sys.path if each != str(folder)]
            for name in ("eval_dataset", "scorers"):
                sys.modules.pop(name, None)
