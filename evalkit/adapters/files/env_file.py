"""A ``.env`` file: variables beside a project, read and never put into the environment."""

from __future__ import annotations

import io
from pathlib import Path

from dotenv.parser import parse_stream

from evalkit.errors import InputError, Problem

ENV_FILE = ".env"


def read_env_file(path: Path) -> dict[str, str]:
    """The variables that a ``.env`` file sets; none if there is no such file.

    Values are taken as they stand: a ``$`` in a token is no reference. No message quotes the file,
    for secrets stand in it.

    Args:
        path: The file.

    Raises:
        InputError: it cannot be read; every line is named that sets no variable.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        kind = "no UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        problem = Problem(f"cannot be read: {kind}", file=str(path), fix="correct or remove it")
        raise InputError(problem) from error
    bindings = list(parse_stream(io.StringIO(text)))
    broken = [_problem(path, text, binding.original.line) for binding in bindings if binding.error]
    if broken:
        raise InputError(*broken)
    return {each.key: each.value or "" for each in bindings if each.key}


def _problem(path: Path, text: str, line: int) -> Problem:
    lines = text.splitlines()
    while line < len(lines) and not lines[line - 1].strip():  # empty lines count as its beginning
        line += 1
    return Problem(
        "sets no variable",
        file=str(path),
        line=line,
        fix='write NAME=value or NAME="value", one a line, and # before a comment',
    )
