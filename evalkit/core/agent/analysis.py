"""What an agent found out about an experiment, and what it means to build."""

from __future__ import annotations

import json
import keyword
from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal, TypeAlias

import msgspec

from evalkit.core.values import Json

Strategy: TypeAlias = Literal["traces", "manual", "hybrid"]
TraceIds: TypeAlias = Annotated[
    tuple[str, ...], msgspec.Meta(description="Ids of traces, or of spans as trace/span")
]

MOST_SCORERS = 12
MOST_CASES = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the traces show.

    Attributes:
        what: What it is.
        evidence: The traces that show it.
    """

    what: str
    evidence: TraceIds = ()


@dataclass(frozen=True, slots=True)
class CasePick:
    """A trace that becomes a row of the dataset.

    Attributes:
        trace_id: The trace.
        why: What it stands for.
    """

    trace_id: str
    why: str


@dataclass(frozen=True, slots=True)
class ManualCase:
    """A row that no trace shows.

    Attributes:
        inputs: What the agent is given, by parameter.
        why: What it stands for.
        expectations: What a right answer has to hold to.
    """

    inputs: dict[str, Json]
    why: str
    expectations: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedScorer:
    """A scorer that is to be written.

    Attributes:
        name: A Python identifier.
        what: What it checks.
        why: Why that matters here.
        evidence: The traces that it stands on.
        route: The route that it judges; None for all of them.
        catches: The damages that it has to notice.
    """

    name: str
    what: str
    why: str
    evidence: TraceIds
    route: str | None = None
    catches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guideline:
    """What only a model judge can tell, in words.

    Attributes:
        name: A Python identifier.
        text: The guideline.
        evidence: The traces that it stands on.
    """

    name: str
    text: str
    evidence: TraceIds = ()


@dataclass(frozen=True, slots=True)
class Analysis:
    """All of it.

    Attributes:
        summary: The experiment in a few sentences.
        strategy: Where the dataset's rows come from.
        strategy_why: Why from there.
        scorers: What is to be judged.
        findings: What the traces show.
        cases: The traces that become rows.
        manual_cases: Rows that no trace shows.
        guidelines: What is left to model judges.
        limits: What this suite cannot tell.
    """

    summary: str
    strategy: Strategy
    strategy_why: str
    scorers: tuple[PlannedScorer, ...]
    findings: tuple[Finding, ...] = ()
    cases: tuple[CasePick, ...] = ()
    manual_cases: tuple[ManualCase, ...] = ()
    guidelines: tuple[Guideline, ...] = ()
    limits: tuple[str, ...] = ()


_IN_TABLES = "trace:/"


def cited(analysis: Analysis) -> list[str]:
    """The ids of all traces that it cites, each once."""
    everywhere: list[Iterable[str]] = [
        [pick.trace_id for pick in analysis.cases],
        *(each.evidence for each in analysis.findings),
        *(each.evidence for each in analysis.scorers),
        *(each.evidence for each in analysis.guidelines),
    ]
    return list(dict.fromkeys(trace_of(each) for ids in everywhere for each in ids))


def trace_of(citation: str) -> str:
    """The trace that is cited, where a span of it may be named behind a slash.

    Ids of traces in tables of Unity Catalog, ``trace:/catalog.schema.tables/id``, have two
    slashes of their own.
    """
    own = 3 if citation.startswith(_IN_TABLES) else 1
    return "/".join(citation.split("/")[:own])


def complaints(analysis: Analysis, known: AbstractSet[str]) -> list[str]:
    """What is wrong with an analysis, all of it; empty where nothing is.

    Args:
        analysis: The analysis.
        known: Those of the cited traces that the experiment has.
    """
    return list(_complaints(analysis, known))


def _complaints(analysis: Analysis, known: AbstractSet[str]) -> Iterator[str]:
    if missing := [each for each in cited(analysis) if each not in known]:
        yield f"the experiment has no trace {', '.join(missing[:10])}: cite traces that are there"
    yield from _about_cases(analysis)
    yield from _about_scorers(analysis)


def _about_cases(analysis: Analysis) -> Iterator[str]:
    if not (analysis.cases or analysis.manual_cases):
        yield "no case is planned: name traces in `cases`, or write `manual_cases`"
    if len(analysis.cases) + len(analysis.manual_cases) > MOST_CASES:
        yield f"more than {MOST_CASES} cases are planned: choose those that differ"
    if analysis.strategy == "traces" and not analysis.cases:
        yield "the strategy is `traces`, but no trace is named in `cases`"
    if analysis.strategy == "manual" and analysis.cases:
        yield "the strategy is `manual`, but traces are named in `cases`: say `hybrid`"


def _about_scorers(analysis: Analysis) -> Iterator[str]:
    if not analysis.scorers:
        yield "no scorer is planned: a suite needs one at least"
    if len(analysis.scorers) > MOST_SCORERS:
        yield f"{len(analysis.scorers)} scorers are planned: choose the {MOST_SCORERS} that matter"
    for scorer in analysis.scorers:
        if not scorer.evidence:
            yield f"the scorer {scorer.name} cites no trace: name those that it stands on"
    names = [scorer.name for scorer in analysis.scorers]
    names += [guideline.name for guideline in analysis.guidelines]
    for name, count in Counter(names).items():
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            yield f"{name!r} cannot be a scorer's name: use lower-case words joined by _"
        if count > 1:
            yield f"the name {name} is given {count} times"


def analysis_text(analysis: Analysis) -> str:
    """The analysis as JSON text that a person reads."""
    return json.dumps(asdict(analysis), indent=2, ensure_ascii=False) + "\n"


def read_analysis(text: bytes) -> Analysis | None:
    """The analysis of a file; None where it is cut off or none."""
    try:
        return msgspec.json.decode(text, type=Analysis)
    except msgspec.DecodeError:
        return None
