"""A schema mapping in the making: the proposal, the file, and what a person decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from evalkit.context import Workspace
from evalkit.dataset.cases import Case, load_cases, read_case, read_texts
from evalkit.dataset.mapping import (
    Mapped,
    SchemaMapping,
    apply_mapping,
    check_mapped,
    mapping_text,
    parse_mapping,
)
from evalkit.dataset.mapping_file import propose_mapping, save_mapping
from evalkit.dataset.proposal import MappingProposal, Side, differences
from evalkit.errors import InputError, Problem
from evalkit.files import read_text
from evalkit.jsonable import Json

if TYPE_CHECKING:
    from evalkit.dataset.ask_model import By

Origin: TypeAlias = Literal["file", "proposal"]


@dataclass(frozen=True, slots=True)
class Standing:
    """The mapping file beside a mapping that would be saved into it.

    Attributes:
        kind: Whether there is a file, and whether it says the same.
        differences: The fields in which it differs.
        problems: Why it is no valid mapping.
    """

    kind: Literal["absent", "same", "differs", "invalid"]
    differences: tuple[tuple[str, str, str], ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class MappingDraft:
    """What a person needs to settle a mapping.

    Attributes:
        workspace: The opened project.
        cases: All cases.
        proposal: What the rules, or Claude, propose; maybe without an input.
        file: Where the mapping is saved.
    """

    workspace: Workspace
    cases: Sequence[Case]
    proposal: MappingProposal
    file: Path

    @property
    def schema(self) -> str:
        """The prose of ``dataset.schema``; may be empty."""
        return self.workspace.files.project.schema

    @cached_property
    def written(self) -> SchemaMapping | None:
        """What the file said when the draft was opened; None where there was none to be used."""
        try:
            return self.on_disk()
        except InputError:
            return None

    @property
    def case_ids(self) -> list[str]:
        """The cases, sorted."""
        return [case.case_id for case in self.cases]

    def case_at(self, place: int) -> tuple[str, str]:
        """A case by its place, counted from 0, the last one beyond the end: its id, and a title."""
        place = min(place, len(self.cases) - 1)
        case_id = self.cases[place].case_id
        return case_id, f"{case_id} ({place + 1} of {len(self.cases)})"

    def on_disk(self) -> SchemaMapping | None:
        """What the file says now; None where there is none.

        Raises:
            InputError: the file cannot be read, or is no valid mapping.
        """
        if not self.file.is_file():
            return None
        return parse_mapping(read_text(self.file), str(self.file))

    def begin(self, origin: Origin) -> MappingProposal:
        """What to start from: the mapping in the file where there is one, else the proposal."""
        if origin == "proposal" or self.written is None:
            return self.proposal
        return self.proposal.as_written(self.written, self.cases)

    def files(self, case_id: str) -> dict[str, str | None]:
        """The text of each file of a case; None for pictures and the very large.

        Raises:
            InputError: a file leads out of the dataset.
        """
        return read_texts(self.workspace.files.cases_dir, case_id)

    def record(self, mapping: SchemaMapping, case_id: str) -> Mapped:
        """What one case becomes, read from disk as the sync reads it, and what it lacks.

        Raises:
            InputError: a file of the case cannot be read.
        """
        folder = self.workspace.files.cases_dir
        return apply_mapping(mapping, read_case(folder, case_id, only=mapping.files))

    def mapped(self, mapping: SchemaMapping) -> list[Mapped]:
        """What every case becomes, and what it lacks."""
        return [apply_mapping(mapping, case) for case in self.cases]

    def exposed(self, mapping: SchemaMapping) -> list[str]:
        """The inputs by which the skill would see what is expected of it."""
        return self.proposal.exposed(mapping)

    def problems(self, mapping: SchemaMapping) -> Sequence[Problem]:
        """What would go wrong if the cases were synced with the mapping."""
        try:
            parse_mapping(mapping_text(mapping), str(self.file))
        except InputError as error:
            return error.problems
        return check_mapped(mapping, self.mapped(mapping), str(self.file))

    def standing(self, mapping: SchemaMapping) -> Standing:
        """What the file says now, beside what would be saved."""
        try:
            written = self.on_disk()
        except InputError as error:
            return Standing("invalid", problems=error.problems)
        if written is None:
            return Standing("absent")
        found = differences(written, mapping)
        return Standing("differs" if found else "same", tuple(found))

    def save(self, revised: MappingProposal, *, force: bool) -> dict[str, Json]:
        """Save the mapping, as :func:`save_mapping` does, and report on it.

        Args:
            revised: The proposal as it was decided.
            force: Overwrite a file that says something else.

        Raises:
            InputError: it has no input, or a file that differs is in the way.
        """
        return save_mapping(self.workspace, revised, self.file, force=force)


def open_draft(
    workspace: Workspace,
    *,
    out: str | Path | None = None,
    by: By = "rules",
    model: str | None = None,
) -> MappingDraft:
    """Read all cases and have a mapping proposed; nothing is written.

    Args:
        workspace: The opened project.
        out: Where the mapping is saved; the config's own file by default.
        by: As in :func:`evalkit.dataset.mapping_file.map_schema`.
        model: As in :func:`evalkit.dataset.mapping_file.map_schema`.

    Raises:
        InputError: there are no cases, or no key for Claude.
        ModelError: Claude could not be asked or gave nothing usable.
    """
    cases = tuple(load_cases(workspace.files.cases_dir))
    proposal = propose_mapping(workspace, cases, by=by, model=model)
    return MappingDraft(workspace, cases, proposal, Path(out or workspace.mapping_file))


def revise(start: MappingProposal, sides: Sequence[Side | None]) -> MappingProposal:
    """The proposal as a person changed it: one side for each of its choices, in their order."""
    return start.revised(sides)
