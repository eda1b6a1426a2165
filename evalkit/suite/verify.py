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
    MOST_REFUSED,
    SCORERS_FILE,
    Files,
    Probe,
    Row,
    ScorerValue,
    Verification,
    passes,
    unlike,
    verdict,
)
from evalkit.suite.runner import Loaded, Runner

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
    damaged, alike = list(copies(good, per_fault)), _spread(good, SENTENCE_ROWS)
    sentences = _spread(sorted(good, key=lambda row: len(str(row.outputs))), SENTENCES)
    again = _spread(rows, AGAIN)
    asked = [Probe(row.trace_id, row.outputs) for row in (*rows, *again)]
    asked += [probe for _, probe in damaged]
    asked += [Probe(row.trace_id, one.outputs) for one in sentences for row in alike]
    few = len(good) < FEW_ROWS
    word: Literal["too few traces", "not verified"] = "too few traces" if few else "not verified"
    requests = len({canonical(dict(row.inputs)) for row in good})
    found = Verification(word, rows=len(rows), good_rows=len(good), requests=requests)
    loaded = runner.judge(files, asked)
    if loaded.error:
        return replace(found, problems=(f"{SCORERS_FILE} cannot be used: {loaded.error}",))
    names, ids = loaded.scorers, [probe.trace_id for probe in asked]
    said = [[verdict(scores[name]) for name in names] for scores in loaded.scores]
    table = pd.DataFrame(said, ids, names, dtype=object)  # True, False and None as they are
    ends = [0, *accumulate((len(rows), len(again), len(damaged))), len(asked)]
    first, second, faulty, same = (table[at:end] for at, end in pairwise(ends))
    recorded = dict(zip(first.index, loaded.scores, strict=False))
    limits = files.get(LIMITS_FILE, b"").decode("utf-8", "replace")
    passed = ~first.eq(False).any(axis=1)
    missed = {
        row.trace_id: _lacking_limit(row, limits)
        for row in rows
        if row.verdict == "rejected" and passed[row.trace_id]
    }
    problems = [*_of_files(files, loaded, wanted, limits)]
    for name in names:
        own = {trace_id: scores[name] for trace_id, scores in recorded.items()}
        problems += _of_values(name, own, first[name], second[name])
        problems += _of_answers(name, own, good)
        problems += _of_example(name, loaded, rows)
    problems += filter(None, missed.values())
    return replace(
        found,
        word=word if few or problems else "verified",
        problems=tuple(dict.fromkeys(problems)),
        people=_people(rows, passed, missed),
        one_sentence=_one_sentence(sentences, alike, same),
        judges=loaded.judges,
        serialized=loaded.serialized,
        recorded=recorded,
        **_noticing([row.trace_id for row in good], first, [kind for kind, _ in damaged], faulty),
    )


# -- what is measured -------------------------------------------------------------------------


def _noticing(
    good: list[str], first: pd.DataFrame, kinds: list[str], faulty: pd.DataFrame
) -> dict[str, Any]:
    """By scorer what it passes and notices, and by kind of fault what some scorer notices."""
    fails, noticed, ids = first.eq(False), faulty.eq(False), list(faulty.index)
    passed = first.eq(True).loc[ids]
    figures = {
        "good": len(good),
        "good_passed": (~fails.loc[good]).sum(),
        "applies": first.notna().sum(),
        "noticed": (noticed & passed).sum(),
        "copies": passed.sum(),
    }
    is_sound = ~fails.any(axis=1).loc[ids].to_numpy(dtype=bool)
    hits = pd.Series(noticed.any(axis=1).to_numpy(dtype=bool), kinds)[is_sound]
    by_kind = hits.groupby(level=0, sort=False).agg(["sum", "count"])
    return {
        "scorers": pd.DataFrame(figures, first.columns).astype(int).to_dict("index"),
        "faults": {str(kind): (int(hit), int(of)) for kind, hit, of in by_kind.itertuples()},
    }


