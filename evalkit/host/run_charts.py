"""Charts of a finished run: how scores spread, what it cost, how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import pandas as pd

from evalkit.core.overview import CaseOverview, JudgeOverview
from evalkit.core.results import Usage
from evalkit.ui.wording import BLUE, GREEN, RED, dressed

MOST_JUDGES = 12
COLUMNS = 4
SMALL = {"width": 180, "height": 110}
WIDE = 1000
MOST_BARS = 40
"""Cases with a bar of their own; of more, the chart shows how many took how long."""
FEW_VALUES = 8
"""Different numbers that get a bar each; more are put into ranges."""
MOST_LABELS = 8
VERDICTS = ["pass", "fail"]
ROW_PX = 20

TOKENS = {
    "input": "read",
    "cache_read": "read from the cache",
    "cache_create": "written to the cache",
    "output": "written",
}
"""What the harness calls each kind of tokens, and what a reader does."""


def scores_chart(judges: Sequence[JudgeOverview]) -> Any:
    """How many cases got which score, a small chart for each judge; None where there are none.

    Judges whose values are lists or objects have none.
    """
    drawn = [judge for judge in judges if judge.shape != "other"]
    if not drawn:
        return None
    left_out = len(drawn) - MOST_JUDGES
    more = f"{left_out} further judges are in the table only" if left_out > 0 else ""
    title = alt.TitleParams("How the scores spread", subtitle=more, offset=12)
    charts = map(_scores, drawn[:MOST_JUDGES])
    return dressed(alt.concat(*charts, columns=COLUMNS, title=title))


def durations_chart(cases: Sequence[CaseOverview]) -> Any:
    """How long each case took; of many cases, how many took how long. None where none is known."""
    rows = pd.DataFrame(
        [
            {"case": case.case_id, "seconds": seconds, "cost": case.usage.cost_usd}
            for case in cases
            if (seconds := case.usage.duration_s) is not None
        ]
    )
    if rows.empty:
        return None
    many = len(rows) > MOST_BARS
    chart = _histogram(rows) if many else _bars(rows)
    title = "How many cases took how long" if many else "How long each case took"
    return dressed(chart.properties(title=title))


def models_chart(usage: Usage) -> Any:
    """Cost and tokens by model; None where the run does not say."""
    if not usage.per_model:
        return None
    rows = pd.DataFrame(list(_model_rows(usage)), columns=["model", "kind", "tokens", "cost"])
    height = max(3, len(usage.per_model)) * ROW_PX
    model = alt.Y("model:N", title=None, sort=list(usage.per_model), axis=alt.Axis(labelLimit=220))
    cost = (
        alt.Chart(rows.drop_duplicates("model"), title="Cost of each model")
        .mark_bar(color=BLUE)
        .encode(
            y=model,
            x=alt.X("cost:Q", title="USD"),
            tooltip=["model:N", alt.Tooltip("cost:Q", format="$.4f")],
        )
        .properties(width=260, height=height)
    )
    tokens = (
        alt.Chart(rows, title="Tokens of each model")
        .mark_bar()
        .encode(
            y=model.copy().axis(None),
            x=alt.X("sum(tokens):Q", title="tokens", axis=alt.Axis(format="~s")),
            color=alt.Color("kind:N", title=None, sort=list(TOKENS.values())),
            tooltip=["model:N", "kind:N", alt.Tooltip("tokens:Q", format=",")],
        )
        .properties(width=400, height=height)
    )
    return dressed(alt.hconcat(cost, tokens, spacing=24))


def _scores(judge: JudgeOverview) -> Any:
    chart = alt.Chart(
        pd.DataFrame({"value": _drawable(judge)}),
        title=alt.TitleParams(judge.judge, fontSize=12, limit=SMALL["width"]),
    ).properties(**SMALL)
    cases = alt.Y(
        "count():Q",
        title="cases",
        axis=alt.Axis(tickMinStep=1, tickCount=4, format="d", labelFlush=True),
    )
    tooltip = [alt.Tooltip("value:N"), alt.Tooltip("count():Q", title="cases")]
    if judge.shape == "number" and len(set(judge.given)) > FEW_VALUES:
        value = alt.X("value:Q", bin=alt.Bin(maxbins=12), title=None)
        return chart.mark_bar(color=BLUE).encode(x=value, y=cases, tooltip=["count():Q"])
    order: Any = "-y" if judge.shape == "label" else "ascending"
    value = alt.X("value:N", title=None, sort=order, axis=alt.Axis(labelAngle=0))
    colour: Any = alt.value(BLUE)
    if judge.shape == "pass":
        value = value.scale(domain=VERDICTS)
        hues = alt.Scale(domain=VERDICTS, range=[GREEN, RED])
        colour = alt.Color("value:N", scale=hues, legend=None)
    return chart.mark_bar().encode(x=value, y=cases, color=colour, tooltip=tooltip)


def _drawable(judge: JudgeOverview) -> list[Any]:
    if judge.shape == "pass":
        return ["pass" if value else "fail" for value in judge.given]
    if judge.shape == "label":
        common = pd.Series(judge.given).value_counts().index[:MOST_LABELS]
        return [value if value in common else "other" for value in judge.given]
    return list(judge.given)


def _bars(rows: pd.DataFrame) -> Any:
    return (
        alt.Chart(rows)
        .mark_bar(color=BLUE)
        .encode(
            y=alt.Y("case:N", title=None, sort="-x", axis=alt.Axis(labelLimit=240)),
            x=alt.X("seconds:Q", title="seconds"),
            tooltip=["case:N", "seconds:Q", alt.Tooltip("cost:Q", title="USD", format=".4f")],
        )
        .properties(width=WIDE - 220, height=ROW_PX * len(rows))
    )


def _histogram(rows: pd.DataFrame) -> Any:
    return (
        alt.Chart(rows)
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X("seconds:Q", bin=alt.Bin(maxbins=40), title="seconds"),
            y=alt.Y("count():Q", title="cases", axis=alt.Axis(tickMinStep=1)),
            tooltip=[alt.Tooltip("seconds:Q", bin=True), alt.Tooltip("count():Q", title="cases")],
        )
        .properties(width=WIDE, height=180)
    )


def _model_rows(usage: Usage) -> Iterator[tuple[str, str, float, float | None]]:
    for model, figures in usage.per_model.items():
        for kind, words in TOKENS.items():
            yield model, words, figures.get(kind, 0), figures.get("cost_usd")
