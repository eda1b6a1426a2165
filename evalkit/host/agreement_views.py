"""How agreement looks: one judge a row, and the confusion matrix of one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

import altair as alt
import pandas as pd

from evalkit.core.agreement import MIN_LABELS, Agreement
from evalkit.core.opinions import JudgeAgreement, Pair
from evalkit.core.review import Review, annotations_in
from evalkit.documents import scalar_text
from evalkit.jsonable import Json
from evalkit.ui import page
from evalkit.ui.wording import GREEN, GREY, RED, dressed

CELL_PX = 84
"""Side of one field of a matrix; of many labels, less."""

MOST_PX = 520
SHORT = 100
"""Characters of a comment in a table; selected, it is shown in full."""
BASES = {"review": "the review", "annotations": "annotations in MLflow"}


def pushed(report: Mapping[str, Any]) -> Any:
    """What stands in MLflow after a push."""
    if not report.get("traces"):
        return page.callout(
            "MLflow has **no traces of this run**, so there is nothing to put feedback on. "
            "Log the run first.",
            "warn",
        )
    cards = page.cards(
        ("Judge scores", report["judge"], "now on their traces"),
        ("Reviews", report["human"], "now on their traces"),
        ("Traces", report["traces"], "have feedback"),
        ("Without a trace", report["unmatched"], "not pushed"),
    )
    names = report["unmatched_names"]
    return page.stack(cards, page.folded(f"Without a trace ({len(names)})", names))


def pulled(review: Review) -> Any:
    """What people said in MLflow, as it was pulled."""
    found = annotations_in(review)
    if not found:
        return page.callout("Nobody has said anything about this run in MLflow yet.", "neutral")
    return page.table(
        [
            {
                "Case": each.case_id or "the whole run",
                "Name": each.name,
                "Value": _shown(each.value),
                "Why": each.rationale,
                "Who": each.source,
                "When": each.time[:16].replace("T", " "),
            }
            for each in found
        ],
        wrapped_columns=["Why"],
    )


def agreement_table(judges: Sequence[JudgeAgreement]) -> Any:
    """How far people agree with each judge, one a row, to select one of them."""
    if not judges:
        return page.callout("No judge has looked at this run.", "neutral")
    return page.table(
        [
            {
                "Judge": each.judge,
                "Compared with": BASES[each.basis],
                "Same": _same(each.agreement),
                "Kappa": _number(each.agreement.kappa),
                "95 % interval": _interval(each),
                "So": standing(each),
                "How the judge is read": each.reading,
            }
            for each in judges
        ],
        select="single",
        wrapped_columns=["How the judge is read"],
    )


def standing(each: JudgeAgreement) -> str:
    """What can be said of the agreement, in a few words."""
    if each.reading.startswith("not compared"):
        return "not compared"
    if each.agreement.standing == "too few labels":
        return f"too few labels ({each.agreement.count} of {MIN_LABELS})"
    return {
        "one label": "all the same: no telling",
        "not above chance": "may be chance",
        "above chance": "better than chance",
    }[each.agreement.standing]


def disagreement_table(pairs: Sequence[Pair]) -> Any:
    """Where people and judges differ, one case and judge a row, to select one of them."""
    if not pairs:
        return page.callout("Nowhere, as far as both have said anything.", "neutral")
    return page.table(
        [
            {
                "Case": each.case_id,
                "Judge": each.judge,
                "The judge said": _judge_said(each),
                "People said": shorten(_people_said(each), SHORT, placeholder=" …"),
                "Who": each.person or "the reviewer",
                "Where": BASES[each.basis],
            }
            for each in pairs
        ],
        select="single",
        wrapped_columns=["People said"],
        page_size=10,
    )


def both_sides(pair: Pair) -> Any:
    """What the judge and the person said, in full."""
    told = {
        f"{pair.judge} said": _judge_said(pair),
        "because": pair.rationale,
        f"{pair.person or 'the reviewer'} said": _people_said(pair),
        "and why": pair.why,
    }
    return page.record({name: text for name, text in told.items() if text}, title=pair.case_id)


def matrix_chart(each: JudgeAgreement) -> Any:
    """How often people gave which label where the judge gave which; None without any."""
    labels = list(each.agreement.labels)
    if not labels:
        return None
    fields = pd.DataFrame(
        [
            {"People": people, "Judge": judge, "Cases": count, "Same": people == judge}
            for people, row in zip(labels, each.agreement.matrix, strict=True)
            for judge, count in zip(labels, row, strict=True)
        ]
    )
    most = int(fields["Cases"].max())
    side = min(CELL_PX * len(labels), MOST_PX)
    base = alt.Chart(fields).encode(
        x=alt.X("Judge:N", sort=labels, title=f"{each.judge} said", axis=_axis()),
        y=alt.Y("People:N", sort=labels, title="people said", axis=_axis()),
        tooltip=["People", "Judge", "Cases"],
    )
    shade = alt.Opacity(
        "Cases:Q", scale=alt.Scale(domain=[0, most], range=[0.06, 0.9]), legend=None
    )
    colour = alt.condition("datum.Same", alt.value(GREEN), alt.value(RED))
    counts = alt.condition(f"datum.Cases > {most * 0.55}", alt.value("white"), alt.value(GREY))
    title = alt.TitleParams(
        f"{each.judge} beside {BASES[each.basis]}",
        subtitle="number of cases; green: both said the same, red: they differ",
    )
    fields_drawn = base.mark_rect(cornerRadius=4).encode(color=colour, opacity=shade)
    numbers = base.mark_text(fontSize=16, fontWeight=600).encode(text="Cases:Q", color=counts)
    return dressed((fields_drawn + numbers).properties(width=side, height=side, title=title))


def _axis() -> alt.Axis:
    return alt.Axis(labelAngle=0, labelLimit=160, domain=False, ticks=False, labelFontSize=12)


def _judge_said(pair: Pair) -> str:
    return _said(pair.judged, pair.score)


def _people_said(pair: Pair) -> str:
    return str(pair.word) if pair.basis == "review" else _said(pair.said, pair.word)


def _said(label: str, value: Json) -> str:
    """A value, and how it was read where that is not plain."""
    shown = label if isinstance(value, bool) else _shown(value)
    return label if shown.lower() == label else f"{shown} ({label})"


def _shown(value: Json) -> str:
    return f"{value:g}" if isinstance(value, float) else scalar_text(value)


def _same(agreement: Agreement) -> str:
    return f"{agreement.agreed} of {agreement.count}" if agreement.count else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _interval(each: JudgeAgreement) -> str:
    found = each.agreement
    if found.low is None or found.high is None:
        return ""
    return f"{found.low:.2f} to {found.high:.2f}"
