"""The import lines of a file of scorers: what its code uses, and what somebody else put there."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from evalkit.core.agent.code.borrowing import names_in
from evalkit.core.agent.code.literals import needs_json

_PLACES = {
    "json": ("", "json"),
    "os": ("", "os"),
    "re": ("", "re"),
    "Iterable": ("collections.abc", "Iterable"),
    "Iterator": ("collections.abc", "Iterator"),
    "Sequence": ("collections.abc", "Sequence"),
    "Any": ("typing", "Any"),
    "Feedback": ("mlflow.entities", "Feedback"),
    "SpanStatusCode": ("mlflow.entities", "SpanStatusCode"),
    "SpanType": ("mlflow.entities", "SpanType"),
    "Guidelines": ("mlflow.genai.scorers", "Guidelines"),
    "scorer": ("mlflow.genai.scorers", "scorer"),
}
"""Where the names come from that the scorers written here use: module and name."""

_LIBRARIES = "mlflow"


def import_lines(own: Sequence[ast.Import | ast.ImportFrom], body: str) -> str:
    """The import lines of a file, grouped as formatters have them.

    Args:
        own: The imports that somebody put there; all are kept.
        body: The rest of the file; what the scorers written here use of it is imported.
    """
    wanted = _used(body) | _kept(own)
    plain = [f"import {name}" for module, name in sorted(wanted) if not module]
    lines = {
        module: f"from {module} import "
        + ", ".join(sorted(name for m, name in wanted if m == module))
        for module in sorted({module for module, _ in wanted if module})
    }
    standard = [line for module, line in lines.items() if not module.startswith(_LIBRARIES)]
    others = [line for module, line in lines.items() if module.startswith(_LIBRARIES)]
    groups = [["from __future__ import annotations"], [*plain, *standard], others]
    return "\n\n".join("\n".join(group) for group in groups if group) + "\n"


def _used(body: str) -> set[tuple[str, str]]:
    """Of what the scorers written here import, what the body uses."""
    names = names_in(ast.parse(body).body) | ({"json"} if needs_json(body) else set())
    return {place for name, place in _PLACES.items() if name in names}


def _kept(own: Sequence[ast.Import | ast.ImportFrom]) -> set[tuple[str, str]]:
    """What somebody imports that no scorer written here does."""
    found = {
        (
            "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else "",
            f"{each.name} as {each.asname}" if each.asname else each.name,
        )
        for node in own
        for each in node.names
    }
    return found - {*_PLACES.values(), ("__future__", "annotations")}
