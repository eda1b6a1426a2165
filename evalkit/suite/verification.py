"""What came of verifying a suite, as a value, as JSON and in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, TypeAlias

from evalkit.core.masking import mask_text
from evalkit.core.values import Json
from evalkit.suite.model import FEW_ROWS, Row, Score, passes

MOST_CHARS, MOST_OF_ONE = 6_000, 1_200


Verdicts: TypeAlias = Mapping[str, bool | None]
"""By scorer whether it passes an answer; None where it does not apply, or gave no verdict."""

Noticing: TypeAlias = Sequence[tuple[str, Verdicts, Verdicts]]
"""Of each faulty copy its kind, and what the scorers say of the original and of the copy."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of verifying a suite.

    Attributes:
        word: Whether it holds; where there are too few good answers, nothing is called verified.
        problems: What is wrong, where, and what to do; empty where it holds.
        people: ``accepted`` {answers, pass_all}, ``rejected`` {answers, failed, in_limits, missed:
            trace ids}, and Cohen's ``kappa`` of the suite with them (None where it has none).
        scorers: Of each ``good``, ``good_passed``, ``applies`` (rows), ``noticed`` and ``copies``.
        faults: By kind of fault (copies that some scorer noticed, copies), where the original is
            failed by none.
        one_sentence: ``answer``, ``rows``, and on how many of them some scorer ``failed`` it.
        rows: How many rows it stands on.
        good_rows: How many of them are good answers.
        judges: Scorers that need a model, which were left out.
        serialized: Those that MLflow can hold, as it serializes them.
        recorded: What the scorers say of each row's own answer, by trace.
    """

    word: Literal["verified", "too few traces", "not verified"]
    problems: tuple[str, ...] = ()
    people: Mapping[str, Json] = field(default_factory=dict)
    scorers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    faults: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    one_sentence: Mapping[str, Json] = field(default_factory=dict)
    rows: int = 0
    good_rows: int = 0
    judges: tuple[str, ...] = ()
    serialized: Mapping[str, str] = field(default_factory=dict, repr=False)
    recorded: Mapping[str, Sequence[Score]] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Json]:
        """Its figures for ``state/validation_results.json``."""
        shown = {each.name: getattr(self, each.name) for each in fields(self) if each.repr}
        return {"verified": self.word == "verified", **shown}

    def as_text(self) -> str:
        """What closes a run; it begins with people's verdicts."""
        lines = [_people_in_words(self.people), self._headline()]
        lines += [f"- {problem}" for problem in _bounded(self.problems)]
        for name, said in self.scorers.items():
            lines.append(
                f"{name}: passes {said['good_passed']} of {said['good']} good answers, applies to "
                f"{said['applies']} of {self.rows} rows, notices {said['noticed']} of "
                f"{said['copies']} faulty copies"
            )
        noticed, made = (sum(each[at] for each in self.faults.values()) for at in (0, 1))
        if made:
            kinds = ", ".join(f"{name} {n}/{of}" for name, (n, of) in self.faults.items())
            lines.append(f"Faulty copies noticed by some scorer: {noticed} of {made} ({kinds})")
        if self.one_sentence:
            said = self.one_sentence
            lines.append(
                f"An agent that always gives one good answer fails on {said['failed']} of "
                f"{said['rows']} rows: {said['answer']}"
            )
        if self.judges:
            names = ", ".join(self.judges)
            lines.append(f"Not verified, because they ask a model: {names}")
        return "\n".join(lines)

    def _headline(self) -> str:
        stands = f"{self.rows} traces, {self.good_rows} of them good answers"
        if self.word == "verified":
            return f"The suite is verified. It stands on {stands}."
        if self.word == "too few traces":
            return (
                f"Too few traces: the suite stands on {stands}; under {FEW_ROWS} good ones nothing "
                "is called verified. The suite is left as it is: use it, and verify it again when "
                "there are more."
            )
        return f"The suite is not verified ({stands}):"


def verdicts(scores: Iterable[Score], names: Sequence[str]) -> dict[str, bool | None]:
    """Of each scorer whether it passes: with several values all; None where none is a verdict."""
    said: dict[str, list[bool]] = {name: [] for name in names}
    for score in scores:
        name = score.scorer if score.scorer in said else score.scorer.rpartition("/")[0]
        verdict = None if score.error else passes(score.value)
        if verdict is not None and name in said:
            said[name].append(verdict)
    return {name: all(each) if each else None for name, each in said.items()}


