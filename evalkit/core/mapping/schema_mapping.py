"""The schema mapping as text and as a function from cases to dataset records.

A field that is written but null counts as found, since the selector is right; it gives a record
no value, since "expects null" and "expects nothing" are not told apart in practice. A record
therefore holds only what a case really says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from evalkit.core.dataset import WHOLE_FILE, Case, Record, SchemaMapping, Selector
from evalkit.core.document import as_text, parse_json
from evalkit.core.errors import InputError, Problem
from evalkit.core.mapping.selecting import Found, Missing, is_pattern, parse_selector, resolve
from evalkit.core.values import Json

SIDES = ("inputs", "expectations")

EVALUATION_KEY = "_eval"
"""Says in the file which eval it is of; one written by hand need not."""

SIMULATION_KEY = "goal"
"""MLflow takes a record with this input for a simulated conversation."""

SIMULATION_INPUTS = frozenset({"goal", "persona", "context", "simulation_guidelines"})
"""The only inputs that MLflow allows beside :data:`SIMULATION_KEY`."""

_REWRITE = "correct it, or write the file anew with `evalkit map --force`"


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A selector of the mapping that points at nothing in one case.

    Attributes:
        side: ``inputs`` or ``expectations``.
        name: The record's name for it.
        selector: What was looked for.
        missing: Why it was not found.
    """

    side: str
    name: str
    selector: Selector
    missing: Missing

    def __str__(self) -> str:
        return f"{self.side}.{self.name}: {self.missing.why}"


def entries(mapping: SchemaMapping) -> Iterator[tuple[str, str, Selector]]:
    """(side, name, selector) of everything in the mapping, inputs first."""
    for name, selector in mapping.inputs.items():
        yield "inputs", name, selector
    for name, selector in mapping.expectations.items():
        yield "expectations", name, selector


def files_named(mapping: SchemaMapping) -> frozenset[str] | None:
    """The files that the mapping reads; None where a pattern means that all may be needed."""
    files = frozenset(selector.file for _, _, selector in entries(mapping))
    return None if any(map(is_pattern, files)) else files


def apply_mapping(mapping: SchemaMapping, case: Case) -> tuple[Record, tuple[Unresolved, ...]]:
    """The record that a case becomes, and what of the mapping the case does not have."""
    values: dict[str, dict[str, Json]] = {side: {} for side in SIDES}
    unresolved = []
    for side, name, selector in entries(mapping):
        match resolve(selector, case):
            case Found(value=None):
                pass
            case Found(value=value):
                values[side][name] = value
            case Missing() as missing:
                unresolved.append(Unresolved(side, name, selector, missing))
    record = Record(case.case_id, values["inputs"], values["expectations"])
    return record, tuple(unresolved)


def cover(selectors: Iterable[Selector], cases: Sequence[Case]) -> dict[str, tuple[int, int]]:
    """For each selector, by its text: (cases in which it is found, null or not; all cases)."""
    return {
        str(selector): (
            sum(isinstance(resolve(selector, case), Found) for case in cases),
            len(cases),
        )
        for selector in selectors
    }


def check_mapping(mapping: SchemaMapping, cases: Sequence[Case], file: str) -> tuple[Problem, ...]:
    """What would go wrong if these cases became records: one problem for each cause.

    A selector that only some cases have is no problem, one that none has is; and so is a case
    for which no input is found, because MLflow tells records apart by their inputs.
    """
    problems = [
        _never_found(side, name, selector, cases, file)
        for side, name, selector in entries(mapping)
        if not any(isinstance(resolve(selector, case), Found) for case in cases)
    ]
    bare = [case.case_id for case in cases if not apply_mapping(mapping, case)[0].inputs]
    if bare and len(bare) < len(cases):
        shown = ", ".join(bare[:5]) + (", …" if len(bare) > 5 else "")  # noqa: PLR2004, enough to go on
        problems.append(
            Problem(
                f"gives {len(bare)} of {len(cases)} cases no input at all: {shown}",
                file,
                field="inputs",
                fix="complete these cases, or map an input that they have",
            )
        )
    return tuple(problems)


def _never_found(
    side: str, name: str, selector: Selector, cases: Sequence[Case], file: str
) -> Problem:
    missing = resolve(selector, cases[0]) if cases else None
    why = f"; {cases[0].case_id} {missing.why}" if isinstance(missing, Missing) else ""
    return Problem(
        f"{selector} is in none of the {len(cases)} cases{why}",
        file,
        field=f"{side}.{name}",
        fix="correct the selector or remove the line",
    )


