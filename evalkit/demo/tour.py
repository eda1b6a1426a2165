"""The demo's tour: every stage on the generated project, and a person's word in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evalkit.agent.model_client import OFFLINE
from evalkit.agent.request import Request
from evalkit.agent.run import build
from evalkit.check_all import Report, Tell, run_stages
from evalkit.context import MAPPING_FILE, Workspace
from evalkit.dataset.mapping_file import map_schema
from evalkit.dataset.sync import sync_dataset
from evalkit.demo.project import (
    PRODUCTION,
    RUN_ID,
    made_on,
    record_production,
    write_project,
)
from evalkit.feedback.push_pull import pull_feedback, push_feedback
from evalkit.feedback.trace_index import find_traces
from evalkit.log_run import log_results

SESSION = "demo"
"""The agent's session, the same each time: a second tour finds its work done."""

REVIEWER = "jo.reviewer@quillmoor.example"
WOULD_SEND = {
    "lamp-arrived-cracked": (
        True,
        "Names the order, the refund and the date. I would send it as it is.",
    ),
    "charged-twice": (
        False,
        "Right about the refund, but the customer asked when the money arrives.",
    ),
}
"""What the demo's reviewer says of a case's trace in MLflow, as a person would in its UI."""


def tour(directory: str | Path, *, say: Callable[[str], None], tell: Tell) -> Report:
    """Generate the demo project in a directory and run every stage on it; again is safe.

    ``say`` is told the progress, a line at a time; ``tell`` each stage's name with None when it
    begins, with its report when it is done.

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
    for case_id, (value, why) in WOULD_SEND.items():
        trace = index.of(case_id)
        if trace and all(said.source_id != REVIEWER for said in trace.assessments):
            workspace.store.annotate(trace.trace_id, "would_send", value, why, REVIEWER)
            say(f"{REVIEWER} judges {case_id} in MLflow: would_send = {value}")
    return pull_feedback(workspace, run_id=RUN_ID, say=say)


def _build(workspace: Workspace, directory: Path, say: Callable[[str], None]) -> Report:
    """Record what the support agent did in production, then let evalkit's agent build a suite."""
    written = record_production(workspace.store, made_on(directory))
    say(f"two weeks of the support agent at work: {written} traces written to {PRODUCTION}")
    request = Request(
        experiment_id=PRODUCTION,
        session=SESSION,
        tracking_uri=workspace.tracking.uri,
        volume_path=str(directory),
        model=OFFLINE,
    )
    return build(request, lambda event: say(event.text) if event.kind == "session" else None)
