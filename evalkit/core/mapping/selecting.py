"""Reading a selector's text, and finding what it points at in a case.

A selector is ``file:dotted.path``, or ``file:__file__`` for the whole text of a file. ``*`` and
``?`` in the file stand for any part of a name; such a selector gathers several files and needs
``__file__``. Nothing here opens a file: a case holds what was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from evalkit.core.dataset import WHOLE_FILE, Case, Selector
from evalkit.core.errors import InputError, Problem
from evalkit.core.values import Json

DOCUMENT_SUFFIXES = (".yaml", ".yml", ".json")
"""Files whose fields a dotted path can name."""

_HOW = 'write it like "input.yaml:question" or "reference.md:__file__"'
_DOCUMENT_THEN_COLON = re.compile(r"\.(?:ya?ml|json)(?=:)", re.IGNORECASE)
_DRIVE = re.compile(r"^[A-Za-z]:/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Found:
    """What a selector points at in one case.

    Attributes:
        value: The field's value, None where it is written but null; the text of a file; or, for
            a pattern, an object of relative path to text.
    """

    value: Json


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a selector points at nothing in one case.

    Attributes:
        kind: ``file`` or ``field`` where the case has none; ``shape`` where the path leads
            through something that has no fields; ``unreadable`` where the file is there but is
            neither text nor a document.
        why: The same as a clause that a person reads.
    """

    kind: str
    why: str


def parse_selector(text: str) -> Selector:
    """Read ``file:path``.

    The file ends at the first colon after ``.yaml``, ``.yml`` or ``.json``, because keys may hold
    colons; otherwise at the last colon, because names of files may hold them too.

    Raises:
        InputError: it is no selector, or its file is not one inside the case directory.
    """
    file, path = _split(text.strip())
    problems = [
        Problem(f"{text!r} {wrong}", fix=fix)
        for wrong, fix in (*_wrong_file(file), *_wrong_path(file, path))
    ]
    if problems:
        raise InputError(*problems)
    return Selector(file.removeprefix("./"), path)


def _split(text: str) -> tuple[str, str]:
    whole = f":{WHOLE_FILE}"
    if text.endswith(whole):
        return text.removesuffix(whole), WHOLE_FILE
    document = _DOCUMENT_THEN_COLON.search(text)
    if document:
        return text[: document.end()], text[document.end() + 1 :]
    file, _, path = text.rpartition(":")
    return file, path


def _wrong_file(file: str) -> Iterator[tuple[str, str]]:
    if not file:
        yield "names no file", _HOW
    if _CONTROL.search(file):
        yield "holds a control character", _HOW
    if "\\" in file:
        yield "holds a backslash", "write folders with /"
    if file.startswith("/") or _DRIVE.match(file):
        yield "is an absolute path", "name a file inside the case directory"
    parts = file.removeprefix("./").split("/")
    if ".." in parts:
        yield "leads out of the case directory", "name a file inside the case directory"
    elif file and ({"", "."} & set(parts)) and not file.startswith("/"):
        yield "is no plain path", "name a file inside the case directory"


def _wrong_path(file: str, path: str) -> Iterator[tuple[str, str]]:
    if not path.strip():
        yield "names no field", _HOW
    elif "\x00" in path:
        yield "holds a control character", _HOW
    elif is_pattern(file) and path != WHOLE_FILE:
        yield "names a field of several files", "give the file's name without * and ?"


def is_pattern(file: str) -> bool:
    """Whether the file part stands for several files."""
    return "*" in file or "?" in file


def resolve(selector: Selector, case: Case) -> Found | Missing:
    """What the selector points at in the case.

    A file of exactly that name is preferred to a pattern, and a key of exactly the dotted text
    to a path through nested fields. Numbers in a path count into lists, from 0.
    """
    file, path = selector.file, selector.path
    if path != WHOLE_FILE and file in case.documents:
        return _walk(case.documents[file], path.split("."), selector)
    if file in case.listing:
        if path == WHOLE_FILE:
            return _whole(file, case)
        return Missing("shape", f"{file} has no fields, it is no YAML or JSON file")
    if is_pattern(file):
        return _gathered(file, case)
    return Missing("file", f"has no file {file}")


def _whole(file: str, case: Case) -> Found | Missing:
    if file in case.texts:
        return Found(case.texts[file])
    if file in case.documents:  # parsed, its text not kept: its content is the next best
        return Found(case.documents[file])
    return Missing("unreadable", f"{file} is no text, or too large")


def _gathered(pattern: str, case: Case) -> Found | Missing:
    files = matching(pattern, case.listing)
    found = {file: _whole(file, case) for file in files}
    texts = {file: result.value for file, result in found.items() if isinstance(result, Found)}
    if texts:
        return Found(texts)
    if files:
        return Missing("unreadable", f"{', '.join(files)} is no text, or too large")
    return Missing("file", f"has no file {pattern}")


def matching(pattern: str, files: Sequence[str]) -> list[str]:
    """The files that a pattern stands for; ``*`` and ``?`` never stand for a ``/``."""
    expression = _pattern(pattern)
    return [file for file in files if expression.fullmatch(file)]


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    """Only ``*`` and ``?`` are special; brackets are themselves, they are common in names."""
    return re.compile(re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]"))


def _walk(value: Json, parts: Sequence[str], selector: Selector) -> Found | Missing:
    if not parts:
        return Found(value)
    if isinstance(value, dict):
        return _walk_object(value, parts, selector)
    if isinstance(value, list):
        head = parts[0]
        if head.isdecimal() and int(head) < len(value):
            return _walk(value[int(head)], parts[1:], selector)
        return Missing("field", f"{selector.file} has no item {head}, the list has {len(value)}")
    if value is None:
        return Missing("field", f"{selector.file} has no field {selector.path}")
    return Missing("shape", f"{selector.file} has no field {selector.path}: {_kind(value)} ends it")


def _walk_object(
    value: dict[str, Json], parts: Sequence[str], selector: Selector
) -> Found | Missing:
    """Prefer the longest key: a field may be called ``a.b``."""
    deepest: Missing | None = None
    for size in range(len(parts), 0, -1):
        key = ".".join(parts[:size])
        if key in value:
            result = _walk(value[key], parts[size:], selector)
            if isinstance(result, Found):
                return result
            deepest = result
    if deepest:
        return deepest
    has = ", ".join(sorted(value)[:8]) or "none"
    return Missing("field", f"{selector.file} has no field {selector.path} (it has: {has})")


def _kind(value: Json) -> str:
    return "text" if isinstance(value, str) else f"the value {value!r}"
