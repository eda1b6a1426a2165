"""Cases as they lie on disk, the mapping that reads them, and the records they become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evalkit.core.values import Json

WHOLE_FILE = "__file__"


@dataclass(frozen=True, slots=True)
class Case:
    """One case directory.

    Attributes:
        case_id: The directory's name.
        listing: All files in it, as sorted POSIX paths relative to the directory.
        documents: Parsed content (JSON values) of its YAML and JSON files, by relative path.
        texts: Content of its other text files, by relative path.
    """

    case_id: str
    listing: tuple[str, ...]
    documents: Mapping[str, Json] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Selector:
    """Which file, and which field in it, feeds a record: ``file:dotted.path`` or ``file:__file__``.

    Attributes:
        file: POSIX path relative to the case directory.
        path: Dotted path into the file's document, or ``__file__`` for the file's whole text.
    """

    file: str
    path: str

    def __str__(self) -> str:
        return f"{self.file}:{self.path}"


@dataclass(frozen=True, slots=True)
class SchemaMapping:
    """Which selector feeds which input or expectation of a dataset record.

    Attributes:
        inputs: Name of an input to its selector.
        expectations: Name of an expectation to its selector.
    """

    inputs: Mapping[str, Selector]
    expectations: Mapping[str, Selector]


@dataclass(frozen=True, slots=True)
class Record:
    """What one case becomes in the MLflow dataset.

    Attributes:
        case_id: The case it was made from.
        inputs: What the skill receives.
        expectations: What it should produce.
    """

    case_id: str
    inputs: Mapping[str, Json]
    expectations: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A dataset record as MLflow returns it.

    Attributes:
        record_id: MLflow's id of the row.
        inputs: Its inputs; MLflow keys rows by them.
        expectations: Its expectations; empty where MLflow has none.
        tags: Its tags; ``evalkit.case`` holds the case id on rows that evalkit made.
    """

    record_id: str
    inputs: Mapping[str, Json]
    expectations: Mapping[str, Json]
    tags: Mapping[str, str]
