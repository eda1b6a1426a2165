"""A suite's scorers and limits as files, written by rules from recorded rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from evalkit.core.masking import mask_json
from evalkit.core.values import Json
from evalkit.suite import answer_reading
from evalkit.suite.answer_reading import Exchange
from evalkit.suite.bounds import Bound
from evalkit.suite.check_table import CHECKS, RuleCheck, exchange_of_row, learned
from evalkit.suite.model import FEW_ROWS, LIMITS_FILE, SCORERS_FILE, Row
from evalkit.suite.scorers_file import KeptScorer, source_of

ENOUGH = 4
ROUTES = 12
EXAMPLES = 40


def rule_suite(rows: Sequence[Row], without: Sequence[str] = ()) -> dict[str, bytes]:
    """``scorers.py`` and ``LIMITS.md`` with what rules can tell of such answers.

    Args:
        rows: Recorded rows; bounds are learned from the good ones.
        without: Scorers that are left out, because a verification refused them.
    """
    good = [row for row in rows if row.is_good]
    by_route = _by_route(good)
    exchanges = {
        route: [exchange_of_row(row) for row in taken] for route, taken in by_route.items()
    }
    kept: list[KeptScorer] = []
    limits = list(_limits_of_rows(rows, good, by_route))
    for check in CHECKS:
        bounds: dict[str, Bound] = {}
        for route, taken in exchanges.items():
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
        if check.name in without:
            limits.append(f"{check.name} is left out: it did not hold when it was verified.")
        elif example is None:
            limits.append(f"{check.name} is left out: no answer of such a shape would fail it.")
        else:
            kept.append(KeptScorer(check, bounds, example))
    missed = [row for row in rows if row.verdict == "rejected" and not _fails(kept, row)]
    guidelines = _guidelines(rows)
    scorers = "\n\n".join(source_of(kept, by_route, guidelines, _judges(good)))
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
    check: RuleCheck, bounds: Mapping[str, Bound], by_route: Mapping[str, Sequence[Row]]
) -> tuple[str, Json] | None:
    """The first spoiled answer that the check fails, as it passes the row's own."""
    for route, bound in bounds.items():
        for row in by_route[route][:EXAMPLES]:
            if _problems(check, bound, exchange_of_row(row)):
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


def _answering(row: Row, outputs: Json) -> Exchange:
    if row.trace is not None:
        return answer_reading.exchange_of(row.inputs, outputs, row.trace)
    return Exchange(row.inputs, outputs, row.sources, row.prompts)


def _problems(check: RuleCheck, bound: Bound, exchange: Exchange) -> list[str]:
    return [why for part, why in check.judge(exchange, bound) if part not in bound["off"]]


def _fails(kept: Sequence[KeptScorer], row: Row) -> bool:
    """Whether some scorer fails a row's own answer."""
    exchange = exchange_of_row(row)
    return any(
        row.route in each.bounds and _problems(each.check, each.bounds[row.route], exchange)
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
