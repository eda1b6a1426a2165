"""A suite's scorers and limits as files, written by rules from recorded rows."""

from __future__ import annotations

import ast
import inspect
import pprint
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from evalkit.core.masking import mask_json
from evalkit.core.values import Json
from evalkit.suite import answer_reading, checks, word_lists
from evalkit.suite.answer_reading import Case
from evalkit.suite.bounds import Bound
from evalkit.suite.check_table import CHECKS, Check, case_of_row, learned
from evalkit.suite.model import FEW_ROWS, LIMITS_FILE, SCORERS_FILE, Row

ENOUGH = 4
ROUTES = 12
EXAMPLES = 40

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
    problems: Callable[[Case, dict[str, Any]], Problems],
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
        case = case_of(inputs, outputs, trace)
        found = [why for part, why in problems(case, bound) if part not in bound["off"]]
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
SCORERS = [{names}]

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
class _Scorer:
    """A check that stays, with its bounds by route and the bad example that it fails."""

    check: Check
    bounds: dict[str, Bound]
    example: tuple[str, Json]


def rule_suite(rows: Sequence[Row], without: Sequence[str] = ()) -> dict[str, bytes]:
    """``scorers.py`` and ``LIMITS.md`` with what rules can tell of such answers.

    Args:
        rows: Recorded rows; bounds are learned from the good ones.
        without: Scorers that are left out, because a verification refused them.
    """
    good = [row for row in rows if row.is_good]
    by_route = _by_route(good)
    cases = {route: [case_of_row(row) for row in taken] for route, taken in by_route.items()}
    kept: list[_Scorer] = []
    limits = list(_limits_of_rows(rows, good, by_route))
    for check in CHECKS:
        bounds: dict[str, Bound] = {}
        for route, taken in cases.items():
            if len(taken) < ENOUGH and not check.is_general:
                continue
            bound, why = learned(check, route, taken)
            if bound is None:
                limits.append(f"{check.name} judges nothing on {route}: {why}.")
            else:
                bounds[route] = bound
                if bound["off"]:
                    limits.append(
                        f"{check.name} does not judge {', '.join(bound['off'][:6])} on {route}: "
                        "good answers do not hold to it."
                    )
        example = _example(check, bounds, by_route)
        if example is None or check.name in without:
            limits.append(f"{check.name} is left out: no answer of such a shape would fail it.")
        else:
            kept.append(_Scorer(check, bounds, example))
    missed = [row for row in rows if row.verdict == "rejected" and not _fails(kept, row)]
    guidelines = _guidelines(rows)
    scorers = "\n\n".join(_source(kept, by_route, guidelines, _judges(good)))
    text = _limits_text(limits, missed)
    return {SCORERS_FILE: scorers.encode(), LIMITS_FILE: text.encode()}


def _by_route(good: Sequence[Row]) -> dict[str, list[Row]]:
    """Good rows by route, of the routes that have most of them."""
    routes: dict[str, list[Row]] = defaultdict(list)
    for row in good:
        routes[row.route].append(row)
    order = sorted(routes, key=lambda route: (-len(routes[route]), route))
    return {route: routes[route] for route in order[:ROUTES]}


def _example(
    check: Check, bounds: Mapping[str, Bound], by_route: Mapping[str, Sequence[Row]]
) -> tuple[str, Json] | None:
    """The first spoiled answer that the check fails, as it passes the row's own."""
    for route, bound in bounds.items():
        for row in by_route[route][:EXAMPLES]:
            if _problems(check, bound, case_of_row(row)):
                continue
            for answer in islice(check.spoil(row, by_route[route]), EXAMPLES):
                if _is_alike(answer, row, by_route[route]) and _problems(
                    check, bound, _answering(row, answer)
                ):
                    return row.trace_id, answer
    return None


def _is_alike(answer: Json, row: Row, kin: Sequence[Row]) -> bool:
    """Whether another answer has about the length and the keys of good ones."""
    size = len("".join(answer_reading.strings_in(answer)))
    sizes = [len("".join(answer_reading.strings_in(each.outputs))) for each in kin]
    if type(answer) is not type(row.outputs) or answer == row.outputs:
        return False
    keys = set(row.outputs) ^ set(answer) if isinstance(row.outputs, dict) else set[str]()
    is_near = min(sizes) * 0.55 <= size <= 1.9 * max(sizes) + 20
    return is_near and len(keys) < 2  # noqa: PLR2004


