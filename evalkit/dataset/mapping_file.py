"""``map``: propose a mapping, and the file that it is saved in; people's edits there are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from evalkit.context import MAPPING_FILE, Workspace
from evalkit.dataset.ask_model import By, ask_claude
from evalkit.dataset.cases import Case, load_cases
from evalkit.dataset.infer import propose_by_rules
from evalkit.dataset.mapping import (
    Mapped,
    SchemaMapping,
    apply_mapping,
    check_mapped,
    mapping_text,
    parse_mapping,
)
from evalkit.dataset.proposal import MappingProposal, differences
from evalkit.errors import InputError, Problem
from evalkit.files import read_text, write_text
from evalkit.jsonable import Json

LISTED = 20  # undecided fields that an error message lists


def map_schema(
    workspace: Workspace,
    *,
    out: str | Path | None = None,
    by: By = "rules",
    model: str | None = None,
    force: bool = False,
) -> dict[str, Json]:
    """Propose which file and field of a case feeds which input or expectation, and save it.

    A file that says the same is left as it is; one that differs is kept unless ``force``.

    Args:
        workspace: The opened project.
        out: Where to save it; :attr:`Workspace.mapping_file` by default.
        by: ``rules`` read the schema's lines and the cases; ``claude`` asks the model, whose
            answer is checked against the files just the same.
        model: The Claude model; ``MODEL`` in the environment or ``.env``, or the newest, by
            default.
        force: Overwrite a file that says something else.

    Returns:
        ``inputs`` and ``expectations`` (name to selector), ``reasons``, ``coverage`` (selector to
        [cases in which it resolves, cases]), ``file``, and ``notes`` of links not followed.

    Raises:
        InputError: there are no cases, no key for Claude, or a file that differs is in the way.
        ModelError: Claude could not be asked or gave nothing usable.
    """
    cases = list(load_cases(workspace.files.cases_dir))
    proposal = propose_mapping(workspace, cases, by=by, model=model)
    report = save_mapping(workspace, proposal, Path(out or workspace.mapping_file), force=force)
    notes = [*workspace.files.notes, *(note for case in cases for note in case.notes)]
    return report | {"notes": notes}


def propose_mapping(
    workspace: Workspace, cases: Sequence[Case], *, by: By = "rules", model: str | None = None
) -> MappingProposal:
    """A proposal for a person to complete: it may be without an input."""
    project = workspace.files.project
    judges = "\n".join(judge.source for judge in project.judges)
    by_rules = propose_by_rules(project.schema, cases, project.arguments, judges)
    if by == "rules":
        return by_rules
    return ask_claude(project.schema, cases, project.arguments, by_rules, os.environ, model)


def save_mapping(
    workspace: Workspace, proposal: MappingProposal, path: Path, *, force: bool = False
) -> dict[str, Json]:
    """Save a proposal's mapping, unless a file that differs is in the way; report on it."""
    if not proposal.chosen("inputs"):
        what = "nothing in the cases can be told to be what the skill receives"
        fix = (
            "say there which fields or files the skill reads, or write the mapping by hand: "
            '{"inputs": {"question": "input.yaml:question"}, "expectations": {}}'
        )
        undecided = [
            Problem(f"is no input: {choice.reason}", field=choice.key)
            for choice in proposal.chosen(None)[:LISTED]
        ]
        raise InputError(Problem(what, field="dataset.schema", fix=fix), *undecided)
    proposed = replace(proposal.mapping, evaluation=workspace.files.project.name)
    differs = _differs(path, proposed)
    if differs and not force:
        fix = "go on with it as it is, or replace it (--force)"
        what = "differs from what would be written, and is kept"
        raise InputError(Problem(what, str(path), fix=fix), *differs)
    written = None if differs else saved_mapping(path)
    if written is None or (force and written.evaluation != proposed.evaluation):
        write_text(path, mapping_text(proposed))
    return {
        **proposal.mapping.as_json(),
        "reasons": {choice.key: choice.reason for choice in proposal.choices},
        "coverage": {c.key: [*c.coverage] for c in proposal.choices if c.side and c.selector},
        "file": str(path),
    }


def _differs(path: Path, proposed: SchemaMapping) -> list[Problem]:
    """In what a file that is there says something else, or cannot be read."""
    file = str(path)
    try:
        written = saved_mapping(path) or proposed
    except InputError as error:
        return [*error.problems]
    whose = Problem(f"is the mapping of the eval {written.evaluation!r}", file)
    fields = differences(written, proposed)
    return [whose] * (written.evaluation not in {"", proposed.evaluation}) + [
        Problem(f"says {was or 'nothing'}, proposed is {now or 'nothing'}", file, field=field)
        for field, was, now in fields
    ]


def saved_mapping(path: Path) -> SchemaMapping | None:
    """What a mapping file says; None where there is none."""
    return parse_mapping(read_text(path), str(path)) if path.is_file() else None


def problems_of(mapping: SchemaMapping, mapped: Sequence[Mapped], file: str) -> Sequence[Problem]:
    """What would go wrong if the cases, as they were mapped, were synced with the mapping."""
    try:
        parse_mapping(mapping_text(mapping), file)
    except InputError as error:
        return error.problems
    return check_mapped(mapping, mapped, file)


def find_mapping(workspace: Workspace) -> Path:
    """The mapping file that belongs to the config, be it there or not.

    It is :attr:`Workspace.mapping_file`, else an older file that does not say whose it is, if
    everything in it fits the cases.
    """
    own, older = workspace.mapping_file, Path(MAPPING_FILE)
    if own.is_file() or not older.is_file():
        return own
    try:
        mapping = parse_mapping(read_text(older), str(older))
    except InputError:
        return own
    if mapping.evaluation:
        return older if mapping.evaluation == workspace.files.project.name else own
    cases = load_cases(workspace.files.cases_dir, only=mapping.files)
    mapped = [apply_mapping(mapping, case) for case in cases]
    return own if check_mapped(mapping, mapped, str(older)) else older


def chosen_mapping(
    workspace: Workspace, named: str | Path | None, say: Callable[[str], None]
) -> tuple[Path, SchemaMapping]:
    """The mapping to go by, and its file; one of another eval is only taken where it is named."""
    path = Path(named) if named else find_mapping(workspace)
    mapping, own = saved_mapping(path), workspace.files.project.name
    if mapping is None:
        fix = "write it with `evalkit map`"
        raise InputError(Problem("there is no mapping yet", str(path), fix=fix))
    if mapping.evaluation not in {"", own}:
        what = f"is the mapping of the eval {mapping.evaluation!r}, not of {own!r}"
        if not named:
            fix = "write this one's with `evalkit map --force`, or name the file with --mapping"
            raise InputError(Problem(what, str(path), fix=fix))
        say(f"{path} {what}")
    elif not named and path != workspace.mapping_file:
        say(f"{path} does not say whose mapping it is; it fits all cases and is taken")
    return path, mapping
