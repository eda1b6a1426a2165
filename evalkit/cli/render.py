"""Each stage's report as a person reads it in the terminal, and what is next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from evalkit.cli.narrator import told_agent
from evalkit.errors import Problem
from evalkit.runs.run import told
from evalkit.ui.terminal import Report, Terminal

MOST_NAMES = 3
MOST_CHANGES = 20
"""Names, and changed cases, that are listed before the rest is only counted."""


def teller(terminal: Terminal) -> Callable[[str, Report | None], None]:
    """Renders the report of any stage, by the stage's name, under a heading."""

    def tell(stage: str, report: Report | None) -> None:
        if report is None:
            terminal.title(stage)
        elif report.get("skipped") is True:
            terminal.skip(str(report.get("reason")))
        else:
            _RENDERERS[stage](terminal, report)

    return tell


def checked(terminal: Terminal, report: Report) -> None:
    """What there is, and everything that is wrong."""
    logged = [each["logged"] for each in report.get("open", ())]
    where, places = report.get("tracking_uri") or "-", report.get("places", {})
    facts = {
        "config": report["config"],
        "experiment": report["experiment"] or "-",
        "cases": _placed(report["cases"], places.get("cases")),
        "runs": f"{report['runs']}  ({_names(report['run_ids'])})"
        if report["runs"]
        else _placed(0, ", ".join(places.get("runs", ()))),
        "logs": report.get("logs", 0),
        "logged": "not known"
        if None in logged
        else f"{sum(logged)} of {len(logged)} runs in MLflow",
        "reviews": report.get("reviews", 0),
        "mapping": places.get("mapping") or "none yet",
        "MLflow": f"{where} (from {report.get('tracking_origin', '-')})",
        "": report.get("detail", ""),
    }
    for name, fact in facts.items():
        terminal.say(f"{name:<11} {fact}")
    _notes(terminal, report)
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


def _placed(count: int, place: str | None) -> str:
    return f"{count}  in {place}" if place else str(count)


def mapping(terminal: Terminal, report: Report) -> None:
    """Every selector with its coverage and reason."""
    for part in ("inputs", "expectations"):
        terminal.say(part)
        for name, selector in report[part].items():
            hit, total = report["coverage"].get(selector, (0, 0))
            partly = "" if hit == total else f"  in {hit} of {total} cases"
            terminal.say(f"  {name} <- {selector}{partly}")
            reasons = report["reasons"]
            terminal.aside(f"      {reasons.get(selector) or reasons.get(name) or ''}")
    used = {*report["inputs"].values(), *report["expectations"].values()}
    if left := {key: why for key, why in report["reasons"].items() if key not in used}:
        terminal.say("left out")
        for key, why in left.items():
            terminal.say(f"  {key}")
            terminal.aside(f"      {why}")
    count = len(report["inputs"]) + len(report["expectations"])
    terminal.done(f"{report['file']}: {count} fields")
    _notes(terminal, report)


def sync(terminal: Terminal, report: Report) -> None:
    """Which cases each change happened, or would happen, to."""
    changes = report["changes"]
    for change in changes[:MOST_CHANGES]:
        terminal.say(f"  {_change(change)}")
    if len(changes) > MOST_CHANGES:
        terminal.say(f"  and {len(changes) - MOST_CHANGES} more")
    verb = "would be " if report.get("dry_run") else ""
    kinds = ("created", "updated", "unchanged", "deleted", "skipped")
    counts = ", ".join(f"{report[kind]} {kind}" for kind in kinds if report[kind])
    terminal.done(f"dataset {report['dataset']}: {verb}{counts or 'nothing to do'}")
    _notes(terminal, report)


def _change(change: Report) -> str:
    case, kind, fields = change["case"], change["kind"], ", ".join(change["fields"])
    if kind == "skipped":
        return f"skipped   {case}: somebody else's row has the same inputs"
    if before := change.get("renamed_from"):
        case = f"{case}, before {before}"
    return f"{kind:9} {case}" + (f": {fields}" if fields else "")


