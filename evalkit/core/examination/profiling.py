"""What the good answers of a route have in common: enough to write scorers from, in a few kB."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from evalkit.core.agent.answer import Path, answer_place
from evalkit.core.agent.damage import damages
from evalkit.core.agent.requests import Recorded
from evalkit.core.agent.suite import Row
from evalkit.core.brevity import short, size
from evalkit.core.examination.profile_checks import (
    CHECKS,
    FEW,
    TOLERATED,
    Check,
    Sample,
    Unsupported,
    words_of,
)
from evalkit.core.examination.profile_labels import label_of, labels_of
from evalkit.core.examination.profile_terms import Question, terms_by_question
from evalkit.core.examination.reporting import NAME_CHARS
from evalkit.core.masking import mask_json
from evalkit.core.values import Json, canonical

MOST_CASES = 24
"""Traces whose expectations are suggested, where nobody says for which ones."""

MOST_BYTES = 11_500
EVIDENCE = 3
TOOLS = 20
NAMES = 20


def profile(
    recorded: Iterable[Recorded], route: str, *, cases: Collection[str] = ()
) -> dict[str, Json]:
    """What the good answers of a route have in common.

    Good is what is ``ok``: it ended well, with an answer that nobody took for bad. ``checks`` says
    for every check whether the good answers support it (``on``, else ``why``), the bound that they
    suggest, how many of them keep to it, and which damage to them it notices.

    Args:
        recorded: The requests of an experiment, of this route and of others.
        route: The name of the traces' root span, whole or as reports shorten it.
        cases: Traces that are to become rows of a dataset, of whatever route; their expectations
            are suggested under ``cases``. Without any, those of the first questions are.
    """
    name = short(route, NAME_CHARS)
    own = _of_route(recorded, route)
    # masked before anything is read line by line: a key over several lines is known as a whole only
    good = [_masked(each) for each in own if each.ok]
    place = place_of(good, route)
    questions = _questions(good, place)
    labels = labels_of([question.answers for question in questions.values()])
    rows = list(_with_expectations(good, questions, name, labelled=bool(labels)))
    texts = [words_of(row, place) for row in rows]
    sample = Sample(rows, place, texts, len(questions), labels)
    picked = _picked(rows, cases)
    found: dict[str, Json] = {
        "route": name,
        "traces": len(own),
        "good_traces": len(good),
        "distinct_inputs": len(questions),
        "too_few": len(questions) < FEW,
        "inputs": sorted(set.intersection(*(set(each.row.inputs) for each in own)))[:NAMES]
        if own
        else [],
        "answer_at": list(place),
        "chars": _spread([len(text) for text in texts]),
        "seconds": _spread([row.seconds for row in rows if row.seconds is not None]),
        "tools": _tools(rows),
        "checks": {name: _learned(check, sample, picked) for name, check in CHECKS.items()}
        if rows
        else {},
        "cases": {
            row.source_trace_id: {
                name: row.expectations[name]
                for name in ("must_mention", "tools", "label")
                if name in row.expectations
            }
            for row in picked
        },
    }
    return _bounded(found)


def _masked(each: Recorded) -> Recorded:
    return replace(each, row=replace(each.row, outputs=mask_json(each.row.outputs)))


def place_of(recorded: Iterable[Recorded], route: str) -> Path:
    """Where the answers of a route have their words, decided by all its good ones.

    Args:
        recorded: The requests of an experiment, of this route and of others.
        route: The name of the traces' root span, whole or as reports shorten it.
    """
    return answer_place([each.row.outputs for each in _of_route(recorded, route) if each.ok])


def _of_route(recorded: Iterable[Recorded], route: str) -> list[Recorded]:
    name = short(route, NAME_CHARS)
    return [each for each in recorded if short(each.route, NAME_CHARS) == name]


def _questions(good: Sequence[Recorded], place: Path) -> dict[str, Question]:
    rows: dict[str, list[Row]] = {}
    for each in good:
        rows.setdefault(canonical(dict(each.row.inputs)), []).append(each.row)
    return {
        key: Question(tuple(same), tuple(words_of(row, place) for row in same))
        for key, same in rows.items()
    }


def _with_expectations(
    good: Sequence[Recorded], questions: Mapping[str, Question], route: str, *, labelled: bool
) -> Iterator[Row]:
    terms = terms_by_question(questions)
    tools = {key: _common_tools(question.rows) for key, question in questions.items()}
    for each in good:
        key = canonical(dict(each.row.inputs))
        expected = {"route": route, "must_mention": terms[key], "tools": tools[key]}
        if labelled and (label := label_of(questions[key].answers)):
            expected["label"] = label
        yield replace(each.row, expectations=expected)


def _common_tools(rows: Sequence[Row]) -> list[str]:
    return sorted(set.intersection(*({step.name for step in row.steps} for row in rows)))


def _picked(rows: Sequence[Row], cases: Collection[str]) -> list[Row]:
    """The rows that a dataset will hold as far as it is known, one for each question."""
    named = [row for row in rows if row.source_trace_id in cases]
    if named:
        return named
    first = {canonical(dict(row.inputs)): row for row in reversed(rows)}
    return list(reversed(first.values()))[:MOST_CASES]


def _learned(check: Check, sample: Sample, picked: Sequence[Row]) -> dict[str, Json]:
    bound = check.learn(sample)
    if isinstance(bound, Unsupported):
        return {"on": False, "why": str(bound)}
    kept = [
        check.passes(row, text, bound) for row, text in zip(sample.rows, sample.texts, strict=True)
    ]
    evidence = [
        row.source_trace_id for row, passed in zip(sample.rows, kept, strict=True) if passed
    ]
    told = {"bound": bound, "passes": sum(kept), "of": len(kept)}
    if len(kept) - sum(kept) > TOLERATED * len(kept):
        return {"on": False, "why": "too many good answers would fail it", **told}
    catches = _noticed(check, sample, picked, bound)
    if not catches:
        return {"on": False, "why": "it would notice no damage to these answers", **told}
    return {"on": True, **told, "catches": catches, "evidence": evidence[:EVIDENCE]}


def _noticed(check: Check, sample: Sample, picked: Sequence[Row], bound: Json) -> list[str]:
    """The damages to the picked rows that the check would notice."""
    good = {
        index: str(row.expectations["route"])
        for index, row in enumerate(picked)
        if check.passes(row, words_of(row, sample.place), bound)
    }
    noticed = [
        copy.damage
        for copy in damages(picked, good, lambda _: sample.place)
        if not check.passes(copy.row, words_of(copy.row, sample.place), bound)
    ]
    return list(dict.fromkeys(noticed))


def _tools(rows: Sequence[Row]) -> dict[str, Json]:
    used = Counter(name for row in rows for name in {step.name for step in row.steps})
    failed = Counter(step.name for row in rows for step in row.steps if step.failed)
    return {
        "always": sorted(name for name, count in used.items() if count == len(rows))[:TOOLS],
        "sometimes": {name: count for name, count in used.most_common(TOOLS) if count < len(rows)},
        "failures": dict(failed.most_common(TOOLS)),
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "smallest": min(values),
        "median": round(statistics.median(values), 3),
        "largest": max(values),
    }


def _bounded(found: dict[str, Json]) -> dict[str, Json]:
    """The profile without secrets, with as many cases as fit, the form in short if need be."""
    found = mask_json(found)
    left = list(found["cases"].items())
    while size(found) > MOST_BYTES and left:
        left.pop()
        found["cases"] = dict(left)
    if size(found) > MOST_BYTES:
        form = found["checks"].get("format_kept", {})
        form["bound"] = {"type": form["bound"]["type"]} if "bound" in form else {}
    return found
