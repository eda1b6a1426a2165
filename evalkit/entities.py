"""What MLflow holds, as all packages speak of it; knows neither MLflow nor files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from evalkit.jsonable import Json, canonical, derive_id
from evalkit.receipt import Receipt

SpanKind: TypeAlias = Literal["AGENT", "CHAIN", "LLM", "CHAT_MODEL", "TOOL", "RETRIEVER"]
Status: TypeAlias = Literal["OK", "ERROR", "UNSET"]
SourceType: TypeAlias = Literal["CODE", "LLM_JUDGE", "HUMAN"]

# of assessments
MARKER = "evalkit.key"  # metadata: evalkit wrote it; people's own have none
HUMAN_REVIEW = "human_review"  # the name of what a reviewer's comment becomes

# tags of runs
KEY_TAG = "evalkit.key"  # by which a run is found again
EVALUATION_TAG = "evalkit.eval"  # the evaluation's name
WHOLE_TAG = "evalkit.artifact.receipt.json"  # comes last: the run was logged to its end
COMMIT_TAG = "mlflow.source.git.commit"
BRANCH_TAG = "mlflow.source.git.branch"
QUALITY_CRITERIA_TAG = "mlflow.genaiEvaluate.qualityCriteria"  # the bar, for MLflow's own pages

# tags of traces; the first of dataset records, too
CASE_TAG = "evalkit.case"  # the case id; a whole batch run has none
RUN_TAG = "evalkit.run"  # the key of the run that it belongs to
REQUEST_TAG = "mlflow.eval.requestId"  # by which MLflow pairs what two runs say of a case
HASH_TAG = "evalkit.hash"  # of what the trace was built from
SESSION_TAG = "evalkit.session"  # the key of an imported session that belongs to no evaluation
STUB_TAG = "evalkit.stub"  # of a case without steps: why there are none
RECORDED_TAG = "eval_run_id"  # of what the harness recorded: a case id, or a run id and the case
RECORDED_CASE_TAG = "eval_case_id"
OWN_TAGS = ("evalkit.", "mlflow.")  # how those begin that evalkit and MLflow set
SOURCE_RUN = "mlflow.sourceRun"  # metadata: MLflow's id of the run that it belongs to


@dataclass(frozen=True, slots=True)
class Span:
    """One step of an agent's work; times are nanoseconds since the epoch, the end never before.

    The id is 16 lower-case hex digits, derived from the trace and the step. Attributes go by the
    names that MLflow's pages read (``mlflow.llm.model``, …) or under ``evalkit.``.
    """

    span_id: str
    parent_id: str | None
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    inputs: Json = None
    outputs: Json = None
    attributes: Mapping[str, Json] = field(default_factory=dict)
    status: Status = "OK"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """One case's (or one batch run's) spans before any store has seen them, parents first.

    Attributes:
        trace_id: ``tr-`` and 32 hex digits, derived from the experiment, eval, run and case.
        case_id: The case it belongs to; None where it holds a whole batch run.
        status: ERROR where the agent failed, UNSET where the log does not say how it ended.
        metadata: MLflow's; values of at most 250 characters.
        content_hash: Of the log and of what else decides the spans but inferred times; equal
            hashes mean that nothing has to be written again.
    """

    trace_id: str
    name: str
    case_id: str | None
    start_ns: int
    end_ns: int
    status: Status
    request: Json
    response: Json
    spans: tuple[Span, ...]
    tags: Mapping[str, str]
    metadata: Mapping[str, str]
    content_hash: str
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Assessment:
    """One judgement about one trace, to be written or as MLflow returns it.

    Attributes:
        assessment_id: ``a-`` and 32 hex digits derived from (trace, case, judge, source) for
            those that evalkit writes; MLflow's own id for people's.
        name: The judge's name, ``human_review``, or ``{case_id}/{either}``.
        value: None where the judge failed: ``error`` says why.
        source_id: Which code, model or person judged.
        metadata: Holds :data:`MARKER` and ``case_id`` on evalkit's own.
        time_ms: Milliseconds since the epoch, from the data.
        valid: False where a person overrode it in MLflow.
    """

    assessment_id: str
    trace_id: str
    name: str
    value: Json
    source_type: SourceType
    source_id: str
    rationale: str = ""
    error: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    time_ms: int = 0
    kind: Literal["feedback", "expectation"] = "feedback"
    valid: bool = True

    def says_the_same(self, other: Assessment) -> bool:
        """Whether both say the same of the same trace; when they were made does not matter."""
        mine, theirs = (
            replace(each, assessment_id="", time_ms=0, valid=True) for each in (self, other)
        )
        # True == 1 in Python, but a bool score is no number
        return mine == theirs and isinstance(self.value, bool) == isinstance(other.value, bool)

    @property
    def is_ours(self) -> bool:
        """Whether evalkit wrote it."""
        return MARKER in self.metadata


@dataclass(frozen=True, slots=True)
class Changes:
    """What has to be written so that traces hold just the assessments that evalkit wants."""

    create: tuple[Assessment, ...] = ()
    update: tuple[Assessment, ...] = ()
    delete: tuple[Assessment, ...] = ()
    unchanged: int = 0

    def __bool__(self) -> bool:
        return bool(self.create or self.update or self.delete)


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """A trace as MLflow lists it, without its spans.

    It is ``complete`` where its spans are there: a kill may leave it without.
    """

    trace_id: str
    tags: Mapping[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict)
    time_ms: int = 0
    complete: bool = True
    assessments: tuple[Assessment, ...] = ()
    status: Status = "UNSET"

    @property
    def case_id(self) -> str | None:
        """None for a whole batch run's."""
        return self.tags.get(CASE_TAG)

    @property
    def is_stub(self) -> bool:
        """Whether it stands in for a trace with steps, and gives way to one."""
        return STUB_TAG in self.tags

    @property
    def is_recorded(self) -> bool:
        """Whether the harness recorded it, and evalkit did not build it."""
        return RECORDED_TAG in self.tags and HASH_TAG not in self.tags

    @property
    def is_used_by_others(self) -> bool:
        """Whether people or other tools left an assessment or a tag on it."""
        return any(not each.is_ours for each in self.assessments) or any(
            not name.startswith(OWN_TAGS) for name in self.tags
        )

    def holds(self, content_hash: str) -> bool:
        """Whether it is complete, and was built from content of that hash."""
        return self.complete and self.tags.get(HASH_TAG) == content_hash


