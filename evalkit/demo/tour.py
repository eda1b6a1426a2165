"""The demo's tour: every stage on the generated project, and a person's word in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.agent.model_client import OFFLINE
from evalkit.agent.request import Request
from evalkit.agent.run import build
from evalkit.context import MAPPING_FILE, Workspace
from evalkit.dataset.mapping_file import map_schema
from evalkit.dataset.sync import sync_dataset
from evalkit.demo.production import PRODUCTION, record_production
from evalkit.demo.project import RUN_ID, made_on, write_project
from evalkit.entities import StoredTrace
from evalkit.feedback.push_pull import pull_feedback, push_feedback
from evalkit.feedback.trace_index import find_traces
from evalkit.log_run import log_results
from evalkit.sequence import Report, Tell, run_stages

if TYPE_CHECKING:
    from evalkit.agent.work import Event


@dataclass(frozen=True, slots=True)
class Remark:
    """What the demo's reviewer says in MLflow, as a person would in its UI.

    Attributes:
        case_id: The case whose trace it is about.
        name: The assessment's name.
        value: The verdict.
        rationale: Why.
    """

    case_id: str
    name: str
    value: bool
    rationale: str


SESSION = "demo"
"""The agent's session, the same each time: a second tour finds its work done."""

REVIEWER = "jo.reviewer@quillmoor.example"

REMARKS = (
    Remark(
        "lamp-arrived-cracked",
        "would_send",
        value=True,
        rationale="Names the order, the refund and the date. I would send it as it is.",
    ),
    Remark(
        "charged-twice",
        "would_send",
        value=False,
        rationale="Right about the refund, but the customer asked when the money arrives.",
    ),
)


def tour(
    directory: str | Path,
    *,
    say: Callable[[str], None],
    tell: Tell,
) -> Report:
    """Generate the demo project and run every stage on it; again is safe.

    Args:
        directory: Where to generate it.
        say: Told the progress, a line at a time.
        tell: Told each stage's name with None when it begins, with its report when it is done.

    Returns:
        Each stage's report, by the stage's name.

    Raises:
        InputError: the folder holds something else.
        EvalkitError: as the failing stage.
    """
    config = write_project(Path(directory))
    say(f"a support agent's evaluation: 12 cases, one finished run, in {config.parent}")
    workspace = Workspace.open(config)
    mapping = config.parent / MAPPING_FILE
    return run_stages(
        {
            "map": lambda: map_schema(workspace, out=mapping),
            "sync-dataset": lambda: sync_dataset(workspace, mapping=mapping, say=say),
            "log-results": lambda: log_results(workspace, run_id=RUN_ID, say=say),
            "push-feedback": lambda: push_feedback(workspace, run_id=RUN_ID, say=say),
            "pull-feedback": lambda: _pull(workspace, say),
            "agent": lambda: _build(workspace, config.parent, say),
        },
        tell,
    )


def _pull(workspace: Workspace, say: Callable[[str], None]) -> Report:
    """Let the reviewer say something in MLflow, then pull it."""
    index = find_traces(workspace.run(RUN_ID), workspace.store)
    for remark in REMARKS:
        trace = index.of(remark.case_id)
        if trace is not None and not _has_said(trace, remark):
            workspace.store.annotate(
                trace.trace_id, remark.name, remark.value, remark.rationale, REVIEWER
            )
            say(f"{REVIEWER} judges {remark.case_id} in MLflow: {remark.name} = {remark.value}")
    return pull_feedback(workspace, run_id=RUN_ID, say=say)


def _build(workspace: Workspace, directory: Path, say: Callable[[str], None]) -> Report:
    """Record what the support agent did in production, then let evalkit's agent build a suite."""
    written = record_production(workspace.store, made_on(directory))
    say(f"two weeks of the support agent at work: {written} traces written to {PRODUCTION}")
    request = Request(
        experiment=PRODUCTION,
        session=SESSION,
        tracking_uri=workspace.tracking.uri,
        volume_path=str(directory),
        model=OFFLINE,
    )

    def watch(event: Event) -> None:
        if event.kind == "session":
            say(event.text)

    return build(request, watch)


def _has_said(trace: StoredTrace, remark: Remark) -> bool:
    return any(a.name == remark.name and a.source_id == REVIEWER for a in trace.assessments)
