"""What may lie in a run besides: the harness's report, its analysis, where the code comes from."""

from __future__ import annotations

from pathlib import Path

from evalkit.adapters.files.reading import DOCUMENT_SUFFIXES, inside, read_document, read_text
from evalkit.core.document import as_text, masked_document
from evalkit.core.masking import mask_text
from evalkit.errors import InputError
from evalkit.jsonable import kind_of

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
    found = {tag: as_text(said.get(name)).strip() for tag, name in SNAPSHOT_TAGS.items()}
    others = ", ".join(sorted(said.keys() - SNAPSHOT_TAGS.values()))
    notes = [f"{SNAPSHOT} holds what only this artifact keeps: {others}"] if others else []
    return {tag: mask_text(text)[0] for tag, text in found.items() if text}, notes
