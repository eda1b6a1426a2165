"""Which scorer notices which damage, and what the scorers say of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from evalkit.agency.bench import Judged, SuiteRun
from evalkit.core.agent.suite import Score, ScriptRun
from evalkit.core.agent.verdicts import Caught, DamageTable, is_good
from evalkit.host import page
from evalkit.host.dress import GREEN, GREY, dressed
from evalkit.host.suite_views import DAMAGES, short

ROW_PX = 28
COLUMN_PX = 84
TOGETHER = "any of them"
SHARES = alt.Scale(domain=[0, 1], range=[0.06, 0.9])


def damage_chart(table: DamageTable) -> Any:
    """How many damaged copies each scorer notices; a word about it where there are none."""
    if not table.suite:
        return page.callout("No row has a good output that could be damaged, or nobody has tried.")
    rows = pd.DataFrame(_noticed({**table.scorers, TOGETHER: table.suite}))
    title = alt.TitleParams(
        "Damaged copies of good answers that are noticed",
        subtitle="A scorer notices a copy where its value falls. The last line is the whole suite.",
        offset=12,
    )
    base = alt.Chart(rows, title=title).encode(
        x=alt.X(
            "damage:N",
            title="what was done to a good answer",
            sort=[DAMAGES.get(name, name) for name in table.suite],
            axis=alt.Axis(labelAngle=0, labelLimit=COLUMN_PX, labelFontSize=10),
        ),
        y=alt.Y(
            "scorer:N",
            title=None,
            sort=[*table.scorers, TOGETHER],
            axis=alt.Axis(labelLimit=200),
        ),
    )
    cells = base.mark_rect(cornerRadius=3, color=GREEN).encode(
        opacity=alt.Opacity(
            "share:Q", scale=alt.Scale(domain=[0, 1], range=[0.06, 0.9]), legend=None
        ),
        tooltip=["scorer:N", "damage:N", alt.Tooltip("told:N", title="noticed")],
    )
    words = base.mark_text(fontSize=11, fontWeight="bold").encode(
        text="told:N", color=alt.condition("datum.share > 0.5", alt.value("white"), alt.value(GREY))
    )
    size = {"width": COLUMN_PX * len(table.suite), "height": ROW_PX * (len(table.scorers) + 1)}
    return dressed(alt.layer(cells, words).properties(**size))


def run_view(done: SuiteRun | None) -> Any:
    """How the script ended, and what it printed; None where it was not run."""
    if done is None:
        return None
    run = done.run
    if run.error:
        return page.stack(
            page.callout("The script **failed**:", "danger"), page.text(run.error), _printed(run)
        )
    judged = sum(1 for _ in done.judged())
    return page.stack(
        page.callout(
            f"The script ended after **{run.seconds:.0f} s** and left one MLflow run, "
            f"**{judged}** of {len(done.rows)} rows judged.",
            "success" if judged == len(done.rows) else "warn",
        ),
        _printed(run),
    )


def _printed(run: ScriptRun) -> Any:
    return page.folded("What it printed", run.output.splitlines())


def scorer_scores(done: SuiteRun | None) -> Any:
    """How each scorer judged all rows together; None where nothing was judged."""
    if done is None or done.run.error:
        return None
    rows = []
    for name in done.scorers:
        given = [scores[name] for _, _, scores in done.judged() if name in scores]
        passed = sum(is_good(score.value) for score in given)
        rows.append(
            {
                "Scorer": name,
                "Rows judged": len(given),
                "Pass": passed,
                "Fail": len(given) - passed,
                "Pass rate": f"{passed / len(given):.0%}" if given else "",
            }
        )
    return page.table(rows, label="**Scorers**", nothing="No row was judged.")


def row_scores(judged: Sequence[Judged]) -> Any:
    """How each row was judged, to select in; None where none was."""
    if not judged:
        return None
    rows = [
        {
            "Asked": short(row.inputs),
            "Answered": short(row.outputs),
            "Verdict": "failed" if (failed := _failed(scores)) else "passed",
            "Fails at": ", ".join(failed),
        }
        for _, row, scores in judged
    ]
    return page.table(
        rows,
        select="single",
        tint="Verdict",
        page_size=8,
        label="**Rows**",
        wrapped_columns=["Asked", "Answered", "Fails at"],
        column_widths={"Asked": 340, "Answered": 360, "Verdict": 90, "Fails at": 230},
    )


def score_view(scores: Mapping[str, Score]) -> Any:
    """What every scorer says of one row, and why."""
    return page.record(
        {
            name: f"{_value(score)}\n{score.rationale or score.error}".strip()
            for name, score in scores.items()
        }
    )


def _noticed(found: Mapping[str, Mapping[str, Caught]]) -> Iterator[dict[str, Any]]:
    for scorer, per_damage in found.items():
        for damage, each in per_damage.items():
            yield {
                "scorer": scorer,
                "damage": DAMAGES.get(damage, damage),
                "share": each.caught / each.of,
                "told": f"{each.caught}/{each.of}" if each.caught else "",
            }


def _failed(scores: Mapping[str, Score]) -> list[str]:
    return [name for name, score in scores.items() if not is_good(score.value)]


def _value(score: Score) -> str:
    if isinstance(score.value, bool):
        return "yes" if score.value else "no"
    return str(score.value)
