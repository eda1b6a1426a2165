"""What the cases really hold: files, and the fields of their documents, each with its frequency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evalkit.core.dataset import Case
from evalkit.core.values import Json

MAX_DEPTH = 6
"""Nested deeper than this is content, not structure."""

MAX_KEYS = 200
"""Of an object with more keys than this over all cases, only the most frequent are looked at."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The values that one place holds over all cases, merged.

    Attributes:
        count: How many cases have the place.
        nulls: How many of them hold null there.
        objects: How many hold an object.
        texts: How many hold text.
        keys: The keys of these objects, in the order of their first appearance.
        rest: Further keys, of which only the names are kept.
        items: The items of lists found there; None where there are no lists.
    """

    count: int
    nulls: int
    objects: int
    texts: int
    keys: Mapping[str, Shape] = field(default_factory=dict)
    rest: frozenset[str] = frozenset()
    items: Shape | None = None

    @property
    def is_object(self) -> bool:
        """Whether it is always an object with nameable keys, where it is not null."""
        return bool(self.keys) and self.objects == self.count - self.nulls

    def names_inside(self) -> Iterator[str]:
        """All keys below, however deep."""
        yield from self.rest
        for name, shape in self.keys.items():
            yield name
            yield from shape.names_inside()
        if self.items:
            yield from self.items.names_inside()


def shape_of(values: Sequence[Json], depth: int = MAX_DEPTH) -> Shape:
    """Merge the values of one place into its shape."""
    objects = [value for value in values if isinstance(value, dict)]
    lists = [value for value in values if isinstance(value, list)]
    by_key: dict[str, list[Json]] = {}
    for each in objects if depth else ():
        for key, value in each.items():
            by_key.setdefault(key, []).append(value)
    rest = frozenset(sorted(by_key, key=lambda key: -len(by_key[key]))[MAX_KEYS:])
    return Shape(
        count=len(values),
        nulls=sum(value is None for value in values),
        objects=len(objects),
        texts=sum(isinstance(value, str) for value in values),
        keys={k: shape_of(found, depth - 1) for k, found in by_key.items() if k not in rest},
        rest=rest,
        items=shape_of([i for each in lists for i in each], depth - 1) if lists and depth else None,
    )


@dataclass(frozen=True, slots=True)
class Survey:
    """All that the cases hold, merged.

    Attributes:
        total: How many cases there are.
        files: Every file of any case to the number of cases that have it.
        documents: The shape of each YAML and JSON file.
        texts: Text files to the number of cases that have them.
    """

    total: int
    files: Mapping[str, int]
    documents: Mapping[str, Shape]
    texts: Mapping[str, int]

    @property
    def field_names(self) -> frozenset[str]:
        """Every key of any document, however deep, without those inside lists."""
        return frozenset(name for shape in self.documents.values() for name in _keys(shape))


def _keys(shape: Shape) -> Iterator[str]:
    for name, below in shape.keys.items():
        yield name
        yield from _keys(below)


def survey(cases: Sequence[Case]) -> Survey:
    """Look through all cases once."""
    files: dict[str, int] = {}
    texts: dict[str, int] = {}
    documents: dict[str, list[Json]] = {}
    for case in cases:
        for file in case.listing:
            files[file] = files.get(file, 0) + 1
        for file, document in case.documents.items():
            documents.setdefault(file, []).append(document)
        for file in case.texts:
            if file not in case.documents:
                texts[file] = texts.get(file, 0) + 1
    return Survey(
        total=len(cases),
        files=files,
        documents={file: shape_of(values) for file, values in documents.items()},
        texts=texts,
    )
