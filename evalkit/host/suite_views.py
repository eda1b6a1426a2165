"""A suite to read: what it stands on, its rows, its scorers, its code, and what it cannot tell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import marimo as mo

from evalkit.agency.bench import ReadSuite
from evalkit.agency.overview import SessionOverview
from evalkit.core.agent.analysis import (
    Analysis,
    CasePick,
    Finding,
    ManualCase,
    PlannedScorer,
    trace_of,
)
from evalkit.core.agent.suite import Row
from evalkit.core.agent.verdicts import DamageTable, table_of
from evalkit.core.errors import EvalkitError
from evalkit.core.values import Json
from evalkit.host import page
from evalkit.host.traffic_views import trace_view
from evalkit.host.wording import as_text
from evalkit.watching import Watch

SHORT = 140
"""Characters of an input or answer that a table shows."""

MOST_CITED = 5
"""Traces of one finding that are one click away."""

TALL = "30rem"

ABOUT_FILES = {
    "eval_dataset.py": "the cases, and what was recorded",
    "scorers.py": "what judges the answers",
    "run_eval.py": "runs the evaluation and logs it to MLflow",
}


DAMAGES = {
    "emptied": "no answer",
    "truncated": "half an answer",
    "swapped": "another's answer",
    "error_text": "an error's text",
    "wrong_format": "wrong format",
    "tools_dropped": "no tools used",
    "tool_failed": "a tool failed",
    "slowed": "far slower",
    "overlong": "far longer",
}
"""What was done to a good answer, in a reader's words."""


def unread(contents: ReadSuite) -> Any:
    """Why the rows of the suite could not be read; None where they could."""
    if not contents.error:
        return None
    return page.stack(
        page.callout("The **dataset** could not be read:", "warn"), page.text(contents.error)
    )


def finding_table(analysis: Analysis) -> Any:
    """What the traces show, to select in."""
    rows = [
        {"What the traces show": f.what, "Cites": _traces(f.evidence)} for f in findings(analysis)
    ]
    return page.table(
        rows,
        select="single",
        page_size=8,
        wrapped_columns=["What the traces show"],
        column_widths={"What the traces show": 900, "Cites": 110},
    )


def findings(analysis: Analysis) -> list[Finding]:
    """What was found; the summary of it all comes first."""
    everything = tuple(dict.fromkeys(pick.trace_id for pick in analysis.cases))
    return [Finding(analysis.summary, everything), *analysis.findings]


def cited(ids: Iterable[str], watch: Watch) -> Any:
    """The traces that something stands on: links into MLflow, and the conversations themselves.

    A conversation is read when it is opened.
    """
    shown = list(dict.fromkeys(map(trace_of, ids)))
    if not shown or not page.is_live():
        return None
    asked = dict(zip(watch.traces["trace_id"], watch.traces["asked"], strict=True))
    folds = {
        f"{page.quoted(short(_parsed(asked.get(each, each))))}": mo.lazy(
            partial(_conversation, each, watch)
        )
        for each in shown[:MOST_CITED]
    }
    links = ", ".join(page.link(watch.url_of(each), each) for each in shown if watch.url_of(each))
    more = f"The first {MOST_CITED} of {len(shown)} traces:" if len(shown) > MOST_CITED else ""
    return page.stack(
        mo.md(f"**The traces that it stands on.** {more}"),
        mo.accordion(folds),
        mo.md(f"In MLflow: {links}") if links else None,
    )


def row_table(rows: Sequence[Row], analysis: Analysis) -> Any:
    """The rows of the dataset, to select in."""
    why = _reasons(analysis)
    shown = [
        {
            "Asked": short(row.inputs),
            "Answered": short(row.outputs),
            "Why it is there": why.get(row.source_trace_id or "", "made by hand"),
        }
        for row in rows
    ]
    return page.table(
        shown,
        select="single",
        page_size=8,
        wrapped_columns=["Asked", "Answered", "Why it is there"],
        column_widths={"Asked": 340, "Answered": 380, "Why it is there": 290},
        nothing="The dataset has no rows yet.",
    )


def row_view(row: Row, watch: Watch) -> Any:
    """One row in full, with the trace that it was copied from."""
    fields: dict[str, Json] = {
        "inputs": dict(row.inputs),
        "outputs": row.outputs,
        "expectations": dict(row.expectations),
        "tools used": ", ".join(f"{s.name}{' (failed)' * s.failed}" for s in row.steps) or "-",
    }
    traces = [row.source_trace_id] if row.source_trace_id else []
    return page.stack(page.record(fields), cited(traces, watch))


