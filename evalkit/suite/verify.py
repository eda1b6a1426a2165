"""Whether a suite tells the truth: held against good answers, its own bad ones, and people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from evalkit.core.masking import mask_text
from evalkit.core.values import Json
from evalkit.suite.faults import copies
from evalkit.suite.model import (
    FEW_ROWS,
    LIMITS_FILE,
    SCORERS_FILE,
    Files,
    Probe,
    Row,
    Score,
    passes,
)
from evalkit.suite.runner import Loaded, Runner
from evalkit.suite.verification import (
    Verdicts,
    Verification,
    figures,
    noticed,
    one_sentence,
    people,
    verdicts,
)

__all__ = ["Verification", "verdicts", "verify"]

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

    Args:
        runner: Where the suite's code runs, on these rows.
        files: The suite's files.
        rows: The rows.
        wanted: Names of scorers that have to be there, or be given up under a heading of LIMITS.md.
        per_fault: How many damaged copies there are of a kind at most.
    """
    good = [row for row in rows if row.is_good]
    damaged = list(copies(good, per_fault))
    sentences = _spread(sorted(good, key=lambda row: _size(row.outputs)), SENTENCES)
    asked = _spread(good, SENTENCE_ROWS)
    parts = {
        "rows": [Probe(row.trace_id, row.outputs) for row in rows],
        "again": [Probe(row.trace_id, row.outputs) for row in _spread(rows, AGAIN)],
        "faults": [probe for _, probe in damaged],
        "sentences": [Probe(row.trace_id, one.outputs) for one in sentences for row in asked],
    }
    found = Verification("not verified", rows=len(rows), good_rows=len(good))
    loaded = runner.judge(files, [probe for part in parts.values() for probe in part])
    if isinstance(loaded, str):
        return replace(found, problems=(f"{SCORERS_FILE} cannot be used: {loaded}",))
    left, names = iter(loaded.scores), loaded.scorers
    recorded = {row.trace_id: next(left) for row in rows}
    clean = {trace_id: verdicts(said, names) for trace_id, said in recorded.items()}
    again, faulty, alike = (
        [verdicts(next(left), names) for _ in parts[part]] for part in list(parts)[1:]
    )
    limits = files.get(LIMITS_FILE, b"").decode("utf-8", "replace")
    missed = _missed_rejections(rows, clean, limits)
    problems = dict.fromkeys(
        [
            *_missing(loaded, wanted, limits),
            *_secrets(files),
            *_value_problems(names, recorded),
            *_unsteady(clean, parts["again"], again),
            *_refusals(names, good, clean, recorded),
            *_example_problems(loaded, rows, good),
            *filter(None, missed.values()),
        ]
    )
    noticing = [
        (kind, clean[probe.trace_id], after)
        for (kind, probe), after in zip(damaged, faulty, strict=True)
    ]
    few = len(good) < FEW_ROWS
    return replace(
        found,
        word="too few traces" if few else "not verified" if problems else "verified",
        problems=tuple(problems),
        people=people(rows, clean, [trace_id for trace_id, lacks in missed.items() if not lacks]),
        scorers={name: figures(name, good, clean, noticing) for name in names},
        faults=noticed(noticing),
        one_sentence=one_sentence(sentences, alike),
        judges=loaded.judges,
        serialized=loaded.serialized,
        recorded=recorded,
    )


# -- what is required -------------------------------------------------------------------------


def _missing(loaded: Loaded, wanted: Sequence[str], limits: str) -> Iterator[str]:
    for name in dict.fromkeys(wanted):
        given_up = rf"(?m)^#+[^\n]*\b{re.escape(name)}\b[^\n]*\n\s*[^\s#]"
        if name not in (*loaded.scorers, *loaded.judges) and not re.search(given_up, limits):
            yield (
                f"SCORERS has no scorer named {name}: write it and add it, or say why not in "
                f"{LIMITS_FILE} under a heading that names it"
            )
    if not loaded.scorers:
        yield "SCORERS holds only scorers that ask a model: add some that judge by rules"


def _secrets(files: Files) -> Iterator[str]:
    for path, content in files.items():
        _, kinds = mask_text(content.decode("utf-8", "replace"))
        if kinds:
            yield f"{path} holds a secret ({', '.join(kinds)}): take it out"


def _value_problems(names: Sequence[str], table: Mapping[str, Sequence[Score]]) -> Iterator[str]:
    """Scorers that fail or give no verdict, with the first such row; those that never apply."""
    for name in names:
        own = {
            trace_id: [each for each in scores if _is_of(each, name)]
            for trace_id, scores in table.items()
        }
        wrong = [(trace_id, fault) for trace_id in own if (fault := _fault(own[trace_id]))]
        if wrong:
            trace_id, fault = wrong[0]
            more = f" (and on {len(wrong) - 1} more of {len(table)} rows)" if wrong[1:] else ""
            yield f"{name} on {trace_id}{more}: {fault}"
        elif table and all(each.value is None for scores in own.values() for each in scores):
            yield f"{name} never applies: it gives None on each of the {len(table)} rows"


