"""A run's figures, judges, thresholds, models and cases, each as one table or row of cards."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evalkit.context import Whereabouts
from evalkit.core.executions import executions, told
from evalkit.core.overview import CaseOverview, JudgeOverview
from evalkit.core.receipt import Difference
from evalkit.core.results import Run, Usage
from evalkit.core.thresholds import Bound
from evalkit.host.run_charts import TOKENS
from evalkit.ui import page


def failures(run: Run) -> Any:
    """How many executions failed, which comes first on every page; None where none did."""
    words = told(executions(run))
    return page.callout(f"**{page.quoted(words)}**", "danger") if words else None


def figures(run: Run, cases: Sequence[CaseOverview], thresholds: Sequence[Bound]) -> Any:
    """What the run consumed, and how it ended, in a row of cards."""
    usage = run.usage
    logged = sum(case.logged for case in cases)
    failed = sum(each.verdict == "fails" for each in thresholds)
    unknown = sum(each.verdict == "not measured" for each in thresholds)
    told = f"of {len(thresholds)} in eval.yaml" + (f", {unknown} not measured" if unknown else "")
    return page.cards(
        ("Executions that failed", len(run.failed), f"of {executions(run)['total']}"),
        ("Cases", len(cases), f"{logged} with a log"),
        ("Thresholds that fail", failed, told),
        ("Cost", _dollars(usage.cost_usd), "of the agent, in US dollars"),
        ("Duration", _seconds(usage.duration_s), "all sessions added up"),
        ("Turns", "-" if usage.num_turns is None else usage.num_turns, run.model or "all cases"),
    )


def judge_table(judges: Sequence[JudgeOverview]) -> Any:
    """Each judge with its pass rate, mean and spread."""
    rows = [
        {
            "Judge": judge.judge,
            "Kind": judge.judge_type,
            "Pass rate": _percent(judge.pass_rate),
            "Mean": _figure(judge.mean),
            "Spread": judge.spread,
            "Scores": len(judge.given),
            "Without a value": judge.silent,
            "Judge failed": judge.errors,
        }
        for judge in judges
    ]
    return page.table(rows, label="**Judges**", wrapped_columns=["Spread"]) if rows else None


def threshold_table(thresholds: Sequence[Bound]) -> Any:
    """Each threshold, what the run has, and the verdict."""
    if not thresholds:
        return page.callout("`eval.yaml` demands nothing: there are no **thresholds** in it.")
    rows = [
        {
            "Judge": each.judge,
            "Demanded": each.demand,
            "The run has": _figure(each.actual),
            "Verdict": each.verdict,
        }
        for each in thresholds
    ]
    return page.table(rows, tint="Verdict", label="**Thresholds**")


def model_table(usage: Usage) -> Any:
    """Cost and tokens of each model; None where the run does not say."""
    rows = [
        {"Model": model, "Cost": _dollars(found.get("cost_usd"))}
        | {f"Tokens {words}": f"{found.get(kind, 0):,.0f}" for kind, words in TOKENS.items()}
        for model, found in usage.per_model.items()
    ]
    return page.table(rows, label="**Models**") if rows else None


def case_table(cases: Sequence[CaseOverview]) -> Any:
    """The cases, to select one in."""
    rows = [
        {
            "Case": case.case_id,
            "Passes": case.passes,
            "Execution": case.execution,
            "Judges that say no": ", ".join(case.failed),
            "Judges that failed": ", ".join(case.broken),
            "Seconds": case.usage.duration_s,
            "USD": case.usage.cost_usd,
            "Turns": case.usage.num_turns,
            "Log": "yes" if case.logged else "none",
        }
        for case in cases
    ]
    looks = {"Seconds": _rounded(1), "USD": _rounded(4), "Turns": _rounded(0)}
    return page.table(rows, select="single", page_size=12, format_mapping=looks)


def difference_table(differences: Sequence[Difference]) -> Any:
    """Figures of a trace that do not add up to the log's own; None where all do."""
    rows = [
        {
            "Figure": each.what.replace("_", " "),
            "Model": each.model or "all",
            "The spans add up to": f"{each.spans:,.6g}",
            "The result says": f"{each.result:,.6g}",
            "Why": each.why,
        }
        for each in differences
    ]
    return (
        page.table(rows, label="**What does not add up**", wrapped_columns=["Why"])
        if rows
        else None
    )


def logged(report: Mapping[str, Any]) -> Any:
    """What stands in MLflow now, and what could not be brought there."""
    receipt = report["receipt"]
    verdicts = receipt["verdicts"]
    told = "; ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    lost = {f"No steps in the trace of {case}": why for case, why in receipt["refused"].items()}
    if receipt["missing"]:
        lost["No log for"] = ", ".join(receipt["missing"])
    lost |= {f"Note {number}": note for number, note in enumerate(report["notes"], start=1)}
    return page.stack(
        page.callout(
            "The run is in MLflow." if report["written"] else "MLflow had it all already.",
            "success",
        ),
        page.cards(
            ("Traces", report["traces"], f"{report['spans']:,} spans"),
            ("Judges' feedback", report["assessments"], "on the traces of their cases"),
            ("Metrics", report["metrics"], f"and {report['params']} params"),
            ("Log lines", f"{receipt['lines']:,}", told or "no logs"),
            ("Masked", receipt["masked"], "secrets that stayed here"),
        ),
        page.record(lost, title="To know") if lost else None,
    )


def links(where: Whereabouts, case_id: str) -> Any:
    """The way to the run in MLflow's pages, and to the trace of a case.

    Args:
        where: Where the run is seen.
        case_id: The case; empty for none.
    """
    if where.command:
        return page.stack(
            page.callout("This MLflow is a database. Start its pages, then open their address:"),
            page.text(where.command),
        )
    if not where.run:
        return None
    ways = [page.link(where.run, "the run")]
    if trace := where.trace(case_id):
        ways.append(page.link(trace, "the trace of the case selected above"))
    return page.callout("In MLflow: " + ", ".join(ways))


def _rounded(digits: int) -> Callable[[Any], str]:
    """Shows a column's figures with that many decimals, and nothing where there is none."""

    def shown(value: Any) -> str:
        known = isinstance(value, (int, float)) and not math.isnan(value)
        return f"{value:.{digits}f}" if known else ""

    return shown


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _dollars(amount: float | None) -> str:
    return "-" if amount is None else f"${amount:,.4g}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:,.0f} s"