def people(
    rows: Sequence[Row], clean: Mapping[str, Verdicts], in_limits: Sequence[str]
) -> dict[str, Json]:
    """How the suite agrees with people; it passes an answer that no scorer fails."""
    judged = [row for row in rows if row.verdict != "none"]
    suite = {row.trace_id: False not in clean[row.trace_id].values() for row in judged}
    accepted = [row.trace_id for row in judged if row.verdict == "accepted"]
    rejected = [row for row in judged if row.verdict == "rejected"]
    missed = [row for row in rejected if suite[row.trace_id]]
    kappa = None
    if accepted and rejected:
        from sklearn.metrics import cohen_kappa_score

        people = [row.verdict == "accepted" for row in judged]
        if len({*people, *suite.values()}) > 1:
            kappa = round(float(cohen_kappa_score(people, list(suite.values()))), 3)
    return {
        "accepted": {"answers": len(accepted), "pass_all": sum(suite[each] for each in accepted)},
        "rejected": {
            "answers": len(rejected),
            "failed": len(rejected) - len(missed),
            "in_limits": len(in_limits),
            "missed": [row.trace_id for row in missed],
        },
        "kappa": kappa,
    }


def figures(
    name: str, good: Sequence[Row], clean: Mapping[str, Verdicts], noticing: Noticing
) -> dict[str, int]:
    """A scorer's figures; of the copies those count whose original it passes."""
    counted = [after[name] for _, before, after in noticing if before[name]]
    return {
        "good": len(good),
        "good_passed": sum(clean[row.trace_id][name] is not False for row in good),
        "applies": sum(each[name] is not None for each in clean.values()),
        "noticed": sum(each is False for each in counted),
        "copies": len(counted),
    }


def noticed(noticing: Noticing) -> dict[str, tuple[int, int]]:
    """By kind of fault what some scorer noticed, where none fails the original."""
    table: dict[str, tuple[int, int]] = {}
    for kind, before, after in noticing:
        if False not in before.values():
            noticed, made = table.get(kind, (0, 0))
            table[kind] = noticed + (False in after.values()), made + 1
    return table


def one_sentence(sentences: Sequence[Row], said: Sequence[Verdicts]) -> dict[str, Json]:
    """What becomes of the good answer that most scorers pass, given to every request."""
    if not sentences or len(said) < 2 * len(sentences):
        return {}
    of = len(said) // len(sentences)
    each = {row.trace_id: said[at * of : (at + 1) * of] for at, row in enumerate(sentences)}
    best = max(
        sentences,
        key=lambda row: sum(v is not False for one in each[row.trace_id] for v in one.values()),
    )
    failed = sum(False in one.values() for one in each[best.trace_id])
    return {"answer": mask_text(str(best.outputs))[0][:300], "rows": of, "failed": failed}


def _people_in_words(people: Mapping[str, Json]) -> str:
    if not people:
        return "What people said of the answers was not looked at."
    accepted, rejected = people["accepted"], people["rejected"]
    if not accepted["answers"] and not rejected["answers"]:
        return "Nobody has judged any of these answers, so no scorer is held against people."
    kappa = "" if people["kappa"] is None else f" Agreement (Cohen's kappa): {people['kappa']}."
    return (
        f"Of {rejected['answers']} answers that people rejected, {rejected['failed']} are failed "
        f"by some scorer, {rejected['in_limits']} named in LIMITS.md with a guideline for a judge; "
        f"of {accepted['answers']} that they accepted, {accepted['pass_all']} pass every scorer."
        f"{kappa}"
    )


def _bounded(problems: Sequence[str]) -> Iterator[str]:
    """Problems as they fit into a message: of long ones the beginning and the end."""
    left = MOST_CHARS
    for position, problem in enumerate(problems):
        if len(problem) > MOST_OF_ONE:
            problem = f"{problem[:300]} … {problem[-(MOST_OF_ONE - 300) :]}"  # noqa: PLW2901
        left -= len(problem)
        if left < 0:
            yield f"… and {len(problems) - position} more"
            return
        yield problem
