"""``scorers.py``: a suite's scorers as code, one put into the file at a time.

The scorers that can be written without a model stand in ``scorers.py.txt``, as the Python that they
become. A file holds those that were asked for, each with its bounds above it, and below them copies
of what they measure with. What else somebody wrote into the file stays.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from evalkit.core.agent.analysis import Guideline
from evalkit.core.agent.code.borrowing import (
    borrowed,
    defined,
    extract,
    is_borrowed,
    names_in,
    needed,
)
from evalkit.core.agent.code.imports import import_lines
from evalkit.core.agent.code.literals import INDENT, WIDTH, literal
from evalkit.core.values import Json

_DOCSTRING = '''\
"""What a good answer holds to, learned from recorded ones.

Every scorer says why it is there and on which traces it stands. Bounds stand above the scorer, by
route (what is called: the name of a trace's root span); they are meant to be changed. A scorer that
cannot judge a case lets it pass and says so.
"""
'''

_JUDGES = """\
JUDGE_MODEL = os.environ.get("EVALKIT_JUDGE_MODEL")  # such as openai:/gpt-5 or databricks:/endpoint
if JUDGE_MODEL:
    SCORERS += [
        Guidelines(name=name, guidelines=text, model=JUDGE_MODEL)
        for name, text in GUIDELINES.items()
    ]
"""

_REWRITTEN = frozenset({"ROUTES", "GUIDELINES", "JUDGE_MODEL", "SCORERS"})


@dataclass(frozen=True, slots=True)
class RouteForm:
    """What scorers have to know of a route.

    Attributes:
        inputs: The names of the inputs that are always there.
        answer: Where an answer's words lie: field names and list positions.
    """

    inputs: Sequence[str]
    answer: Sequence[str | int]


@dataclass(frozen=True, slots=True)
class ScorerCode:
    """One of the scorers that need no model.

    Attributes:
        name: Its name, one of :func:`known_scorers`.
        bounds: What it holds answers to, by route; routes that are not named are not judged.
        why: Why it is there, and how its bounds came about.
        evidence: The traces that it stands on.
    """

    name: str
    bounds: Mapping[str, Json]
    why: str
    evidence: Sequence[str]


@dataclass(slots=True)
class _Parts:
    """A file of scorers, taken apart.

    Attributes:
        scorers: The source of each scorer, with its bounds.
        others: Definitions that are neither scorers nor known here.
        imports: Its imports.
    """

    scorers: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)


def known_scorers() -> list[str]:
    """The names of the scorers that can be written without a model."""
    return [name for name, source in _pieces().items() if source.startswith("@scorer")]


def with_scorer(
    source: str,
    scorer: ScorerCode,
    routes: Mapping[str, RouteForm],
    guidelines: Iterable[Guideline] = (),
) -> str:
    """The source of ``scorers.py`` with a scorer added, or replaced where it was there.

    Args:
        source: The file so far; empty, or no Python, to begin one.
        scorer: The scorer.
        routes: What is known of the routes.
        guidelines: What only a model judge can tell.

    Raises:
        KeyError: there is no such scorer.
    """
    parts = _taken_apart(source)
    parts.scorers[scorer.name] = _block(scorer)
    return _together(parts, routes, guidelines)


def without_scorer(
    source: str,
    name: str,
    routes: Mapping[str, RouteForm],
    guidelines: Iterable[Guideline] = (),
) -> str:
    """The source of ``scorers.py`` without a scorer, and without what only that one used."""
    parts = _taken_apart(source)
    parts.scorers.pop(name, None)
    return _together(parts, routes, guidelines)


def _block(scorer: ScorerCode) -> str:
    """A scorer's source: its bounds, and the function with the reasons in its docstring."""
    function = _pieces()[scorer.name]
    summary = ast.get_docstring(ast.parse(function).body[0]) or ""  # type: ignore[arg-type]
    evidence = ", ".join(scorer.evidence)
    told = _paragraph(f"Why: {scorer.why}") + _paragraph(f"Evidence: {evidence}", INDENT)
    documented = f'"""{summary}\n\n{told}{INDENT}"""'
    function = function.replace(f'"""{summary}"""', documented, 1)
    constant = scorer.name.upper()
    if constant not in names_in(ast.parse(function).body):
        return function
    return f"{constant} = {_bounds(scorer.bounds, len(constant) + 3)}\n\n\n{function}"


def _bounds(bounds: Mapping[str, Json], taken: int) -> str:
    """The bounds by route, or only the routes where there is nothing more to say."""
    if all(bound is True for bound in bounds.values()):
        return literal(list(bounds), 0, taken)
    return literal(dict(bounds), 0, taken)


def _paragraph(text: str, further: str = "") -> str:
    """Indented lines for a docstring; nothing in the text can end it."""
    harmless = "".join(char if char.isprintable() else " " for char in text)
    harmless = harmless.replace("\\", "/").replace('"', "'")
    return (
        textwrap.fill(
            harmless,
            WIDTH,
            initial_indent=INDENT,
            subsequent_indent=INDENT + further,
            break_long_words=False,
            break_on_hyphens=False,
        )
        + "\n"
    )


def _taken_apart(source: str) -> _Parts:
    parts = _Parts()
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return parts
    scorers = [node for node in body if _is_scorer(node)]
    constants = {defined(node).upper(): defined(node) for node in scorers}
    bounds: dict[str, str] = {}
    for node in body:
        name, text = defined(node), extract(source, node)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            parts.imports.append(node)
        elif name in constants:
            bounds[constants[name]] = text + "\n\n\n"
        elif node in scorers:
            parts.scorers[name] = bounds.get(name, "") + text
        elif _is_others(node, name):
            parts.others.append(text)
    return parts


def _is_scorer(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and "scorer" in names_in(node.decorator_list)


def _is_others(node: ast.stmt, name: str) -> bool:
    """Whether a statement is somebody's own and has to be kept."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return False
    is_rewritten = name in _REWRITTEN or name in _pieces() or is_borrowed(name)
    return not is_rewritten and not (
        isinstance(node, ast.If) and names_in([node.test]) & _REWRITTEN
    )


def _together(
    parts: _Parts, routes: Mapping[str, RouteForm], guidelines: Iterable[Guideline]
) -> str:
    blocks = [*parts.others, *parts.scorers.values()]
    helpers = needed("\n".join(blocks), _helpers())
    code = "\n\n\n".join([*blocks, *helpers])
    judged = {each.name: each.text for each in guidelines}
    sections = [
        *([_routes(routes)] if "ROUTES" in code else []),
        *blocks,
        _tail(list(parts.scorers), judged),
        *helpers,
    ]
    body = "\n\n\n".join(section.strip("\n") for section in [*sections, *borrowed(code)])
    gap = "\n" if "ROUTES" in code else "\n\n"  # as formatters have it before a value, a function
    return f"{_DOCSTRING}\n{import_lines(parts.imports, body)}{gap}{body}\n"


def _routes(routes: Mapping[str, RouteForm]) -> str:
    known = {
        name: {"inputs": list(form.inputs), "answer": list(form.answer)}
        for name, form in routes.items()
    }
    return (
        f"ROUTES = {literal(known, 0, 9)}\n"
        '"""The inputs that a route always takes, and where the words of its answer lie."""'
    )


def _tail(scorers: Sequence[str], judged: Mapping[str, str]) -> str:
    listed = f"SCORERS = [{', '.join(scorers)}]"
    if len(listed) > WIDTH:
        listed = "SCORERS = [\n" + "".join(f"{INDENT}{name},\n" for name in scorers) + "]"
    if not judged:
        return listed
    guidelines = (
        f"GUIDELINES = {literal(dict(judged), 0, 13)}\n"
        '"""What only a model can judge; judged where EVALKIT_JUDGE_MODEL names one."""'
    )
    return f"{guidelines}\n\n{listed}\n\n{_JUDGES}"


@cache
def _pieces() -> Mapping[str, str]:
    """The functions of the template by name."""
    source = files(__package__).joinpath("scorers.py.txt").read_text("utf-8")
    return {defined(node): extract(source, node) for node in ast.parse(source).body}


def _helpers() -> dict[str, str]:
    return {name: text for name, text in _pieces().items() if not text.startswith("@scorer")}
