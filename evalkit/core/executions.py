"""How many of a run's executions failed: what every report and page says first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalkit.core.results import Run
    from evalkit.jsonable import Json

MOST_NAMES = 3


def executions(run: Run) -> dict[str, Json]:
    """``total`` executions (one in batch mode), how many ``failed``, and ``names`` to why.

    ``exit_code`` is the run's where that is not 0 and no case says that it failed.
    """
    total = 1 if run.mode == "batch" else len(run.cases)
    found = {"total": total, "failed": len(run.failed), "names": dict(run.failed)}
    code = run.usage.exit_code
    return {**found, "exit_code": code} if code and not run.failed else found


def is_failed(run: Run) -> bool:
    """Whether all of a run's executions failed."""
    return bool(run.failed) and len(run.failed) >= (1 if run.mode == "batch" else len(run.cases))


def told(found: Mapping[str, Json]) -> str:
    """In words; empty where none failed, as far as is known."""
    if code := found.get("exit_code"):
        return f"the run ended with exit code {code}, though no case of it says that it failed"
    if not found.get("failed"):
        return ""
    return f"{found['failed']} of {found['total']} executions failed: {named(found)}"


def named(found: Mapping[str, Json]) -> str:
    """The first of those that failed, with why; the others are counted."""
    names = [f"{name} ({why})" for name, why in found["names"].items()]
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
