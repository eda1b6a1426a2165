"""``map``: which file and field of a case feeds which input or expectation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.adapters.files.project import read_cases
from evalkit.adapters.files.reading import read_text, write_text
from evalkit.context import Workspace
from evalkit.core.dataset import Case
from evalkit.core.mapping.mapping import (
    check_mapping,
    files_named,
    mapping_text,
    parse_mapping,
)
from evalkit.core.masking import mask_text
from evalkit.errors import InputError, ModelError
from evalkit.jsonable import Json
from evalkit.stages.speaking import MAPPING_FILE, Report

if TYPE_CHECKING:
    from evalkit.agent.model_client import ClaudeSettings
    from evalkit.core.mapping.ask_model import Question
    from evalkit.core.mapping.proposal import Proposal
    from evalkit.flows.mapping import By

ANSWER_TOKENS = 8_000
"""Of Claude's answer; a mapping of some hundred lines fits."""


def map_schema(
    workspace: Workspace,
    *,
    out: str | Path | None = None,
    by: By = "rules",
    model: str | None = None,
    force: bool = False,
) -> Report:
    """Propose which file and field of a case feeds which input or expectation, and save it.

    A file that says the same is left as it is; one that differs is kept unless ``force``.

    Args:
        workspace: The opened project.
        out: Where to save it; :attr:`Workspace.mapping_file` by default.
        by: ``rules`` read the schema's prose and the cases; ``claude`` asks the model, whose
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
    cases = list(read_cases(workspace.files.cases_dir))
    proposal = sketch_mapping(workspace, cases, by=by, model=model)
    report = save_mapping(workspace, proposal, Path(out or workspace.mapping_file), force=force)
    notes = [*workspace.files.notes, *(note for case in cases for note in case.notes)]
    return report | {"notes": notes}


def save_mapping(
    workspace: Workspace, proposal: Proposal, path: Path, *, force: bool = False
) -> Report:
    """Save a proposal's mapping and report on it, as :func:`map_schema` does.

    Raises:
        InputError: it has no input, or a file that differs is in the way.
    """
    from evalkit.flows import mapping

    mapping.require_input(proposal)
    existing = read_text(path) if path.is_file() else None
    proposed = replace(proposal.mapping, evaluation=workspace.files.project.name)
    if mapping.must_write(existing, proposed, str(path), force=force):
        write_text(path, mapping_text(proposed))
    return mapping.report(proposal, str(path))


def find_mapping(workspace: Workspace) -> Path:
    """The mapping file that belongs to the config, be it there or not.

    It is :attr:`Workspace.mapping_file`, else an older file that does not say whose it is, if
    everything in it fits the cases.

    Raises:
        InputError: the cases cannot be read.
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
    cases = list(read_cases(workspace.files.cases_dir, only=files_named(mapping)))
    return own if check_mapping(mapping, cases, str(older)) else older


def sketch_mapping(
    workspace: Workspace, cases: Sequence[Case], *, by: By = "rules", model: str | None = None
) -> Proposal:
    """A proposal for a person to complete: it may be without an input.

    Raises:
        InputError: there are no cases, or no key for Claude.
        ModelError: Claude could not be asked or gave nothing usable.
    """
    from evalkit.flows import mapping

    project = workspace.files.project
    asked = None
    if by == "claude":
        from evalkit.adapters.files.env_file import ENV_FILE, read_env_file
        from evalkit.agent.model_client import settings_from_env

        dotenv = read_env_file(Path(ENV_FILE))
        asked = ClaudeMapper(settings_from_env(os.environ, dotenv=dotenv, model=model))
    return mapping.sketch(
        project.schema,
        cases,
        project.arguments,
        "\n".join(judge.source for judge in project.judges),
        by=by,
        model=asked,
        mask=lambda text: mask_text(text)[0],
    )


class ClaudeMapper:
    """Answers mapping questions by asking Claude once each, in a strict form where it knows one.

    Args:
        settings: How Claude is reached.
        sleep: Waits between attempts, in seconds.
    """

    def __init__(
        self, settings: ClaudeSettings, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._settings, self._sleep = settings, sleep

    def answer(self, question: Question) -> str:
        """Claude's answer as JSON text.

        Raises:
            ModelError: Claude cannot be reached, refuses, or is cut off.
        """
        from evalkit.agent.claude import Claude

        form: dict[str, Json] = {"type": "json_schema", "schema": dict(question.answer_schema)}
        advice = "or use `--by rules`, which needs no model"
        extras: dict[str, Json] = {"output_config": {"format": form}}
        model = Claude(self._settings, extras=extras, sleep=self._sleep, advice=advice)
        asked: dict[str, Json] = {"role": "user", "content": question.user}
        reply = model.create(
            system=question.system, messages=[asked], tools=(), max_tokens=ANSWER_TOKENS
        )
        if reply.stop_reason == "refusal":
            why = f" ({reply.explanation})" if reply.explanation else ""
            problem = f"Claude refused to answer{why}; change the schema or the sample case"
        elif reply.stop_reason == "max_tokens":
            problem = f"Claude's answer was cut off at {ANSWER_TOKENS} tokens; map fields by hand"
        elif reply.stop_reason == "model_context_window_exceeded":
            problem = "the question is too long for the model; choose another with MODEL"
        elif not reply.text:
            problem = f"Claude's answer is empty (it stopped by {reply.stop_reason}); repeat it"
        else:
            return reply.text
        raise ModelError(f"{problem}, {advice}")
