"""Folders of Harbor's jobs among what is imported: a trial becomes a trace, with its rewards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from evalkit.agent_logs.formats import FORMATS
from evalkit.agent_logs.harbor import HarborTrial, trial_of
from evalkit.case_traces import as_run_says
from evalkit.claude_log.log_trace import build_trace
from evalkit.claude_log.timing import Start
from evalkit.entities import Assessment, SourceType, Trace
from evalkit.feedback.assessments import Target
from evalkit.runs.log_file import LogFile

TRIAL = "Harbor trial"
"""What the format of a trial is called."""

_MARKS = frozenset({"agent", "steps", "result.json"})
"""Of these, a trial's folder has one at least."""


def trials_below(path: Path) -> Iterator[HarborTrial]:
    """The trials in a folder, or the one that it is; none below a trial."""
    for folder, folders, names in os.walk(path) if path.is_dir() else ():
        if _MARKS.isdisjoint((*folders, *names)):
            continue
        if (trial := trial_of(Path(folder), path)) is not None:
            folders.clear()
            yield trial


def trial_trace(trial: HarborTrial, trace_id: str) -> Trace:
    """The trace of a trial, which ended as Harbor says where its log does not.

    Raises:
        LogRefused: no trace can be made of its log.
    """
    log = LogFile.of_trial(trial)
    trace = build_trace(
        log.lines(),
        trace_id=trace_id,
        name=trial.folder.name,
        case_id=None,
        start=Start(log.modified_ns(), inferred=True, source="the log file's time"),
        sidecars=log.subagents(),
        reported=trial.usage,
        formats=FORMATS,
    )
    return as_run_says(trace, trial.usage.exit_code, trial.failure)


def rewards_of(trial: HarborTrial, trace: Trace) -> tuple[Assessment, ...]:
    """What the verifier of a trial gave, on its trace."""
    target = Target(trace.trace_id, qualified=False, key=trial.trial_id, time_ms=0)
    source: tuple[SourceType, str] = ("CODE", "Harbor's verifier")
    return tuple(
        target.assessment(trial.case_id, name, value, source)
        for name, value in trial.rewards.items()
    )
