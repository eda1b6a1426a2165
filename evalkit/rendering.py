"""Each stage's report as a person reads it in the terminal."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.terminal import Terminal

Report = dict[str, Any]
Tell = Callable[[str, Report | None], None]

MOST_NAMES = 5
"""Names that are listed before the rest is only counted."""


def teller(terminal: Terminal) -> Tell:
    """Renders the report of any stage, by the stage's name, under a heading."""

    def tell(stage: str, report: Report | None) -> None:
        if report is None:
            terminal.title(stage)
        elif report.get("skipped") is True:
            terminal.skip(str(report.get("reason")))
        else:
            _RENDERERS[stage](terminal, report)

    return tell


def check(terminal: Terminal, report: Report) -> None:
    """What there is, and everything that is wrong."""
    where = report.get("tracking_uri") or "-"
    facts = {
        "config": report["config"],
        "experiment": report["experiment"] or "-",
        "cases": report["cases"],
        "runs": _names(report.get("run_ids", []), report["runs"]),
        "MLflow": f"{where} (from {report.get('tracking_origin', '-')})",
        "": report.get("detail", ""),
    }
    for name, fact in facts.items():
        terminal.say(f"{name:<11} {fact}")
    for problem in report["problems"]:
        terminal.note(_problem(problem))
    if not report["problems"]:
        terminal.done("nothing is wrong")


def mapping(terminal: Terminal, report: Report) -> None:
    """Every selector with its coverage and reason."""
    for part in ("inputs", "expectations"):
        terminal.say(part)
        for name, selector in report[part].items():
            hit, total = report["coverage"].get(selector, (0, 0))
            partly = "" if hit == total else f"  in {hit} of {total} cases"
            terminal.say(f"  {name} <- {selector}{partly}")
            terminal.aside(f"      {_reason(report, name, selector)}")
    used = {*report["inputs"].values(), *report["expectations"].values()}
    if left := {key: why for key, why in report["reasons"].items() if key not in used}:
        terminal.say("left out")
        for key, why in left.items():
            terminal.say(f"  {key}")
            terminal.aside(f"      {why}")
    count = len(report["inputs"]) + len(report["expectations"])
    terminal.done(f"{report['file']}: {count} fields")


def sync(terminal: Terminal, report: Report) -> None:
    """How many cases each change happened, or would happen, to."""
    verb = "would be " if report.get("dry_run") else ""
    kinds = ("created", "updated", "unchanged", "deleted", "skipped")
    counts = ", ".join(f"{report[kind]} {kind}" for kind in kinds if report[kind])
    terminal.done(f"dataset {report['dataset']}: {verb}{counts or 'nothing to do'}")
    for note in report.get("notes", ()):
        terminal.note(note)


def logged(terminal: Terminal, report: Report) -> None:
    """What stands in MLflow, and what the receipts say."""
    terminal.done(
        f"run {report['mlflow_run_id']} in experiment {report['experiment']}: "
        f"{report['traces']} traces, {report['spans']} spans, {report['assessments']} assessments, "
        f"{report['metrics']} metrics, {report['table_rows']} table rows"
        + ("" if report.get("written", True) else " (nothing had changed)")
    )
    receipt = report["receipt"]
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in receipt["verdicts"].items())
    terminal.say(
        f"  receipt: {receipt['lines']} log lines, {receipt['used']} used, "
        f"{receipt['skipped']} skipped, {receipt['unreadable']} unreadable; {verdicts or 'no logs'}"
    )
    if receipt["masked"]:
        terminal.note(f"{receipt['masked']} secrets were masked")
    for case, why in receipt["refused"].items():
        terminal.note(f"no trace for {case}: {why}")
    if receipt["missing"]:
        terminal.note(f"no log for {_names(receipt['missing'], len(receipt['missing']))}")
    for missed in report.get("regressions", ()):
        terminal.note(f"threshold missed: {missed}")
    for note in report.get("notes", ()):
        terminal.note(note)
    if report.get("url"):
        terminal.say(f"  {report['url']}")


def pushed(terminal: Terminal, report: Report) -> None:
    """How much feedback now stands on how many traces."""
    if not report["traces"]:
        terminal.say("no traces of this run: nothing to attach feedback to")
    else:
        terminal.done(
            f"{report['judge']} judge scores and {report['human']} human reviews "
            f"on {report['traces']} traces"
        )
    if report["unmatched"]:
        names = _names(report["unmatched_names"], report["unmatched"])
        terminal.note(f"{report['unmatched']} without a trace: {names}")
    for note in report.get("notes", ()):
        terminal.note(note)


def pulled(terminal: Terminal, report: Report) -> None:
    """How many annotations came back, and into which file."""
    terminal.done(
        f"{report['annotations']} annotations from {report['traces']} traces in {report['file']}"
    )
    for note in report.get("notes", ()):
        terminal.note(note)


_RENDERERS: dict[str, Callable[[Terminal, Report], None]] = {
    "check": check,
    "map": mapping,
    "sync-dataset": sync,
    "log-results": logged,
    "push-feedback": pushed,
    "pull-feedback": pulled,
}


def _names(names: list[str], count: int) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    more = count - len(names[:MOST_NAMES])
    return f"{count}  ({shown}{f' and {more} more' if more else ''})" if count else "0"


def _reason(report: Report, name: str, selector: str) -> str:
    reasons = report["reasons"]
    return str(reasons.get(selector) or reasons.get(name) or "")


def _problem(problem: Report) -> str:
    where = problem["file"] + (f":{problem['line']}" if problem["line"] else "")
    text = ": ".join(filter(None, (where, problem["field"], problem["message"])))
    return f"{text}. {problem['fix']}" if problem["fix"] else text


def demo(terminal: Terminal, directory: str, report: Report) -> None:
    """Where to look after the demo."""
    run = "uv run " if "UV" in os.environ else ""  # uv tells its children so
    store = f"sqlite:///{directory}/mlflow.db"
    terminal.title("Where to look")
    terminal.say(f"  MLflow's UI     {run}mlflow ui --backend-store-uri {store}")
    terminal.say("                  (older traces: set its time range to All)")
    terminal.say(f"  what came back  {report.get('pull-feedback', {}).get('file', '-')}")
    terminal.say(f"  the mapping     {report.get('map', {}).get('file', '-')}")
    terminal.say(f"  your own eval   {run}evalkit check --config path/to/eval.yaml")
