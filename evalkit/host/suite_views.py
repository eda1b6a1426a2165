"""A suite to read: whether it holds and what people said, its scorers, what they notice, its files.

Figures come from ``state/validation_results.json``, cases from ``dataset.jsonl``, both as the
program wrote them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import altair as alt
import marimo as mo
import pandas as pd

from evalkit.errors import EvalkitError
from evalkit.host.traffic import trace_view
from evalkit.jsonable import Json, list_of, mapping_of, plain_text
from evalkit.suite.model import DATASET_FILE, LIMITS_FILE
from evalkit.traces.experiment import Watch
from evalkit.ui import page
from evalkit.ui.wording import GREEN, GREY, as_text, dressed

SHORT = 140
"""Characters of an input or answer that a table shows."""

MOST_CITED = 5
"""Traces of one finding that are one click away."""

ABOUT_FILES = {
    "scorers.py": "what judges the answers",
    "rule_checks.py": "how rules read and judge an answer",
    "run_eval.py": "runs the evaluation, by hand or in CI",
    "LIMITS.md": "what only people or a model can judge",
    "eval.yaml": "the suite as a project of evalkit",
}
WORDS = {"verified": "success", "too few traces": "warn", "not verified": "danger"}

Validation = Mapping[str, Json]


def cases_of(files: Mapping[str, bytes]) -> list[dict[str, Json]]:
    """The lines of ``dataset.jsonl``; those that are none are left out."""
    found = []
    for line in files.get(DATASET_FILE, b"").splitlines():
        try:
            case = json.loads(line)
        except ValueError:
            continue
        found += [case] if isinstance(case, dict) else []
    return found


def verification(validation: Validation) -> Any:
    """Whether the suite holds, what people said first; None where nobody has looked yet."""
    if not validation:
        return None
    people = mapping_of(validation.get("people"))
    accepted, rejected = (mapping_of(people.get(each)) for each in ("accepted", "rejected"))
    word, good = validation.get("word"), validation.get("good_rows")
    kappa = people.get("kappa")
    agree = "" if kappa is None else f" Agreement with people (Cohen's kappa): {kappa}."
    stands = f"{validation.get('rows')} traces, {good} of them good answers.{agree}"
    problems = [f"- {page.quoted(each)}" for each in list_of(validation.get("problems"))]
    figures = page.cards(
        (
            "Answers that people rejected",
            f"{rejected.get('failed', 0)} of {rejected.get('answers', 0)}",
            f"fail some scorer; {rejected.get('in_limits', 0)} named in LIMITS.md",
        ),
        (
            "Answers that people accepted",
            f"{accepted.get('pass_all', 0)} of {accepted.get('answers', 0)}",
            "pass every scorer",
        ),
        ("Copies with a fault put in", _noticed(validation), "are noticed by some scorer"),
        ("One answer to everything", _one_sentence(validation), "rows fail some scorer then"),
    )
    callout = page.callout(
        "\n".join([f"**{str(word).capitalize()}.** It stands on {stands}", "", *problems]),
        WORDS.get(str(word), "warn"),
    )
    return page.stack(figures, callout)


def passed_wrongly(
    validation: Validation, watch: Watch, cases: Sequence[Mapping[str, Json]]
) -> Any:
    """The answers that people rejected and every scorer passes; None where there are none."""
    rejected = mapping_of(mapping_of(validation.get("people")).get("rejected"))
    title = "People rejected this, and every scorer passes it"
    return cited(list_of(rejected.get("missed")), watch, cases, title)


def scorer_table(validation: Validation) -> Any:
    """The scorers, and what each has shown."""
    rows = []
    for name, said in mapping_of(validation.get("scorers")).items():
        each = mapping_of(said)
        rows.append(
            {
                "Scorer": name,
                "Good answers pass": f"{each.get('good_passed')} of {each.get('good')}",
                "Applies to": f"{each.get('applies')} rows",
                "Faulty copies noticed": f"{each.get('noticed')} of {each.get('copies')}",
            }
        )
    judges = ", ".join(str(each) for each in list_of(validation.get("judges")))
    asked = page.callout(f"Not verified, because they ask a model: {page.quoted(judges)}")
    return page.stack(page.table(rows), asked if judges else None)


def fault_chart(validation: Validation) -> Any:
    """Of each kind of fault, how many damaged copies of good answers some scorer notices."""
    rows = pd.DataFrame(
        {"fault": kind.replace("_", " "), "share": noticed / copies, "told": f"{noticed}/{copies}"}
        for kind, (noticed, copies) in mapping_of(validation.get("faults")).items()
        if copies
    )
    if rows.empty:
        return page.callout("No good answer could be damaged, or nobody has tried.")
    title = alt.TitleParams(
        "Damaged copies that some scorer notices",
        subtitle=["Not required of a suite. What is missed", "needs a judge, or another scorer."],
        offset=12,
    )
    base = alt.Chart(rows, title=title).encode(
        x=alt.X(
            "share:Q",
            title="noticed",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", tickCount=5),
        ),
        y=alt.Y("fault:N", title=None, sort="x", axis=alt.Axis(labelLimit=220)),
        tooltip=["fault:N", alt.Tooltip("told:N", title="noticed")],
    )
    words = base.mark_text(align="left", dx=4, color=GREY).encode(text="told:N")
    bars = base.mark_bar(color=GREEN, cornerRadiusEnd=3)
    return dressed(alt.layer(bars, words).properties(width="container", height={"step": 16}))


def finding_table(findings: Sequence[Mapping[str, Json]]) -> Any:
    """What the traces show, to select in."""
    rows = [
        {"What the traces show": each.get("what"), "Cites": len(list_of(each.get("evidence")))}
        for each in findings
    ]
    return page.table(
        rows,
        select="single",
        page_size=8,
        wrapped_columns=["What the traces show"],
        column_widths={"What the traces show": 900, "Cites": 110},
        nothing="Nothing beyond what section 2 counts.",
    )


def cited(
    ids: Iterable[Json],
    watch: Watch,
    cases: Sequence[Mapping[str, Json]] = (),
    title: str = "The traces that it stands on",
) -> Any:
    """Traces below a title: links into MLflow, and the conversations, read when opened."""
    shown = list(dict.fromkeys(str(each) for each in ids))
    if not shown or not page.is_live():
        return None
    asked = {str(each.get("source_trace_id")): each.get("inputs") for each in cases}
    folds = {
        f"{page.quoted(short(asked.get(each) or each))}": mo.lazy(
            partial(_conversation, each, watch)
        )
        for each in shown[:MOST_CITED]
    }
    links = ", ".join(page.link(watch.url_of(each), each) for each in shown if watch.url_of(each))
    more = f"The first {MOST_CITED} of {len(shown)} traces:" if len(shown) > MOST_CITED else ""
    return page.stack(
        mo.md(f"**{title}** {more}"),
        mo.accordion(folds),
        mo.md(f"In MLflow: {links}") if links else None,
    )


def case_table(cases: Sequence[Mapping[str, Json]]) -> Any:
    """The rows of the dataset, to select in."""
    shown = [
        {"Asked": short(each.get("inputs")), "Answered": short(each.get("outputs"))}
        for each in cases
    ]
    return page.table(
        shown,
        select="single",
        page_size=8,
        wrapped_columns=["Asked", "Answered"],
        column_widths={"Asked": 480, "Answered": 520},
        nothing="The dataset has no rows yet.",
    )


def row_view(case: Mapping[str, Json], watch: Watch) -> Any:
    """One row in full, with the trace that it was copied from."""
    fields = {name: case[name] for name in ("inputs", "outputs", "expectations") if case.get(name)}
    trace = cited([case.get("source_trace_id")], watch, [case], "Its trace")
    return page.stack(page.record(fields), trace)


def code(files: Mapping[str, bytes]) -> Any:
    """The files of the suite, each folded; what they hold is shown as it is."""
    folds = {}
    for path, content in files.items():
        name = path.rpartition("/")[2]
        if name not in ABOUT_FILES or path == LIMITS_FILE:
            continue
        text = content.decode("utf-8", "replace")
        title = f"`{name}`: {ABOUT_FILES[name]}, {text.count(chr(10)):,} lines"
        language = "yaml" if name.endswith(".yaml") else "python"
        folds[title] = mo.md(_fenced(text, language)).style(max_height="30rem", overflow="auto")
    if not folds:
        return None
    if not page.is_live():
        return mo.md("\n\n".join(f"{title}\n\n{body.text}" for title, body in folds.items()))
    return mo.accordion(folds, multiple=True)


def limits(files: Mapping[str, bytes]) -> Any:
    """What the suite cannot tell, as ``LIMITS.md`` has it; shown as text, as a model may write it.

    None where there is none.
    """
    content = files.get(LIMITS_FILE)
    return page.text(content.decode("utf-8", "replace")) if content else None


def short(value: Json) -> str:
    """A value on one line of moderate length; the values alone of an object with one field."""
    while isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    text = value if isinstance(value, str) else "" if value is None else as_text(value)
    line = " ".join(plain_text(text).split())
    return line if len(line) <= SHORT else line[: SHORT - 1] + "…"


def _noticed(validation: Validation) -> str:
    pairs = [list_of(each) for each in mapping_of(validation.get("faults")).values()]
    made = sum(int(str(of)) for _, of in pairs)
    return f"{sum(int(str(n)) for n, _ in pairs) / made:.0%}" if made else "-"


def _one_sentence(validation: Validation) -> str:
    said = mapping_of(validation.get("one_sentence"))
    return f"{said['failed']} of {said['rows']}" if said else "-"


def _conversation(trace_id: str, watch: Watch) -> Any:
    try:
        return trace_view(watch.open(trace_id), watch)
    except EvalkitError as error:
        return page.problem(error)


def _fenced(text: str, language: str) -> str:
    """Code as Markdown, however many backticks stand in it."""
    longest = max((len(each) for each in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
