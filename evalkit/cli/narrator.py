"""The agent's work as a person follows it in the terminal, and what is told after all stages."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from evalkit.arguments import as_flags
from evalkit.context import mlflow_pages, typed
from evalkit.errors import Unfinished
from evalkit.ui.terminal import Report, Terminal

if TYPE_CHECKING:
    from evalkit.agent.request import Request
    from evalkit.agent.work import Event
    from evalkit.params import AllParams

_STATUSES = {"done": "✓", "blocked": "✗", "in progress": "…", "pending": " "}


def narrated(request: Request, terminal: Terminal) -> Report:
    """What the agent leaves, told as it works.

    Raises:
        EvalkitError: as :func:`evalkit.agent.run.build`; how far it came has been told.
    """
    from evalkit.agent.run import build

    try:
        return build(request, lambda event: _narrate(terminal, event))
    except Unfinished as error:
        told_agent(terminal, error.report)
        raise


def _narrate(terminal: Terminal, event: Event) -> None:
    match event.kind:
        case "session":
            terminal.title(f"session {event.session}: {event.text}")
        case "words" | "tool":
            terminal.say("\n".join(f"  {line}" for line in event.text.splitlines()))
        case "result":
            terminal.aside(f"    {event.text}")
        case "end":
            spent = event.spent
            cost = f" ({spent.tokens:,} tokens, {spent.usd:.2f} USD so far)"
            terminal.aside(f"  {event.text}{cost if spent.tokens else ''}")
        case "task":
            terminal.say(event.text)
        case "wait":
            terminal.aside(event.text)  # and of "delta" nothing: the words come whole, too


def told_agent(terminal: Terminal, report: Report) -> None:
    """What stands at the end, or as far as it came; people's verdicts first."""
    if text := report["validation"].get("text"):
        terminal.title("the suite, held against people and answers")
        terminal.say(text)
    terminal.title(f"session {report['session_id']} ({report['model']})")
    for task in report["tasks"]:
        terminal.say(f"  {_STATUSES[task['status']]} {task['title']}")
        if task["evidence"]:
            terminal.aside(f"      {'; '.join(task['evidence'])}")
        if task["failure"]:
            terminal.note(f"     {' '.join(task['failure'].split())[:300]}")
    usage, kept = report["usage"], report.get("kept", {})
    cost = "unknown" if usage["cost_usd"] is None else f"{usage['cost_usd']:.2f} USD"
    terminal.say(f"spent        {usage['turns']} calls, {usage['tokens']:,} tokens, {cost}")
    terminal.say(f"confinement  {report['confinement']}")
    for note in report["annotations"]:
        terminal.say(f"noted        {note['kind']} {note['name']} on {note['trace_id']}")
    for issue in kept.get("issues", ()):
        terminal.say(f"issue        {issue['name']} ({len(issue['trace_ids'])} traces)")
    if kept.get("mlflow_run_id"):
        terminal.say(f"MLflow       run {kept['mlflow_run_id']} in {kept['experiment']}")
    if report["verified"]:
        where = ["--tracking-uri", report["tracking_uri"]]
        again = f"{typed('python')} {shlex.join([report['artifacts']['run_eval'], *where])}"
        terminal.done(f"the suite is verified; run it again with: {again}")


def summary(terminal: Terminal, report: Report, tracking_uri: str, asked: AllParams) -> None:
    """What all stages did together, where to look, and what to do next about the same run."""
    named = as_flags(asked, "config", "runs_dir", "tracking_uri")
    options = shlex.join(["--run-id", asked.run_id, *named])
    done = {stage: found for stage, found in report.items() if found.get("skipped") is not True}
    if "log-results" not in done:
        return
    synced, logged, fed = (done[name] for name in ("sync-dataset", "log-results", "push-feedback"))
    cases = synced["created"] + synced["updated"] + synced["unchanged"]
    facts = {
        "dataset": f"{cases} cases in {synced['dataset']}",
        "results": f"experiment {logged['experiment']}, run {logged['mlflow_run_id']}",
        "feedback": f"{fed['judge'] + fed['human']} entries on {fed['traces']} traces",
        "MLflow's UI": logged["url"] or mlflow_pages(tracking_uri),
    }
    terminal.title("Summary")
    terminal.facts(facts.items(), "  ")
    terminal.title("Next")
    terminal.say("  when somebody has reviewed the traces there, bring it back into review.yaml:")
    terminal.say(f"    {typed('evalkit')} pull-feedback {options}")
    terminal.say("  when review.yaml holds comments, put them on the traces:")
    terminal.say(f"    {typed('evalkit')} push-feedback {options}")


def where_to_look(terminal: Terminal, directory: str, report: Report) -> None:
    """Where to look after the demo."""
    facts = {
        "MLflow's UI": mlflow_pages(f"sqlite:///{directory}/mlflow.db"),
        "": "(older traces: set its time range to All)",
        "what came back": report.get("pull-feedback", {}).get("file", "-"),
        "the mapping": report.get("map", {}).get("file", "-"),
        "the suite": f"{report.get('agent', {}).get('session', '-')}/evaluation",
        "your own eval": f"{typed('evalkit')} check --config path/to/eval.yaml",
    }
    terminal.title("Where to look")
    terminal.facts(facts.items(), "  ")
