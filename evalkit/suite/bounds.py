"""What good answers have in common, as bounds of checks; whether a bound holds is found elsewhere.

A learner gives a bound, or an empty one where good answers have nothing of the kind in common.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, TypeAlias

from evalkit.suite import answer_reading, checks, grounding_checks, word_lists
from evalkit.suite.answer_reading import Exchange
from evalkit.suite.checks import Problems

Bound: TypeAlias = dict[str, Any]

FEW = 4
MANY = 30
SUMS = 40
SOME = 10
SWAPPED = 30


def recurring_bound(
    judge: Callable[[Exchange, Bound], Problems], least: int = 1
) -> Callable[[Sequence[Exchange]], Bound]:
    """Bounds of a check for things from nowhere: those that stand in so many good answers."""

    def learn(exchanges: Sequence[Exchange]) -> Bound:
        empty = {"known": (), "units": (), "sums": SUMS}
        seen = Counter(
            why for exchange in exchanges for why in {w for _, w in judge(exchange, empty)}
        )
        quoted = (re.search(r"""(['"])(.+?)\1""", why) for why, n in seen.items() if n >= least)
        return {"known": sorted({found[2].casefold() for found in quoted if found})}

    return learn


def figures_bound(exchanges: Sequence[Exchange]) -> Bound:
    """Ungrounded figures that recur, and the units that good answers use."""
    units = {
        unit
        for exchange in exchanges
        for _, unit, _, _ in answer_reading.figures_of(exchange.text)
        if unit
    }
    return {
        **recurring_bound(grounding_checks.invented_figures, 2)(exchanges),
        "units": sorted(units),
        "sums": SUMS,
    }


def rows_bound(exchanges: Sequence[Exchange]) -> Bound:
    """On how many it stands; nothing else has to be learned."""
    return {"rows": len(exchanges)}


def shape_bound(exchanges: Sequence[Exchange]) -> Bound:
    """Of each place its kinds, labels, forms and ranges; of labels all have to be known."""
    held: dict[str, list[Any]] = defaultdict(list)
    for exchange in exchanges:
        for at, value in exchange.leaves:
            held[at].append(value)
    places = {}
    for at, values in held.items():
        kinds = {checks.value_kind(value) for value in values}
        place: Bound = {
            "kinds": sorted(kinds),
            "always": all(at in dict(exchange.leaves) for exchange in exchanges),
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
    return {
        "places": places,
        "names": sorted({name for exchange in exchanges for name in exchange.names}),
    }


def looks_bound(exchanges: Sequence[Exchange]) -> Bound:
    """Looks that no good answer has, and those that each has."""
    counts = {
        look: sum(
            bool(pattern.search(exchange.whole if look in word_lists.ANYWHERE else exchange.text))
            for exchange in exchanges
        )
        for look, pattern in word_lists.LOOKS.items()
    }
    return {
        "never": [
            look
            for look, count in counts.items()
            if not count and (len(exchanges) >= MANY or look not in word_lists.ORDINARY)
        ],
        "always": [look for look, count in counts.items() if count == len(exchanges)],
    }


def ids_bound(exchanges: Sequence[Exchange]) -> Bound:
    """Something where enough requests hold ids."""
    held = [
        exchange
        for exchange in exchanges
        if any(k == "id" for _, _, k, _ in answer_reading.figures_of(exchange.request))
    ]
    return {"requests": len(held)} if len(held) >= SOME else {}


def languages_bound(exchanges: Sequence[Exchange]) -> Bound:
    """Languages that a fifth of good answers have."""
    found = Counter(
        filter(None, (answer_reading.main_language(exchange.text) for exchange in exchanges))
    )
    usual = sorted(each for each, count in found.items() if count * 5 > len(exchanges))
    return {"languages": usual}


def citations_bound(exchanges: Sequence[Exchange]) -> Bound:
    """Ids of which the sources hold some and good answers cite some, by their form."""
    forms: Counter[str] = Counter()
    for exchange in exchanges:
        held = {
            w
            for w in re.findall(r"[\w.#/-]*\d[\w.#-]*", exchange.sources)
            if re.search(r"[A-Za-z]", w)
        }
        cited = (
            set(re.findall(r"[\[(]([\w.#/-]*[A-Za-z][\w.#/-]*\d[\w.#-]*)[\])]", exchange.text))
            & held
        )
        forms.update({checks.outline(each) for each in cited})
    common = [form for form, count in forms.items() if count * 2 > len(exchanges)]
    if not common:
        return {}
    pattern = re.escape(common[0]).replace("A", r"[A-Za-z]+").replace("9", r"\d+")
    return {"pattern": rf"\b{pattern}\b"}


def own_words_bound(exchanges: Sequence[Exchange]) -> Bound:
    """The threshold, and how relevant sources must be, at which most answers of others fail."""
    told = [
        answer_reading.content_of("\n".join(answer_reading.strings_in(exchange.value)))
        for exchange in exchanges
    ]
    given = [
        answer_reading.content_of(f"{exchange.request}\n{exchange.sources}")
        for exchange in exchanges
    ]
    said, held = (Counter(each for one in many for each in one) for many in (told, given))
    most = {each: max(said[each], held[each]) for each in said}
    shared = {each: n for each, n in sorted(most.items()) if n > max(1, 0.05 * len(exchanges))}
    own = [grounding_checks.own_share(exchange, shared, len(exchanges)) for exchange in exchanges]
    relevant = [grounding_checks.relevance(exchange) for exchange in exchanges]
    spread = range(0, len(exchanges), len(exchanges) // SWAPPED + 1)
    others = {
        other: [
            (
                relevant[at],
                grounding_checks.own_share(
                    _with_value(exchanges[at], exchanges[other]), shared, len(exchanges)
                ),
            )
            for at in spread
            if at != other
        ]
        for other in spread
    }
    sourced = sum(bool(exchange.sources.strip()) for exchange in exchanges) * 2 > len(exchanges)
    best: tuple[float, Bound] = (0.3, {})
    for allowed in range(max(len(exchanges) > 3 * FEW, int(0.05 * len(exchanges))) + 1):
        for least_relevant in (-1, 0) if sourced else (-2,):
            shares = sorted(s for s, r in zip(own, relevant, strict=True) if r > least_relevant)
            least = (
                (0.75 if len(exchanges) > 3 * FEW + 3 else 0.5) * shares[allowed]
                if len(shares) > max(FEW, 2 * allowed)
                else 0
            )
            failed = [
                sum(r > least_relevant and share < least for r, share in each) / max(1, len(each))
                for each in others.values()
            ]
            worth = min(failed) / 2 + sum(failed) / len(failed) / 2 - 0.05 * allowed
            bound = {"least": round(least, 3), "relevance": least_relevant, "rows": len(exchanges)}
            best = max(best, (worth, bound), key=lambda each: each[0])
    return {**best[1], "shared": shared} if best[1] else {}


def _with_value(exchange: Exchange, other: Exchange) -> Exchange:
    """A exchange with the answer of another."""
    changed = copy(exchange)
    changed.value = other.value
    return changed


def wording_bound(exchanges: Sequence[Exchange]) -> Bound:
    """The share of words that are new against the other good answers."""
    if len(exchanges) < 2 * SOME:
        return {}
    seen = Counter(stem for exchange in exchanges for stem in answer_reading.stems(exchange.text))
    shares, worst = [], []
    for exchange in exchanges:
        own = answer_reading.stems(exchange.text)
        others = {stem for stem, count in seen.items() if count - (stem in own) > 1}
        share, sentence = checks.new_words(exchange, others)
        shares.append(share)
        worst.append(sentence)
    return {
        "share": round(min(1.0, 1.2 * max(shares) + 0.05), 3),
        "sentence": round(min(1.0, 1.05 * max(worst) + 0.05), 3) if len(exchanges) >= MANY else 1.0,
        "house": sorted(stem for stem, count in seen.items() if count > 1),
    }


def complete_bound(exchanges: Sequence[Exchange]) -> Bound:
    """Lengths, lines that all have, and places that end with a stop."""
    lengths = sorted(len(exchange.text) for exchange in exchanges)
    lines = [{line.strip() for line in exchange.text.splitlines()} - {""} for exchange in exchanges]
    common = set.intersection(*lines) if len(exchanges) > FEW else set()
    is_sure = len(exchanges) >= MANY and lengths[-1] < 3 * lengths[0]
    return {
        "shortest": int(lengths[0] * (0.8 if is_sure else 0.5)),
        "longest": int(lengths[-1] * (1.25 if is_sure else 1.6)) + 40,
        "lines": sorted(line for line in common if len(line) > FEW),
        "stops": sorted(
            {at for exchange in exchanges for at, _ in exchange.prose}
            - {
                at
                for exchange in exchanges
                for at, each in exchange.prose
                if each.rstrip()[-1:].isalnum()
            }
        ),
    }
