"""How a person starts a program of this environment, from where they are, so that it runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

_NAMED = re.compile(r"`evalkit (?=[a-z-])")


def typed(program: str) -> str:
    """What to type for ``evalkit``, ``mlflow`` or ``python``: its name where the shell finds it.

    Otherwise through ``uv run`` in a project that uv runs it in, else by its path.
    """
    own = Path(sysconfig.get_path("scripts"), program)
    if "UV" in os.environ:  # uv tells its children so, and lets them alone find what it installed
        if _in_project_of_uv():
            return f"uv run {program}"
    elif (found := shutil.which(program)) and _is_same(Path(found), own):
        return program
    if not own.exists():
        return program
    near = os.path.relpath(own)
    return shlex.quote(str(own) if near.startswith(os.pardir) else near)


def as_typed(text: str) -> str:
    """A message in which `` `evalkit STAGE` `` reads as it has to be typed here."""
    return _NAMED.sub(lambda _: f"`{typed('evalkit')} ", text)


def _in_project_of_uv() -> bool:
    here, name = Path.cwd(), os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")
    projects = (each for each in (here, *here.parents) if (each / "pyproject.toml").is_file())
    return any((each / name).resolve() == Path(sys.prefix).resolve() for each in projects)


def _is_same(found: Path, own: Path) -> bool:
    """Whether a program is this environment's; its folder may be linked to, or a script itself."""
    if found.parent.resolve() == own.parent.resolve():
        return True
    # interpreters of other environments are links to the same one
    return found.name != "python" and own.exists() and found.samefile(own)
