"""The bar that a run is reviewed with: which case, what was said of it, which are left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
import traitlets

from evalkit.feedback.review_file import Review, save_comments
from evalkit.runs.run_dir import RunFiles

FOLDER = Path(__file__).parent


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
