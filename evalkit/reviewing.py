"""Reviewing a run: what people have said of it, one comment at a time, to MLflow and back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from evalkit import stages
from evalkit.adapters.files.run import RunFiles
from evalkit.context import Workspace
from evalkit.core.feedback import masked
from evalkit.core.masking import mask_json, mask_text
from evalkit.core.opinions import PASS, JudgeAgreement, Pair, agreements, pairs
from evalkit.core.review import Review, parse_review, with_comment
from evalkit.dataset.cases import read_case
from evalkit.errors import InputError
from evalkit.files import write_text
from evalkit.jsonable import Json
from evalkit.stages import Report, Say

_SAVING = threading.Lock()
"""Two people may save at once in one server."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies around a case's conversation, with secrets masked.

    Attributes:
        given: What the case's files say by field, such as ``input.yaml: prompt``: the task, and
            what was expected.
        produced: The files that the run left for the case, by relative path; None for those that
            are no text or too large to show.
    """

    given: Mapping[str, Json] = field(default_factory=dict)
    produced: Mapping[str, str | None] = field(default_factory=dict)


def read_review(found: RunFiles) -> Review:
    """What people have said of a run so far.

    Raises:
        InputError: ``review.yaml`` cannot be read or is no review.
    """
    return parse_review(stages.review_text(found), str(found.review))


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

    Args:
        found: The run.
        comments: Case to comment; empty means accepted, None that it is not reviewed after all.
        reviewer: Who says so.
        seen: The comments that this person had before them. Where the file by now holds another
            one, neither is lost: it stays, and theirs is returned.

    Returns:
        The review as the file now has it, and the comments of others in the way of these, by case;
        None where somebody took theirs back.

    Raises:
        InputError: the file cannot be read, edited without harm, or written; it is as it was.
    """
    name, run_id = str(found.review), found.run.run_id
    theirs: dict[str, str | None] = {}
    with _SAVING:
        before = after = stages.review_text(found)
        present = parse_review(before, name).feedback
        for case_id, comment in comments.items():
            now = present.get(case_id)
            if seen is not None and now not in {seen.get(case_id), comment}:
                theirs[case_id] = now
            else:
                after = with_comment(
                    after, name, case_id, comment, run_id=run_id, reviewer=reviewer
                )
        if after != before:
            write_text(found.review, after)
    return parse_review(after, name), theirs


def read_surroundings(workspace: Workspace, found: RunFiles, case_id: str) -> Surroundings:
    """What a case gave to the agent, what was expected, and the files that came of it.

    Files that cannot be read are left out: a review does not stand or fall by them.
    """
    return Surroundings(
        {name: mask_json(value) for name, value in _given(workspace, case_id)},
        {name: text and mask_text(text)[0] for name, text in found.produced(case_id).items()},
    )


def _given(workspace: Workspace, case_id: str) -> Iterator[tuple[str, Json]]:
    try:
        case = read_case(workspace.files.cases_dir, case_id)
    except InputError:
        return
    task_first = sorted(case.documents, key=lambda name: not name.startswith("input"))
    for name in task_first:
        document = case.documents[name]
        if isinstance(document, dict):
            yield from ((f"{name}: {key}", value) for key, value in document.items())
        else:
            yield name, document
    yield from case.texts.items()


def push(workspace: Workspace, run_id: str, *, absent_ok: bool, say: Say) -> Report:
    """Push the run's scores and reviews to MLflow.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        absent_ok: Where MLflow is absent, report that as skipped instead of raising it.
        say: Told the progress, a line at a time.

    Returns:
        ``{"push-feedback": report}``.

    Raises:
        EvalkitError: as :func:`evalkit.stages.push_feedback`.
    """
    job = partial(stages.push_feedback, workspace, run_id=run_id, say=say)
    return _stage("push-feedback", job, absent_ok=absent_ok)


def pull(workspace: Workspace, run_id: str, *, absent_ok: bool, say: Say) -> Report:
    """Pull what people said in MLflow into the run's ``review.yaml``.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        absent_ok: As in :func:`push`.
        say: Told the progress, a line at a time.

    Returns:
        ``{"pull-feedback": report}``.

    Raises:
        EvalkitError: as :func:`evalkit.stages.pull_feedback`.
    """
    job = partial(stages.pull_feedback, workspace, run_id=run_id, say=say)
    return _stage("pull-feedback", job, absent_ok=absent_ok)


def _stage(name: str, job: Callable[[], Report], *, absent_ok: bool) -> Report:
    return stages.run_stages({name: job}, lambda *_: None) if absent_ok else {name: job()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What people and judges both spoke about.

    Attributes:
        pairs: Each case on which a person and a judge can be compared, for each judge.
        judges: How far people agree with each judge.
    """

    pairs: tuple[Pair, ...]
    judges: tuple[JudgeAgreement, ...]

    @property
    def disagreements(self) -> list[Pair]:
        """Where they differ; what a judge let pass and a person did not comes first."""
        differing = [pair for pair in self.pairs if not pair.agrees]
        return sorted(differing, key=lambda pair: (pair.judged != PASS, pair.judge, pair.case_id))

    def as_report(self) -> list[Json]:
        """The agreement with each judge, as JSON values."""
        return [
            {
                "judge": each.judge,
                "basis": each.basis,
                "labels": each.agreement.count,
                "agreed": each.agreement.agreed,
                "kappa": each.agreement.kappa,
                "low": each.agreement.low,
                "high": each.agreement.high,
                "standing": each.agreement.standing,
                "reading": each.reading,
            }
            for each in self.judges
        ]


def compare(found: RunFiles) -> Comparison:
    """Compare what people said, here and in MLflow as last pulled, with the judges of a run.

    Raises:
        InputError: ``review.yaml`` cannot be read or is no review.
    """
    run = replace(found.run, scores=tuple(map(masked, found.run.scores)))
    both = pairs(found.project, run, read_review(found))
    return Comparison(tuple(both), tuple(agreements(found.project, run, both)))
