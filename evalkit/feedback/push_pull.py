"""``push-feedback`` and ``pull-feedback``: scores and comments to MLflow, annotations back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Literal, TypeAlias

from evalkit.context import Workspace
from evalkit.entities import HUMAN_REVIEW
from evalkit.errors import StoreError, Unfinished
from evalkit.feedback.assessments import (
    JUDGES,
    PEOPLE,
    annotations_of_people,
    beyond_floats,
    changes,
    feedback_of,
)
from evalkit.feedback.review_file import Review, parse_review, review_text, with_annotations
from evalkit.feedback.trace_index import TraceIndex, find_traces
from evalkit.files import write_text
from evalkit.jsonable import Json
from evalkit.masking import MASKED
from evalkit.runs.run import executions
from evalkit.store import as_kept

Source: TypeAlias = Literal["judge", "human", "all"]
Names: TypeAlias = Literal["auto", "seed"]


def push_feedback(
    workspace: Workspace,
    *,
    run_id: str,
    source: Source = "all",
    names: Names = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Json]:
    """Attach judges' scores and reviewers' comments to the traces of their cases.

    Afterwards each trace holds exactly the feedback of ``source`` that the files say, and
    whatever people and other tools put there. Feedback that is there already is left alone.
    Where a file has nothing to say at all, it is lost rather than empty: nothing is taken back.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        source: Push the judges' scores, people's comments, or both.
        names: ``seed`` names feedback ``{case_id}/{judge}`` on every trace; ``auto`` only on
            those that hold several cases.
        say: Told the progress, a line at a time.

    Returns:
        The stage's report: ``executions``, ``traces_found`` of the run, ``traces`` touched or found
        right, ``judge`` and ``human`` feedback that now stands, ``unmatched`` counted and in
        ``unmatched_names`` named.

    Raises:
        InputError: config, run or ``review.yaml`` are wrong.
        StoreAbsent: MLflow cannot be reached; nothing was written.
        StoreError: MLflow answered with an error; nothing was written.
        Unfinished: MLflow failed on the way; running again finishes.
    """
    found = workspace.run(run_id)
    review = parse_review(review_text(found), str(found.review))
    index = find_traces(found, workspace.store)
    judges, people = source != "human", source != "judge"
    seed_names = names == "seed"
    said = list(feedback_of(index, review, judges=judges, people=people, seed_names=seed_names))
    wanted = [as_kept(each) for _, given in said for each in given or ()]
    missing = [name for name, given in said if given is None]
    stored = [a for trace in index.traces for a in trace.assessments]
    # what a file that says something no longer says is withdrawn
    speaking = (
        *(JUDGES if judges and found.run.scores else ()),
        *(PEOPLE if people and review.is_begun else ()),
    )
    delta = changes(wanted, stored, sources=speaking)
    human = sum(a.source_type == "HUMAN" for a in wanted)
    report: dict[str, Json] = {
        "executions": executions(found.run),
        "traces_found": len(index.traces),
        "traces": len({a.trace_id for a in wanted}),
        "judge": len(wanted) - human,
        "human": human,
        "unmatched": len(missing),
        "unmatched_names": missing,
        "created": len(delta.create),
        "updated": len(delta.update),
        "deleted": len(delta.delete),
        "masked": sum(repr(each).count(MASKED) for each in wanted),
        "notes": [*index.notes, *_notes(index, review, source, missing)],
    }
    if delta:
        say(f"{len(delta.create)} new, {len(delta.update)} changed, {len(delta.delete)} withdrawn")
        try:
            workspace.store.write_assessments(delta)
        except StoreError as error:
            raise Unfinished(f"{error}\nRun the same command again to finish.", report) from error
    return report


def _notes(
    index: TraceIndex, review: Review, source: Source, missing: Sequence[str]
) -> Iterator[str]:
    """What is written otherwise than said, what MLflow keeps, and why feedback has no trace."""
    run = index.run
    judged = [(score.case_id, score.judge, score.value) for score in run.scores]
    verdicts = [(case, *each) for case, own in review.verdicts.items() for each in own.items()]
    yield from beyond_floats(
        {"judge": judged, "human": verdicts, "all": [*judged, *verdicts]}[source]
    )
    if source != "human" and not run.scores:
        yield "summary.yaml holds no scores; judges' feedback in MLflow is left as it is"
    if source == "human" and not review.is_begun:
        yield "review.yaml holds no `feedback` or `verdicts`; what MLflow has is left"
    if missing and not index.traces:
        yield f"the run is not in MLflow: evalkit log-results --run-id {run.run_id}"
    unknown = [case for case in review.feedback if case not in run.cases]
    if any(f"{case}/{HUMAN_REVIEW}" in missing for case in unknown):
        yield f"review.yaml speaks of cases that the run does not have: {', '.join(unknown)}"


def pull_feedback(
    workspace: Workspace, *, run_id: str, say: Callable[[str], None] = lambda _: None
) -> dict[str, Json]:
    """Bring what people said in MLflow into the run's ``review.yaml``, under ``mlflow_feedback``.

    Nothing that evalkit pushed comes back. What an earlier pull left of cases that have no trace
    in this MLflow stays: another MLflow, or one made anew, is no word of a person who took it
    back. Where MLflow has no traces of the run at all, the file stays as it is.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        say: Told the progress, a line at a time.

    Returns:
        ``executions``, ``traces`` looked at, ``annotations`` found, ``notes``, and the ``file``.

    Raises:
        InputError: config, run or ``review.yaml`` are wrong.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    found = workspace.run(run_id)
    file, text = str(found.review), review_text(found)
    known = parse_review(text, file).annotations
    index = find_traces(found, workspace.store)
    said, ids = annotations_of_people(index), {trace.trace_id for trace in index.traces}
    kept = [a for a in known if a["trace_id"] not in ids and index.of(a["case_id"]) is None]
    whose = itemgetter("case_id", "name", "source")
    standing = {whose(a) for a in (*said, *kept)}
    gone = [whose(a) for a in known if whose(a) not in standing]
    notes = list(index.notes)
    if not ids:
        notes.append("MLflow has no traces of this run: mlflow_feedback is left as it was")
    elif kept:
        where = ", ".join(sorted({a["case_id"] or a["trace_id"] for a in kept}))
        notes.append(f"annotations are left as they were where MLflow has no trace: {where}")
    if gone:
        what = ", ".join(f"{case}/{name} by {source}" for case, name, source in gone)
        notes.append(f"no longer said in MLflow, and so removed from the file: {what}")
    after = with_annotations(text, file, [*said, *kept]) if ids else text
    if after != text:
        say(f"writing {file}")
        write_text(found.review, after)
    return {
        "executions": executions(found.run),
        "traces": len(ids),
        "annotations": len(said),
        "notes": notes,
        "file": file,
    }
