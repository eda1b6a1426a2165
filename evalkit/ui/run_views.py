"""Which run is looked at, what judges said of its cases, and the bar that it is reviewed with."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import marimo as mo
import traitlets

from evalkit.context import Workspace
from evalkit.feedback.review_file import Review, save_comments
from evalkit.runs.compare_rows import value_words
from evalkit.runs.run import Run, Score, executions, told
from evalkit.runs.run_dir import RunFiles, list_runs
from evalkit.ui import page
from evalkit.ui.notebook import Host
from evalkit.ui.wording import TINTS

CHIP = (
    "padding: 0.05rem 0.6rem; border-radius: 999px; font-size: 0.8rem; font-weight: 600; "
    "overflow-wrap: anywhere"
)


def run_picker(host: Host[Any], workspace: Workspace, named: str | None) -> Any:
    """A dropdown of the finished runs, at the one that is named, else at the latest.

    None where nobody could pick. Where there are no runs, or not the one that is named, the page
    ends here and says so.
    """
    if not host.person:
        return None
    runs = list_runs(workspace.files)
    if named and named not in runs:
        with host.step():
            workspace.run(named)
    if not runs:
        host.halt(
            "There is **no finished run** yet.",
            "Run the evaluation; if its runs lie elsewhere, name their folder in the settings.",
        )
    return mo.ui.dropdown(
        runs[::-1], value=named or runs[-1], label="Run", allow_select_none=False, searchable=True
    )


def picked_run(host: Host[Any], picker: Any, named: str | None) -> str:
    """The run that was picked with :func:`run_picker`, else the one that the parameters name."""
    if picker is None and not named:
        host.halt("--run-id: no run is named", "`evalkit check` lists the runs")
    return str(named if picker is None else picker.value)


def failures(run: Run) -> Any:
    """How many executions failed, which comes first on every page; None where none did."""
    words = told(executions(run))
    return page.callout(f"**{page.quoted(words)}**", "danger") if words else None


def scorecard(scores: Iterable[Score], title: str = "") -> Any:
    """What each judge said about one case, and why."""
    said = "".join(map(_score, scores))
    none = f'<div style="{page.MUTED}">No judge has looked at this case.</div>'
    heading = f'<div style="{page.TITLE}">{html.escape(title)}</div>' if title else ""
    return mo.Html(f"<div>{heading}{said or none}</div>")


def _score(score: Score) -> str:
    words = "judge failed" if score.error else value_words(score.value)
    hue = TINTS.get(words, "slate")
    chip = f"{CHIP}; background: var(--{hue}-4, #eee); color: var(--{hue}-12, inherit)"
    kind = "a model" if score.by_model else score.judge_type
    judge, kind, words, why = map(
        html.escape, (score.judge, kind, words, score.error or score.rationale)
    )
    return (
        f'<div style="{page.BOX}; margin-bottom: 0.6rem; font-size: 0.875rem">'
        f'<div style="display: flex; justify-content: space-between; gap: 0.5rem">'
        f'<span style="overflow-wrap: anywhere"><strong>{judge}</strong> '
        f'<span style="{page.MUTED}; font-size: 0.75rem">{kind}</span></span>'
        f'<span style="{chip}">{words}</span></div>'
        f'<div style="{page.TEXT}; {page.MUTED}; margin-top: 0.25rem">{why}</div></div>'
    )


class ReviewBar(anywidget.AnyWidget):
    """Goes from case to case, accepts and comments, by mouse and by keyboard.

    The browser turns the page and notes what is said at once; Python hears of it and saves it.

    Attributes:
        cases: The cases' names, in order.
        comments: Case to comment; empty means accepted. What is left has none.
        saved: What of it Python has saved; the browser shows whether that is all.
        theirs: Case to the comment that somebody else saved meanwhile, None where they took it
            back: the person chooses which one stays.
        at: Place of the case that is shown.
    """

    _esm = Path(__file__).with_name("review_bar.js")
    _css = Path(__file__).with_name("review_bar.css")
    cases = traitlets.List(traitlets.Unicode()).tag(sync=True)
    comments = traitlets.Dict().tag(sync=True)
    saved = traitlets.Dict().tag(sync=True)
    theirs = traitlets.Dict().tag(sync=True)
    at = traitlets.Int(0).tag(sync=True)

    def __init__(self, cases: Sequence[str], comments: Mapping[str, str], case: str = "") -> None:
        """The bar at one case, else at the first that nobody has reviewed."""
        known = {name: comments[name] for name in cases if name in comments}
        left = (place for place, name in enumerate(cases) if name not in known)
        at = cases.index(case) if case in cases else next(left, 0)
        super().__init__(cases=list(cases), comments=known, saved=dict(known), at=at)

    def save(self, found: RunFiles, reviewer: str) -> Review | None:
        """Save what was said since it last was; None where nothing was.

        What meets words of others that this person has not seen is not saved but shown.

        Raises:
            InputError: ``review.yaml`` cannot be edited; nothing was saved.
        """
        changed = {**dict.fromkeys(self.saved), **self.comments}
        unsaved: dict[str, str | None] = {
            case: comment
            for case, comment in changed.items()
            if case in self.cases and case not in self.theirs and comment != self.saved.get(case)
        }
        if not unsaved:
            return None
        review, theirs = save_comments(found, unsaved, reviewer, seen=self.saved)
        known = {**self.saved, **unsaved, **theirs}
        self.saved = {case: comment for case, comment in known.items() if comment is not None}
        if theirs:
            self.theirs = {**self.theirs, **theirs}
            self.at = self.cases.index(next(iter(theirs)))
        return review
