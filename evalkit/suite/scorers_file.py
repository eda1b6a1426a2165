"""``scorers.py`` as text: bounds as constants, one function a scorer, copies of the checks."""

from __future__ import annotations

import ast
import inspect
import pprint
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evalkit.core.masking import mask_json
from evalkit.core.values import Json
from evalkit.suite import answer_reading, checks, grounding_checks, word_lists
from evalkit.suite.bounds import Bound
from evalkit.suite.check_table import RuleCheck
from evalkit.suite.model import Row

HEADER = '''\
"""What a good answer of this agent holds to, learned from {good} recorded ones by evalkit.

Bounds stand by route (the name of a trace's root span); what stands under "off" is a part that good
answers do not hold to. A scorer gives no value where it has no bound for a route.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache
from typing import Any

from mlflow.entities import Feedback
from mlflow.genai import scorers as judges
from mlflow.genai.scorers import scorer

ROUTES = {routes}
'''

VERDICT = '''\
def verdict(
    problems: Callable[[Exchange, dict[str, Any]], Problems],
    bounds: dict[str, dict[str, Any]],
    inputs: Any,
    outputs: Any,
    trace: Any,
) -> Feedback:
    """A check's problems with an answer as a pass or a fail with its reasons; it never raises."""
    route = route_of(inputs, trace)
    if route not in bounds:
        return Feedback(value=None, rationale=f"nothing is demanded of {route or 'its route'} here")
    bound = bounds[route]
    try:
        exchange = exchange_of(inputs, outputs, trace)
        found = [why for part, why in problems(exchange, bound) if part not in bound["off"]]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        return Feedback(value=None, rationale=f"cannot be judged: {type(error).__name__}: {error}")
    return Feedback(value=not found, rationale="; ".join(found[:4]) or "it holds")


def route_of(inputs: Any, trace: Any) -> str:
    """The route that a trace took; of an unknown root, the one that takes these inputs."""
    roots = [span.name for span in trace.data.spans if span.parent_id is None] if trace else []
    if roots and roots[0] in ROUTES:
        return roots[0]
    given = sorted(inputs) if isinstance(inputs, dict) else []
    fitting = [route for route, names in ROUTES.items() if names == given]
    return fitting[0] if fitting else next(iter(ROUTES)) if len(ROUTES) == 1 else ""
'''

SCORER = '''\
{constant} = {bounds}


@scorer
def {name}(inputs: Any, outputs: Any, trace: Any) -> Feedback:
    """{doc}"""
    return verdict({check}, {constant}, inputs, outputs, trace)
'''

FOOTER = '''\
SCORERS = [
{names}]

BAD_EXAMPLES = {examples}
"""An answer in a recorded one's place that each scorer fails: (trace id, answer)."""

GUIDELINES = {guidelines}

JUDGE_MODEL = os.environ.get("EVALKIT_JUDGE_MODEL")  # such as openai:/gpt-5 or databricks:/endpoint
if JUDGE_MODEL:
    SCORERS += [
        judges.Guidelines(name=name, guidelines=text, model=JUDGE_MODEL)
        for name, text in GUIDELINES.items()
    ]
    SCORERS += [
        getattr(judges, name)(model=JUDGE_MODEL)
        for name in {judges}
    ]
'''


@dataclass(slots=True)
class KeptScorer:
    """A check that stays, with its bounds by route and the bad example that it fails."""

    check: RuleCheck
    bounds: dict[str, Bound]
    example: tuple[str, Json]


def source_of(
    kept: Sequence[KeptScorer],
    by_route: Mapping[str, Sequence[Row]],
    guidelines: Mapping[str, str],
    wanted: Sequence[str],
) -> Iterator[str]:
    """The parts of ``scorers.py``."""
    routes = {
        route: sorted(set.intersection(*(set(row.inputs) for row in rows)))
        for route, rows in by_route.items()
    }
    good = sum(map(len, by_route.values()))
    yield HEADER.replace("{good}", str(good)).replace("{routes}", _literal(routes))
    yield _copied({each.check.judge.__name__ for each in kept} | {"exchange_of"})
    yield VERDICT
    for each in kept:
        yield SCORER.format(
            constant=each.check.name.upper(),
            bounds=_literal(each.bounds),
            name=each.check.name,
            doc=each.check.judge.__doc__,
            check=each.check.judge.__name__,
        )
    yield FOOTER.format(
        names="".join(f"    {each.check.name},\n" for each in kept),
        examples=_literal({each.check.name: each.example for each in kept}),
        guidelines=_literal(dict(guidelines)),
        judges=_literal(list(wanted)),
    )


def _literal(value: Json) -> str:
    return pprint.pformat(mask_json(value), width=96, compact=True, sort_dicts=False)


def _copied(wanted: set[str]) -> str:
    """The source of functions of :mod:`evalkit.suite.checks`, with all that they use of it."""
    source = "".join(map(inspect.getsource, (word_lists, answer_reading, checks, grounding_checks)))
    defined: dict[str, ast.stmt] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            defined[node.targets[0].id] = node
    open_names, taken = set(wanted), set[str]()
    while open_names:
        name = open_names.pop()
        taken.add(name)
        used = {each.id for each in ast.walk(defined[name]) if isinstance(each, ast.Name)}
        open_names |= (used & defined.keys()) - taken
    lines = source.splitlines()
    blocks = [
        "\n".join(
            lines[
                min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
                - 1 : node.end_lineno
            ]
        )
        for name, node in defined.items()
        if name in taken
    ]
    return "\n\n\n".join(blocks) + "\n"
