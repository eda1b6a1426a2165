"""One errand: what to do is read, done, and answered."""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import Any

from . import loading, scoring, script

REQUEST = "errand.json"
MOST_ERROR_CHARS = 3_000
ACTIONS = {"load": loading.load, "score": scoring.score, "script": script.run_script}


def main() -> None:
    """Do what the request in the working directory says."""
    place = Path.cwd()
    text = (place / REQUEST).read_bytes()
    (place / REQUEST).unlink()
    request = json.loads(text)
    answer = _done(request, place)
    with (place / request["answer"]).open("xb") as file:
        file.write(json.dumps(answer, allow_nan=False).encode())
    # Threads that the suite's code left running, and its hooks at exit, are not waited for.
    os._exit(0)


def _done(request: dict[str, Any], place: Path) -> Any:
    evaluation = place / "suite" / "evaluation"
    os.chdir(evaluation.parent)
    try:
        return ACTIONS[request["action"]](request, evaluation)
    except BaseException as error:  # noqa: BLE001 - the suite's code may raise whatever there is
        return {"error": _explained(error)}


def _explained(error: BaseException) -> str:
    """The end of the traceback, without this program's own lines."""
    ours = str(Path(__file__).parent)
    summary = traceback.TracebackException.from_exception(error)
    summary.stack = traceback.StackSummary.from_list(
        [each for each in summary.stack if not each.filename.startswith(ours)]
    )
    text = "".join(summary.format())
    if isinstance(error, SystemExit):
        text += "It ended the process while it was imported; nothing may do that.\n"
    return text[-MOST_ERROR_CHARS:].replace(f"{Path.cwd()}/", "").strip()
