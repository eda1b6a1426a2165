"""The mapping stage: from a schema's prose and the cases to a mapping with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, Protocol, TypeAlias

from evalkit.core.dataset import Case, SchemaMapping
from evalkit.core.mapping.ask_model import Question, mapping_question, read_answer
from evalkit.core.mapping.infer import propose_by_rules
from evalkit.core.mapping.mapping import mapping_as_json, parse_mapping
from evalkit.core.mapping.proposal import Proposal, differences
from evalkit.errors import InputError, ModelError, Problem
from evalkit.jsonable import Json

By: TypeAlias = Literal["rules", "claude"]

SHOWN = 20
"""Undecided fields that an error message lists."""


class MappingModel(Protocol):
    """A model that answers questions in a strict form; Claude, or a scripted one."""

    def answer(self, question: Question) -> str:
        """The answer as JSON text.

        Raises:
            ModelError: the model cannot be reached, or did not answer usably.
        """


def sketch(
    schema: str,
    cases: Sequence[Case],
    arguments: str = "",
    judges: str = "",
    *,
    by: By = "rules",
    model: MappingModel | None = None,
    mask: Callable[[str], str] = str,
) -> Proposal:
    """A mapping for the cases, for a person to complete: it may be without an input.

    Args:
        schema: The prose of ``dataset.schema``; may be empty.
        cases: All cases.
        arguments: The template of the skill's arguments, ``execution.arguments``.
        judges: Code and prompts of the judges, as evidence; may be empty.
        by: Who proposes.
        model: Who is asked where Claude proposes.
        mask: Takes secrets out of what is sent to the model.

    Raises:
        InputError: there are no cases.
        ModelError: the model did not answer usably, or there is none.
    """
    if not cases:
        raise InputError(
            Problem(
                "there are no cases to map",
                field="dataset.path",
                fix="add a folder for each case, or correct the path",
            )
        )
    by_rules = propose_by_rules(schema, cases, arguments, judges)
    if by == "rules":
        return by_rules
    if model is None:
        raise ModelError("there is no model to ask; `--by rules` needs none")
    question = mapping_question(mask(schema), cases, arguments, by_rules)
    question = replace(question, user=mask(question.user))
    return read_answer(model.answer(question), cases, by_rules)


def require_input(proposal: Proposal) -> None:
    """Make sure that something is an input.

    Raises:
        InputError: nothing is; says of what was left out why.
    """
    if proposal.chosen("inputs"):
        return
    raise InputError(
        Problem(
            "nothing in the cases can be told to be what the skill receives",
            field="dataset.schema",
            fix="say there which fields or files the skill reads, or write the mapping by hand: "
            '{"inputs": {"question": "input.yaml:question"}, "expectations": {}}',
        ),
        *(
            Problem(f"is no input: {choice.reason}", field=choice.key)
            for choice in proposal.chosen(None)[:SHOWN]
        ),
    )


def report(proposal: Proposal, file: str) -> dict[str, Json]:
    """The stage's report: ``inputs``, ``expectations``, ``reasons``, ``coverage``, ``file``."""
    return {
        **mapping_as_json(proposal.mapping),
        "reasons": dict(proposal.reasons),
        "coverage": {selector: [*counts] for selector, counts in proposal.coverage.items()},
        "file": file,
    }


def must_write(
    existing: str | None, proposed: SchemaMapping, file: str, *, force: bool = False
) -> bool:
    """Whether the proposed mapping has to be written to its file.

    A file that says the same, in whatever order and layout, is left as it is.

    Args:
        existing: The text that the file holds now; None where there is no file.
        proposed: The mapping to write.
        file: The file's name, for messages.
        force: Whether a file that differs may be overwritten.

    Raises:
        InputError: the file differs, or cannot be read, and ``force`` is not given.
    """
    if existing is None:
        return True
    try:
        written = parse_mapping(existing, file)
    except InputError as error:
        if force:
            return True
        raise InputError(
            *error.problems,
            Problem(
                "is kept, though it is no valid mapping",
                file,
                fix="correct it, or replace it (--force)",
            ),
        ) from error
    if force:
        return written != proposed or written.evaluation != proposed.evaluation
    if written.evaluation not in {"", proposed.evaluation}:
        what = f"is the mapping of the eval {written.evaluation!r}, and is kept"
        raise InputError(Problem(what, file, fix="name another file, or replace it (--force)"))
    if written == proposed:
        return False
    fix = "go on with it as it is, or replace it (--force)"
    raise InputError(
        Problem("differs from what would be written, and is kept", file, fix=fix),
        *(
            Problem(
                f"the file says {each.before or 'nothing'}, proposed is {each.after or 'nothing'}",
                file,
                field=each.field,
            )
            for each in differences(written, proposed)
        ),
    )
