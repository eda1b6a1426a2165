"""``review.yaml``: what people said of a run, and the one key in it that a pull replaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields

import yaml

from evalkit.documents import parse_yaml, scalar_text
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json
from evalkit.yaml_edit import edit_yaml

KEY = "mlflow_feedback"
"""The key under which pulled annotations stand; everything else in the file is people's."""


@dataclass(frozen=True, slots=True, order=True)
class Annotation:
    """What a person said of a trace in MLflow.

    Attributes:
        case_id: The case that the trace, or the annotation's name, belongs to; empty where a
            trace holds several cases and the name says none.
        trace_id: The trace.
        name: The assessment's name, without the case.
        value: Bool, number, text, list or dict.
        rationale: Why; may be empty.
        source: Who, as MLflow says.
        time: When, ISO 8601 in UTC.
    """

    case_id: str
    trace_id: str
    name: str
    value: Json
    rationale: str
    source: str
    time: str


@dataclass(frozen=True, slots=True)
class Review:
    """A run's review as the file holds it.

    Attributes:
        run_id: The run, as the file says; may be empty.
        reviewer: Who reviewed, by ``reviewer_id`` where there is one; may be empty.
        reviewers: Who wrote the comment of a case, where that is somebody else.
        feedback: Case to comment; an empty comment means accepted.
        verdicts: Case to judge to what the reviewer says in that judge's place.
        annotations: What stands under ``mlflow_feedback``, as it stands there.
        is_begun: Whether the file has the key ``feedback`` or ``verdicts``, even with nothing
            below it. Without one, nobody has said that there are no comments.
    """

    run_id: str = ""
    reviewer: str = ""
    reviewers: Mapping[str, str] = field(default_factory=dict)
    feedback: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    annotations: Json = None
    is_begun: bool = False

    def reviewer_of(self, case_id: str) -> str:
        """Who said so of a case; may be empty."""
        return self.reviewers.get(case_id, self.reviewer)


def parse_review(text: str, file: str) -> Review:
    """Read the text of a ``review.yaml``.

    Raises:
        InputError: with everything that is wrong in it.
    """
    document = parse_yaml(text, file, with_lines=True)
    root = document.value
    if root is None:
        return Review()
    if not isinstance(root, dict):
        raise InputError(document.problem("", "is not a mapping of keys", "start with `feedback:`"))
    feedback, verdicts = ({} if (v := root.get(k)) is None else v for k in ("feedback", "verdicts"))
    odd = [
        document.problem(key, "must be a mapping", f"write each case as a key, its {what} below it")
        for key, found, what in (
            ("feedback", feedback, "comment"),
            ("verdicts", verdicts, "judges and their values"),
        )
        if not isinstance(found, dict)
    ]
    if odd:
        raise InputError(*odd)
    odd = [
        document.problem(f"verdicts.{case}", "must be a mapping", "write `judge: value` below it")
        for case, found in verdicts.items()
        if not isinstance(found, dict)
    ]
    odd += [
        document.problem(f"feedback.{case}", "must be text", "write one comment for the case")
        for case, comment in feedback.items()
        if isinstance(comment, (dict, list))
    ]
    reviewers = root.get("reviewers") or {}
    if not isinstance(reviewers, dict):
        odd.append(document.problem("reviewers", "must be a mapping", "write `case: name`"))
    if odd:
        raise InputError(*odd)
    return Review(
        run_id=scalar_text(root.get("run_id")),
        reviewer=scalar_text(root.get("reviewer_id") or root.get("reviewer")),
        reviewers={case: scalar_text(name) for case, name in reviewers.items()},
        feedback={case: scalar_text(comment).strip() for case, comment in feedback.items()},
        verdicts=verdicts,
        annotations=root.get(KEY),
        is_begun=bool({"feedback", "verdicts"} & set(root)),
    )


def annotations_in(review: Review) -> list[Annotation]:
    """The annotations that a pull left in the file; entries of another form are left out."""
    listed = review.annotations if isinstance(review.annotations, list) else []
    names = [each.name for each in fields(Annotation)]
    return [
        Annotation(**{n: each[n] if n == "value" else scalar_text(each[n]) for n in names})
        for each in listed
        if isinstance(each, dict) and set(names) <= set(each)
    ]


