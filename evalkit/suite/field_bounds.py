"""How the fields of good answers hang together with their requests, their texts and each other."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evalkit.suite import answer_reading, grounding_checks, word_lists
from evalkit.suite.answer_reading import Exchange
from evalkit.suite.bounds import FEW, SOME, Bound

SHORT = 40
LABELS = 12


def fields_bound(exchanges: Sequence[Exchange]) -> Bound:
    """Relations of fields to what was given and to each other that always hold."""
    values = [dict(exchange.leaves) for exchange in exchanges]
    places = sorted({at for each in values for at in each if at})
    names = sorted({str(n) for c in exchanges if isinstance(c.inputs, Mapping) for n in c.inputs})
    candidates = [
        "what was given",
        "the text",
        "the language of the request",
        *(f"inputs.{name}" for name in names),
    ]
    relations = []
    for at in places:
        held = [
            (c, str(v[at])) for c, v in zip(exchanges, values, strict=True) if v.get(at) is not None
        ]
        short = [(c, v) for c, v in held if len(v) < SHORT and v not in {"True", "False"}]
        if len(short) < SOME:
            continue
        for relation in candidates:
            bound = {"relations": [(at, relation)], "sets": [], "markers": [], "ids": []}
            if _means_something(relation, short) and not any(
                True
                for exchange, _ in short
                for _ in grounding_checks.disagreeing_fields(exchange, bound)
            ):
                relations.append((at, relation))
    return {
        "relations": relations,
        "sets": _sets(values, places),
        "ids": [(at, form) for at in places if (form := _form_of_ids(exchanges, values, at))],
        "markers": [
            each
            for at in places
            for where in ("text", "request")
            if (each := _markers(exchanges, values, at, where))
        ],
    }


def _form_of_ids(
    exchanges: Sequence[Exchange], values: Sequence[Mapping[str, Any]], at: str
) -> str | None:
    """The form of a field's ids, where it is set just if the request holds such an id."""
    held = [each[at] for each in values if isinstance(each.get(at), str)]
    start = os.path.commonprefix(held)  # noqa: RUF071 - characters are meant
    prefix = re.match(r"[^\W\d_]+[^\w\s]?", start) if len(held) > FEW else None
    if prefix is None or not all(re.fullmatch(r"\W?\d+", h[prefix.end() :]) for h in held):
        return None
    form = rf"\b{re.escape(prefix[0])}\W?\d+"
    agree = all(
        (each.get(at) is None) == (re.search(form, exchange.request) is None)
        for exchange, each in zip(exchanges, values, strict=True)
        if at in each
    )
    return form if agree and len(held) < len(exchanges) else None


def _means_something(relation: str, held: Sequence[tuple[Exchange, str]]) -> bool:
    """Whether a relation of a field could have been otherwise."""
    if relation == "the text":
        return all(exchange.text for exchange, _ in held)
    if relation == "the language of the request":
        return all(value in word_lists.STOPWORDS or len(value) == 2 for _, value in held)  # noqa: PLR2004
    if relation == "what was given":
        return len({value for _, value in held}) > 1
    return sum(relation[7:] in exchange.inputs for exchange, _ in held) >= FEW


def _sets(values: Sequence[Mapping[str, Any]], places: Iterable[str]) -> list[tuple[Any, ...]]:
    """Which labels go with another field being set, or not."""
    found = []
    for at in places:
        labels = Counter(str(each[at]) for each in values if isinstance(each.get(at), str))
        for label, count in labels.items():
            if count < 2 * FEW or len(labels) > LABELS:
                continue
            for other in places:
                states = {
                    each.get(other) is not None for each in values if str(each.get(at)) == label
                }
                everywhere = {each.get(other) is not None for each in values}
                if len(states) == 1 and len(everywhere) > 1:
                    found.append((at, label, other, states.pop()))
    return found


def _markers(
    exchanges: Sequence[Exchange], values: Sequence[Mapping[str, Any]], at: str, where: str
) -> tuple[str, str, dict[str, list[str]]] | None:
    """Words of the text or the request that stand with one label only."""
    labels = Counter(str(each[at]) for each in values if isinstance(each.get(at), str | bool))
    if not 1 < len(labels) <= LABELS:
        return None
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for exchange, each in zip(exchanges, values, strict=True):
        for stem in answer_reading.stems(exchange.text if where == "text" else exchange.request):
            seen[stem][str(each.get(at))] += 1
    marks: dict[str, list[str]] = {label: [] for label in labels}
    for stem, counts in sorted(seen.items()):
        (label, count), *more = counts.most_common()
        chance = (labels[label] / len(values)) ** count if label in marks else 1
        if not more and count >= FEW and chance < 0.01:  # noqa: PLR2004
            marks[label].append(stem)
    return (at, where, marks) if any(marks.values()) else None
