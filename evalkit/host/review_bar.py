"""The bar that a run is reviewed with: which case, what was said of it, which are left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anywidget
import marimo as mo
import traitlets

from evalkit.adapters.files.run import RunFiles
from evalkit.core.review import Review
from evalkit.reviewing import save_comments
from evalkit.ui.notebook import Host

FOLDER = Path(__file__).parent
T = TypeVar("T")


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

    _esm = FOLDER / "review_bar.js"
    _css = FOLDER / "review_bar.css"
    cases = traitlets.List(traitlets.Unicode()).tag(sync=True)
    comments = traitlets.Dict().tag(sync=True)
    saved = traitlets.Dict().tag(sync=True)
    theirs = traitlets.Dict().tag(sync=True)
    at = traitlets.Int(0).tag(sync=True)

    def __init__(self, cases: Sequence[str], comments: Mapping[str, str]) -> None:
        known = {case: comments[case] for case in cases if case in comments}
        left = (place for place, case in enumerate(cases) if case not in known)
        super().__init__(cases=list(cases), comments=known, saved=dict(known), at=next(left, 0))

    def unsaved(self) -> dict[str, str | None]:
        """What was said since :meth:`keep`: case to comment; None where a word was taken back."""
        changed = {**dict.fromkeys(self.saved), **self.comments}
        return {
            case: comment
            for case, comment in changed.items()
            if case in self.cases and case not in self.theirs and comment != self.saved.get(case)
        }

    def keep(self, said: Mapping[str, str | None], theirs: Mapping[str, str | None]) -> None:
        """Take as saved what was said, but for what met words of others: that is shown."""
        known = {**self.saved, **said, **theirs}
        self.saved = {case: comment for case, comment in known.items() if comment is not None}
        if theirs:
            self.theirs = {**self.theirs, **theirs}
            self.at = self.cases.index(next(iter(theirs)))


def review_bar(host: Host[Any], cases: Sequence[str], comments: Mapping[str, str]) -> Any:
    """The bar, at the first case that nobody has reviewed; None where nobody could use it.

    Args:
        host: The notebook's host.
        cases: The cases' names.
        comments: What was said of them so far.
    """
    return mo.ui.anywidget(ReviewBar(cases, comments)) if host.person else None


def save(bar: Any, found: RunFiles, reviewer: str) -> Review | None:
    """Save what was said with the bar since it last was; None where nothing was."""
    if bar is None or not (unsaved := bar.widget.unsaved()):
        return None
    review, theirs = save_comments(found, unsaved, reviewer, seen=bar.widget.saved)
    bar.widget.keep(unsaved, theirs)
    return review


def shown(bar: Any, of: Sequence[T]) -> list[T]:
    """The case that the bar stands at, of those that it was made with; none without a bar."""
    return [] if bar is None else [of[bar.value["at"]]]
