"""What a suite is made of and judged by, as values; running and verifying them is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from evalkit.core.values import Json

if TYPE_CHECKING:
    from mlflow.entities import Trace

SCORERS_FILE = "evaluation/scorers.py"
SCRIPT_FILE = "evaluation/run_eval.py"
DATASET_FILE = "evaluation/dataset.jsonl"
LIMITS_FILE = "evaluation/LIMITS.md"

Files: TypeAlias = Mapping[str, bytes]
"""A suite's files by path in the session, such as :data:`SCORERS_FILE`."""

FEW_ROWS = 10
"""Under so many good rows nothing is called verified."""


@dataclass(frozen=True, slots=True)
class Row:
    """A recorded request with its answer: what scorers judge, and what bounds are learned from.

    Attributes:
        trace_id: MLflow's id of the trace that it stands in.
        route: What kind of request it is: the root span's name, or the skill for evalkit's own.
        inputs: What the agent was given, by parameter; never empty.
        outputs: What it answered; None where it did not.
        failed: Whether the trace is an ERROR or has no output.
        verdict: What people said of it; ``none`` where nobody did.
        comments: Their reasons, as they wrote them.
        expectations: What a right answer has to hold to, by name, as people wrote it.
        sources: Outputs of TOOL and RETRIEVER spans, in order.
        prompts: System prompts that its LLM spans were given.
        seconds: How long it took; None where that is not known.
        trace: The whole trace as MLflow's object; what scorers are given.
    """

    trace_id: str
    route: str
    inputs: Mapping[str, Json]
    outputs: Json
    failed: bool = False
    verdict: Literal["accepted", "rejected", "none"] = "none"
    comments: tuple[str, ...] = ()
    expectations: Mapping[str, Json] = field(default_factory=dict)
    sources: tuple[Json, ...] = ()
    prompts: tuple[str, ...] = ()
    seconds: float | None = None
    trace: Trace | None = field(default=None, repr=False, compare=False)

    @property
    def is_good(self) -> bool:
        """Whether bounds may be learned from it: it answered, and nobody rejected it."""
        return not self.failed and self.verdict != "rejected" and self.outputs not in (None, "", {})


@dataclass(frozen=True, slots=True)
class Probe:
    """An answer that scorers are asked about, in a row's place.

    Attributes:
        trace_id: The row.
        outputs: The answer; the root span of the trace that the scorers see holds it too.
    """

    trace_id: str
    outputs: Json


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer says about a probe.

    Attributes:
        scorer: Its name, or ``name/part`` where it gives several values.
        value: Its value; None where it failed, or says that it does not apply.
        rationale: Why.
        error: What went wrong in it; empty where nothing did.
    """

    scorer: str
    value: Json
    rationale: str = ""
    error: str = ""


PASSES_FROM = 0.5
"""A number counts as a pass from here on."""


def passes(value: Json) -> bool | None:
    """Whether a scorer's value is a pass; None where it is no verdict. The one answer to that."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value >= PASSES_FROM
    words = {"yes": True, "true": True, "pass": True, "no": False, "false": False, "fail": False}
    return words.get(str(value).strip().casefold())
