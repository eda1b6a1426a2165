"""What is compared and what of it is shown: a person picks, elsewhere the parameters say."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import marimo as mo

from evalkit import comparison_tables as tables
from evalkit.comparing import Choice, Comparisons, Shelf, choose
from evalkit.core.comparison import Comparison
from evalkit.core.findings import Finding
from evalkit.core.flips import Flip
from evalkit.host import page
from evalkit.host.host import Host

ANY_JUDGE = "All judges"

BARE: Mapping[str, Any] = {"show_search": False, "show_download": False}
"""Options of a table that one takes in at a glance."""

TONES = {"bad": ("▼", "red"), "good": ("▲", "grass"), "plain": ("•", "slate")}


@dataclass(frozen=True, slots=True)
class Fixed:
    """Stands for a control where nobody could use one.

    Attributes:
        value: Its value.
    """

    value: Any


def run_pickers(
    host: Host[Any], shelf: Shelf, baseline: str | None, candidates: str | None
) -> tuple[Any, Any]:
    """A dropdown for the baseline and a list for the candidates.

    Args:
        host: The notebook's host.
        shelf: The project's runs.
        baseline: The run that the parameters name, if any.
        candidates: The runs that they name, separated by commas.
    """
    with host.step():
        first = choose(shelf, baseline or "", candidates or "")
    if not host.person:
        return Fixed(first.baseline), Fixed(list(first.candidates))
    newest_first = shelf.run_ids[::-1]
    return (
        mo.ui.dropdown(
            newest_first,
            value=first.baseline,
            label="Baseline",
            allow_select_none=False,
            searchable=True,
        ),
        mo.ui.multiselect(newest_first, value=list(first.candidates), label="Candidates"),
    )


def picked_runs(host: Host[Any], shelf: Shelf, baseline: Any, candidates: Any) -> Choice:
    """The runs that were picked; a page on which none is waits.

    Args:
        host: The notebook's host.
        shelf: The project's runs.
        baseline: The first of what :func:`run_pickers` returned.
        candidates: The second.
    """
    if not candidates.value:
        host.halt("Pick at least one run to hold against the baseline.")
    with host.step():
        return choose(shelf, baseline.value, ",".join(candidates.value))


def flip_filters(host: Host[Any], comparison: Comparison) -> tuple[Any, Any]:
    """Dropdowns for what became of the scores, with how many there are, and for the judge."""
    wanted, *_ = tables.FILTERS
    if not host.person:
        return Fixed(wanted), Fixed("")
    counts = comparison.counted()
    kinds = {
        f"{label} ({sum(counts[kind] for kind in kinds)})": label
        for label, kinds in tables.FILTERS.items()
    }
    judges = {ANY_JUDGE: "", **{each.judge: each.judge for each in comparison.judges}}
    return (
        mo.ui.dropdown(kinds, value=next(iter(kinds)), label="Show", allow_select_none=False),
        mo.ui.dropdown(judges, value=ANY_JUDGE, label="of", allow_select_none=False),
    )


def beside(*controls: Any) -> Any:
    """Controls next to each other; None where nobody could use them."""
    shown = [each for each in controls if not isinstance(each, Fixed)]
    return mo.hstack(shown, justify="start", gap=2, wrap=True) if shown else None


def run_table(found: Comparisons) -> Any:
    """The candidates, of which one can be selected; None where there is only one."""
    rows = tables.run_rows(found)
    return page.table(rows, select="single", **BARE) if len(rows) > 1 else None


def shown_run(found: Comparisons, table: Any) -> Comparison:
    """The candidate that is selected, else the first."""
    (shown,) = page.chosen(table, found.comparisons) or found.comparisons[:1]
    return shown


def flip_table(flips: Sequence[Flip]) -> Any:
    """The scores to look at, of which one can be selected; a line where there are none."""
    if not flips:
        return mo.md("*No score is like that.*")
    return page.table(tables.flip_rows(flips), select="single", tint="What happened", page_size=12)


def sheet(rows: Sequence[Mapping[str, Any]], *, title: str = "", tint: str = "") -> Any:
    """A small table, to read only; a line where it would be empty, or nothing if it has a title."""
    if not rows:
        return None if title else mo.md("*There are none.*")
    table = page.table(rows, tint=tint, page_size=50, **BARE)
    return mo.vstack([mo.md(f"**{title}**"), table]) if title and page.is_live() else table


def both_sides(flip: Flip, comparison: Comparison) -> Any:
    """What the judge said about a case in both runs, beside each other."""
    heads = comparison.baseline.run_id, comparison.candidate.run_id
    sides = [
        page.record(tables.score_fields(score), title=head)
        for head, score in zip(heads, (flip.before, flip.after), strict=True)
    ]
    if not page.is_live():
        return sides[-1]
    title = mo.Html(
        f'<div style="{page.TITLE}">{html.escape(f"{flip.case_id} · {flip.judge}")}</div>'
    )
    return mo.vstack([title, mo.hstack(sides, widths="equal", align="start", gap=2)])


def conclusion(found: Sequence[Finding]) -> Any:
    """The first of the findings, which says it in one line."""
    first, *_ = found
    kinds = {"bad": "danger", "good": "success", "plain": "info"}
    return page.callout(f"**{page.quoted(first.text)}**", kinds[first.tone])


def in_words(found: Sequence[Finding]) -> Any:
    """The other findings, one a line, marked as better or worse; None where there are none."""
    _, *others = found
    if not others:
        return None
    if not page.is_live():
        return mo.md("\n".join(f"- {page.quoted(each.text)}" for each in others))
    return mo.Html(f'<div style="{page.BOX}">{"".join(map(_line, others))}</div>')


def _line(each: Finding) -> str:
    mark, hue = TONES[each.tone]
    return (
        '<div style="display: flex; gap: 0.6rem; padding: 0.2rem 0">'
        f'<span style="color: var(--{hue}-10); width: 1rem; flex: none">{mark}</span>'
        f'<span style="{page.TEXT}">{html.escape(each.text)}</span></div>'
    )


def charts(*drawn: Any) -> Any:
    """Charts next to each other; None where there are none."""
    shown = [each for each in drawn if each is not None]
    if not shown or not page.is_live():
        return shown[0] if shown else None
    return mo.hstack(shown, justify="start", gap=2, wrap=True)
