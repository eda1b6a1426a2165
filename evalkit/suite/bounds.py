"""What good answers have in common, as bounds of checks; whether a bound holds is found elsewhere.

A learner gives a bound, or an empty one where good answers have nothing of the kind in common.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, TypeAlias

from evalkit.suite import answer_reading, checks, word_lists
from evalkit.suite.answer_reading import Case
from evalkit.suite.checks import Problems

Bound: TypeAlias = dict[str, Any]

FEW = 4
MANY = 30
SHORT = 40
SUMS = 40
SOME = 10
SWAPPED = 30


def recurring_bound(judge: Callable[[Case, Bound], Problems]) -> Callable[[Sequence[Case]], Bound]:
    """Bounds of a check for things from nowhere: those that stand in several good answers."""

    def learn(cases: Sequence[Case]) -> Bound:
        empty = {"known": (), "units": (), "sums": SUMS}
        seen = Counter(why for case in cases for why in {w for _, w in judge(case, empty)})
        quoted = (re.search(r"""(['"])(.+?)\1""", why) for why, n in seen.items() if n > 1)
        return {"known": sorted({found[2].casefold() for found in quoted if found})}

    return learn


def figures_bound(cases: Sequence[Case]) -> Bound:
    """Ungrounded figures that recur, and the units that good answers use."""
    units = {unit for case in cases for _, unit, _, _ in answer_reading.figures(case.text) if unit}
    return {**recurring_bound(checks.invented_figures)(cases), "units": sorted(units), "sums": SUMS}


def nothing_bound(_cases: Sequence[Case]) -> Bound:
    """Nothing has to be learned."""
    return {}


def shape_bound(cases: Sequence[Case]) -> Bound:
    """Of each place its kinds, labels, forms and ranges; of labels all have to be known."""
    held: dict[str, list[Any]] = defaultdict(list)
    for case in cases:
        for at, value in case.leaves:
            held[at].append(value)
    places = {}
    for at, values in held.items():
        kinds = {checks.kind_of(value) for value in values}
        place: Bound = {
            "kinds": sorted(kinds),
            "always": all(at in dict(case.leaves) for case in cases),
        }
        written = [value for value in values if isinstance(value, str)]
        labels = set(written)
        if written and not any(map(answer_reading.is_prose, written)):
            outlines = Counter(map(checks.outline, written))
            if len(written) > FEW and min(Counter(written).values()) > 1:
                place["labels"] = sorted(labels)
            elif len(outlines) <= max(1, len(written) // 8):
                place["form"] = sorted(outlines)
        elif kinds <= {"int", "float"} and len(values) > FEW:
            low, high = min(values), max(values)
            place["range"] = [low - (high - low), high + (high - low)]
        places[at] = place
    return {"places": places, "names": sorted({name for case in cases for name in case.names})}


def looks_bound(cases: Sequence[Case]) -> Bound:
    """Looks that no good answer has, and those that each has."""
    counts = {
        look: sum(
            bool(pattern.search(case.text if look in word_lists.ORDINARY else case.whole))
            for case in cases
        )
        for look, pattern in word_lists.LOOKS.items()
    }
    return {
        "never": [
            look
            for look, count in counts.items()
            if not count and (len(cases) >= MANY or look not in word_lists.ORDINARY)
        ],
        "always": [look for look, count in counts.items() if count == len(cases)],
    }


def fields_bound(cases: Sequence[Case]) -> Bound:
    """Relations of fields to what was given and to each other that always hold."""
    values = [dict(case.leaves) for case in cases]
    places = sorted({at for each in values for at in each if at})
    names = sorted({str(n) for c in cases if isinstance(c.inputs, Mapping) for n in c.inputs})
    candidates = [
        "what was given",
        "the text",
        "the language of the request",
        *(f"inputs.{name}" for name in names),
    ]
    relations = []
    for at in places:
        held = [
            (c, str(v[at])) for c, v in zip(cases, values, strict=True) if v.get(at) is not None
        ]
        short = [(c, v) for c, v in held if len(v) < SHORT and v not in {"True", "False"}]
        if len(short) < SOME:
            continue
        for relation in candidates:
            bound = {"relations": [(at, relation)], "sets": [], "markers": [], "ids": []}
            if _means_something(relation, short) and not any(
                True for case, _ in short for _ in checks.disagreeing_fields(case, bound)
            ):
                relations.append((at, relation))
    return {
        "relations": relations,
        "sets": _sets(values, places),
        "ids": [(at, form) for at in places if (form := _form_of_ids(cases, values, at))],
        "markers": [
            each
            for at in places
            for where in ("text", "request")
            if (each := _markers(cases, values, at, where))
        ],
    }


def _form_of_ids(cases: Sequence[Case], values: Sequence[Mapping[str, Any]], at: str) -> str | None:
    """The form of a field's ids, where it is set just if the request holds such an id."""
    held = [each[at] for each in values if isinstance(each.get(at), str)]
    start = os.path.commonprefix(held)  # noqa: RUF071 - characters are meant
    prefix = re.match(r"[^\W\d_]+[^\w\s]?", start) if len(held) > FEW else None
    if prefix is None or not all(re.fullmatch(r"\W?\d+", h[prefix.end() :]) for h in held):
        return None
    form = rf"\b{re.escape(prefix[0])}\W?\d+"
    agree = all(
        (each.get(at) is None) == (re.search(form, case.request) is None)
        for case, each in zip(cases, values, strict=True)
        if at in each
    )
    return form if agree and len(held) < len(cases) else None


def _means_something(relation: str, held: Sequence[tuple[Case, str]]) -> bool:
    """Whether a relation of a field could have been otherwise."""
    if relation == "the text":
        return all(case.text for case, _ in held)
    if relation == "the language of the request":
        return all(value in word_lists.STOPWORDS or len(value) == 2 for _, value in held)  # noqa: PLR2004
    if relation == "what was given":
        return len({value for _, value in held}) > 1
    return sum(relation[7:] in case.inputs for case, _ in held) >= FEW


def _sets(values: Sequence[Mapping[str, Any]], places: Iterable[str]) -> list[tuple[Any, ...]]:
    """Which labels go with another field being set, or not."""
    found = []
    for at in places:
        labels = Counter(str(each[at]) for each in values if isinstance(each.get(at), str))
        for label, count in labels.items():
            if count < 2 * FEW or len(labels) > 12:  # noqa: PLR2004
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
    cases: Sequence[Case], values: Sequence[Mapping[str, Any]], at: str, where: str
) -> tuple[str, str, dict[str, list[str]]] | None:
    """Words of the text or the request that stand with one label only."""
    labels = Counter(str(each[at]) for each in values if isinstance(each.get(at), str | bool))
    if not 1 < len(labels) <= 12:  # noqa: PLR2004
        return None
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for case, each in zip(cases, values, strict=True):
        for stem in answer_reading.stems(case.text if where == "text" else case.request):
            seen[stem][str(each.get(at))] += 1
    marks: dict[str, list[str]] = {label: [] for label in labels}
    for stem, counts in sorted(seen.items()):
        (label, count), *more = counts.most_common()
        chance = (labels[label] / len(values)) ** count if label in marks else 1
        if not more and count >= FEW and chance < 0.01:  # noqa: PLR2004
            marks[label].append(stem)
    return (at, where, marks) if any(marks.values()) else None


def ids_bound(cases: Sequence[Case]) -> Bound:
    """Something where enough requests hold ids."""
    held = [
        case
        for case in cases
        if any(k == "id" for _, _, k, _ in answer_reading.figures(case.request))
    ]
    return {"requests": len(held)} if len(held) >= SOME else {}


def languages_bound(cases: Sequence[Case]) -> Bound:
    """Languages that a fifth of good answers have."""
    found = Counter(filter(None, (answer_reading.language(case.text) for case in cases)))
    usual = sorted(each for each, count in found.items() if count * 5 > len(cases))
    return {"languages": usual}


def citations_bound(cases: Sequence[Case]) -> Bound:
    """Ids of which the sources hold some and good answers cite some, by their form."""
    forms: Counter[str] = Counter()
    for case in cases:
        held = {
            w for w in re.findall(r"[\w.#/-]*\d[\w.#-]*", case.sources) if re.search(r"[A-Za-z]", w)
        }
        cited = (
            set(re.findall(r"[\[(]([\w.#/-]*[A-Za-z][\w.#/-]*\d[\w.#-]*)[\])]", case.text)) & held
        )
        forms.update({checks.outline(each) for each in cited})
    common = [form for form, count in forms.items() if count * 2 > len(cases)]
    if not common:
        return {}
    pattern = re.escape(common[0]).replace("A", r"[A-Za-z]+").replace("9", r"\d+")
    return {"pattern": rf"\b{pattern}\b"}


def own_words_bound(cases: Sequence[Case]) -> Bound:
    """The threshold, and how relevant sources must be, at which most answers of others fail."""
    told = [
        answer_reading.content("\n".join(answer_reading.strings_in(case.value))) for case in cases
    ]
    given = [answer_reading.content(f"{case.request}\n{case.sources}") for case in cases]
    said, held = (Counter(each for one in many for each in one) for many in (told, given))
    most = {each: max(said[each], held[each]) for each in said}
    shared = {each: n for each, n in sorted(most.items()) if n > max(1, 0.05 * len(cases))}
    own = [checks.own_share(case, shared, len(cases)) for case in cases]
    relevant = [checks.relevance(case) for case in cases]
    spread = range(0, len(cases), len(cases) // SWAPPED + 1)
    others = {
        other: [
            (
                relevant[at],
                checks.own_share(_with_value(cases[at], cases[other]), shared, len(cases)),
            )
            for at in spread
            if at != other
        ]
        for other in spread
    }
    sourced = sum(bool(case.sources.strip()) for case in cases) * 2 > len(cases)
    best: tuple[float, Bound] = (0.3, {})
    for allowed in range(max(len(cases) >= SOME, int(0.05 * len(cases))) + 1):
        for least_relevant in (-1, 0) if sourced else (-2,):
            shares = sorted(s for s, r in zip(own, relevant, strict=True) if r > least_relevant)
            least = 0.75 * shares[allowed] if len(shares) > max(FEW, 2 * allowed) else 0
            failed = [
                sum(r > least_relevant and share < least for r, share in each) / max(1, len(each))
                for each in others.values()
            ]
            worth = min(failed) / 2 + sum(failed) / len(failed) / 2 - 0.05 * allowed
            bound = {"least": round(least, 3), "relevance": least_relevant, "rows": len(cases)}
            best = max(best, (worth, bound), key=lambda each: each[0])
    return {**best[1], "shared": shared} if best[1] else {}


def _with_value(case: Case, other: Case) -> Case:
    """A case with the answer of another."""
    changed = copy(case)
    changed.value = other.value
    return changed


def wording_bound(cases: Sequence[Case]) -> Bound:
    """The share of words that are new against the other good answers."""
    if len(cases) < 2 * SOME:
        return {}
    seen = Counter(stem for case in cases for stem in answer_reading.stems(case.text))
    shares, worst = [], []
    for case in cases:
        own = answer_reading.stems(case.text)
        others = {stem for stem, count in seen.items() if count - (stem in own) > 1}
        share, sentence = checks.new_words(case, others)
        shares.append(share)
        worst.append(sentence)
    return {
        "share": round(min(1.0, 1.2 * max(shares) + 0.05), 3),
        "sentence": round(min(1.0, 1.05 * max(worst) + 0.05), 3) if len(cases) >= MANY else 1.0,
        "house": sorted(stem for stem, count in seen.items() if count > 1),
    }


def complete_bound(cases: Sequence[Case]) -> Bound:
    """Lengths, lines that all have, and places that end with a stop."""
    lengths = sorted(len(case.text) for case in cases)
    lines = [{line.strip() for line in case.text.splitlines()} - {""} for case in cases]
    common = set.intersection(*lines) if len(cases) > FEW else set()
    spread = lengths[-1] / max(1, lengths[0])
    return {
        "shortest": int(lengths[0] * (0.8 if spread < 3 else 0.6)),  # noqa: PLR2004
        "longest": int(lengths[-1] * (1.25 if spread < 3 else 1.6)) + 40,  # noqa: PLR2004
        "lines": sorted(line for line in common if len(line) > FEW),
        "stops": sorted(
            {at for case in cases for at, _ in case.prose}
            - {at for case in cases for at, each in case.prose if each.rstrip()[-1:].isalnum()}
        ),
    }
