"""A finished run as people look at it: data frames straight from its files, without MLflow.

Secrets are masked in all that is returned.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import pandas as pd

from evalkit.context import Workspace
from evalkit.dataset.cases import read_case
from evalkit.entities import Trace
from evalkit.errors import InputError, LogRefused, Problem
from evalkit.feedback.assessments import masked
from evalkit.jsonable import Json
from evalkit.masking import mask_json, mask_text
from evalkit.runs import metrics
from evalkit.runs.metrics import thresholds
from evalkit.runs.run import Score, shape_of
from evalkit.runs.run_dir import RunFiles
from evalkit.tokens import Consumption

TOKENS = {
    "input": "Tokens read",
    "cache_read": "Tokens read from the cache",
    "cache_create": "Tokens written to the cache",
    "output": "Tokens written",
}
"""What the harness calls each kind of tokens, and what a reader does."""


@dataclass(frozen=True, slots=True)
class RunCase:
    """What is known of one case of a run without its log."""

    case_id: str
    scores: tuple[Score, ...]
    usage: Consumption
    logged: bool  # whether there is a log that tells of it
    failure: str = ""  # why its execution failed


def read_cases(found: RunFiles) -> list[RunCase]:
    """What is known of each case of a run without its log.

    Raises:
        InputError: a log leads out of the run directory.
    """
    logged = found.logs
    run = replace(found.run, scores=tuple(map(masked, found.run.scores)))
    scores = run.scores_by_case()
    return [
        RunCase(
            case,
            tuple(scores.get(case, ())),
            run.case_usage.get(case, Consumption()),
            None in logged or case in logged,
            run.failed.get(case, ""),
        )
        for case in run.cases
    ]


def frame(found: RunFiles) -> pd.DataFrame:
    """A row a case: what the judges said of it, how it ended and what it consumed."""
    columns = list(_case_row(RunCase("", (), Consumption(), logged=False)))  # there may be no case
    return pd.DataFrame(map(_case_row, read_cases(found)), columns=columns)


def _case_row(case: RunCase) -> dict[str, Json]:
    said = [score.value for score in case.scores if isinstance(score.value, bool)]
    ended = "" if case.usage.exit_code is None else "ended well"
    return {
        "Case": case.case_id,
        "Passes": f"{sum(said)} of {len(said)}" if said else "",
        "Execution": f"failed: {case.failure}" if case.failure else ended,
        "Judges that say no": ", ".join(s.judge for s in case.scores if s.value is False),
        "Judges that failed": ", ".join(s.judge for s in case.scores if s.error),
        "Seconds": case.usage.duration_s,
        "USD": case.usage.cost_usd,
        "Turns": case.usage.num_turns,
        "Log": "yes" if case.logged else "none",
    }


def score_frame(found: RunFiles) -> pd.DataFrame:
    """A row a score that has a value: ``case``, ``judge`` and ``value`` (bool, number, text, …)."""
    rows = [
        (score.case_id, score.judge, score.value)
        for score in map(masked, found.run.scores)
        if score.value is not None and not score.error
    ]
    return pd.DataFrame(rows, columns=["case", "judge", "value"], dtype=object)


def judge_frame(found: RunFiles) -> pd.DataFrame:
    """A row a judge: pass rate and mean, as the summary says, else as its scores do, and more."""
    said: dict[str, list[Score]] = {name: [] for name in found.run.judges}
    for score in map(masked, found.run.scores):
        said.setdefault(score.judge, []).append(score)
    return pd.DataFrame([_judge_row(found, name, scores) for name, scores in said.items()])


def _judge_row(found: RunFiles, name: str, scores: Sequence[Score]) -> dict[str, Json]:
    given = [s.value for s in scores if s.value is not None and not s.error]
    errors, shape = sum(bool(score.error) for score in scores), shape_of(given)
    figures = found.run.judges.get(name, {})
    rate, mean = figures.get("pass_rate"), figures.get("mean")
    return {
        "Judge": name,
        "Kind": next((score.judge_type for score in scores if score.judge_type), ""),
        "Pass rate": statistics.fmean(given) if rate is None and shape == "pass" else rate,
        "Mean": statistics.fmean(given) if mean is None and shape == "number" else mean,
        "Scores": len(given),
        "Without a value": len(scores) - len(given) - errors,
        "Judge failed": errors,
    }


def threshold_frame(found: RunFiles) -> pd.DataFrame:
    """A row a threshold of the project: what is demanded, what the run has; what fails first."""
    order = ("fails", "not measured", "met")
    bounds = thresholds(found.project, found.run)
    rows = [(each.judge, each.demand, each.actual, each.verdict) for each in bounds]
    rows.sort(key=lambda row: order.index(row[-1]))
    return pd.DataFrame(rows, columns=["Judge", "Demanded", "The run has", "Verdict"])


def model_frame(found: RunFiles) -> pd.DataFrame:
    """A row a model: USD and tokens of each kind, as the run says."""
    models = found.run.usage.per_model.items()
    rows = [
        {"Model": model, "USD": used.get("cost_usd")}
        | {words: used.get(kind, 0) for kind, words in TOKENS.items()}
        for model, used in models
    ]
    return pd.DataFrame(rows, columns=["Model", "USD", *TOKENS.values()])


def open_case(found: RunFiles, case_id: str) -> tuple[Trace | None, InputError | None]:
    """What the log of a case tells, else what was asked and answered, and why there are no steps.

    The trace is None where no file says, the error None where the log tells the steps.
    """
    from evalkit.case_traces import stub_of

    try:
        return read_trace(found, case_id), None
    except InputError as error:
        stub = stub_of(found, case_id, "", error if isinstance(error, LogRefused) else None)
        return (None if stub.response is None else stub), error


def around_case(
    workspace: Workspace, found: RunFiles, case_id: str
) -> tuple[dict[str, Json], dict[str, Json], dict[str, str | None]]:
    """What was asked and what was expected, as :func:`case_fields`, and the files of the agent.

    Those by relative path: None stands for one that is no text, or too large to show.
    """
    produced = found.produced(case_id).items()
    texts = {name: text and mask_text(text)[0] for name, text in produced}
    return *case_fields(workspace, case_id), texts


def case_fields(workspace: Workspace, case_id: str) -> tuple[dict[str, Json], dict[str, Json]]:
    """What a case's files ask and expect, by file and field such as ``input.yaml: prompt``.

    Files that cannot be read are left out: a review does not stand or fall by them.
    """
    asked: dict[str, Json] = {}
    expected: dict[str, Json] = {}
    with suppress(InputError):
        case = read_case(workspace.files.cases_dir, case_id)
        for name, content in {**case.documents, **case.texts}.items():
            fields = content if isinstance(content, dict) else {"": content}
            named = {f"{name}: {key}" if key else name: mask_json(v) for key, v in fields.items()}
            (asked if name.startswith("input") else expected).update(named)
    return asked, expected


def read_trace(found: RunFiles, case_id: str) -> Trace:
    """The trace that tells of a case, and in a batch run of all, as it would be logged.

    Its secrets are masked; its ids are not those in MLflow, which depend on the experiment.

    Raises:
        InputError: the case has no log, or one that leads out of the run directory.
        LogRefused: no trace can be made of the log.
    """
    from evalkit.case_traces import trace_of

    log = found.logs.get(case_id) or found.logs.get(None)
    if log is None:
        fix = "the agent did not start, or left no stdout.log"
        place = str(found.folder / "cases" / case_id)
        raise InputError(Problem(f"there is no log of {case_id}", place, fix=fix))
    return trace_of(found, log, metrics.run_key("", found.project, found.run.run_id))
