"""What a suite is made of and judged by, as values; running and verifying them is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal, TypeAlias

from evalkit.jsonable import Json

if TYPE_CHECKING:
    from mlflow.entities import Trace

SCORERS_FILE = "evaluation/scorers.py"
CHECKS_FILE = "evaluation/rule_checks.py"  # of suites that rules write
SCRIPT_FILE = "evaluation/run_eval.py"
DATASET_FILE = "evaluation/dataset.jsonl"
LIMITS_FILE = "evaluation/LIMITS.md"

Files: TypeAlias = Mapping[str, bytes]
"""A suite's files by path in the session, such as :data:`SCORERS_FILE`."""

FEW_ROWS = 10
"""Under so many good rows nothing is called verified."""
MOST_REFUSED = 0.05  # the share of good answers that a scorer may refuse; of few, one


@dataclass(frozen=True, slots=True)
class Row:
    """A recorded request with its answer: what scorers judge, and what bounds are learned from."""

    trace_id: str
    route: str  # what kind of request: the root span's name, or the skill for evalkit's own
    inputs: Mapping[str, Json]  # never empty
    outputs: Json
    failed: bool = False  # the trace is an ERROR or has no output
    verdict: Literal["accepted", "rejected", "none"] = "none"  # what people said of it
    comments: tuple[str, ...] = ()
    expectations: Mapping[str, Json] = field(default_factory=dict)
    prompts: tuple[str, ...] = ()  # of its LLM spans
    seconds: float | None = None
    trace: Trace | None = field(default=None, repr=False, compare=False)

    @property
    def is_good(self) -> bool:
        """Whether bounds may be learned from it: it answered, and nobody rejected it."""
        return not self.failed and self.verdict != "rejected" and self.outputs not in (None, "", {})


@dataclass(frozen=True, slots=True)
class Probe:
    """An answer that scorers are asked about, in the place of a row's, also in its trace."""

    trace_id: str
    outputs: Json


@dataclass(frozen=True, slots=True)
class ScorerValue:
    """What a scorer says about a probe."""

    scorer: str  # its name, or ``name/part`` where it gives several values
    value: Json  # None where it failed, or says that it does not apply
    rationale: str = ""
    error: str = ""


