"""Each stage's report as a person reads it in the terminal, and what is next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from evalkit.cli.narrator import told_agent
from evalkit.config_files import USUAL_CONFIG
from evalkit.context import typed
from evalkit.errors import Problem
from evalkit.runs.run import told
from evalkit.ui.terminal import Report, Terminal

MOST_NAMES = 3
MOST_CHANGES = 20
"""Names, and changed cases, that are listed before the rest is only counted."""


def tell(terminal: Terminal, stage: str, report: Report | None) -> None:
    """Tell the report of a stage, by its name: executions that failed first; None: it begins."""
    if report is None:
        terminal.title(stage)
        return
    if report.get("skipped") is True:
        terminal.skip(str(report.get("reason")))
        return
    executions = report.get("executions")
    if isinstance(executions, dict) and (failures := told(executions)):
        terminal.note(failures)
    _RENDERERS[stage](terminal, report)
    for note in report.get("notes", ()):
        terminal.note(note)


def _checked(terminal: Terminal, report: Report) -> None:
    logged = [each["logged"] for each in report.get("open", ())]
    where, places = report.get("tracking_uri") or "-", report.get("places", {})
    homes = ", ".join(places.get("runs", ()))
    named = f"  ({_names(report['run_ids'])})" if report["runs"] else f"  in {homes}" * bool(homes)
    in_mlflow = f"{sum(map(bool, logged))} of {len(logged)} runs in MLflow"
    facts = {
        "config": report["config"],
        "experiment": report["experiment"] or "-",
        "cases": f"{report['cases']}" + (f"  in {places['cases']}" if places.get("cases") else ""),
        "runs": f"{report['runs']}{named}",
        "logs": report.get("logs", 0),
        "logged": "not known" if None in logged else in_mlflow,
        "reviews": report.get("reviews", 0),
        "mapping": places.get("mapping") or "none yet",
        "MLflow": f"{where} (from {report.get('tracking_origin', '-')})",
        "": report.get("detail", ""),
    }
    terminal.facts(each for each in facts.items() if any(each))
    for problem in report["problems"]:
        terminal.note(str(Problem(**problem)))
    if report["problems"]:
        return
    if not report["reachable"]:
        terminal.fail(f"no problem in the files, but {where} cannot be worked with")
    elif not report["runs"]:
        terminal.done(f"no problem in the config and {report['cases']} cases; no run was found")
    else:
        terminal.done("nothing is wrong")


def _mapped(terminal: Terminal, report: Report) -> None:
    reasons = report["reasons"]
    for part in ("inputs", "expectations"):
        terminal.say(part)
        for name, selector in report[part].items():
            hit, total = report["coverage"].get(selector, (0, 0))
            partly = "" if hit == total else f"  in {hit} of {total} cases"
            terminal.say(f"  {name} <- {selector}{partly}")
            terminal.aside(f"      {reasons.get(selector) or reasons.get(name) or ''}")
    used = {*report["inputs"].values(), *report["expectations"].values()}
    if left := {key: why for key, why in reasons.items() if key not in used}:
        terminal.say("left out")
        for key, why in left.items():
            terminal.say(f"  {key}")
            terminal.aside(f"      {why}")
    count = len(report["inputs"]) + len(report["expectations"])
    terminal.done(f"{report['file']}: {count} fields")


def _synced(terminal: Terminal, report: Report) -> None:
    changes = report["changes"]
    for change in changes[:MOST_CHANGES]:
        terminal.say(f"  {_change(change)}")
    if len(changes) > MOST_CHANGES:
        terminal.say(f"  and {len(changes) - MOST_CHANGES} more")
    verb = "would be " if report.get("dry_run") else ""
    kinds = ("created", "updated", "unchanged", "deleted", "skipped")
    counts = ", ".join(f"{report[kind]} {kind}" for kind in kinds if report[kind])
    terminal.done(f"dataset {report['dataset']}: {verb}{counts or 'nothing to do'}")


def _change(change: Report) -> str:
    case, kind, fields = change["case"], change["kind"], ", ".join(change["fields"])
    if kind == "skipped":
        return f"skipped   {case}: somebody else's row has the same inputs"
    if before := change.get("renamed_from"):
        case = f"{case}, before {before}"
    return f"{kind:9} {case}" + (f": {fields}" if fields else "")


def _ran(terminal: Terminal, report: Report) -> None:
    ran_now = f"{report['cases']} cases, {report['ran']} of them just now"
    terminal.done(f"run {report['run_id']}: {ran_now}, in {report['directory']}")
    config = "" if report["config"] == "eval.yaml" else f" --config {report['config']}"
    terminal.say(f"  next: `evalkit all --run-id {report['run_id']}{config}`")


def _logged(terminal: Terminal, report: Report) -> None:
    terminal.done(
        f"run {report['mlflow_run_id']} in experiment {report['experiment']}: "
        f"{report['traces']} traces, {report['spans']} spans, {report['assessments']} assessments, "
        f"{report['metrics']} metrics, {report['table_rows']} table rows"
        + ("" if report.get("written", True) else " (nothing had changed)")
    )
    receipt = report["receipt"]
    verdicts = "; ".join(f"{count} {verdict}" for verdict, count in receipt["verdicts"].items())
    terminal.say(
        f"  receipt: {receipt['lines']} log lines, {receipt['used']} used, "
        f"{receipt['skipped']} skipped, {receipt['unreadable']} unreadable; {verdicts or 'no logs'}"
    )
    if masked := report["masked"]:
        places = ", ".join(f"{count} in {place}" for place, count in masked.items())
        terminal.note(f"secrets were masked: {places}")
    for case, why in receipt["refused"].items():
        terminal.note(f"no steps in the trace of {case}: {why}")
    if texts := receipt["verdicts"].get("text"):
        steps = "no steps, which Claude Code logs with --output-format stream-json --verbose"
        terminal.note(f"{texts} logs are plain text: their traces have an answer and {steps}")
    if receipt["missing"]:
        terminal.note(f"no log, and no steps in the trace, of {_names(receipt['missing'])}")
    for missed in report.get("regressions", ()):
        terminal.note(f"threshold missed: {missed}")
    if report.get("unknown"):
        terminal.note(f"not known whether the run is good enough: {', '.join(report['unknown'])}")
    if report.get("url"):
        terminal.say(f"  {report['url']}")


def _pushed(terminal: Terminal, report: Report) -> None:
    if not report["traces_found"]:
        terminal.say("no traces of this run: nothing to attach feedback to")
    elif not report["traces"]:
        terminal.say(f"no feedback to attach to the {report['traces_found']} traces of this run")
    else:
        said = f"{report['judge']} judge scores and {report['human']} human reviews"
        terminal.done(f"{said} on {report['traces']} traces")
    if report["unmatched"]:
        names = _names(report["unmatched_names"])
        terminal.note(f"{report['unmatched']} without a trace: {names}")


def _pulled(terminal: Terminal, report: Report) -> None:
    came = f"{report['annotations']} annotations from {report['traces']} traces"
    terminal.done(f"{came} in {report['file']}")


def _reviewed(terminal: Terminal, report: Report) -> None:
    """What went to MLflow and came back, and how far people and judges agree."""
    for stage in ("push-feedback", "pull-feedback"):
        if stage in report:
            tell(terminal, stage, report[stage])
    rows = [
        {
            "judge": each["judge"],
            "beside": each["basis"],
            "same": f"{each['agreed']} of {each['labels']}",
            "kappa (95 %)": ""
            if each["kappa"] is None
            else f"{each['kappa']:.2f} ({each['low']:.2f} to {each['high']:.2f})",
            "": each["standing"],
        }
        for each in report["agreement"]
        if each["labels"]
    ]
    if not rows:
        terminal.say("no case was both reviewed and judged: nothing to compare")
    _rows(terminal, rows)


def _compared(terminal: Terminal, report: Report) -> None:
    """The answer, then judge by judge, what flipped, what it cost, and the thresholds."""
    from evalkit.runs import compare_rows

    against = ", ".join(report["baseline"]) or "no baseline"
    terminal.title(f"{', '.join(report['candidate'])} against {against}")
    for finding in report["findings"]:
        terminal.say(finding)
    judges, left_out = compare_rows.telling(report["judges"])
    _rows(terminal, compare_rows.rows(judges), "Change")
    flips = ", ".join(f"{count} {kind}" for kind, count in report["counts"].items())
    terminal.say(f"scores: {flips or 'none in either run'}")
    _rows(terminal, compare_rows.rows(report["figures"]), "Change", "Whole run")
    _rows(terminal, compare_rows.threshold_rows(report))
    for text in filter(None, (left_out, *report["shortfalls"], *report["open"])):
        if text not in report["findings"][0]:
            terminal.note(text)
    if report["gate"] == "pass":
        terminal.done("pass: nothing that decides is worse, and no threshold is missed")
    else:
        terminal.say({"fail": "fail", "unknown": "cannot tell"}[report["gate"]])


def _history(terminal: Terminal, report: Report) -> None:
    from evalkit.runs.compare_rows import figure_text

    rows = [
        {
            "Logged": f"{datetime.fromtimestamp(each['time_ms'] / 1000, UTC):%Y-%m-%d %H:%M}",
            "Run": each["run_id"],
            "Commit": each["commit"][:10],
            "Branch": each["branch"],
            "Dataset": each["dataset"][:8],
            "Cases": each["cases"],
            report["judge"]: figure_text(each.get("pass_rate", each.get("mean"))),
            "95 % interval": " to ".join(map(figure_text, each["interval"] or ())),
        }
        for each in report["runs"]
    ]
    _rows(terminal, rows)


def _imported(terminal: Terminal, report: Report) -> None:
    for path, why in list(report["skipped"].items())[:MOST_CHANGES]:
        terminal.note(f"{path}: {why}")
    if (more := len(report["skipped"]) - MOST_CHANGES) > 0:
        terminal.note(f"{more} more files were passed over")
    counts = {name: report.get(name, 0) for name in ("files", "cases", "runs", "traces")}
    files, *came = [f"{n} {name[:-1] if n == 1 else name}" for name, n in counts.items()]
    came = [each for each in came if not each.startswith("0 ")]
    place = report.get("directory") or report.get("experiment") or ""
    terminal.done(f"{files} ({report['format']}): {', '.join(came) or 'nothing new'} in {place}")
    if report.get("experiment"):
        terminal.say(f"next: {typed('evalkit')} agent -e {shlex.quote(place)}")
    elif report.get("runs") == 0:
        config = shlex.quote(f"{place}/{USUAL_CONFIG}")
        terminal.say(f"next: {typed('evalkit')} run --config {config} --predict module:function")


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    more = len(names) - MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _rows(terminal: Terminal, rows: Sequence[Report], *left_out: str) -> None:
    if names := [name for name in (rows[0] if rows else ()) if name not in left_out]:
        heads = [name.lower() if name == name.capitalize() else name for name in names]  # not ids
        terminal.table(heads, [[each[name] for name in names] for each in rows])


_RENDERERS: dict[str, Callable[[Terminal, Report], None]] = {
    "check": _checked,
    "map": _mapped,
    "sync-dataset": _synced,
    "run": _ran,
    "log-results": _logged,
    "push-feedback": _pushed,
    "pull-feedback": _pulled,
    "review": _reviewed,
    "compare": _compared,
    "gate": _compared,
    "history": _history,
    "import": _imported,
    "export-cases": _imported,
    "agent": told_agent,
}
