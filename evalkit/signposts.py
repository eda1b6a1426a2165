"""After several stages in a row: where to look at what they left, and what to do next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from evalkit.core.tracking import is_workspace, without_password
from evalkit.invocation import typed

if TYPE_CHECKING:
    from evalkit.terminal import Terminal

Report = dict[str, Any]


def summary(terminal: Terminal, report: Report, tracking_uri: str, options: str) -> None:
    """What all stages did together, where to look, and what to do next.

    Args:
        terminal: Where to say it.
        report: The reports, by stage.
        tracking_uri: The MLflow that they worked with.
        options: What to add to a next command so that it is about the same run.
    """
    done = {stage: found for stage, found in report.items() if found.get("skipped") is not True}
    if "log-results" not in done:
        return
    synced, logged, fed = (done[name] for name in ("sync-dataset", "log-results", "push-feedback"))
    cases = synced["created"] + synced["updated"] + synced["unchanged"]
    terminal.title("Summary")
    terminal.say(f"  dataset      {cases} cases in {synced['dataset']}")
    terminal.say(f"  results      experiment {logged['experiment']}, run {logged['mlflow_run_id']}")
    terminal.say(f"  feedback     {fed['judge'] + fed['human']} entries on {fed['traces']} traces")
    terminal.say(f"  MLflow's UI  {logged['url'] or _ui(tracking_uri)}")
    terminal.title("Next")
    terminal.say("  when somebody has reviewed the traces there, bring it back into review.yaml:")
    terminal.say(f"    {typed('evalkit')} pull-feedback {options}")
    terminal.say("  when review.yaml holds comments, put them on the traces:")
    terminal.say(f"    {typed('evalkit')} push-feedback {options}")


def demo(terminal: Terminal, directory: str, report: Report) -> None:
    """Where to look after the demo."""
    terminal.title("Where to look")
    terminal.say(f"  MLflow's UI     {_ui(f'sqlite:///{directory}/mlflow.db')}")
    terminal.say("                  (older traces: set its time range to All)")
    terminal.say(f"  what came back  {report.get('pull-feedback', {}).get('file', '-')}")
    terminal.say(f"  the mapping     {report.get('map', {}).get('file', '-')}")
    terminal.say(f"  the suite       {report.get('agent', {}).get('session', '-')}/evaluation")
    terminal.say(f"  your own eval   {typed('evalkit')} check --config path/to/eval.yaml")


def _ui(store: str) -> str:
    if is_workspace(store):
        return "the workspace's own, in this experiment"
    return f"{typed('mlflow')} ui --backend-store-uri {shlex.quote(without_password(store))}"