def _people(
    rows: Sequence[Row], passed: pd.Series[bool], missed: Mapping[str, str]
) -> dict[str, Json]:
    """How the suite agrees with people; it passes an answer that no scorer fails."""
    accepts = {row.trace_id: row.verdict == "accepted" for row in rows if row.verdict != "none"}
    people, suite = pd.Series(accepts, dtype=bool), passed.loc[list(accepts)].astype(bool)
    kappa, yes, no = None, int(people.sum()), int((~people).sum())
    if yes and no:
        from sklearn.metrics import cohen_kappa_score

        kappa = round(float(cohen_kappa_score(people, suite)), 3)
    in_limits = sum(not lacks for lacks in missed.values())
    failed = {"failed": no - len(missed), "in_limits": in_limits, "missed": list(missed)}
    return {
        "accepted": {"answers": yes, "pass_all": int((people & suite).sum())},
        "rejected": {"answers": no, **failed},
        "kappa": kappa,
    }


def _one_sentence(
    sentences: Sequence[Row], rows: Sequence[Row], said: pd.DataFrame
) -> dict[str, Json]:
    """What becomes of the sentence that most scorers pass, where it answers another request."""
    fails, found = said.eq(False), []
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


def _spread(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many of the rows, evenly spread."""
    return [rows[at * len(rows) // most] for at in range(most)] if len(rows) > most else list(rows)


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
        if kinds := mask_text(content.decode("utf-8", "replace"))[1]:
            yield f"{path} holds a secret ({', '.join(kinds)}): take it out"


def _of_values(
    name: str,
    own: Mapping[str, Sequence[ScorerValue]],
    first: pd.Series[Any],
    second: pd.Series[Any],
) -> Iterator[str]:
    wrong = [(trace_id, fault) for trace_id in own if (fault := _fault(own[trace_id]))]
    if wrong:
        more = f" (and on {len(wrong) - 1} more of {len(own)} rows)" if wrong[1:] else ""
        yield f"{name} on {wrong[0][0]}{more}: {wrong[0][1]}"
    elif own and first.isna().all():
        yield f"{name} never applies: it gives None on each of the {len(own)} rows"
    both = zip(second.index, first.loc[second.index], second, strict=True)
    for key, before, now in [each for each in both if each[1] is not each[2]][:1]:
        yield f"{name} says {before} and then {now} about one and the same answer ({key})"


def _of_answers(
    name: str, own: Mapping[str, Sequence[ScorerValue]], good: Sequence[Row]
) -> Iterator[str]:
    most = max(1, int(len(good) * MOST_REFUSED))
    refused = [row.trace_id for row in good if verdict(own[row.trace_id]) is False]
    if len(refused) > most:
        why = f"; {own[refused[0]][0].rationale}".rstrip("; ")
        yield (
            f"{name} refuses {len(refused)} of {len(good)} good answers (at most {most} may "
            f"be): {', '.join(refused[:5])}{why}"
        )


def _of_example(name: str, loaded: Loaded, rows: Sequence[Row]) -> Iterator[str]:
    place = f"BAD_EXAMPLES[{name!r}]"
    trace_id, answer = loaded.bad_examples.get(name, ("", None))
    row = next((each for each in rows if each.trace_id == trace_id), None)
    if name not in loaded.bad_examples:
        yield f"{place} is missing: give (trace_id, an answer in its place that it must fail)"
    elif row is None:
        yield f"{place} names {trace_id}, which is no trace of TRACES"
    else:
        good = [each for each in rows if each.is_good]
        kin = [each for each in good if each.route == row.route] or good
        if odd := unlike(answer, [each.outputs for each in kin]):
            yield f"{place} is unlike any good answer ({odd}): damage a good one instead"
        scores = loaded.examples.get(name, [])
        if fault := _fault(scores):
            yield f"{name} on its own bad example: {fault}"
        elif verdict(scores) is not False:
            yield f"{name} does not fail its own bad example ({place}, in place of {trace_id})"


def _fault(scores: Sequence[ScorerValue]) -> str:
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
        f"people rejected {row.trace_id} ({reason}) and every scorer passes it: let one fail it, "
        f"or have a section of {LIMITS_FILE} name it with their reason and a guideline for a judge"
    )
