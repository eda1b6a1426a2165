"""Whether a suite tells the truth: held against good answers, its own bad ones, and people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any, Literal

import pandas as pd

from evalkit.jsonable import Json, canonical
from evalkit.masking import mask_text
from evalkit.suite.faults import copies
from evalkit.suite.model import (
    FEW_ROWS,
    LIMITS_FILE,
    SCORERS_FILE,
    Files,
    Probe,
    Row,
    Score,
    Verification,
    passes,
    unlike,
    verdict,
)
from evalkit.suite.runner import Loaded, Runner

MOST_REFUSED = 0.05
"""The share of good answers that a scorer may refuse; of fewer than 20 it may refuse one."""

AGAIN, SENTENCES, SENTENCE_ROWS = 12, 8, 30


def verify(
    runner: Runner,
    files: Files,
    rows: Sequence[Row],
    *,
    wanted: Sequence[str] = (),
    per_fault: int = 12,
) -> Verification:
    """Verify a suite: run every scorer on every row, on damaged copies, on its own bad example.

    ``wanted`` scorers have to be there, or be given up under a heading of LIMITS.md; ``per_fault``
    is how many damaged copies there are of a kind at most.
    """
    good = [row for row in rows if row.is_good]
    damaged = list(copies(good, per_fault))
    sentences = _spread(sorted(good, key=lambda row: len(str(row.outputs))), SENTENCES)
    asked = [Probe(row.trace_id, row.outputs) for row in (*rows, *_spread(rows, AGAIN))]
    asked += [probe for _, probe in damaged]
    everywhere = _spread(good, SENTENCE_ROWS)
    asked += [Probe(row.trace_id, one.outputs) for one in sentences for row in everywhere]
    few = len(good) < FEW_ROWS
    word: Literal["too few traces", "not verified"] = "too few traces" if few else "not verified"
    requests = len({canonical(dict(row.inputs)) for row in good})
    found = Verification(word, rows=len(rows), good_rows=len(good), requests=requests)
    loaded = runner.judge(files, asked)
    if isinstance(loaded, str):
        return replace(found, problems=(f"{SCORERS_FILE} cannot be used: {loaded}",))
    names, ids = loaded.scorers, [probe.trace_id for probe in asked]
    said = [[verdict(scores[name]) for name in names] for scores in loaded.scores]
    table = pd.DataFrame(said, ids, names, dtype=object)  # True, False and None as they are
    ends = [*accumulate((len(rows), min(len(rows), AGAIN), len(damaged))), len(asked)]
    clean, again, faulty, alike = (table[at:end] for at, end in pairwise([0, *ends]))
    recorded = dict(zip(clean.index, loaded.scores, strict=False))
    limits = files.get(LIMITS_FILE, b"").decode("utf-8", "replace")
    passed = ~clean.eq(False).any(axis=1)
    missed = {
        row.trace_id: _lacking_limit(row, limits)
        for row in rows
        if row.verdict == "rejected" and passed[row.trace_id]
    }

    def said_of(name: str) -> tuple[Mapping[str, Sequence[Score]], pd.DataFrame]:
        """What a scorer says of each row's own answer, and the two verdicts where asked twice."""
        twice = {"first": clean[name].loc[again.index], "second": again[name]}
        return {each: scores[name] for each, scores in recorded.items()}, pd.DataFrame(twice)

    problems = [
        *_of_files(files, loaded, wanted, limits),
        *(each for name in names for each in _of_scorer(name, loaded, rows, *said_of(name))),
        *filter(None, missed.values()),
    ]
    return replace(
        found,
        word=word if few or problems else "verified",
        problems=tuple(dict.fromkeys(problems)),
        people=_people(rows, passed, missed),
        one_sentence=_one_sentence(sentences, everywhere, alike),
        judges=loaded.judges,
        serialized=loaded.serialized,
        recorded=recorded,
        **_noticing([row.trace_id for row in good], clean, [kind for kind, _ in damaged], faulty),
    )


# -- what is measured -------------------------------------------------------------------------


def _noticing(
    good: Sequence[str], clean: pd.DataFrame, kinds: Sequence[str], faulty: pd.DataFrame
) -> dict[str, Any]:
    """By scorer what it passes and notices, and by kind of fault what some scorer notices."""
    fails, noticed = clean.eq(False), faulty.eq(False)
    passed = clean.eq(True).loc[faulty.index]
    figures = {
        "good": len(good),
        "good_passed": (~fails.loc[list(good)]).sum(),
        "applies": clean.notna().sum(),
        "noticed": (noticed & passed).sum(),
        "copies": passed.sum(),
    }
    copies = pd.DataFrame({"kind": kinds, "noticed": [*noticed.any(axis=1)]})
    is_sound = (~fails.any(axis=1)).loc[list(faulty.index)].to_numpy(dtype=bool)
    sound = copies.loc[is_sound]
    by_kind = sound.groupby("kind", sort=False)["noticed"].agg(["sum", "count"])
    return {
        "scorers": pd.DataFrame(figures, clean.columns).astype(int).to_dict("index"),
        "faults": {str(kind): (int(hit), int(of)) for kind, hit, of in by_kind.itertuples()},
    }


def _people(
    rows: Sequence[Row], passed: pd.Series[bool], missed: Mapping[str, str]
) -> dict[str, Json]:
    """How the suite agrees with people; it passes an answer that no scorer fails."""
    verdict = {row.trace_id: row.verdict == "accepted" for row in rows if row.verdict != "none"}
    suite, people = [bool(passed[each]) for each in verdict], list(verdict.values())
    kappa = None
    if len({*people}) > 1:
        from sklearn.metrics import cohen_kappa_score

        kappa = round(float(cohen_kappa_score(people, suite)), 3)
    return {
        "accepted": {
            "answers": sum(people),
            "pass_all": sum(map(all, zip(people, suite, strict=True))),
        },
        "rejected": {
            "answers": len(people) - sum(people),
            "failed": len(people) - sum(people) - len(missed),
            "in_limits": sum(not lacks for lacks in missed.values()),
            "missed": list(missed),
        },
        "kappa": kappa,
    }