def with_comment(
    text: str, file: str, case_id: str, comment: str | None, *, run_id: str = "", reviewer: str = ""
) -> str:
    """The text of a ``review.yaml`` with one case's comment, everything else left as it was.

    Args:
        text: The file's content; empty where there is no file yet.
        file: The file's name, for messages.
        case_id: The case.
        comment: What is to be said of it; empty means accepted, None that nobody has reviewed it.
        run_id: The run, noted where the file names none.
        reviewer: Who says so: the file's reviewer where it names nobody, else, if somebody else,
            noted beside the comment under ``reviewers``.

    Raises:
        InputError: the text is no review, or cannot be edited without harm to the rest.
    """
    said = parse_review(text, file)
    if comment is None:
        text = edit_yaml(text, file, ("reviewers", case_id), None)
        return edit_yaml(text, file, ("feedback", case_id), None)
    if run_id and not said.run_id:
        text = edit_yaml(text, file, ("run_id",), run_id)
    if reviewer and not said.reviewer:
        text = edit_yaml(text, file, ("reviewer",), reviewer)
    elif reviewer == said.reviewer:
        text = edit_yaml(text, file, ("reviewers", case_id), None)
    elif reviewer:
        text = edit_yaml(text, file, ("reviewers", case_id), reviewer)
    lines = "\n".join(line.rstrip() for line in comment.strip().splitlines())
    return edit_yaml(text, file, ("feedback", case_id), lines)


def with_annotations(text: str, file: str, annotations: Iterable[Annotation]) -> str:
    """The text of a ``review.yaml`` with these annotations, everything else left as it was.

    Only the text of the key ``mlflow_feedback`` is replaced, or added at the end; comments, order
    and spelling around it stay. No annotations and no such key: the text is returned unchanged.

    Raises:
        InputError: the text is no YAML mapping in block style.
    """
    parse_review(text, file)
    found = _place_of_key(text, file)
    entries = [asdict(annotation) for annotation in annotations]
    if found is None and not entries:
        return text
    block = _block(entries, "\r\n" if "\r\n" in text else "\n")
    start, end = found or (len(text), len(text))
    gap = "" if not text[:start] or text[:start].endswith("\n") else "\n"
    edited = text[:start] + gap + block + text[end:]
    _ensure_rest_is_kept(text, edited, file)
    return edited


def _ensure_rest_is_kept(text: str, edited: str, file: str) -> None:
    """Refuse an edit that would change, or break, what people wrote.

    That happens where other keys refer to the replaced one by an alias, or behind an explicit
    end of the document.
    """
    try:
        kept = _without_key(text, file) == _without_key(edited, file)
    except InputError:
        kept = False
    if not kept:
        fix = f"remove the key {KEY} and what refers to it by hand, then pull again"
        raise InputError(Problem("cannot be edited without harm to its other keys", file, fix=fix))


def _without_key(text: str, file: str) -> dict[str, Json]:
    found = parse_yaml(text, file).value or {}
    return {key: value for key, value in found.items() if key != KEY}


def _block(entries: list[dict[str, Json]], line_break: str) -> str:
    text = yaml.safe_dump({KEY: entries}, sort_keys=False, allow_unicode=True, width=100)
    return text.replace("\n", line_break)


def _place_of_key(text: str, file: str) -> tuple[int, int] | None:
    """Where the key's own lines begin and end in ``text``.

    The end is the line after the value's last character; comments that follow belong to what
    comes next and stay.
    """
    root = yaml.compose(text, yaml.SafeLoader)  # the Python loader: its marks count characters
    if not isinstance(root, yaml.MappingNode):
        return None
    if root.flow_style and root.value:
        fix = "write one key a line, without the outer braces"
        raise InputError(
            Problem("is written in flow style, which a pull cannot edit", file, 1, "", fix)
        )
    for key, value in root.value:
        if key.value == KEY:
            return key.start_mark.index, _end_of_line(text, _last_index(value))
    return None


def _last_index(node: yaml.Node) -> int:
    """The index after the node's last character.

    A block collection's own end mark lies at the next token, behind comments that are not its.
    """
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_index(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _end_of_line(text: str, index: int) -> int:
    if index and text[index - 1] == "\n":  # a block scalar ends behind its last line break
        return index
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1
