"""A suite's scorers and limits as files, written by rules from recorded rows.

``scorers.py`` holds the bounds by route; ``rule_checks.py`` beside it says how answers are read and
judged by them, and needs nothing but MLflow.
"""

from __future__ import annotations

import inspect
import pprint
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from evalkit.jsonable import Json
from evalkit.masking import mask_json
from evalkit.suite import answer_reading, checks, figures, word_lists
from evalkit.suite.bounds import CHECKS, FEW, Bound, learned, read
from evalkit.suite.checks import problems
from evalkit.suite.faults import copies
from evalkit.suite.model import CHECKS_FILE, FEW_ROWS, LIMITS_FILE, SCORERS_FILE, Row, unlike

ROUTES = 12
COPIES = 6
"""Damaged answers of a kind that a scorer's bad example is looked for among."""

SCORERS_TEXT = '''\
"""What a good answer of this agent holds to, learned from {good} recorded ones by evalkit.

What each check demands, rule_checks.py says. Good answers do not hold to the parts that stand under
"off", or are too few.
"""

import os

import rule_checks as checks
from mlflow.genai import scorers as judges

ROUTES = {routes}
"""What each route, the name of a trace's root span, is asked with."""

BOUNDS = {bounds}

{scorers}

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
    SCORERS += [getattr(judges, name)(model=JUDGE_MODEL) for name in {judges}]
'''