def same_mapping(one: SchemaMapping, other: SchemaMapping) -> bool:
    """Whether two mappings say the same, in whatever order."""
    return dict(one.inputs) == dict(other.inputs) and (
        dict(one.expectations) == dict(other.expectations)
    )


def mapping_as_json(mapping: SchemaMapping) -> dict[str, dict[str, str]]:
    """``{"inputs": {name: "file:path"}, "expectations": {…}}``."""
    return {
        "inputs": {name: str(selector) for name, selector in mapping.inputs.items()},
        "expectations": {name: str(selector) for name, selector in mapping.expectations.items()},
    }


def mapping_text(mapping: SchemaMapping) -> str:
    """The content of ``schema_mapping.json``."""
    whose = {EVALUATION_KEY: mapping.evaluation} if mapping.evaluation else {}
    return json.dumps({**whose, **mapping_as_json(mapping)}, indent=2, ensure_ascii=False) + "\n"


def parse_mapping(text: str, file: str) -> SchemaMapping:
    """Read the content of ``schema_mapping.json``.

    Keys at the top that begin with ``_`` or ``$`` are comments and pass.

    Raises:
        InputError: with everything that is wrong in it.
    """
    problems: list[Problem] = []
    document = _load(text, file)
    unknown = [key for key in document if key not in SIDES and not key.startswith(("_", "$"))]
    problems += [
        Problem("is not known", file, field=key, fix="use inputs and expectations")
        for key in unknown
    ]
    sides = {side: _side(side, document, file, problems) for side in SIDES}
    if not sides["inputs"] and not problems:
        problems.append(
            Problem("holds no inputs", file, field="inputs", fix="map at least one input")
        )
    problems += _refused_by_mlflow(sides["inputs"], file)
    if problems:
        raise InputError(*(_with_line(problem, text) for problem in problems))
    return SchemaMapping(**sides, evaluation=as_text(document.get(EVALUATION_KEY)))


def _load(text: str, file: str) -> dict[str, Json]:
    try:
        document = parse_json(text.removeprefix("\ufeff"), file).value
    except InputError as error:
        raise InputError(*(replace(each, fix=_REWRITE) for each in error.problems)) from error
    if not isinstance(document, dict):
        raise InputError(
            Problem(
                'must be an object like {"inputs": {…}, "expectations": {…}}', file, fix=_REWRITE
            )
        )
    return document


def _side(
    side: str, document: Mapping[str, Json], file: str, problems: list[Problem]
) -> dict[str, Selector]:
    written = document.get(side, {})
    if not isinstance(written, dict):
        problems.append(
            Problem("must be an object of name to selector", file, field=side, fix=_REWRITE)
        )
        return {}
    selectors = {}
    for name, text in written.items():
        where = f"{side}.{name}"
        if not isinstance(text, str):
            problems.append(
                Problem("must be text", file, field=where, fix=f'like "input.yaml:{name}"')
            )
            continue
        try:
            selectors[name] = parse_selector(text)
        except InputError as error:
            problems += [Problem(p.message, file, None, where, p.fix) for p in error.problems]
    return selectors


def _refused_by_mlflow(inputs: Mapping[str, Selector], file: str) -> Iterator[Problem]:
    others = sorted(set(inputs) - SIMULATION_INPUTS)
    if SIMULATION_KEY in inputs and others:
        yield Problem(
            f"MLflow keeps this name for simulated conversations and refuses it beside "
            f"{', '.join(others)}",
            file,
            field=f"inputs.{SIMULATION_KEY}",
            fix=f"choose another name, such as case_{SIMULATION_KEY}",
        )


def _with_line(problem: Problem, text: str) -> Problem:
    """Where the field's name stands in the text, if it stands there once."""
    key = json.dumps(problem.field.partition(".")[2] or problem.field, ensure_ascii=False)
    if problem.line is not None or text.count(key) != 1:
        return problem
    line = text.count("\n", 0, text.index(key)) + 1
    return Problem(problem.message, problem.file, line, problem.field, problem.fix)


def whole_file(file: str) -> Selector:
    """The selector of a file's whole text."""
    return Selector(file, WHOLE_FILE)
