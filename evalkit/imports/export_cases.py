"""Writes a project's cases as ``claude plugin eval`` or skill-creator read them, or as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import yaml

from evalkit.context import Workspace
from evalkit.dataset.cases import Case, load_cases
from evalkit.dataset.mapping import SchemaMapping, apply_mapping
from evalkit.dataset.mapping_file import find_mapping, propose_mapping, saved_mapping
from evalkit.documents import scalar_text
from evalkit.files import files_below
from evalkit.imports.plugin_evals import ORIGIN
from evalkit.imports.project_writer import FIXTURES, eval_files, without_empty, write_files
from evalkit.jsonable import Json, list_of, mapping_of

Layout: TypeAlias = Literal["harness", "plugin-eval", "evals-json"]

_OUTCOMES = ("expected_outcome", "expected_output")
_ABOUT = ("name", "description", "tags", "runs", "context", "plugins")
_LISTS = ("expectations", "assertions")


_Told: TypeAlias = tuple[str, dict[str, Json], Mapping[str, Json], Mapping[str, Json]]
"""What the agent is asked, what else it is given, what is expected, and what its format adds."""


def export_cases(workspace: Workspace, *, directory: str | Path, as_: Layout) -> dict[str, Json]:
    """Write the project's cases into a folder; what others left in it stays.

    Args:
        workspace: The opened project.
        directory: Where to.
        as_: ``plugin-eval``: a folder a case with ``case.yaml``; ``evals-json``: skill-creator's
            ``evals.json``; ``harness``: the case directories as they are, with an ``eval.yaml``.

    Returns:
        ``format``, ``files`` and ``cases`` (how many), ``directory``, ``skipped`` (files that are
        left as they are, and why), ``receipt`` and ``notes``.

    Raises:
        InputError: there are no cases, they cannot be read, or the folder cannot be written.
    """
    home, project = workspace.files.cases_dir, workspace.files.project
    cases, files, notes = list(load_cases(home)), dict[str, Json](), list[str]()
    if as_ == "harness":
        names = {each.case_id: each.listing for each in cases}
        own = {case: {n: (home / case / n).read_bytes() for n in names[case]} for case in names}
        config = {"name": project.name, "skill": project.skill}
        files = eval_files(config, project.schema, own)
    else:
        mapping = (
            saved_mapping(find_mapping(workspace)) or propose_mapping(workspace, cases).mapping
        )
        told = {case.case_id: _told(case, mapping) for case in cases}
        if as_ == "plugin-eval":
            for case_id, each in told.items():
                files |= _plugin_case(home.parent / FIXTURES / case_id, case_id, each)
                if not _graders(each[2]):
                    notes.append(f"{case_id} has no grader, and so will not be loaded")
        else:
            entries = [_entry(name, n, each) for n, (name, each) in enumerate(told.items(), 1)]
            files["evals.json"] = {"skill_name": project.skill or project.name, "evals": entries}
            graded = sum("graders" in expected for _, _, expected, _ in told.values())
            notes += [f"graders of {graded} cases became expectations in words"] if graded else []
    counts, left = write_files(Path(directory), files, {})
    return {
        "format": as_,
        "files": len(files),
        "cases": len(cases),
        "directory": str(directory),
        "skipped": left,
        "receipt": counts,
        "notes": notes,
    }


def _told(case: Case, mapping: SchemaMapping) -> _Told:
    given, expected, about = (
        mapping_of(case.documents.get(f"{name}.yaml"))
        for name in ("input", "annotations", "metadata")
    )
    own = next((mapping_of(about[key]) for key in (ORIGIN, "skill_creator") if key in about), None)
    if own is None or "prompt" not in given:
        record = apply_mapping(mapping, case).record
        given, expected = record.inputs, record.expectations
    if "prompt" in given:
        others = {key: value for key, value in given.items() if key != "prompt"}
        return scalar_text(given["prompt"]), others, expected, own or {}
    only = next(iter(given.values())) if len(given) == 1 else None
    text = only if isinstance(only, str) else yaml.safe_dump(dict(given), allow_unicode=True)
    return text, {}, expected, own or {}


def _graders(expected: Mapping[str, Json]) -> list[Json]:
    """The case's own graders; else a judge for each thing that is expected."""
    if own := list_of(expected.get("graders")):
        return own
    wanted = [text for key in _LISTS for text in map(_words, list_of(expected.get(key)))]
    others = {key: value for key, value in expected.items() if key not in _LISTS}
    wanted += [f"{key.replace('_', ' ')}: {_words(value)}" for key, value in others.items()]
    return [
        {"name": f"expectation-{number}", "type": "llm", "criteria": f"PASS if this holds: {text}"}
        for number, text in enumerate(filter(None, wanted), 1)
    ]


def _words(item: Json) -> str:
    """An expectation in words: its text, else what a grader checks, else all it says."""
    texts = (mapping_of(item).get(key) for key in ("text", "description", "criteria"))
    return next(filter(None, map(scalar_text, texts)), scalar_text(item)).strip()


def _plugin_case(fixtures: Path, case_id: str, told: _Told) -> dict[str, Json]:
    """The files of a case's folder."""
    prompt, _, expected, about = told
    outcome = next(filter(None, map(expected.get, _OUTCOMES)), None)
    case: dict[str, Json] = {
        "schema_version": "1.1",
        "name": case_id,
        **{key: about[key] for key in about if key in _ABOUT},
        **without_empty({"expected_outcome": outcome}),
        "execution": {"prompt": prompt, **mapping_of(about.get("execution"))},
        "graders": _graders(expected),
    }
    beside = files_below(fixtures, fixtures) if fixtures.is_dir() else []
    files: dict[str, Json] = {f"{case_id}/{name}": fixtures / name for name in beside}
    return {f"{case_id}/case.yaml": case, **files}


def _entry(case_id: str, number: int, told: _Told) -> dict[str, Json]:
    prompt, given, expected, about = told
    key = about.get("id", number)
    said = {} if "name" in about or case_id == f"eval-{key}" else {"name": case_id}
    wanted = {key: value for key, value in expected.items() if key != "graders"}
    if "expected_outcome" in wanted:
        wanted["expected_output"] = wanted.pop("expected_outcome")
    if graders := list_of(expected.get("graders")):
        wanted["expectations"] = [_words(each) for each in graders]
    return {**about, "id": key, **said, "prompt": prompt, **given, **wanted}
