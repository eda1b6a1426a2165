"""Where the code that a run evaluated comes from: the harness's snapshot, else git's HEAD."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from evalkit.documents import scalar_text
from evalkit.entities import BRANCH_TAG, COMMIT_TAG
from evalkit.errors import InputError
from evalkit.files import inside, read_document
from evalkit.jsonable import kind_of
from evalkit.masking import mask_text

GIT_SECONDS = 10
"""How long git may take to answer."""

SNAPSHOT = "harness-snapshot.json"
"""What the harness may know of where the evaluated code comes from."""

BASIS_TAG = "evalkit.commit"
UNCOMMITTED = ", with uncommitted changes"
"""Ends how the commit is known where the run is of more than that commit."""

SNAPSHOT_TAGS = {
    **{name: name for name in ("agent", "role", "slug", "model", "forge_platform", "trace_id")},
    **{name: name for name in ("repository_url", "ref_revision", "ref_name", "change_id")},
    **{name: name for name in ("pipeline_run_id", "pipeline_run_url", "harness_content_sha")},
    "commit_sha": "ref_revision",
    "harness_fingerprint": "harness_content_sha",
}
"""The harness's own tags of a run, and the snapshot's field that each takes."""


def origin_of(folder: Path) -> tuple[dict[str, str], list[str]]:
    """What the snapshot says, as tags, and what no tag says; nothing where it cannot be read."""
    path = folder / SNAPSHOT
    try:
        said = read_document(inside(path, folder)).value if path.is_file() else {}
    except InputError:  # which the artifacts say
        return {}, []
    if not isinstance(said, dict):
        return {}, [f"{SNAPSHOT} is {kind_of(said)}, not a mapping: it gives the run no tags"]
    found = {tag: scalar_text(said.get(name)).strip() for tag, name in SNAPSHOT_TAGS.items()}
    others = ", ".join(sorted(said.keys() - SNAPSHOT_TAGS.values()))
    notes = [f"{SNAPSHOT} holds what only this artifact keeps: {others}"] if others else []
    return {tag: mask_text(text)[0] for tag, text in found.items() if text}, notes


def commit_tags(
    origin: Mapping[str, str], config: Path, run: Path, began_ns: int
) -> dict[str, str]:
    """Run tags with commit and branch: the snapshot's, else HEAD of the config's repository.

    HEAD counts where the run lies in that repository and began after the commit was made. MLflow
    shows the first tag; the second says how the commit is known, and whether tracked files outside
    of the run differed from it.

    Args:
        origin: What :func:`origin_of` returned.
        config: The config file.
        run: The run directory.
        began_ns: When the run began, nanoseconds since the epoch.
    """
    if commit := origin.get("commit_sha"):
        branch, basis = origin.get("ref_name", ""), SNAPSHOT
    else:
        root = ask_git(config.parent, "rev-parse", "--show-toplevel")
        if not root or not run.resolve().is_relative_to(Path(root).resolve()):
            return {}
        head = ask_git(config.parent, "rev-list", "--timestamp", "-1", "HEAD")
        time_s, _, commit = head.partition(" ")
        if not commit or int(time_s) * 10**9 > began_ns:
            return {}
        branch = ask_git(config.parent, "branch", "--show-current")
        basis = "inferred: HEAD when the run was logged"
        outside = (":/", f":(exclude,top){run.resolve().relative_to(Path(root).resolve())}")
        changed = ("status", "--porcelain", "--untracked-files=no", "--", *outside)
        basis += UNCOMMITTED if ask_git(config.parent, *changed) else ""
    return {COMMIT_TAG: commit, BASIS_TAG: basis, **({BRANCH_TAG: branch} if branch else {})}


def ask_git(folder: Path, *arguments: str) -> str:
    """What git says; nothing where there is no git, no repository, or no commit."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