@dataclass(frozen=True, slots=True)
class ObservedTrace:
    """One request to an agent, as MLflow holds it; what nobody recorded is None, or empty.

    Request and response are as MLflow's list shows them, of 1,000 characters at most; ``unread``
    says why there are no spans, ``run_id`` which run evalkit logged it under. Assessments are those
    that nobody took back.
    """

    trace_id: str
    name: str
    start_ms: int
    duration_ms: int | None
    status: Status
    request: str = ""
    response: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    spans: tuple[Span, ...] = field(default=(), repr=False)
    unread: str = ""
    assessments: tuple[Assessment, ...] = field(default=(), repr=False)
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What an agent notes on a trace."""

    trace_id: str
    kind: Literal["tag", "feedback", "expectation"]
    name: str
    value: Json
    rationale: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What one case becomes in the MLflow dataset."""

    case_id: str
    inputs: Mapping[str, Json]
    expectations: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A dataset record as MLflow returns it; rows that evalkit made have :data:`CASE_TAG`."""

    record_id: str
    inputs: Mapping[str, Json]
    expectations: Mapping[str, Json]
    tags: Mapping[str, str]


def digest_of(rows: Iterable[StoredRecord]) -> str:
    """What rows hold, in 16 hex digits, whatever their order and ids."""
    return derive_id(*sorted(row_key([r.inputs, r.expectations]) for r in rows), length=16)


def row_key(value: Json) -> str:
    """Equal for equal values, however the store spells whole numbers."""
    return canonical(_plain(value))


def _plain(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