def _one_sentence(
    sentences: Sequence[Row], rows: Sequence[Row], alike: pd.DataFrame
) -> dict[str, Json]:
    """What becomes of the sentence that most scorers pass, where it answers another request."""
    fails, found = alike.eq(False), []
    for at, sentence in enumerate(sentences):
        is_other = [row.inputs != sentence.inputs for row in rows]
        other = fails[at * len(rows) : (at + 1) * len(rows)][is_other]
        if len(other):
            found.append((other.to_numpy().mean(), at, other.any(axis=1)))
    if not found:
        return {}
    _, best, failed = min(found)
    answer = mask_text(str(sentences[best].outputs))[0][:300]
    return {"answer": answer, "rows": len(failed), "failed": int(failed.sum())}


# -- what is required -------------------------------------------------------------------------


def _of_files(files: Files, loaded: Loaded, wanted: Sequence[str], limits: str) -> Iterator[str]:
    for name in dict.fromkeys(wanted):
        given_up = rf"(?m)^#+[^\n]*\b{re.escape(name)}\b[^\n]*\n\s*[^\s#]"
        if name not in (*loaded.scorers, *loaded.judges) and not re.search(given_up, limits):
            yield (
                f"SCORERS has no scorer named {name}: write it and add it, or say why not in "
                f"{LIMITS_FILE} under a heading that names it"
            )
    if not loaded.scorers:
        yield "SCORERS holds only scorers that ask a model: add some that judge by rules"
    for path, content in files.items():
        _, kinds = mask_text(content.decode("utf-8", "replace"))
        if kinds:
            yield f"{path} holds a secret ({', '.join(kinds)}): take it out"


def _of_scorer(
    name: str,
    loaded: Loaded,
    rows: Sequence[Row],
    own: Mapping[str, Sequence[Score]],
    twice: pd.DataFrame,
) -> Iterator[str]:
    """What is wrong with its values, with what it refuses, and with its bad example."""
    wrong = [(trace_id, fault) for trace_id in own if (fault := _fault(own[trace_id]))]
    if wrong:
        trace_id, fault = wrong[0]
        more = f" (and on {len(wrong) - 1} more of {len(own)} rows)" if wrong[1:] else ""
        yield f"{name} on {trace_id}{more}: {fault}"
    elif own and all(verdict(scores) is None for scores in own.values()):
        yield f"{name} never applies: it gives None on each of the {len(own)} rows"
    for trace_id, first, second in [e for e in twice.itertuples() if e[1] is not e[2]][:1]:
        yield f"{name} says {first} and then {second} about one and the same answer ({trace_id})"
    good = [row for row in rows if row.is_good]
    most = max(1, int(len(good) * MOST_REFUSED))
    refused = [row.trace_id for row in good if verdict(own[row.trace_id]) is False]
    if len(refused) > most:
        why = f"; {own[refused[0]][0].rationale}".rstrip("; ")
        yield (
            f"{name} refuses {len(refused)} of {len(good)} good answers (at most {most} may "
            f"be): {', '.join(refused[:5])}{why}"
        )
    place = f"BAD_EXAMPLES[{name!r}]"
    trace_id, answer = loaded.bad_examples.get(name, ("", None))
    row = next((each for each in rows if each.trace_id == trace_id), None)
    if name not in loaded.bad_examples:
        yield f"{place} is missing: give (trace_id, an answer in its place that it must fail)"
    elif row is None:
        yield f"{place} names {trace_id}, which is no trace of TRACES"
    else:
        kin = [each.outputs for each in good if each.route == row.route]
        if odd := unlike(answer, kin or [each.outputs for each in good]):
            yield f"{place} is unlike any good answer ({odd}): damage a good one instead"
        scores = loaded.examples.get(name, [])
        if fault := _fault(scores):
            yield f"{name} on its own bad example: {fault}"
        elif verdict(scores) is not False:
            yield f"{name} does not fail its own bad example ({place}, in place of {trace_id})"


def _fault(scores: Sequence[Score]) -> str:
    for score in scores:
        if score.error:
            return f"it failed: {score.error}"
        if score.value is not None and passes(score.value) is None:
            return (
                f"its value {score.value!r} is no verdict: give True or False, yes or no, a number "
                "(0.5 and more passes), or None where it does not apply"
            )
    return "" if scores else "it gave no value"


def _lacking_limit(row: Row, limits: str) -> str:
    """What LIMITS.md lacks about a rejected answer that all pass; empty where it says why."""
    parts = re.split(r"(?m)^(?=#)", limits)
    about = " ".join(part for part in parts if row.trace_id in part).casefold()
    words = set(re.findall(r"\w{4,}", " ".join(row.comments).casefold()))
    is_told = about and sum(word in about for word in words) * 2 >= len(words)
    if is_told and ("guideline" in about or "judge" in about):
        return ""
    reason = "; ".join(row.comments) or "no reason given"
    return (
        f"people rejected {row.trace_id} ({reason}) and every "
        f"scorer passes it: let one fail it, or have a section of {LIMITS_FILE} name it with their "
        "reason and a guideline for a judge"
    )


def _spread(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many of the rows, evenly spread."""
    return [rows[at * len(rows) // most] for at in range(most)] if len(rows) > most else list(rows)
