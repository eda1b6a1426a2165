"""What this package needs from MLflow, whichever way leads into it.

What is written once a run goes through MLflow's own tracking store, which both ways have. What is
written once a trace goes through the few methods in which they differ, because MLflow's REST
client spends five times as long on those as the requests themselves take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from evalkit.adapters.store.otlp import EncodedSpans
from evalkit.core.values import Json

PAGE = 500
"""Traces a search returns at a time; MLflow refuses more."""


class Gateway(Protocol):
    """What the concepts of this package need from MLflow.

    Attributes:
        uri: The tracking URI.
        tracking: MLflow's own tracking store.
        workers: Threads that may write traces at a time.
    """

    uri: str
    tracking: Any
    workers: int

    def answering(self, doing: str) -> AbstractContextManager[None]:
        """Turn MLflow's exceptions into StoreError while ``doing`` something."""

    def create_run(
        self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]
    ) -> tuple[str, str]:
        """Create a run, tried once only: a second try could make a second run.

        Returns:
            Its id, and where its artifacts lie.
        """

    def create_dataset(self, name: str, experiment_id: str, tags: Mapping[str, str]) -> str:
        """Create a dataset, tried once only. Its id."""

    def search_traces(
        self, experiment_id: str, condition: str, page: str | None
    ) -> tuple[list[Json], str | None]:
        """One page of traces in MLflow's JSON form, and the name of the next page."""

    def start_trace(self, info: Json) -> None:
        """Create or merge a trace, given in MLflow's JSON form, with its assessments."""

    def send_spans(self, experiment_id: str, traces: Sequence[EncodedSpans]) -> None:
        """Write the spans of several traces; those that are there are overwritten."""

    def create_assessment(self, assessment: Json) -> None:
        """Create one assessment; what it overrides becomes invalid."""
