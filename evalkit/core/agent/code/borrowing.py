"""Copies of :mod:`evalkit.core.agent.code.measures` for files that have to stand on their own."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from functools import cache

from evalkit.core.agent.code import measures


def borrowed(code: str) -> list[str]:
    """The source of every measure that some code uses, and of what those use, in their order."""
    return needed(code, _pieces())


def needed(code: str, pieces: Mapping[str, str]) -> list[str]:
    """Those of the pieces that code uses, and those that these use, in their order.

    Args:
        code: Python.
        pieces: Sources of top-level definitions, by the name that each defines.
    """
    found: set[str] = set()
    pending = names_in(ast.parse(code).body) & pieces.keys()
    while pending:
        name = pending.pop()
        found.add(name)
        pending |= (names_in(ast.parse(pieces[name]).body) & pieces.keys()) - found
    return [source for name, source in pieces.items() if name in found]


def is_borrowed(name: str) -> bool:
    """Whether a top-level name is one of the measures."""
    return name in _pieces()


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that code reads."""
    return {each.id for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name)}


@cache
def _pieces() -> Mapping[str, str]:
    """The measures by name, each with the text that explains it."""
    source = inspect.getsource(measures)
    body = ast.parse(source).body
    pieces: dict[str, str] = {}
    for node, following in zip(body, [*body[1:], None], strict=True):
        name = defined(node)
        if name:
            last = following if _is_text(following) else node
            pieces[name] = extract(source, node, last)
    return pieces


def defined(node: ast.stmt) -> str:
    """The name that a top-level statement gives something; empty where it gives none."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return next((each.id for each in targets if isinstance(each, ast.Name)), "")


def extract(source: str, first: ast.stmt, last: ast.stmt | None = None) -> str:
    """The lines of a source from one statement, decorators included, to the end of another."""
    decorators = getattr(first, "decorator_list", [])
    begin = min([first.lineno, *(each.lineno for each in decorators)])
    end = (last or first).end_lineno
    return "\n".join(source.split("\n")[begin - 1 : end])


def _is_text(node: ast.stmt | None) -> bool:
    is_expression = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_expression and isinstance(node.value.value, str)  # type: ignore[union-attr]
