"""Reads and writes the cases of ``claude plugin eval``; knows nothing of results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from evalkit.documents import parse_yaml, scalar_text
from evalkit.files import files_below, read_document, read_text
from evalkit.imports.project_writer import FIXTURES
from evalkit.jsonable import Json, list_of, mapping_of
from evalkit.runs.log_file import MOST_BYTES

CASES = ("case.yaml", "case.yml", "prompt.md")
"""Files of which a case's folder holds one."""

ORIGIN = "plugin_eval"
"""The key in ``metadata.yaml`` under which stands what a case says besides."""

MOST_FILES = 50
"""What else lies in a case's folder is taken along up to that many files."""

_SETTINGS = ("max_turns", "timeout_seconds", "model", "allowed_tools")


def plugin_case(folder: Path) -> tuple[str, dict[str, Json]]:
    """A case in its own folder, by name: ``case.yaml``, ``prompt.md`` and ``graders/*.md``.

    Raises:
        InputError: one of them cannot be read.
    """
    listing = files_below(folder, folder)
    config = next((folder / name for name in CASES[:2] if name in listing), None)
    said = dict(mapping_of(read_document(config).value)) if config else {}
    execution = dict(mapping_of(said.pop("execution", None)))
    graders, prompt = list_of(said.pop("graders", None)), execution.pop("prompt", None)
    if CASES[2] in listing:
        head, body = _front_matter(folder / CASES[2])
        settings = {key: head.pop(key) for key in _SETTINGS if key in head}
        execution, said, prompt = {**settings, **execution}, {**head, **said}, prompt or body
    own = [name for name in listing if re.fullmatch(r"graders/[^/]+\.md", name)]
    for name in own:
        head, body = _front_matter(folder / name)
        key = "pattern" if head.get("type") == "regex" else "criteria"
        given = {key: body} if body and key not in head else {}
        graders.append({"name": PurePosixPath(name).stem, **head, **given})
    said.pop("schema_version", None)
    about = {"name": folder.name, **said}
    case = _case_files(prompt, graders, about.pop("expected_outcome", None), about, execution)
    for name in [each for each in listing if each not in {*CASES, *own}][:MOST_FILES]:
        if (folder / name).stat().st_size <= MOST_BYTES:
            case[f"{FIXTURES}{name}"] = folder / name
    return scalar_text(about["name"]), case


def stated_case(case: Mapping[str, Json]) -> dict[str, Json]:
    """A case as a result repeats it."""
    graders: list[Json] = [
        {
            **{key: each[key] for key in ("name", "type", "weight") if key in each},
            **mapping_of(each.get("config")),
            **({"criteria": each["graderMarkdown"]} if each.get("graderMarkdown") else {}),
        }
        for each in map(mapping_of, list_of(case.get("graders")))
    ]
    named = {"max_turns": "maxTurns", "timeout_seconds": "timeoutSeconds"}
    execution = {key: case[name] for key, name in named.items() if name in case}
    about = {"name": case.get("name"), "runs": case.get("runsPerCase")}
    return _case_files(case.get("promptMarkdown"), graders, None, about, execution)


def _case_files(
    prompt: Json,
    graders: list[Json],
    outcome: Json,
    about: Mapping[str, Json],
    execution: Mapping[str, Json],
) -> dict[str, Json]:
    settings = {**about, "execution": execution}
    return {
        "input.yaml": {"prompt": scalar_text(prompt).strip()},
        "annotations.yaml": {
            **({"expected_outcome": outcome} if outcome else {}),
            "graders": graders,
        },
        "metadata.yaml": {ORIGIN: {key: value for key, value in settings.items() if value}},
    }


def _front_matter(path: Path) -> tuple[dict[str, Json], str]:
    """The fields at the head of a Markdown file, and its text below them."""
    text = read_text(path)
    found = re.match(r"---[ \t]*\r?\n(.*?)(?:^|\n)---[ \t]*(?:\r?\n|$)(.*)", text, re.DOTALL)
    if not found:
        return {}, text.strip()
    return dict(mapping_of(parse_yaml(found[1], str(path)).value)), found[2].strip()