def _is_of(score: Score, name: str) -> bool:
    return score.scorer == name or score.scorer.startswith(f"{name}/")


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


def _unsteady(
    clean: Mapping[str, Verdicts], probes: Sequence[Probe], again: Sequence[Verdicts]
) -> Iterator[str]:
    unsteady: set[str] = set()
    for probe, second in zip(probes, again, strict=True):
        for name, first in clean[probe.trace_id].items():
            if second[name] != first and name not in unsteady:
                unsteady.add(name)
                yield (
                    f"{name} says {first} and then {second[name]} about one and the same answer "
                    f"({probe.trace_id}): it may depend on nothing but what it is given"
                )


def _refusals(
    names: Sequence[str],
    good: Sequence[Row],
    clean: Mapping[str, Verdicts],
    table: Mapping[str, Sequence[Score]],
) -> Iterator[str]:
    most = max(1, int(len(good) * MOST_REFUSED))
    for name in names:
        refused = [row.trace_id for row in good if clean[row.trace_id][name] is False]
        if len(refused) > most:
            why = next((each.rationale for each in table[refused[0]] if _is_of(each, name)), "")
            yield (
                f"{name} refuses {len(refused)} of {len(good)} good answers (at most {most} may "
                f"be): {', '.join(refused[:5])}{f'; {why}' if why else ''}"
            )


def _example_problems(loaded: Loaded, rows: Sequence[Row], good: Sequence[Row]) -> Iterator[str]:
    by_id = {row.trace_id: row for row in rows}
    for name in loaded.scorers:
        given = loaded.bad_examples.get(name)
        place = f"BAD_EXAMPLES[{name!r}]"
        if given is None:
            yield f"{place} is missing: give (trace_id, an answer in its place that it must fail)"
            continue
        trace_id, answer = given
        if trace_id not in by_id:
            yield f"{place} names {trace_id}, which is no trace of TRACES"
            continue
        if odd := _unlike(answer, by_id[trace_id], good):
            yield f"{place} is unlike any good answer ({odd}): damage a good one instead"
        scores = loaded.examples.get(name, [])
        if fault := _fault(scores):
            yield f"{name} on its own bad example: {fault}"
        elif verdicts(scores, [name])[name] is not False:
            yield f"{name} does not fail its own bad example ({place}, in place of {trace_id})"


def _unlike(answer: Json, row: Row, good: Sequence[Row]) -> str:
    """How an answer differs in form from all good ones of its route; empty where it does not."""
    kin = [each.outputs for each in good if each.route == row.route] or [
        each.outputs for each in good
    ]
    same = [each for each in kin if type(each) is type(answer)]
    if not same:
        return f"it is a {type(answer).__name__}" if kin else ""
    if isinstance(answer, dict):
        same = [each for each in same if len(set(each) ^ set(answer)) <= 1]
        if not same:
            return f"it has the keys {sorted(answer)}"
    sizes = [_size(each) for each in same]
    if not min(sizes) / 2 <= _size(answer) <= 2 * max(sizes) + 20:
        return f"it has {_size(answer)} characters, they have {min(sizes)} to {max(sizes)}"
    return ""


def _size(value: Json) -> int:
    return len(str(value))


def _missed_rejections(
    rows: Sequence[Row], clean: Mapping[str, Verdicts], limits: str
) -> dict[str, str]:
    """What LIMITS.md lacks about each rejected answer that all pass; empty where it says why."""
    missed = {}
    for row in rows:
        if row.verdict == "rejected" and False not in clean[row.trace_id].values():
            reason = "; ".join(row.comments) or "no reason given"
            lacks = _lacking_limit(row, limits)
            said = f"people rejected {row.trace_id} ({reason}) and every scorer passes it: {lacks}"
            missed[row.trace_id] = said if lacks else ""
    return missed


def _lacking_limit(row: Row, limits: str) -> str:
    parts = re.split(r"(?m)^(?=#)", limits)
    about = " ".join(part for part in parts if row.trace_id in part).casefold()
    if not about:
        return (
            f"let a scorer fail it, or name it in {LIMITS_FILE} with their reason and a guideline "
            "for a judge (what stood there before is lost where the file was written anew)"
        )
    words = set(re.findall(r"\w{4,}", " ".join(row.comments).casefold()))
    if sum(word in about for word in words) * 2 < len(words):
        return f"{LIMITS_FILE} names it, but not their reason"
    if "guideline" not in about and "judge" not in about:
        return f"{LIMITS_FILE} names it, but no guideline for a judge"
    return ""


def _spread(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many of the rows, evenly spread."""
    return [rows[at * len(rows) // most] for at in range(most)] if len(rows) > most else list(rows)
