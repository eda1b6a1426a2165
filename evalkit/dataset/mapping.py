"""The schema mapping: selectors, its file, and the records that it makes of cases.

A selector is ``file:dotted.path``, or ``file:__file__`` for the whole text of a file. ``*`` and
``?`` in the file stand for any part of a name; such a selector gathers several files and needs
``__file__``. Nothing here opens a file: a case holds what was read.

A field that is written but null counts as found, since the selector is right; it gives a record
no value, since "expects null" and "expects nothing" are not told apart in practice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from evalkit.dataset.cases import Case
from evalkit.documents import Document, parse_json, scalar_text
from evalkit.entities import Record
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json

Side: TypeAlias = Literal["inputs", "expectations"]

WHOLE_FILE = "__file__"
SIDES: tuple[Side, ...] = ("inputs", "expectations")
EVALUATION_KEY = "_eval"  # says in the file which eval it is of; one written by hand need not
SIMULATION_KEY = "goal"  # MLflow takes a record with this input for a simulated conversation
SIMULATION_INPUTS = frozenset({"goal", "persona", "context", "simulation_guidelines"})
"""The only inputs that MLflow allows beside :data:`SIMULATION_KEY`."""

NAMED = 5  # cases without any input that a problem names
_REWRITE = "correct it, or write the file anew with `evalkit map --force`"
_PATTERN = re.compile(r"[*?]")
_DOCUMENT_THEN_COLON = re.compile(r"\.(?:ya?ml|json)(?=:)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Selector:
    """Which file of a case, or pattern of files, and which field in it, feeds a record."""

    file: str
    path: str

    def __str__(self) -> str:
        return f"{self.file}:{self.path}"


@dataclass(frozen=True, slots=True)
class SchemaMapping:
    """Which selector feeds which input or expectation, by name, and of which eval."""

    inputs: Mapping[str, Selector]
    expectations: Mapping[str, Selector]
    evaluation: str = field(default="", compare=False)

    def entries(self) -> Iterator[tuple[Side, str, Selector]]:
        """(side, name, selector) of everything, inputs first."""
        for side in SIDES:
            yield from ((side, *each) for each in getattr(self, side).items())

    @property
    def files(self) -> frozenset[str] | None:
        """The files that it reads; None where a pattern means that all may be needed."""
        files = frozenset(selector.file for _, _, selector in self.entries())
        return None if any(map(_PATTERN.search, files)) else files

    def as_json(self) -> dict[str, dict[str, str]]:
        """``{"inputs": {name: "file:path"}, "expectations": {…}}``."""
        return {
            side: {name: str(each) for name, each in getattr(self, side).items()} for side in SIDES
        }


def parse_selector(text: str) -> Selector:
    """Read ``file:path``, whose file has to be one inside the case directory.

    The file ends at the first colon after ``.yaml``, ``.yml`` or ``.json``, because keys may hold
    colons; otherwise at the last colon, because names of files may hold them too.
    """
    stripped = text.strip()
    document = _DOCUMENT_THEN_COLON.search(stripped)
    file, _, path = stripped.rpartition(":")
    if document and path != WHOLE_FILE:
        file, path = stripped[: document.end()], stripped[document.end() + 1 :]
    file = file.removeprefix("./")
    what, fix = "", 'write it like "input.yaml:question" or "reference.md:__file__"'
    if not file or not path.strip():
        what = f"names no {'field' if file else 'file'}"
    elif re.search(r"[\\\x00-\x1f\x7f]|^[A-Za-z]:/", file) or "\0" in path:
        what = "holds a backslash, a drive or a control character"
    elif {"", ".", ".."} & {*file.split("/")}:
        what, fix = "is no path inside the case directory", "name a file of the case, without .."
    elif path != WHOLE_FILE and _PATTERN.search(file):
        what, fix = "names a field of several files", "give the file's name without * and ?"
    if what:
        raise InputError(Problem(f"{text!r} {what}", fix=fix))
    return Selector(file, path)


def look_up(selector: Selector, case: Case) -> tuple[Json, str]:
    """What the selector points at in the case, and why at nothing: a clause about the case, or "".

    A field's value is None where it is written but null; a pattern gives an object of relative
    path to text. A file of exactly that name is preferred to a pattern, and a key of exactly the
    dotted text to a path through nested fields. Numbers in a path count into lists, from 0.
    """
    file, path = selector.file, selector.path
    if path != WHOLE_FILE and file in case.documents:
        return _walk(case.documents[file], path.split("."), selector)
    if path != WHOLE_FILE and file in case.listing:
        return None, f"{file} has no fields, it is no YAML or JSON file"
    files = [file] if file in case.listing else []
    if not files and _PATTERN.search(file):  # brackets are themselves, they are common in names
        pattern = re.escape(file).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        files = [each for each in case.listing if re.fullmatch(pattern, each)]
    if not files:
        return None, f"has no file {file}"
    held = {**case.documents, **case.texts}  # where its text was not kept, its content
    found = {each: held[each] for each in files if each in held}
    if not found:
        return None, f"{', '.join(files)} is no text, or too large"
    return found[file] if files == [file] else found, ""


def _walk(value: Json, parts: Sequence[str], selector: Selector) -> tuple[Json, str]:
    if not parts:
        return value, ""
    why, head = f"{selector.file} has no field {selector.path}", parts[0]
    if isinstance(value, list):
        if head.isdecimal() and int(head) < len(value):
            return _walk(value[int(head)], parts[1:], selector)
        return None, f"{selector.file} has no item {head}, the list has {len(value)}"
    if isinstance(value, dict):
        why += f" (it has: {', '.join(sorted(value)[:8]) or 'none'})"
        for size in range(len(parts), 0, -1):  # the longest key first: a field may be called a.b
            if (key := ".".join(parts[:size])) in value:
                found, why = _walk(value[key], parts[size:], selector)
                if not why:
                    return found, ""
    return None, why


@dataclass(frozen=True, slots=True)
class Mapped:
    """What one case becomes: its record, and the fields that it lacks with a clause on why."""

    record: Record
    lacking: Mapping[str, str]


def apply_mapping(mapping: SchemaMapping, case: Case) -> Mapped:
    """The record that a case becomes."""
    values: dict[str, dict[str, Json]] = {side: {} for side in SIDES}
    lacking = {}
    for side, name, selector in mapping.entries():
        value, why = look_up(selector, case)
        if why:
            lacking[f"{side}.{name}"] = why
        elif value is not None:
            values[side][name] = value
    return Mapped(Record(case.case_id, values["inputs"], values["expectations"]), lacking)


def check_mapped(mapping: SchemaMapping, cases: Sequence[Mapped], file: str) -> list[Problem]:
    """What would go wrong if these became records: one problem for each cause.

    A selector that only some cases have is no problem, one that none has is; and so is a case
    for which no input is found, because MLflow tells records apart by their inputs.
    """
    problems = []
    for side, name, selector in mapping.entries():
        where = f"{side}.{name}"
        if cases and all(where in each.lacking for each in cases):
            why = f"{cases[0].record.case_id} {cases[0].lacking[where]}"
            message = f"{selector} is in none of the {len(cases)} cases; {why}"
            fix = "correct the selector or remove the line"
            problems.append(Problem(message, file, field=where, fix=fix))
    bare = [each.record.case_id for each in cases if not each.record.inputs]
    if bare and len(bare) < len(cases):
        shown = ", ".join(bare[:NAMED]) + (", …" if len(bare) > NAMED else "")
        message = f"gives {len(bare)} of {len(cases)} cases no input at all: {shown}"
        fix = "complete these cases, or map an input that they have"
        problems.append(Problem(message, file, field="inputs", fix=fix))
    return problems


def mapping_text(mapping: SchemaMapping) -> str:
    """The content of ``schema_mapping.json``."""
    whose = {EVALUATION_KEY: mapping.evaluation} if mapping.evaluation else {}
    return json.dumps({**whose, **mapping.as_json()}, indent=2, ensure_ascii=False) + "\n"


def parse_mapping(text: str, file: str) -> SchemaMapping:
    """Read the content of ``schema_mapping.json``; everything that is wrong in it comes at once.

    Keys at the top that begin with ``_`` or ``$`` are comments and pass.
    """
    try:
        document = parse_json(text.removeprefix("\ufeff"), file, with_lines=True)
    except InputError as error:
        raise InputError(*(replace(each, fix=_REWRITE) for each in error.problems)) from error
    found = document.value
    if not isinstance(found, dict):
        shape = 'must be an object like {"inputs": {…}, "expectations": {…}}'
        raise InputError(Problem(shape, file, fix=_REWRITE))
    problems = [
        document.problem(key, "is not known", "use inputs and expectations")
        for key in found
        if key not in SIDES and not key.startswith(("_", "$"))
    ]
    inputs, expectations = (_read_side(side, document, problems) for side in SIDES)
    if not inputs and not problems:
        problems.append(document.problem("inputs", "holds no inputs", "map at least one input"))
    if SIMULATION_KEY in inputs and (others := sorted(set(inputs) - SIMULATION_INPUTS)):
        message = "MLflow keeps this name for simulated conversations and refuses it beside "
        fix = f"choose another name, such as case_{SIMULATION_KEY}"
        where = f"inputs.{SIMULATION_KEY}"
        problems.append(document.problem(where, message + ", ".join(others), fix))
    if problems:
        raise InputError(*problems)
    return SchemaMapping(inputs, expectations, scalar_text(found.get(EVALUATION_KEY)))


def _read_side(side: Side, document: Document, problems: list[Problem]) -> dict[str, Selector]:
    written, selectors = document.value.get(side, {}), {}
    if not isinstance(written, dict):
        problems.append(document.problem(side, "must be an object of name to selector", _REWRITE))
        return {}
    for name, text in written.items():
        where = f"{side}.{name}"
        if not isinstance(text, str):
            problems.append(document.problem(where, "must be text", f'like "input.yaml:{name}"'))
            continue
        try:
            selectors[name] = parse_selector(text)
        except InputError as error:
            problems += [document.problem(where, p.message, p.fix) for p in error.problems]
    return selectors
