"""The version of the code that a run evaluated, as far as anybody can tell."""

from __future__ import annotations

from pathlib import Path

from evalkit.adapters.files.commit import head_of
from evalkit.adapters.files.run import RunFiles
from evalkit.claude_log.timing import Start

COMMIT_TAG = "mlflow.source.git.commit"
"""Run tag from which MLflow shows the commit."""

BASIS_TAG = "evalkit.commit"
"""Run tag that says how the commit is known."""

STATED = "commit_sha"
"""What the harness calls the commit in its snapshot."""


def commit_of(found: RunFiles, start: Start) -> dict[str, str]:
    """Tags with the commit: the snapshot's, else HEAD of the project's repository if that fits.

    It fits where the run lies in that repository and began after the commit was made.
    """
    if stated := found.run.origin.get(STATED):
        return {COMMIT_TAG: stated, BASIS_TAG: "harness-snapshot.json"}
    head = head_of(Path(found.project.file).parent, holds=found.folder)
    if head is None or head.time_s * 10**9 > start.ns:
        return {}
    return {COMMIT_TAG: head.commit, BASIS_TAG: "inferred: HEAD when the run was logged"}