def ran(terminal: Terminal, report: Report) -> None:
    """How many cases ran, which failed, and what is next."""
    _failures(terminal, report)
    _notes(terminal, report)
    ran_now = f"{report['cases']} cases, {report['ran']} of them just now"
    terminal.done(f"run {report['run_id']}: {ran_now}, in {report['directory']}")
    config = "" if report["config"] == "eval.yaml" else f" --config {report['config']}"
    terminal.say(f"  next: `evalkit all --run-id {report['run_id']}{config}`")


def logged(terminal: Terminal, report: Report) -> None:
    """What stands in MLflow, and what the receipts say."""
    _failures(terminal, report)
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
    _notes(terminal, report)
    if report.get("url"):
        terminal.say(f"  {report['url']}")


def pushed(terminal: Terminal, report: Report) -> None:
    """How much feedback now stands on how many traces."""
    _failures(terminal, report)
    if not report["traces_found"]:
        terminal.say("no traces of this run: nothing to attach feedback to")
    elif not report["traces"]:
        terminal.say(f"no feedback to attach to the {report['traces_found']} traces of this run")
    else:
        terminal.done(
            f"{report['judge']} judge scores and {report['human']} human reviews "
            f"on {report['traces']} traces"
        )
    if report["unmatched"]:
        names = _names(report["unmatched_names"])
        terminal.note(f"{report['unmatched']} without a trace: {names}")
    _notes(terminal, report)


def _failures(terminal: Terminal, report: Report) -> None:
    if failures := told(report["executions"]):
        terminal.note(failures)


def pulled(terminal: Terminal, report: Report) -> None:
    """How many annotations came back, and into which file."""
    _failures(terminal, report)
    terminal.done(
        f"{report['annotations']} annotations from {report['traces']} traces in {report['file']}"
    )
    _notes(terminal, report)


def reviewed(terminal: Terminal, report: Report) -> None:
    """What went to MLflow and came back, and how far people and judges agree."""
    tell = teller(terminal)
    for stage in ("push-feedback", "pull-feedback"):
        if stage in report:
            tell(stage, report[stage])
    compared = [each for each in report["agreement"] if each["labels"]]
    if not compared:
        terminal.say("no case was both reviewed and judged: nothing to compare")
        return
    heads = ("judge", "beside", "same", "kappa (95 %)", "")
    terminal.table(heads, [_agreed(each) for each in compared])


def _agreed(each: Report) -> tuple[str, ...]:
    kappa = ""
    if each["kappa"] is not None:
        kappa = f"{each['kappa']:.2f} ({each['low']:.2f} to {each['high']:.2f})"
    same = f"{each['agreed']} of {each['labels']}"
    return each["judge"], each["basis"], same, kappa, each["standing"]


def _notes(terminal: Terminal, report: Report) -> None:
    for note in report.get("notes", ()):
        terminal.note(note)


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    more = len(names) - MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def compared(terminal: Terminal, report: Report) -> None:
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


def judge_history(terminal: Terminal, report: Report) -> None:
    """A judge over the logged runs, a row a run."""
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


def imported(terminal: Terminal, report: Report) -> None:
    """What was read or written as what, what came of it, and what was passed over."""
    for path, why in list(report["skipped"].items())[:MOST_CHANGES]:
        terminal.note(f"{path}: {why}")
    if (more := len(report["skipped"]) - MOST_CHANGES) > 0:
        terminal.note(f"{more} more files were passed over")
    _notes(terminal, report)
    came = [f"{report[name]} {name}" for name in ("cases", "runs", "traces") if name in report]
    place = report.get("directory") or report.get("experiment") or ""
    terminal.done(f"{report['files']} files ({report['format']}): {', '.join(came)} in {place}")


def _rows(terminal: Terminal, rows: Sequence[Report], *left_out: str) -> None:
    if names := [name for name in (rows[0] if rows else ()) if name not in left_out]:
        heads = [name.lower() for name in names]
        terminal.table(heads, [[each[name] for name in names] for each in rows])


_RENDERERS: dict[str, Callable[[Terminal, Report], None]] = {
    "check": checked,
    "map": mapping,
    "sync-dataset": sync,
    "run": ran,
    "log-results": logged,
    "push-feedback": pushed,
    "pull-feedback": pulled,
    "compare": compared,
    "gate": compared,
    "history": judge_history,
    "import": imported,
    "export-cases": imported,
    "agent": told_agent,
}
