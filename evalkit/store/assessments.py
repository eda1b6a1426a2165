"""What is said of traces: written, changed, withdrawn, and moved where a trace gives way."""

from __future__ import annotations

import copy
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from evalkit.entities import MARKER, OWN_TAGS, SOURCE_RUN, Assessment, Changes, Note
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json, canonical, derive_id
from evalkit.store.client import Client
from evalkit.store.forms import NAME_LIMIT, TAG_LIMIT, Masking, as_kept, entity
from evalkit.store.traces_read import TraceReader, assessments_of, present

if TYPE_CHECKING:
    from mlflow.entities import Assessment as Entity
    from mlflow.entities import TraceInfo


AGENT = "evalkit-agent"  # source of the feedback and expectations that an agent leaves


class Assessments(TraceReader, Masking):
    """The port's part for what is said of traces that are there already."""

    def write_assessments(self, changes: Changes) -> None:
        """Bring changes about on traces that are there, deletions first."""
        with self._client.alone():
            self._client.each(self._unsay, changes.delete)
            self._client.each(self._rejudge, changes.update)
            self._client.each(self._judge, changes.create)

    def annotate(self, trace_id: str, name: str, value: Json, rationale: str, who: str) -> None:
        """Leave feedback on a trace as a person does in MLflow's UI, with the time of now."""
        now = round(time.time() * 1000)
        self._judge(Assessment("", trace_id, name, value, "HUMAN", who, rationale, time_ms=now))

    def _judge(self, assessment: Assessment) -> None:
        with self._client.answering("writing an assessment"):
            made = entity(as_kept(assessment))
        self._say(made)

    def _say(self, made: Entity) -> None:
        with self._client.answering("writing an assessment"):
            self._client.tracking.create_assessment(made)

    def _rejudge(self, assessment: Assessment) -> None:
        """Change one in place.

        MLflow changes neither who said it nor removes metadata: then it is written anew, unless a
        person overrode it.
        """
        with self._client.answering("updating an assessment"):
            made = entity(as_kept(assessment))
            stands = self._client.tracking.update_assessment(
                assessment.trace_id,
                assessment.assessment_id,
                name=made.name,
                feedback=made.feedback,
                expectation=made.expectation,
                rationale=made.rationale or "",
                metadata=dict(made.metadata or {}),
            )
        kept = (stands.source, stands.metadata, stands.rationale)
        if stands.valid is not False and kept != (made.source, made.metadata, made.rationale):
            self._unsay(assessment)
            self._say(made)

    def _unsay(self, assessment: Assessment) -> None:
        with self._client.answering("deleting an assessment"):
            self._client.tracking.delete_assessment(assessment.trace_id, assessment.assessment_id)

    def adopt_traces(
        self, experiment_id: str, run_id: str, tags: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Take traces that the harness recorded into a run, each with tags, ``evalkit.run`` too."""
        infos = present(self._client, experiment_id, list(tags))
        masked = {each: self._mask(dict(own), "traces") for each, own in tags.items()}
        with self._client.alone():
            self._client.each(lambda each: self._adopt(infos[each], run_id, masked[each]), tags)

    def supersede(
        self,
        experiment_id: str,
        successors: Mapping[str, tuple[str, Mapping[str, str]]],
        without: Collection[str] = (),
    ) -> None:
        """Let traces give way to others: what was said of them moves there, and they go.

        Args:
            experiment_id: The experiment of all of them.
            successors: Trace id to the id of the one that takes its place, with the tags that
                this one gets; it joins the run of the other.
            without: The ids of assessments that do not move.
        """
        new_ids = [new for new, _ in successors.values()]
        infos = present(self._client, experiment_id, list(dict.fromkeys([*successors, *new_ids])))
        with self._client.alone():
            for old, (new, marks) in successors.items():
                left, there = infos[old], infos[new]
                tags = {k: text for k, text in left.tags.items() if not k.startswith(OWN_TAGS)}
                tags |= marks
                run_id = left.trace_metadata.get(SOURCE_RUN)
                if not tags.items() <= there.tags.items():
                    self._adopt(there, run_id, tags)
                for row in _moved(left, there, without):
                    self._say(row)
            self.delete_traces(experiment_id, list(successors))

    def delete_traces(self, experiment_id: str, trace_ids: Sequence[str]) -> None:
        """Delete traces with everything on them; ids that are not there are passed over."""
        delete_traces(self._client, experiment_id, trace_ids)

    def annotate_trace(self, experiment_id: str, note: Note) -> bool:
        """Note something on a trace, as an agent; False where just that is noted already.

        A later word of the same kind and name replaces the earlier one.

        Raises:
            InputError: the note is not one, or the experiment has no such trace.
        """
        if problem := _problem(note):
            raise InputError(Problem(problem))
        info = self._info(experiment_id, note.trace_id)
        if note.kind == "tag":
            if info.tags.get(note.name) == _tag(note):
                return False
            with self._client.answering("setting a tag"):
                self._client.tracking.set_trace_tag(note.trace_id, note.name, _tag(note))
            return True
        self._client.check_traces(experiment_id)
        wanted, said = _said(note), list(assessments_of(info))
        if any(as_kept(wanted).says_the_same(each) for each in said):
            return False
        is_there = any(each.assessment_id == wanted.assessment_id for each in said)
        (self._rejudge if is_there else self._judge)(wanted)
        return True

    def _adopt(self, info: TraceInfo, run_id: str | None, tags: Mapping[str, str]) -> None:
        """Merge tags and the run into a trace's entry, and state again what MLflow overwrites."""
        merged = replace(
            info,
            tags=dict(tags),
            trace_metadata={SOURCE_RUN: run_id} if run_id else {},
            assessments=[],
            request_preview=None,
            response_preview=None,
        )
        with self._client.answering("writing a trace"):
            self._client.tracking.start_trace(merged)


def delete_traces(client: Client, experiment_id: str, trace_ids: Sequence[str]) -> None:
    """Delete traces, a hundred at a time, which is what MLflow takes."""
    for begin in range(0, len(trace_ids), 100):
        some = list(trace_ids[begin : begin + 100])
        with client.answering("deleting traces"):
            client.tracking.delete_traces(experiment_id, trace_ids=some)


def _moved(left: TraceInfo, there: TraceInfo, without: Collection[str]) -> Iterator[Entity]:
    """What is said of a trace as it is said of another, without what is said there.

    What overrides something follows it: MLflow marks that as overridden when it comes.
    """
    moved = {each.assessment_id: _id_on(each, there.trace_id) for each in left.assessments}
    known = {each.assessment_id for each in there.assessments}
    said = [each for each in left.assessments if each.assessment_id not in without]
    for row in sorted(said, key=lambda r: (bool(r.overrides), r.create_time_ms, r.assessment_id)):
        new, over = copy.copy(row), moved.get(row.overrides)
        new.assessment_id, new.trace_id = moved[row.assessment_id], there.trace_id
        new.overrides = over if over in known else None
        if new.assessment_id not in known:
            known.add(new.assessment_id)
            yield new


def _id_on(row: Entity, trace_id: str) -> str:
    """The id of an assessment on another trace: evalkit's own as it is derived there."""
    metadata = row.metadata or {}
    if MARKER not in metadata:
        return "a-" + derive_id("moved", trace_id, str(row.assessment_id))
    case_id = metadata.get("case_id", "")
    return "a-" + derive_id(trace_id, case_id, row.name, row.source.source_type)


def _problem(note: Note) -> str:
    """Why a note is none; empty where it is one."""
    if not note.name.strip() or len(note.name) > NAME_LIMIT:
        return f"the name is empty or too long: name it, in {NAME_LIMIT} characters at most"
    if note.name.strip().lower().startswith(OWN_TAGS):
        return f"the name {note.name[:80]!r} is reserved: begin it otherwise"
    if note.value is None or note.value == "":
        return "there is no value: give one"
    is_long = note.kind == "tag" and len(_tag(note)) > TAG_LIMIT
    return f"the tag's value is too long: {TAG_LIMIT:,} characters at most" if is_long else ""


def _tag(note: Note) -> str:
    return note.value if isinstance(note.value, str) else canonical(note.value)


def _said(note: Note) -> Assessment:
    """A note as an assessment; of one name and kind an agent has one word on a trace.

    MLflow keeps no rationale of an expectation, so that one goes into its metadata.
    """
    is_feedback = note.kind == "feedback"
    return Assessment(
        "a-" + derive_id(AGENT, note.trace_id, note.kind, note.name),
        note.trace_id,
        note.name,
        note.value,
        "CODE",
        AGENT,
        note.rationale if is_feedback else "",
        metadata={"rationale": note.rationale} if note.rationale and not is_feedback else {},
        time_ms=round(time.time() * 1000),
        kind="feedback" if is_feedback else "expectation",
    )
