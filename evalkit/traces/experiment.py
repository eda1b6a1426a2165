"""An experiment as a person looks at it: its newest traces counted, and those worth a look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from evalkit.config_files import USUAL_CONFIG
from evalkit.context import locate
from evalkit.entities import ObservedTrace, Span
from evalkit.errors import InputError, Problem
from evalkit.jsonable import list_of, mapping_of
from evalkit.traces.analysis import Analysis
from evalkit.traces.sample import analyse
from evalkit.traces.transcript import Turn, answer, question, turns
from evalkit.tracking import Tracking, without_password

if TYPE_CHECKING:
    import pandas as pd

    from evalkit.store import Store


@dataclass(frozen=True)
class Watch:
    """An experiment, and what its newest traces say together."""

    store: Store
    tracking: Tracking  # which MLflow that is, and why that one
    experiment: str
    experiment_id: str  # empty where there is none of that name yet
    analysis: Analysis

    @cached_property
    def traces(self) -> pd.DataFrame:
        """A row a trace: see :attr:`Analysis.traces`."""
        return self.analysis.traces

    @cached_property
    def picks(self) -> pd.DataFrame:
        """The traces that are worth a look, each with ``why``."""
        found = worth_a_look(self.analysis)
        picked = self.traces.set_index("trace_id", drop=False).loc[list(found)]
        return picked.assign(why=list(found.values())).reset_index(drop=True)

    @property
    def url(self) -> str | None:
        """Where a browser shows the traces; None where there are none, or MLflow is a database."""
        return self.store.traces_url(self.experiment_id) if self.experiment_id else None

    def url_of(self, trace_id: str) -> str:
        """Where a browser shows a trace; empty where MLflow is a database."""
        return self.store.trace_url(self.experiment_id, trace_id) or ""

    def open(self, trace_id: str) -> ObservedTrace:
        """One trace with its spans, as a conversation is told of them."""
        trace = self.store.observe_one(trace_id)
        return replace(trace, spans=tuple(as_told(trace.spans)))


def watch(
    *,
    config: str = USUAL_CONFIG,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    most: int = 500,
    say: Callable[[str], None] = lambda _: None,
) -> Watch:
    """Look at the ``most`` newest traces of an experiment; ``say`` is told the progress.

    ``config`` names the MLflow and the experiment where nothing else does; where the experiment is
    named, by its name or id, there may be no config.

    Raises:
        InputError: the config is wrong, or there is no experiment of that name.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    tracking, named = locate(config, experiment or None, tracking_uri)
    from evalkit.store import connect

    if most < 1:
        problem = Problem(f"{most} traces cannot be read", field="--traces", fix="1 or more")
        raise InputError(problem)
    store = connect(tracking.uri)
    found = store.find_experiment(named)
    if found is None and experiment:
        where = without_password(tracking.uri)
        raise InputError(
            Problem(
                f"there is no experiment {named!r} in MLflow at {where}",
                field="--experiment-id",
                fix="name one that is there, by its name or its id",
            )
        )
    experiment_id, name = found or ("", named)

    analysis = analyse(store, experiment_id, most=most, say=say) if experiment_id else Analysis()
    return Watch(store, tracking, name, experiment_id, analysis)


def as_told(spans: Sequence[Span]) -> Iterator[Span]:
    """The spans in the form in which :mod:`evalkit.traces.dialogue` tells a conversation.

    Whatever stands at the top counts as the agent, with the question, the turns before it and the
    answer; of a call of a model there are the words that it gave. Each parent before its children.
    """
    for span in spans:
        if "evalkit.agent" in span.attributes or "evalkit.time" in span.attributes:
            yield span
        elif span.parent_id is None:
            yield from _top(span)
        elif span.kind == "LLM":
            # which tools it calls, their own spans say
            is_call = any(turn.is_call for turn in turns(span.outputs))
            content = list_of(mapping_of(span.outputs).get("content"))
            if not content or not all("type" in mapping_of(block) for block in content):
                content = [] if is_call else [{"type": "text", "text": answer(span.outputs)}]
            yield replace(span, inputs={"messages": []}, outputs={"content": content})
        else:
            yield replace(span, kind="CHAIN") if span.kind == "AGENT" else span


def _top(span: Span) -> Iterator[Span]:
    """The agent, and a call of a model for each turn that was said before it was called."""
    asked = [turn for turn in turns(span.inputs) if turn.role in {"user", "assistant"}]
    first, *others = asked or [Turn("user", question(span.inputs))]
    said = answer(span.outputs) or None
    yield replace(span, kind="AGENT", inputs=first.text or None, outputs=said)
    for number, turn in enumerate(others, 1):
        name, start, is_user = f"{span.span_id}-{number}", span.start_ns, turn.role == "user"
        given = {"messages": [{"role": "user", "content": turn.text}] if is_user else []}
        came = {"content": [] if is_user else [{"type": "text", "text": turn.text}]}
        yield Span(name, span.span_id, "earlier turn", "LLM", start, start, given, came)


def worth_a_look(analysis: Analysis, most: int = 12) -> dict[str, str]:
    """Traces that a person looks at first, with what each shows: what people rejected, what failed.

    ``most`` is how many to name.
    """
    frame, errors = analysis.traces, analysis.errors.head(4)
    timed, costly = (frame.dropna(subset=[n]).sort_values(n) for n in ("seconds", "tokens"))
    well = timed[timed["state"] == "ok"]
    found = [
        ("people rejected it", frame[frame["verdict"] == "rejected"][:3]),
        *(
            (f"goes wrong: {text or 'no reason given'}", frame[frame["trace_id"].isin(ids[:1])])
            for text, ids in zip(errors["text"], errors["trace_ids"], strict=True)
        ),
        ("typical: takes as long as most", well[len(well) // 2 :][:1]),
        ("the slowest", timed[-1:]),
        ("takes the most tokens", costly[-1:]),
        ("one of many", frame[:: max(1, len(frame) // 8)]),
    ]
    picked: dict[str, str] = {}
    for why, trace_id in ((why, each) for why, some in found for each in some["trace_id"]):
        if len(picked) < most:
            picked.setdefault(trace_id, why)
    return picked
