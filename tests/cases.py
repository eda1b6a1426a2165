"""Cases as tests write them down: file names with their content."""

from __future__ import annotations

from typing import Any

from evalkit.dataset.cases import Case

DOCUMENT_SUFFIXES = (".yaml", ".yml", ".json")


def case_of(case_id: str, files: dict[str, Any]) -> Case:
    """A case that holds these files; None is a file that is neither text nor a document."""
    documents = {name: v for name, v in files.items() if name.endswith(DOCUMENT_SUFFIXES)}
    texts = {name: v for name, v in files.items() if name not in documents and v is not None}
    return Case(case_id, tuple(sorted(files)), documents, texts)


def cases_of(*files: dict[str, Any]) -> list[Case]:
    """One case for each dictionary of files, called case-0, case-1 and so on."""
    return [case_of(f"case-{number}", each) for number, each in enumerate(files)]
