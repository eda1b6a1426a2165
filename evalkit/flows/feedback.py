"""Feedback: judges' scores and reviewers' comments to MLflow, people's annotations back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.adapters.files.run import RunFiles
from evalkit.core.executions import executions
from evalkit.core.feedback import (
    Target,
    annotations_of_people,
    changes,
    from_comment,
    from_score,
    from_verdict,
    masked,
)
from evalkit.core.masking import MASKED, mask_json, mask_text
from evalkit.core.matching import TraceIndex
from evalkit.core.review import Annotation, Review
from evalkit.core.score_values import beyond_floats
from evalkit.entities import HUMAN_REVIEW, Assessment, SourceType
from evalkit.errors import StoreError, Unfinished
from evalkit.flows.trace_index import RunTraces, find_traces
from evalkit.jsonable import Json
from evalkit.store import Store, as_kept

Source: TypeAlias = Literal["judge", "human", "all"]

SOURCES: dict[Source, tuple[SourceType, ...]] = {
    "judge": ("CODE", "LLM_JUDGE"),
    "human": ("HUMAN",),
    "all": ("CODE", "LLM_JUDGE", "HUMAN"),
}


FILES = {"judge": "summary.yaml", "human": "review.yaml"}
"""Where each kind of feedback is written."""


def push_feedback(
    found: RunFiles,
    review: Review,
    store: Store,
    *,
    source: Source = "all",
    seed_names: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Json]:
    """Attach judges' scores and reviewers' comments to the traces of their cases.

    Afterwards each trace holds exactly the feedback of ``source`` that the files say, and
    whatever people and other tools put there. Feedback that is there already is left alone.
    Where a file has nothing to say at all, it is lost rather than empty: nothing is taken back.

    Returns:
        The stage's report: ``executions``, ``traces_found`` of the run, ``traces`` touched or found
        right, ``judge`` and ``human`` feedback that now stands, ``unmatched`` counted and in
        ``unmatched_names`` named.

    Raises:
        StoreError: MLflow failed before anything was written.
        Unfinished: MLflow failed on the way; running again finishes.
    """
    traces = find_traces(found, store)
    push = _Push(found, review, traces, seed_names=seed_names)
    found_feedback = list(push.assessments(source))
    wanted = [as_kept(a) for a, _ in found_feedback if a is not None]
    missing = [name for a, name in found_feedback if a is None]
    stored = [a for trace in traces.index.traces for a in trace.assessments]
    delta = changes(wanted, stored, sources=push.speaking(source))
    human = sum(a.source_type == "HUMAN" for a in wanted)
    report: dict[str, Json] = {
        "executions": executions(found.run),
        "traces_found": len(traces.index.traces),
        "traces": len({a.trace_id for a in wanted}),
        "judge": len(wanted) - human,
        "human": human,
        "unmatched": len(missing),
        "unmatched_names": missing,
        "created": len(delta.create),
        "updated": len(delta.update),
        "deleted": len(delta.delete),
        "masked": sum(repr(each).count(MASKED) for each in wanted),
        "notes": [*traces.index.notes, *push.silences(source), *push.reasons(missing)],
    }
    if delta:
        say(f"{len(delta.create)} new, {len(delta.update)} changed, {len(delta.delete)} withdrawn")
        try:
            store.write_assessments(delta)
        except StoreError as error:
            raise Unfinished(f"{error}\nRun the same command again to finish.", report) from error
    return report


@dataclass(frozen=True, slots=True)
class _Push:
    """What is to be pushed: an assessment, or the name of feedback that has no trace."""

    found: RunFiles
    review: Review
    traces: RunTraces
    seed_names: bool

    def assessments(self, source: Source) -> Iterator[tuple[Assessment | None, str]]:
        if source in {"judge", "all"}:
            yield from self._judges()
        if source in {"human", "all"}:
            yield from self._people()

    def speaking(self, source: Source) -> tuple[SourceType, ...]:
        """The sources whose files say something, so that what they no longer say is withdrawn."""
        silent = () if self.found.run.scores else SOURCES["judge"]
        mute = () if self.review.is_begun else SOURCES["human"]
        return tuple(each for each in SOURCES[source] if each not in {*silent, *mute})

    def silences(self, source: Source) -> Iterator[str]:
        """What is written otherwise than said, and why what stands in MLflow is left as it is."""
        judged = [(score.case_id, score.judge, score.value) for score in self.found.run.scores]
        said = self.review.verdicts.items()
        by_people = [(case, judge, value) for case, own in said for judge, value in own.items()]
        yield from beyond_floats(
            [*(judged if source != "human" else ()), *(by_people if source != "judge" else ())]
        )
        if source != "human" and not self.found.run.scores:
            yield f"{FILES['judge']} holds no scores; judges' feedback in MLflow is left as it is"
        if source == "human" and not self.review.is_begun:
            yield f"{FILES['human']} holds no `feedback` or `verdicts`; what MLflow has is left"

    def reasons(self, missing: Sequence[str]) -> Iterator[str]:
        """Why feedback has no trace."""
        if missing and not self.traces.index.traces:
            yield f"the run is not in MLflow: evalkit log-results --run-id {self.found.run.run_id}"
        unknown = [case for case in self.review.feedback if case not in self.found.run.cases]
        if unknown and any(f"{case}/{HUMAN_REVIEW}" in missing for case in unknown):
            cases = ", ".join(unknown)
            yield f"{FILES['human']} speaks of cases that the run does not have: {cases}"

    def _judges(self) -> Iterator[tuple[Assessment | None, str]]:
        for score in self.found.run.scores:
            target = self._target(score.case_id)
            if target is None:
                yield None, f"{score.case_id}/{score.judge}"
            elif (assessment := from_score(masked(score), target)) is not None:
                yield assessment, assessment.name

    def _people(self) -> Iterator[tuple[Assessment | None, str]]:
        for case_id, comment in self.review.feedback.items():
            target = self._target(case_id) if case_id in self.found.run.cases else None
            if target is None:
                yield None, f"{case_id}/{HUMAN_REVIEW}"
            else:
                text = mask_text(comment)[0]
                by = self.review.reviewer_of(case_id)
                yield from_comment(case_id, text, by, target), HUMAN_REVIEW
        for case_id, said in self.review.verdicts.items():
            target = self._target(case_id) if case_id in self.found.run.cases else None
            for judge, value in said.items():
                name = f"{case_id}/{judge}"
                if target is None:
                    yield None, name
                elif value is not None:
                    who = self.review.reviewer
                    yield from_verdict(case_id, judge, mask_json(value), who, target), name

    def _target(self, case_id: str) -> Target | None:
        index = self.traces.index
        trace = index.of(case_id)
        if trace is None:
            return None
        shared = trace is index.whole
        return Target(trace.trace_id, shared or self.seed_names, self.traces.key, trace.time_ms)


def pull_feedback(
    found: RunFiles, store: Store, known: Sequence[Annotation] = ()
) -> tuple[list[Annotation], dict[str, Json]]:
    """Collect what people said of the run's traces in MLflow, and nothing that evalkit pushed.

    Args:
        found: The run.
        store: Where its traces are looked for.
        known: What the last pull left. What it says of cases that have no trace in this MLflow
            stays: another MLflow, or one made anew, is no word of a person who took it back.

    Returns:
        The annotations, and the stage's report without the file.

    Raises:
        StoreError: MLflow answered with an error.
    """
    traces = find_traces(found, store).index
    case_of = {trace.trace_id: case for case, trace in traces.by_case.items()}
    said = annotations_of_people(_all(traces), case_of, found.run.cases)
    ids = {trace.trace_id for trace in traces.traces}
    kept = [a for a in known if a.trace_id not in ids and traces.of(a.case_id) is None]
    standing = {(a.case_id, a.name, a.source) for a in (*said, *kept)}
    gone = [a for a in known if (a.case_id, a.name, a.source) not in standing]
    notes = list(traces.notes)
    if not ids:
        notes.append("MLflow has no traces of this run: mlflow_feedback is left as it was")
    elif kept:
        whose = ", ".join(sorted({a.case_id or a.trace_id for a in kept}))
        notes.append(f"annotations are left as they were where MLflow has no trace: {whose}")
    if gone:
        what = ", ".join(f"{a.case_id}/{a.name} by {a.source}" for a in gone)
        notes.append(f"no longer said in MLflow, and so removed from the file: {what}")
    return [*said, *kept], {
        "executions": executions(found.run),
        "traces": len(traces.traces),
        "annotations": len(said),
        "notes": notes,
    }


def _all(traces: TraceIndex) -> Iterable[Assessment]:
    return (a for trace in traces.traces for a in trace.assessments)
