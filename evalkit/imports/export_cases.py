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
from evalkit.imports import plugin_evals, skill_evals
from evalkit.imports.project_writer import eval_files, without_empty, write_files
from evalkit.jsonable import Json, list_of, mapping_of

Layout: TypeAlias = Literal["harness", "plugin-eval", "evals-json"]

_ABOUT = ("name", "description", "tags", "runs", "context", "plugins")
_LISTS = ("expectations", "assertions")


_Told: TypeAlias = tuple[str, Mapping[str, Json], Mapping[str, Json]]
"""What the agent is asked, what is expected, and what its format adds."""


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
        own = {c.case_id: {n: home / c.case_id / n for n in c.listing} for c in cases}
        config = {"name": project.name, "skill": project.skill}
        files = eval_files(config, project.schema, own)
    else:
        saved = saved_mapping(find_mapping(workspace))
        mapping = saved or propose_mapping(workspace, cases).mapping
        told = {case.case_id: _told(case, mapping) for case in cases}
        if as_ == "plugin-eval":
            files = {f"{name}/case.yaml": _plugin_case(name, each) for name, each in told.items()}
            bare = [name.partition("/")[0] for name, case in files.items() if not case["graders"]]
            notes += [f"{name} has no grader, and so will not be loaded" for name in bare]
        else:
            entries = [_entry(name, n, each) for n, (name, each) in enumerate(told.items(), 1)]
            files["evals.json"] = {"skill_name": project.skill or project.name, "evals": entries}
            graded = sum("graders" in expected for _, expected, _ in told.values())
            notes += [f"graders of {graded} cases became expectations in words"] if graded else []
    receipt, left = write_files(Path(directory), files)
    return {
        "format": as_,
        "files": len(files),
        "cases": len(cases),
        "directory": str(directory),
        "skipped": left,
        "receipt": receipt,
        "notes": notes,
    }


def _told(case: Case, mapping: SchemaMapping) -> _Told:
    files = ("input.yaml", "annotations.yaml", "metadata.yaml")
    given, expected, others = (mapping_of(case.documents.get(name)) for name in files)
    about = mapping_of(others.get(plugin_evals.ORIGIN) or others.get(skill_evals.ORIGIN))
    if not about or "prompt" not in given:
        record = apply_mapping(mapping, case).record
        given, expected = record.inputs, record.expectations
    if "prompt" in given:
        return scalar_text(given["prompt"]), expected, {**about, **given}
    only = next(iter(given.values())) if len(given) == 1 else None
    text = only if isinstance(only, str) else yaml.safe_dump(dict(given), allow_unicode=True)
    return text, expected, about


def _words(item: Json) -> str:
    """An expectation in words: its text, else what a grader checks, else all it says."""
    texts = (mapping_of(item).get(key) for key in ("text", "description", "criteria"))
    return next(filter(None, map(scalar_text, texts)), scalar_text(item)).strip()


def _plugin_case(case_id: str, told: _Told) -> dict[str, Json]:
    """A case with its own graders; else a judge for each thing that is expected."""
    prompt, expected, about = told
    wanted = [text for key in _LISTS for text in map(_words, list_of(expected.get(key)))]
    others = {key: value for key, value in expected.items() if key not in _LISTS}
    wanted += [f"{key.replace('_', ' ')}: {_words(value)}" for key, value in others.items()]
    judges: list[Json] = [
        {"name": f"expectation-{number}", "type": "llm", "criteria": f"PASS if this holds: {text}"}
        for number, text in enumerate(filter(None, wanted), 1)
    ]
    outcome = expected.get("expected_outcome") or expected.get("expected_output")
    return {
        "schema_version": "1.1",
        "name": case_id,
        **{key: value for key, value in about.items() if key in _ABOUT},
        **without_empty({"expected_outcome": outcome}),
        "execution": {"prompt": prompt, **mapping_of(about.get("execution"))},
        "graders": list_of(expected.get("graders")) or judges,
    }


def _entry(case_id: str, number: int, told: _Told) -> dict[str, Json]:
    prompt, expected, about = told
    wanted, key = dict(expected), about.get("id", number)
    if "expected_outcome" in wanted:
        wanted["expected_output"] = wanted.pop("expected_outcome")
    if graders := list_of(wanted.pop("graders", None)):
        wanted["expectations"] = [_words(each) for each in graders]
    name = {} if case_id == f"eval-{key}" else {"name": case_id}
    return {"id": key, **name, **about, "prompt": prompt, **wanted}
