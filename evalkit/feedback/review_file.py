"""``review.yaml``: what people said of a run; read, and edited so that every other byte stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evalkit.documents import Document, parse_yaml, scalar_text
from evalkit.errors import InputError, Problem
from evalkit.files import inside, read_text, write_text
from evalkit.jsonable import Json, list_of
from evalkit.runs.run_dir import RunFiles
from evalkit.yaml_edit import edit_yaml

KEY = "mlflow_feedback"
"""The key under which pulled annotations stand; everything else in the file is people's."""

_SAVING = threading.Lock()  # two people may save at once in one server


ANNOTATION = ("case_id", "trace_id", "name", "value", "rationale", "source", "time")
"""What an annotation says: ISO 8601 time in UTC, and no case where a trace holds several."""


@dataclass(frozen=True, slots=True)
class Review:
    """A run's review as the file holds it: an empty comment means accepted.

    Attributes:
        reviewers: Who wrote the comment of a case, where that is not the reviewer.
        verdicts: Case to judge to what the reviewer says in that judge's place.
        annotations: What a pull left under ``mlflow_feedback``, without entries of other forms.
        is_begun: Whether there is a key ``feedback`` or ``verdicts``, even with nothing below it;
            without one, nobody has said that there are no comments.
    """

    run_id: str = ""
    reviewer: str = ""
    reviewers: Mapping[str, str] = field(default_factory=dict)
    feedback: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    annotations: tuple[dict[str, Json], ...] = ()
    is_begun: bool = False

    def reviewer_of(self, case_id: str) -> str:
        """Who said so of a case; may be empty."""
        return self.reviewers.get(case_id, self.reviewer)


def review_text(found: RunFiles) -> str:
    """The text of a run's ``review.yaml``; empty where there is none yet."""
    return read_text(inside(found.review, found.folder)) if found.review.is_file() else ""


def read_review(found: RunFiles) -> Review:
    """What people have said of a run so far."""
    return parse_review(review_text(found), str(found.review))


def parse_review(text: str, file: str) -> Review:
    """Read the text of a ``review.yaml``.

    Raises:
        InputError: with everything that is wrong in it.
    """
    document = parse_yaml(text, file)
    root = {} if document.value is None else document.value
    if problems := list(_problems(document, root)):
        raise InputError(*problems)
    return Review(
        run_id=scalar_text(root.get("run_id")),
        reviewer=scalar_text(root.get("reviewer_id") or root.get("reviewer")),
        reviewers={case: scalar_text(name) for case, name in (root.get("reviewers") or {}).items()},
        feedback={c: scalar_text(said).strip() for c, said in (root.get("feedback") or {}).items()},
        verdicts=root.get("verdicts") or {},
        annotations=tuple(_annotations(root.get(KEY))),
        is_begun=bool({"feedback", "verdicts"} & set(root)),
    )


def _problems(document: Document, root: Json) -> Iterator[Problem]:
    """What keeps a document from being a review."""
    if not isinstance(root, dict):
        yield document.problem("", "is not a mapping of keys", "start with `feedback:`")
        return
    for part in ("feedback", "verdicts", "reviewers"):
        entries = {} if root.get(part) is None else root[part]
        if not isinstance(entries, dict):
            yield document.problem(part, "must be a mapping", "write each case as a key")
            continue
        for case, said in entries.items():
            where = f"{part}.{case}"
            if part == "verdicts" and not isinstance(said, dict):
                yield document.problem(where, "must be a mapping", "write `judge: value` below it")
            elif part != "verdicts" and isinstance(said, (dict, list)):
                yield document.problem(where, "must be text", "write one text for the case")


def _annotations(listed: Json) -> Iterator[dict[str, Json]]:
    for each in list_of(listed):
        if isinstance(each, dict) and each.keys() >= {*ANNOTATION}:
            yield {k: each[k] if k == "value" else scalar_text(each[k]) for k in ANNOTATION}


def save_comments(
    found: RunFiles,
    comments: Mapping[str, str | None],
    reviewer: str = "",
    *,
    seen: Mapping[str, str] | None = None,
) -> tuple[Review, dict[str, str | None]]:
    """Note in ``review.yaml`` what was said of some cases; everything else in it stays.

    The file is read again just before, so that what others wrote meanwhile is kept, and is
    replaced whole or not at all.

    A comment of None takes the case's back. Where the file by now holds another one than this
    person had ``seen``, neither is lost: it stays.

    Returns:
        The review as the file now has it, and the comments of others in the way of these, by case;
        None where somebody took theirs back.
    """
    name = str(found.review)
    theirs: dict[str, str | None] = {}
    with _SAVING:
        before = after = review_text(found)
        present = parse_review(before, name).feedback
        for case_id, comment in comments.items():
            now = present.get(case_id)
            if seen is not None and now not in {seen.get(case_id), comment}:
                theirs[case_id] = now
            else:
                after = _with_comment(after, name, case_id, comment, found.run.run_id, reviewer)
        if after != before:
            write_text(found.review, after)
    return parse_review(after, name), theirs


def _with_comment(
    text: str, file: str, case_id: str, comment: str | None, run_id: str, reviewer: str
) -> str:
    """The text with one case's comment, and with the run and the reviewer where it names none.

    A reviewer other than the file's is noted beside the comment, under ``reviewers``.
    """
    review = parse_review(text, file)
    if comment is None:
        text = edit_yaml(text, file, ("reviewers", case_id), None)
        return edit_yaml(text, file, ("feedback", case_id), None)
    if not review.run_id:
        text = edit_yaml(text, file, ("run_id",), run_id)
    if reviewer and not review.reviewer:
        text = edit_yaml(text, file, ("reviewer",), reviewer)
    elif reviewer == review.reviewer:
        text = edit_yaml(text, file, ("reviewers", case_id), None)
    elif reviewer:
        text = edit_yaml(text, file, ("reviewers", case_id), reviewer)
    lines = "\n".join(line.rstrip() for line in comment.strip().splitlines())
    return edit_yaml(text, file, ("feedback", case_id), lines)


def with_annotations(text: str, file: str, annotations: Sequence[dict[str, Json]]) -> str:
    """The text of a ``review.yaml`` with these annotations, everything else left as it was."""
    parse_review(text, file)
    is_there = KEY in (parse_yaml(text, file).value or {})
    return edit_yaml(text, file, (KEY,), [*annotations]) if annotations or is_there else text