def passes(value: Json) -> bool | None:
    """Whether a scorer's value is a pass; None where it is no verdict. The one answer to that."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value >= 0.5  # noqa: PLR2004 - the middle
    words = {"yes": True, "true": True, "pass": True, "no": False, "false": False, "fail": False}
    return words.get(str(value).strip().casefold())


def verdict(scores: Iterable[ScorerValue]) -> bool | None:
    """Whether a scorer passes an answer: with several values all; None where none is a verdict."""
    said = [passes(each.value) for each in scores if not each.error]
    said = [each for each in said if each is not None]
    return all(said) if said else None


def unlike(answer: Json, good: Iterable[Json]) -> str:
    """How an answer differs in form from all good ones; empty where it does not."""
    alike = list(good)
    if alike and not (alike := [each for each in alike if type(each) is type(answer)]):
        return f"it is a {type(answer).__name__}"
    if alike and isinstance(answer, dict):
        alike = [each for each in alike if len(set(each) ^ set(answer)) <= 1]
        if not alike:
            return f"it has the keys {sorted(answer)}"
    size, *sizes = (len(str(each)) for each in (answer, *alike))
    if sizes and not min(sizes) / 2 <= size <= 2 * max(sizes) + 20:
        return f"it has {size} characters, they have {min(sizes)} to {max(sizes)}"
    return ""


MOST_PROBLEMS, BEGIN_CHARS, END_CHARS = 12, 300, 900
"""What is shown of problems, and of a long one."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of verifying a suite.

    Attributes:
        problems: What is wrong, where, and what to do; empty where it holds.
        requests: How many different inputs the good rows have.
        people: ``accepted`` {answers, pass_all}, ``rejected`` {answers, failed, in_limits, missed:
            trace ids}, and Cohen's ``kappa`` of the suite with them (None where it has none).
        scorers: Of each ``good``, ``good_passed``, ``applies`` (rows), ``noticed`` and ``copies``
            (those whose original it passes).
        faults: By kind (copies that some scorer noticed, copies) of answers that none fails.
        one_sentence: Of the good answer that most scorers pass, given to every request:
            ``answer``, ``rows``, and on how many of them some scorer ``failed`` it.
        judges: Scorers that need a model, which were left out.
        serialized: Those that MLflow can hold, as it serializes them.
        recorded: By trace and scorer what is said of each row's own answer.
    """

    word: Literal["verified", "too few traces", "not verified"]
    problems: tuple[str, ...] = ()
    people: Mapping[str, Json] = field(default_factory=dict)
    scorers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    faults: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    one_sentence: Mapping[str, Json] = field(default_factory=dict)
    rows: int = 0
    good_rows: int = 0
    requests: int = 0
    judges: tuple[str, ...] = ()
    serialized: Mapping[str, str] = field(default_factory=dict, repr=False)
    recorded: Mapping[str, Mapping[str, Sequence[ScorerValue]]] = field(
        default_factory=dict, repr=False
    )

    @property
    def noticed(self) -> tuple[int, int]:
        """How many of how many damaged copies some scorer noticed."""
        hits, copies = zip(*self.faults.values(), strict=True) if self.faults else ((), ())
        return sum(hits), sum(copies)

    def as_json(self) -> dict[str, Json]:
        """Its figures for ``state/validation_results.json``."""
        shown = {each.name: getattr(self, each.name) for each in fields(self) if each.repr}
        return {"verified": self.word == "verified", **shown}

    def as_text(self) -> str:
        """What closes a run, as labels and numbers; it begins with people's verdicts."""
        lines, kappa = [], self.people.get("kappa")
        if (no := self.people.get("rejected", {})).get("answers"):
            lines.append(
                f"Rejected by people: {no['answers']} answers, {no['failed']} failed by some "
                f"scorer, {no['in_limits']} named in LIMITS.md with a guideline for a judge"
            )
        if (yes := self.people.get("accepted", {})).get("answers"):
            agreed = "" if kappa is None else f"; Cohen's kappa {kappa}"
            both = f"{yes['answers']} answers, {yes['pass_all']} pass every scorer{agreed}"
            lines.append(f"Accepted by people: {both}")
        lines = lines or ["Judged by people: no answer"]
        to = "1 request" if self.requests == 1 else f"{self.requests} different requests"
        least = f" ({FEW_ROWS} are the least)" if self.good_rows < FEW_ROWS else ""
        stands = f"{self.rows} traces, {self.good_rows} of them good answers to {to}{least}"
        lines.append(f"The suite: {self.word}, on {stands}")
        for problem in self.problems[:MOST_PROBLEMS]:
            is_long = len(problem) > BEGIN_CHARS + END_CHARS
            cut = f"{problem[:BEGIN_CHARS]} … {problem[-END_CHARS:]}" if is_long else problem
            lines.append(f"- {cut}")
        if more := self.problems[MOST_PROBLEMS:]:
            lines.append(f"- … and {len(more)} more")
        lines += [
            f"{name}: good answers passed {of['good_passed']} of {of['good']}, applies to "
            f"{of['applies']} of {self.rows} rows, faults noticed {of['noticed']} of {of['copies']}"
            for name, of in self.scorers.items()
        ]
        if self.faults:
            kinds = ", ".join(f"{name} {n}/{of}" for name, (n, of) in self.faults.items())
            hit, made = self.noticed
            lines.append(f"Faults noticed by some scorer: {hit} of {made} ({kinds})")
        if one := self.one_sentence:
            answer = " ".join(str(one["answer"]).split())[:200]
            fails = f"fails on {one['failed']} of {one['rows']} rows"
            lines.append(f"One answer to everything: {fails}: {answer}")
        if self.judges:
            lines.append(f"Not verified, because they ask a model: {', '.join(self.judges)}")
        return "\n".join(lines)
