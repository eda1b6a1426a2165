"""Cases as they lie on disk, the mapping that reads them, and the records they become."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json, derive_id

WHOLE_FILE = "__file__"
_PARTS = 3  # catalog.schema.table


@dataclass(frozen=True, slots=True)
class Case:
    """One case directory.

    Attributes:
        case_id: The directory's name.
        listing: All files in it, as sorted POSIX paths relative to the directory.
        documents: Parsed content (JSON values) of its YAML and JSON files, by relative path.
        texts: Content of its other text files, by relative path.
        skipped: Links that were not followed, by relative path, and why.
    """

    case_id: str
    listing: tuple[str, ...]
    documents: Mapping[str, Json] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What is to be said of the links that were not followed."""
        return [
            f"{self.case_id}/{name} is not read: it {why}" for name, why in self.skipped.items()
        ]


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
        evaluation: The name of the eval that it is of; empty where its file does not say.
    """

    inputs: Mapping[str, Selector]
    expectations: Mapping[str, Selector]
    evaluation: str = field(default="", compare=False)


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


def table_name(named: str | None, evaluation: str, folder: str) -> str:
    """The table of Unity Catalog that holds an evaluation's cases: ``catalog.schema.table``.

    Args:
        named: The name that was asked for; None for the one that follows from the rest.
        evaluation: The evaluation's name, which is then the table's, in lower case and with
            underscores for hyphens, dots and spaces; where more has to go, a hash of it is added.
        folder: The project's absolute POSIX path; on a volume, the table lies beside the volume.

    Raises:
        InputError: the name that was asked for is not of three parts, or none was asked for and
            the project is on no volume.
    """
    if named is not None:
        if len(parts := named.split(".")) == _PARTS and all(map(_is_identifier, parts)):
            return named
        raise _no_table(f"{named!r} is no table of Unity Catalog, which a workspace's dataset is")
    found = re.match(r"/Volumes/([^/]+)/([^/]+)/[^/]+", folder)
    if found is None:
        raise _no_table("a workspace's dataset is a table of Unity Catalog, and none is named")
    table = re.sub(r"[-. ]", "_", evaluation.lower())
    if not re.fullmatch(r"\w{1,80}", table, re.ASCII):
        kept = re.sub(r"[\W_]+", "_", table, flags=re.ASCII).strip("_")[:60]
        table = f"{kept or 'cases'}_{derive_id(evaluation, length=8)}"
    return f"{found[1]}.{found[2]}.{table}"


def _is_identifier(name: str) -> bool:
    return re.fullmatch(r"[^\s./`'\";\x00-\x1f\x7f]{1,255}", name) is not None


def _no_table(message: str) -> InputError:
    return InputError(
        Problem(message, field="--dataset-name", fix="give it as CATALOG.SCHEMA.TABLE")
    )
