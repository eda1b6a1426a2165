"""What may lie in a run besides: the harness's report, its analysis, where the code comes from."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import yaml

from evalkit.documents import Document, parse_json, parse_yaml, scalar_text
from evalkit.errors import InputError
from evalkit.files import DOCUMENT_SUFFIXES, inside, read_document, read_text
from evalkit.jsonable import Json, kind_of
from evalkit.masking import mask_json, mask_text

GIT_SECONDS = 10
"""How long git may take to answer."""

SNAPSHOT = "harness-snapshot.json"
"""What the harness may know of where the evaluated code comes from."""

SNAPSHOT_TAGS = {
    **{name: name for name in ("agent", "role", "slug", "model", "forge_platform", "trace_id")},
    **{name: name for name in ("repository_url", "ref_revision", "ref_name", "change_id")},
    **{name: name for name in ("pipeline_run_id", "pipeline_run_url", "harness_content_sha")},
    "commit_sha": "ref_revision",
    "harness_fingerprint": "harness_content_sha",
}
"""The harness's own tags of a run, and the snapshot's field that each takes."""

COMPANIONS = {
    SNAPSHOT: SNAPSHOT,
    "report.html": "report.html",
    "analysis.md": "analysis.md",
    "inputs/batch.yaml": "batch.yaml",
    "inputs/case_order.yaml": "case_order.yaml",
}
"""What may lie in a run besides, by the artifact that it becomes."""


def companions(folder: Path) -> tuple[dict[str, str], list[str]]:
    """The text of what lies in the run besides, and why some of it is left out."""
    found: dict[str, str] = {}
    unread: list[str] = []
    for artifact, name in COMPANIONS.items():
        path = folder / name
        try:
            if path.is_file():
                text = read_text(inside(path, folder))
                known = read_document(path) if path.suffix in DOCUMENT_SUFFIXES else None
                found[artifact] = masked_document(text, known) if known else mask_text(text)[0]
        except InputError as error:
            unread.append(f"{name} becomes no artifact: {error}")
    return found, unread


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


def masked_document(text: str, document: Document) -> str:
    """The text of a YAML or JSON file without secrets.

    Comments and layout stay where they can. A secret that the layout takes apart, such as a key
    folded over several lines, is only seen in the value; then the values are written anew.

    Args:
        text: The file's content.
        document: The same, parsed.
    """
    masked = mask_text(text)[0]
    if mask_json(document.value) == document.value:
        return masked
    is_json = document.file.endswith(".json")
    try:
        rest = (parse_json if is_json else parse_yaml)(masked, document.file).value
    except InputError:  # the masks do not fit into the layout
        rest = document.value
    if mask_json(rest) == rest:
        return masked
    return (_as_json if is_json else _as_yaml)(mask_json(document.value))


def _as_json(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _as_yaml(value: Json) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


class Head(NamedTuple):
    """A commit.

    Attributes:
        commit: Its hash.
        time_s: When it was made, seconds since the epoch.
    """

    commit: str
    time_s: int


def head_of(folder: Path, *, holds: Path) -> Head | None:
    """HEAD of the repository that a folder lies in; None where that does not hold the other."""
    root = _git(folder, "rev-parse", "--show-toplevel")
    if not root or not holds.resolve().is_relative_to(Path(root).resolve()):
        return None
    time_s, _, commit = _git(folder, "rev-list", "--timestamp", "-1", "HEAD").partition(" ")
    return Head(commit, int(time_s)) if commit else None


def _git(folder: Path, *arguments: str) -> str:
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