def scorer_table(session: SessionOverview) -> Any:
    """The scorers: what each checks, and what it has proven; to select in."""
    if session.analysis is None:
        return None
    table = table_of(session.validation)
    figures = session.validation.get("scorers")
    figures = figures if isinstance(figures, dict) else {}
    rows = [
        {
            "Scorer": each.name,
            "Checks": each.what,
            "Good rows pass": _passed(figures.get(each.name)),
            "Notices": _noticed(each, table),
        }
        for each in session.analysis.scorers
    ]
    return page.table(
        rows,
        select="single",
        wrapped_columns=["Checks", "Notices"],
        column_widths={"Scorer": 140, "Checks": 470, "Good rows pass": 120, "Notices": 290},
    )


def scorer_view(scorer: PlannedScorer, watch: Watch) -> Any:
    """Why a scorer is there, with the traces that it stands on."""
    return page.stack(
        page.record({"Why": scorer.why}, title=scorer.name), cited(scorer.evidence, watch)
    )


def code(files: Mapping[str, bytes]) -> Any:
    """The files of the suite, highlighted, each folded; what they hold is shown as it is."""
    folds = {}
    for path, content in files.items():
        text = content.decode("utf-8", "replace")
        name = path.rpartition("/")[2]
        title = f"`{name}`: {ABOUT_FILES.get(name, 'code')}, {text.count(chr(10)):,} lines"
        folds[title] = mo.md(_fenced(text)).style(max_height=TALL, overflow="auto")
    if not folds:
        return None
    if not page.is_live():
        return mo.md("\n\n".join(f"{title}\n\n{body.text}" for title, body in folds.items()))
    return mo.accordion(folds, multiple=True)


def limits(analysis: Analysis) -> Any:
    """What the suite cannot tell."""
    told = "\n".join(f"- {page.quoted(each)}" for each in analysis.limits)
    return page.callout(f"**What this suite cannot tell**\n\n{told}", "warn") if told else None


def guidelines(analysis: Analysis) -> Any:
    """What only a model judge can tell; None where nothing is left to one."""
    if not analysis.guidelines:
        return None
    return page.record(
        {each.name.replace("_", " "): each.text for each in analysis.guidelines},
        title="Guidelines for a model as judge; switched on by EVALKIT_JUDGE_MODEL",
    )


def short(value: Json) -> str:
    """A value on one line of moderate length; the values alone of an object with one field."""
    while isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    text = value if isinstance(value, str) else "" if value is None else as_text(value)
    line = " ".join(text.split())
    return line if len(line) <= SHORT else line[: SHORT - 1] + "…"


def _conversation(trace_id: str, watch: Watch) -> Any:
    try:
        return trace_view(watch.open(trace_id), watch)
    except EvalkitError as error:
        return page.problem(error)


def _parsed(text: str) -> Json:
    """What a request says, as MLflow shows it in a list: JSON, or words, perhaps cut off."""
    try:
        found: Json = json.loads(text)
    except ValueError:
        return text
    return found


def _reasons(analysis: Analysis) -> dict[str, str]:
    """Why each trace became a row."""
    picks: Sequence[CasePick] = analysis.cases
    by_hand: Sequence[ManualCase] = analysis.manual_cases
    made = {"": by_hand[0].why} if len(by_hand) == 1 else {}
    return {pick.trace_id: pick.why for pick in picks} | made


def _passed(figures: Json) -> str:
    passed = figures.get("good_passed") if isinstance(figures, dict) else None
    return f"{passed[0]} of {passed[1]}" if isinstance(passed, list) else ""


def _noticed(scorer: PlannedScorer, table: DamageTable) -> str:
    if scorer.name not in table.scorers:
        return ""
    return ", ".join(DAMAGES.get(each, each) for each in table.caught_by(scorer.name))


def _traces(ids: Sequence[str]) -> str:
    return "1 trace" if len(ids) == 1 else f"{len(ids)} traces"


def _fenced(text: str) -> str:
    """Python code as Markdown, however many backticks stand in it."""
    longest = max((len(each) for each in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{text}\n{fence}"
