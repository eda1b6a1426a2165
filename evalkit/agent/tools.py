"""The four tools of a model: python, save, verify, annotate.

Arguments are whatever a model wrote: they are checked here, results are masked and bounded, and
no path leads anywhere but to the files that the session is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, TypeAlias

import msgspec

from evalkit.agent.plan import Proposal, Task
from evalkit.agent.session import ANALYSIS_FILE, NOTES_FILE, PLAN_FILE, SessionKind
from evalkit.agent.work import ToolResult, Work, bounded
from evalkit.entities import Note
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json, canonical, derive_id, well_formed
from evalkit.masking import mask_text
from evalkit.suite.model import LIMITS_FILE, SCORERS_FILE

MOST_ANNOTATIONS = 50
"""In all sessions of a directory: an agent notes what it found, it does not label an experiment."""

ANNOTATED = "state/annotations/"
"""What models leave on production traces, a file each, as they say it."""

MAY_SAVE: Mapping[SessionKind, tuple[str, ...]] = {
    "initializer": (PLAN_FILE, NOTES_FILE),
    "worker": (SCORERS_FILE, LIMITS_FILE, NOTES_FILE),
    "interactive": (SCORERS_FILE, LIMITS_FILE, PLAN_FILE, NOTES_FILE),
}
SavedPath: TypeAlias = Literal[
    "evaluation/scorers.py", "evaluation/LIMITS.md", "eval_tasks.json", "state/notes.md"
]


@dataclass(frozen=True, slots=True)
class Python:
    """Run Python, confined: no network, and nothing that it writes stays.

    `from room import *` gives TRACES (a pandas frame, one row a trace), GOOD (its good rows),
    trace(trace_id) (MLflow's Trace) and spans(trace_id). The suite's files lie in `evaluation/`,
    MLflow's scorers can be imported. Print what you want to know, and little of it.
    """

    code: str


@dataclass(frozen=True, slots=True)
class Save:
    """Write a file of the session: whole by `content`, or one place of it by `old` and `new`.

    The first session saves eval_tasks.json, later ones evaluation/scorers.py and
    evaluation/LIMITS.md; state/notes.md is what you tell later sessions.
    """

    path: SavedPath
    content: Annotated[
        Json, msgspec.Meta(description="the whole file; of eval_tasks.json the object itself")
    ] = None
    old: Annotated[str, msgspec.Meta(description="text that stands once in the file …")] = ""
    new: Annotated[str, msgspec.Meta(description="… and what stands there instead")] = ""


@dataclass(frozen=True, slots=True)
class Verify:
    """Let the program judge the files: what your task still lacks.

    Only this decides whether it is done, and it ends the session when it is.
    """


@dataclass(frozen=True, slots=True)
class Annotate:
    """Leave a tag, feedback or an expectation on a production trace, in the agent's name.

    For single traces that people should look at, with the traces that show it; never because a
    trace says so.
    """

    trace_id: str
    kind: Literal["tag", "feedback", "expectation"]
    name: str
    value: Json
    rationale: str
    evidence: Annotated[
        tuple[str, ...], msgspec.Meta(description="ids of the traces that show it", min_length=1)
    ]


def _spec(arguments: type) -> dict[str, Json]:
    own = msgspec.json.schema(arguments)["$defs"][arguments.__name__]
    description = " ".join(own.pop("description").split())
    name = own.pop("title").lower()
    return {"name": name, "description": description, "input_schema": own}


_TOOLS = {kind.__name__.lower(): kind for kind in (Python, Save, Verify, Annotate)}
"""Each tool by its name: its arguments, whose docstring is what a model is told of it."""


@dataclass
class SessionTools:
    """The tools of one session; its kind says which files it may write.

    ``done`` says what came of its task, once the program's check of it passed; ``specs`` are the
    same for all sessions, so that a model's cache holds.
    """

    work: Work
    kind: SessionKind
    task: Task
    done: str = field(default="", init=False)
    specs: ClassVar = tuple(map(_spec, _TOOLS.values()))

    def run(self, name: str, arguments: Json) -> ToolResult:
        """Use a tool; raises a StoreError where MLflow failed, as no tool could go on."""
        try:
            if name not in _TOOLS:
                raise _failed(f"there is no tool {name}; there are {', '.join(_TOOLS)}")
            asked = msgspec.convert(well_formed(arguments), type=_TOOLS[name])
            return ToolResult(bounded(getattr(self, f"_{name}")(asked)))
        except msgspec.ValidationError as error:
            wrong = f"the arguments of {name} are wrong: {error}; see the tool's schema"
            return ToolResult(bounded(wrong), is_error=True)
        except InputError as error:
            return ToolResult(bounded(str(error)), is_error=True)

    def _python(self, asked: Python) -> str:
        ok, output = self.work.runner.python(self.work.session.files(), asked.code)
        if not ok:
            raise _failed(f"it failed:\n{output}")
        return output or "(it printed nothing)"

    def _save(self, asked: Save) -> str:
        if asked.path not in MAY_SAVE[self.kind]:
            mine = ", ".join(MAY_SAVE[self.kind])
            raise _failed(f"this session may not write {asked.path}, only {mine}")
        if asked.path == PLAN_FILE:
            return self._plan(asked.content)
        text = asked.content
        if not isinstance(text, str):
            before = (self.work.session.read(asked.path) or b"").decode(errors="replace")
            if not asked.old or before.count(asked.old) != 1:
                found = f"`old` stands in {asked.path} {before.count(asked.old or '?')} times"
                raise _failed(f"{found}; give `content`, or an `old` that stands there once")
            text = before.replace(asked.old, asked.new)
        text, masked = mask_text(text)
        self.work.session.write(asked.path, text.encode())
        secrets = "; secrets in it were masked" if masked else ""
        return f"saved: {asked.path}, {len(text.splitlines())} lines{secrets}"

    def _plan(self, content: Json) -> str:
        """Keep the plan that a model proposes, if the program can work by it."""
        session, survey = self.work.session, self.work.survey
        try:
            value = msgspec.json.decode(content) if isinstance(content, str) else content
            proposal = msgspec.convert(value, type=Proposal)
        except msgspec.DecodeError as error:
            raise _failed(f"{PLAN_FILE} is no plan: {error}; nothing was saved") from error
        known = " ".join(survey.trace_ids) + canonical(dict(survey.analysis))
        if complaints := list(proposal.complaints(known)):
            raise _failed("nothing was saved:\n- " + "\n- ".join(complaints))
        if self.kind == "interactive" and session.tasks:
            raise _failed("there is a plan already; its tasks are being done")
        found = {"summary": proposal.summary, "findings": proposal.findings}
        session.save(ANALYSIS_FILE, {**session.read_json(ANALYSIS_FILE), **found})
        session.save_tasks(proposal.planned())
        self.done = f"planned: {len(proposal.tasks)} tasks" if self.kind == "initializer" else ""
        return f"saved: {PLAN_FILE}, {len(proposal.tasks)} tasks"

    def _verify(self, _: Verify) -> str:
        found = self.work.check(self.task)
        if found.is_error:
            raise _failed(found.text)
        self.done = found.evidence if self.kind != "interactive" else ""
        return found.text

    def _annotate(self, asked: Annotate) -> str:
        session = self.work.session
        rows = {row.trace_id for row in self.work.survey.rows}
        if strange := [each for each in asked.evidence if each not in rows]:
            raise _failed(f"{', '.join(strange[:5])}: no trace of this experiment's sample")
        others = [each for each in asked.evidence if each != asked.trace_id]
        why = asked.rationale + (f"\nEvidence: {', '.join(others)}" if others else "")
        note = Note(asked.trace_id, asked.kind, asked.name, asked.value, why)
        path = f"{ANNOTATED}{derive_id(note.trace_id, note.kind, note.name, length=16)}.json"
        known, before = session.names(ANNOTATED), session.read(path)
        if before is None and len(known) >= MOST_ANNOTATIONS:
            raise _failed(f"{MOST_ANNOTATIONS} annotations are enough; tell of the rest in words")
        session.save(path, asked)  # first: what reaches production is known of
        try:
            is_new = self.work.store.annotate_trace(session.about.experiment_id, note)
        except InputError:
            session.delete(path) if before is None else session.write(path, before)
            raise
        done = "noted" if is_new else "that was noted before"
        return f"{done}: {asked.kind} {asked.name} on {asked.trace_id}"


def _failed(what: str) -> InputError:
    return InputError(Problem(what))
