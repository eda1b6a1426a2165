"""The mapping stage: from a schema's prose and the cases to a mapping with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

from evalkit.core.dataset import Case, SchemaMapping
from evalkit.core.errors import InputError, ModelError, Problem
from evalkit.core.mapping.asking import Question, check_claims, mapping_question, read_answer
from evalkit.core.mapping.proposal import Proposal, propose_by_rules
from evalkit.core.mapping.revision import differences
from evalkit.core.mapping.schema_mapping import (
    apply_mapping,
    check_mapping,
    cover,
    entries,
    mapping_as_json,
    parse_mapping,
    same_mapping,
)
from evalkit.core.values import Json

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


def propose(
    schema: str,
    cases: Sequence[Case],
    arguments: str = "",
    judges: str = "",
    *,
    by: By = "rules",
    model: MappingModel | None = None,
    mask: Callable[[str], str] = str,
) -> Proposal:
    """A mapping for the cases, which has at least one input.

    Args:
        schema: The prose of ``dataset.schema``; may be empty.
        cases: All cases.
        arguments: The template of the skill's arguments, ``execution.arguments``.
        judges: Code and prompts of the judges, as evidence; may be empty.
        by: Who proposes.
        model: Who is asked where Claude proposes.
        mask: Takes secrets out of what is sent to the model.

    Raises:
        InputError: there are no cases, or nothing in them can be told to be an input.
        ModelError: the model did not answer usably, or there is none.
    """
    proposal = sketch(schema, cases, arguments, judges, by=by, model=model, mask=mask)
    require_input(proposal)
    return proposal


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
    """The same as :func:`propose`, for a person to complete: it may be without an input.

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
    if by == "claude":
        return _asked(schema, cases, arguments, by_rules, model, mask)
    return by_rules


def require_input(proposal: Proposal) -> None:
    """Make sure that something is an input.

    Raises:
        InputError: nothing is; says of what was left out why.
    """
    if not proposal.chosen("inputs"):
        raise InputError(*_no_input(proposal))


def _asked(
    schema: str,
    cases: Sequence[Case],
    arguments: str,
    by_rules: Proposal,
    model: MappingModel | None,
    mask: Callable[[str], str],
) -> Proposal:
    if model is None:
        raise ModelError("there is no model to ask; `--by rules` needs none")
    question = mapping_question(mask(schema), cases, arguments, by_rules)
    answer = model.answer(Question(question.system, mask(question.user), question.answer_schema))
    return check_claims(read_answer(answer), cases, by_rules)


def _no_input(proposal: Proposal) -> list[Problem]:
    undecided = proposal.chosen(None)
    left = [
        Problem(f"is no input: {choice.reason}", field=choice.key) for choice in undecided[:SHOWN]
    ]
    return [
        Problem(
            "nothing in the cases can be told to be what the skill receives",
            field="dataset.schema",
            fix="say there which fields or files the skill reads, or write the mapping by hand: "
            '{"inputs": {"question": "input.yaml:question"}, "expectations": {}}',
        ),
        *left,
    ]


def coverage(mapping: SchemaMapping, cases: Sequence[Case]) -> dict[str, list[int]]:
    """``{selector: [cases in which it is found, all cases]}`` of any mapping."""
    selectors = [selector for _, _, selector in entries(mapping)]
    return {selector: [*counts] for selector, counts in cover(selectors, cases).items()}


def report(proposal: Proposal, file: str) -> dict[str, Json]:
    """The stage's report: ``inputs``, ``expectations``, ``reasons``, ``coverage``, ``file``."""
    return {
        **mapping_as_json(proposal.mapping),
        "reasons": dict(proposal.reasons),
        "coverage": {selector: [*counts] for selector, counts in proposal.coverage.items()},
        "file": file,
    }


def preview(mapping: SchemaMapping, case: Case) -> dict[str, Json]:
    """What one case becomes: ``case``, ``inputs``, ``expectations``, and what is ``missing``."""
    record, unresolved = apply_mapping(mapping, case)
    return {
        "case": record.case_id,
        "inputs": dict(record.inputs),
        "expectations": dict(record.expectations),
        "missing": [str(each) for each in unresolved],
    }


def validate(mapping: SchemaMapping, cases: Sequence[Case], file: str) -> None:
    """Make sure that the mapping can feed records from these cases.

    Raises:
        InputError: a selector is found in no case, or a case is left without inputs.
    """
    if problems := check_mapping(mapping, cases, file):
        raise InputError(*problems)


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
        return not same_mapping(written, proposed) or written.evaluation != proposed.evaluation
    if written.evaluation not in {"", proposed.evaluation}:
        what = f"is the mapping of the eval {written.evaluation!r}, and is kept"
        raise InputError(Problem(what, file, fix="name another file, or replace it (--force)"))
    if same_mapping(written, proposed):
        return False
    raise InputError(*_differences(written, proposed, file))


def _differences(written: SchemaMapping, proposed: SchemaMapping, file: str) -> list[Problem]:
    return [
        Problem(
            "differs from what would be written, and is kept",
            file,
            fix="go on with it as it is, or replace it (--force)",
        ),
        *(
            Problem(
                f"the file says {each.before or 'nothing'}, proposed is {each.after or 'nothing'}",
                file,
                field=each.field,
            )
            for each in differences(written, proposed)
        ),
    ]