def _answering(row: Row, outputs: Json) -> Case:
    if row.trace is not None:
        return answer_reading.case_of(row.inputs, outputs, row.trace)
    return Case(row.inputs, outputs, row.sources, row.prompts)


def _problems(check: Check, bound: Bound, case: Case) -> list[str]:
    return [why for part, why in check.judge(case, bound) if part not in bound["off"]]


def _fails(kept: Sequence[_Scorer], row: Row) -> bool:
    """Whether some scorer fails a row's own answer."""
    case = case_of_row(row)
    return any(
        row.route in each.bounds and _problems(each.check, each.bounds[row.route], case)
        for each in kept
    )


def _guidelines(rows: Sequence[Row]) -> dict[str, str]:
    """What people wrote of answers that they rejected, as guidelines for a judge."""
    said = Counter(
        " ".join(comment.split())
        for row in rows
        if row.verdict == "rejected"
        for comment in row.comments
    )
    texts = [
        f"A reviewer rejected an answer for this reason; the response must not earn it: {comment}"
        for comment, _ in said.most_common(8)
    ]
    return {
        "keeps_to_its_sources": "The response states nothing that the request or the retrieved and "
        "returned sources do not say, and contradicts none of them, negations included.",
        **{f"reviewers_reason_{number}": text for number, text in enumerate(texts, 1)},
    }


def _judges(good: Sequence[Row]) -> list[str]:
    """MLflow's judges that find what they need in these traces."""
    types = {
        span.span_type for row in good if row.trace is not None for span in row.trace.data.spans
    }
    return [
        "RelevanceToQuery",
        *(["RetrievalGroundedness"] if "RETRIEVER" in types else []),
        *(["ToolCallCorrectness"] if "TOOL" in types else []),
        *(["Correctness"] if any(row.expectations for row in good) else []),
    ]


def _source(
    kept: Sequence[_Scorer],
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
    yield _copied({each.check.judge.__name__ for each in kept} | {"case_of"})
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
        names=", ".join(each.check.name for each in kept),
        examples=_literal({each.check.name: each.example for each in kept}),
        guidelines=_literal(dict(guidelines)),
        judges=_literal(list(wanted)),
    )


def _literal(value: Json) -> str:
    return pprint.pformat(mask_json(value), width=96, compact=True, sort_dicts=False)


def _copied(wanted: set[str]) -> str:
    """The source of functions of :mod:`evalkit.suite.checks`, with all that they use of it."""
    source = "".join(map(inspect.getsource, (word_lists, answer_reading, checks)))
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


def _limits_of_rows(
    rows: Sequence[Row], good: Sequence[Row], by_route: Mapping[str, Sequence[Row]]
) -> Iterator[str]:
    yield (
        f"Learned by rules from {len(good)} good answers of {len(rows)} rows. They cannot tell "
        "whether an answer is right, complete or well put; a wrong answer that nobody noticed "
        "counts as good."
    )
    if len(good) < FEW_ROWS:
        yield f"Under {FEW_ROWS} good answers nothing that was learned can be called verified."
    counts = Counter(row.route for row in good)
    few = sorted(route for route, n in counts.items() if n < ENOUGH or route not in by_route)
    if few:
        yield f"Little was learned of {', '.join(few[:8])}: under {ENOUGH} good answers each."


def _limits_text(limits: Sequence[str], missed: Sequence[Row]) -> str:
    lines = ["# What these scorers cannot tell", "", *(f"- {each}" for each in limits)]
    if missed:
        lines += ["", "## Answers that people rejected and no rule fails", ""]
    for row in missed:
        reason = "; ".join(" ".join(each.split()) for each in row.comments) or "no reason given"
        lines.append(f"- `{row.trace_id}` ({row.route}): {reason}")
        lines.append(f"  Guideline for a judge: the response must not earn the reason “{reason}”.")
    return "\n".join(map(str, mask_json(lines))) + "\n"