def rule_suite(rows: Sequence[Row], without: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """``scorers.py``, ``rule_checks.py`` and ``LIMITS.md``: what rules can tell of such answers.

    ``without`` are scorers that a verification refused, with its reason; they are left out.
    """
    routes: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.is_good:
            routes[row.route].append(row)
    most = sorted(routes, key=lambda route: (-len(routes[route]), route))[:ROUTES]
    by_route = {route: routes[route] for route in most}
    exchanges = {r: [read(row, row.outputs) for row in n] for r, n in by_route.items()}
    good = {row.trace_id: row for taken in by_route.values() for row in taken}
    damaged = [
        (row, probe.outputs, read(row, row.outputs), read(row, probe.outputs))
        for _, probe in copies([*good.values()], COPIES)
        for row in [good[probe.trace_id]]
        if not unlike(probe.outputs, [each.outputs for each in by_route[row.route]])
    ]
    bounds: dict[str, dict[str, Bound]] = {}
    examples: dict[str, tuple[str, Json]] = {}
    few = sorted(r for r in routes if len(routes[r]) < FEW or r not in by_route)
    notes = [f"Little was learned of {', '.join(few[:8])}: few good answers each."] if few else []
    for check in CHECKS:
        every = {r: learned(check, each) for r, each in exchanges.items()}
        found = {r: b for r, b in every.items() if b is not None and mask_json(b) == b}
        failed = (
            (row.trace_id, outputs)
            for row, outputs, own, bad in damaged
            if row.route in found
            and not problems(check.judge, own, found[row.route])
            and problems(check.judge, bad, found[row.route])
        )
        refused, example = (without or {}).get(check.name), next(failed, None)
        if refused or example is None:
            notes.append(f"{check.name} is left out: {refused or 'it fails nothing'}.")
            continue
        bounds[check.name], examples[check.name] = found, example
        off = [(", ".join(bound["off"][:6]), r) for r, bound in found.items() if "off" in bound]
        notes += [f"{check.name} leaves out on {r}, as too few hold to it: {o}." for o, r in off]
    missed = [row for row in rows if _is_missed(row, bounds)]
    scorers = _source(bounds, examples, by_route, rows)
    limits = _limits(rows, notes, missed)
    texts = {SCORERS_FILE: scorers, CHECKS_FILE: _checks(), LIMITS_FILE: limits}
    return {path: text.encode() for path, text in texts.items()}


def _is_missed(row: Row, bounds: Mapping[str, Mapping[str, Bound]]) -> bool:
    """Whether people rejected a row's own answer and no check fails it."""
    return row.verdict == "rejected" and not any(
        problems(check.judge, read(row, row.outputs), bounds[check.name][row.route])
        for check in CHECKS
        if row.route in bounds.get(check.name, ())
    )


def _source(
    bounds: Mapping[str, Mapping[str, Bound]],
    examples: Mapping[str, tuple[str, Json]],
    by_route: Mapping[str, Sequence[Row]],
    rows: Sequence[Row],
) -> str:
    """``scorers.py``."""
    given = {r: sorted(set.intersection(*(set(e.inputs) for e in n))) for r, n in by_route.items()}
    return SCORERS_TEXT.format(
        good=sum(map(len, by_route.values())),
        routes=_literal(given),
        bounds=_literal(bounds),
        scorers="\n".join(f'{n} = checks.rule(checks.{n}, ROUTES, BOUNDS["{n}"])' for n in bounds),
        names=", ".join(bounds),
        examples=_literal(examples),
        guidelines=_literal(_guidelines(rows)),
        judges=_judges(rows),
    )


def _checks() -> str:
    """``rule_checks.py``: the words, readings and checks as they are here, in one file."""
    sources = "\n".join(map(inspect.getsource, (word_lists, figures, answer_reading, checks)))
    imports = r"(?m)^from (?:evalkit|__future__)[^\n(]*(?:\([^)]*\))?\n"
    alone = re.sub(rf"{imports}|\b(?:reading|lists)\.(?=\w)", "", sources)
    return f"from __future__ import annotations\n\n{alone}"


def _literal(value: Json) -> str:
    return pprint.pformat(mask_json(value), width=96, compact=True, sort_dicts=False)


def _guidelines(rows: Sequence[Row]) -> dict[str, str]:
    """What people wrote of answers that they rejected, as guidelines for a judge."""
    rejected = [row for row in rows if row.verdict == "rejected"]
    said = Counter(" ".join(each.split()) for row in rejected for each in row.comments)
    texts = [
        f"A reviewer rejected an answer for this reason; the response must not earn it: {comment}"
        for comment, _ in said.most_common(8)
    ]
    return {
        "keeps_to_its_sources": "The response states nothing that the request or the retrieved and "
        "returned sources do not say, and contradicts none of them, negations included.",
        **{f"reviewers_reason_{number}": text for number, text in enumerate(texts, 1)},
    }


def _judges(rows: Sequence[Row]) -> list[str]:
    """MLflow's judges that find what they need in these traces."""
    traces = [row.trace for row in rows if row.is_good and row.trace is not None]
    types = {span.span_type for trace in traces for span in trace.data.spans}
    needs = {
        "RelevanceToQuery": True,
        "RetrievalGroundedness": "RETRIEVER" in types,
        "ToolCallCorrectness": "TOOL" in types,
        "Correctness": any(row.expectations for row in rows if row.is_good),
    }
    return [name for name, found in needs.items() if found]


def _limits(rows: Sequence[Row], notes: Sequence[str], missed: Sequence[Row]) -> str:
    """``LIMITS.md``."""
    good = sum(row.is_good for row in rows)
    lines = [
        "# What these scorers cannot tell\n",
        f"- Learned by rules from {good} good answers of {len(rows)} rows.",
        "- Whether an answer is right or well put no rule can tell.",
    ]
    if good < FEW_ROWS:
        lines.append(f"- Under {FEW_ROWS} good answers nothing learned can be called verified.")
    lines += [f"- {note}" for note in notes]
    if missed:
        lines.append("\n## Answers that people rejected and no rule fails\n")
    for row in missed:
        reason = "; ".join(" ".join(each.split()) for each in row.comments) or "no reason given"
        lines.append(f"- `{row.trace_id}` ({row.route}): {reason}")
        lines.append(f"  Guideline for a judge: the response must not earn the reason “{reason}”.")
    return "\n".join(map(str, mask_json(lines))) + "\n"
