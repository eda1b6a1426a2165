"""A finished run, whoever reads or writes it, and how many of its executions failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from evalkit.jsonable import Json, kind_of
from evalkit.project import Mode
from evalkit.tokens import Consumption

MOST_NAMES = 3
"""Names before the rest is counted."""


@dataclass(frozen=True, slots=True)
class Score:
    """What one judge said about one case.

    Attributes:
        value: Bool, number, label, list or dict; None where the judge gave none.
        error: Why the judge failed; empty where it did not.
        judge_type: How the summary marks the judge, such as ``check`` or ``llm``; may be empty.
        by_model: Whether a model judged, as the summary says, else the config; which, ``model``.
        facts: What else the summary holds of it, such as ``stability`` over several samples.
    """

    case_id: str
    judge: str
    value: Json
    rationale: str = ""
    error: str = ""
    judge_type: str = ""
    by_model: bool = False
    model: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run as its directory holds it, without the logs.

    Attributes:
        judges: Judge to aggregate figures, such as ``{"mean": 4.2, "pass_rate": None}``; nested
            ones by their path, such as ``human_agreement/value``.
        scores: By case and judge, in the summary's order.
        usage: Of the whole run.
        cases: Every case that the run knows, sorted.
        model: The model under evaluation; empty where the run does not say.
        figures: Further figures of the run by their path, such as ``pairwise/win_rate``.
        origin: What ``harness-snapshot.json`` says, as tags of the run.
        started: What ``run_result.json`` says of when it began; None where it does not.
        notes: What the files lack, or hold besides what was expected.
        failed: Why executions failed, by case, or by ``WHOLE_RUN`` where it was one.
        endings: The cases of which it is known how they ended, ``WHOLE_RUN`` among them.
        dataset: Digest of the dataset that it is linked to, where MLflow was asked; else empty.
    """

    run_id: str
    mode: Mode
    judges: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    usage: Consumption = field(default_factory=Consumption)
    case_usage: Mapping[str, Consumption] = field(default_factory=dict)
    cases: tuple[str, ...] = ()
    model: str = ""
    agent: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    eval_params: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    validity: Mapping[str, str] = field(default_factory=dict)
    started: Json = None
    notes: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    endings: frozenset[str] = frozenset()
    dataset: str = ""

    @property
    def is_one(self) -> bool:
        """Whether one execution took all cases, of which none has its own exit code."""
        return self.mode == "batch" and not self.tells_cases

    @property
    def tells_cases(self) -> bool:
        """Whether cases have exit codes of their own."""
        return any(usage.exit_code is not None for usage in self.case_usage.values())

    def usage_of(self, case_id: str | None) -> Consumption:
        """What an execution consumed: a case's, or with None that of the whole run."""
        if case_id is None or (len(self.cases) == 1 and case_id not in self.case_usage):
            return self.usage
        return self.case_usage.get(case_id, Consumption())

    def scores_by_case(self) -> dict[str, list[Score]]:
        """The scores of each case that has any."""
        return {k: list(own) for k, own in groupby(self.scores, attrgetter("case_id"))}


def shape_of(values: Iterable[Json]) -> str:
    """What all values are: pass, number, label or other; mixed; nothing where there is none."""
    names = {"true or false": "pass", "a number": "number", "text": "label"}
    kinds = {names.get(kind_of(value), "other") for value in values}
    return "mixed" if len(kinds) > 1 else next(iter(kinds), "nothing")


def executions(*runs: Run) -> dict[str, Json]:
    """``total`` executions, how many ``failed``, and ``names`` to why, of several runs together.

    ``exit_code`` is the first run's where that is not 0 and no case of it says that it failed.
    """
    codes = [code for run in runs if (code := run.usage.exit_code) and not run.failed]
    return {
        "total": sum(1 if run.is_one else len(run.cases) for run in runs),
        "failed": sum(len(run.failed) for run in runs),
        "names": {
            f"{name} of {run.run_id}" if len(runs) > 1 else name: why
            for run in runs
            for name, why in run.failed.items()
        },
        **({"exit_code": codes[0]} if codes else {}),
    }


def is_failed(run: Run) -> bool:
    """Whether all of a run's executions failed."""
    return bool(run.failed) and len(run.failed) >= (1 if run.is_one else len(run.cases))


def told(found: Mapping[str, Json]) -> str:
    """What :func:`executions` says in words; empty where none failed, as far as is known."""
    if code := found.get("exit_code"):
        return f"the run ended with exit code {code}, though no case of it says that it failed"
    if not found.get("failed"):
        return ""
    names = first_names([f"{name} ({why})" for name, why in found["names"].items()])
    return f"{found['failed']} of {found['total']} executions failed: {names}"


def first_names(names: Sequence[str]) -> str:
    """The first names; the others are counted."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
