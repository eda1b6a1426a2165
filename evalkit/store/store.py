"""The port: what evalkit does with MLflow, whichever way leads there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Literal, overload

from evalkit.core.spans import Trace
from evalkit.core.tracking import experiment_problems
from evalkit.entities import RUN_TAG, Assessment, Changes, StoredTrace
from evalkit.errors import InputError, StoreError
from evalkit.store import (
    assessments,
    batch,
    recording,
    search,
    traces,
)
from evalkit.store.agent_traces import AgentTraces
from evalkit.store.artifacts import Artifacts
from evalkit.store.datasets import Datasets
from evalkit.store.evaluations import Evaluations
from evalkit.store.failures import Refused
from evalkit.store.gateway import Gateway
from evalkit.store.links import Links
from evalkit.store.parcel import Destination
from evalkit.store.runs import StoredRun
from evalkit.store.traces import Written


class Store(AgentTraces, Artifacts, Datasets, Evaluations, Links):
    """An MLflow tracking server or database.

    It remembers what it has just read (the tags of a run, the traces of a run key), so that
    writing what follows needs no second look. It serves one thread at a time.

    Attributes:
        uri: The tracking URI.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.uri = gateway.uri
        self._gateway = gateway
        self._runs: dict[str, StoredRun] = {}
        self._traces: dict[tuple[str, str], list[StoredTrace]] = {}
        self._experiment_of: dict[str, str] = {}
        self.masked = Counter()

    @overload
    def experiment(self, name: str, *, create: Literal[True]) -> str: ...

    @overload
    def experiment(self, name: str, *, create: bool) -> str | None: ...

    def experiment(self, name: str, *, create: bool) -> str | None:
        """The id of the experiment; None where there is none and ``create`` is False.

        Raises:
            InputError: this MLflow cannot have an experiment of that name.
            StoreError: an experiment of that name was deleted, or MLflow failed.
        """
        name = self._mask(name, "experiment")
        if problems := experiment_problems(self.uri, name):
            raise InputError(*problems)
        with self._gateway.alone() if create else nullcontext():
            found = self._experiment(name)
            if found is not None or not create:
                return found
            try:
                with self._gateway.answering(f"creating the experiment {name!r}"):
                    return str(self._gateway.tracking.create_experiment(name))
            except Refused as error:
                # somebody else was quicker
                if error.says_it_is_there and (found := self._experiment(name)):
                    return found
                raise

    def _experiment(self, name: str) -> str | None:
        with self._gateway.answering(f"looking for the experiment {name!r}"):
            found = self._gateway.tracking.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage != "active":
            raise StoreError(
                f"the experiment {name!r} was deleted in MLflow: restore it"
                f" (mlflow experiments restore --experiment-id {found.experiment_id}),"
                " or name another one under mlflow.experiment in the config"
            )
        return None if found is None else str(found.experiment_id)

    # -- traces -----------------------------------------------------------------------------

    def find_traces(self, experiment_id: str, run_key: str) -> list[StoredTrace]:
        """The traces of a run, whether evalkit wrote or adopted them.

        Raises:
            StoreError: MLflow failed.
        """
        found = search.find_traces(self._gateway, experiment_id, run_key)
        self._traces[experiment_id, run_key] = found
        self._note(experiment_id, found)
        return found

    def find_recorded(self, experiment_id: str) -> list[StoredTrace]:
        """The finished traces that the harness recorded itself and that no run has yet.

        Raises:
            StoreError: MLflow failed.
        """
        found = search.find_recorded(self._gateway, experiment_id)
        self._note(experiment_id, found)
        return found

    def write_traces(
        self,
        experiment_id: str,
        run_id: str,
        items: Iterable[tuple[Trace, Sequence[Assessment]]],
    ) -> Iterator[Written]:
        """Write traces of one run with their assessments; earlier versions are replaced.

        The run's key is taken from each trace's tag ``evalkit.run``. Assessments that are on an
        earlier version stay, whoever made them, except where one of the same id comes along.
        ``items`` is read as the writing goes on; a few batches of it are in memory at a time.

        Yields:
            What became of each trace, batch by batch: it stands complete, or MLflow refuses it.

        Raises:
            StoreError: MLflow failed as a whole; says how many traces stood by then.
        """
        earlier: dict[str, Mapping[str, StoredTrace]] = {}

        def known(trace: Trace) -> StoredTrace | None:
            key = trace.tags.get(RUN_TAG, "")
            if key not in earlier:
                earlier[key] = self._earlier(experiment_id, key)
            return earlier[key].get(trace.trace_id)

        destination = Destination(experiment_id, run_id, known)
        masked = ((self._masked_trace(trace), wanted) for trace, wanted in items)
        with self._gateway.alone():
            yield from traces.write_traces(self._gateway, destination, masked)

    def record(
        self, experiment_id: str, items: Sequence[tuple[Trace, Sequence[Assessment]]]
    ) -> int:
        """Write those traces that are not there, as an agent leaves them that no run owns.

        Args:
            experiment_id: The experiment.
            items: The traces with their assessments; one whose status is UNSET is not over.

        Returns:
            How many had to be written.

        Raises:
            StoreError: MLflow failed; doing the same again finishes.
        """
        masked = [(self._masked_trace(trace), wanted) for trace, wanted in items]
        return recording.record(self._gateway, experiment_id, masked)

    def delete_traces(self, experiment_id: str, trace_ids: Sequence[str]) -> None:
        """Delete traces with everything on them; ids that are not there are passed over.

        Raises:
            StoreError: MLflow failed.
        """
        batch.delete_traces(self._gateway, experiment_id, trace_ids)

    def adopt_traces(self, run_id: str, tags: Mapping[str, Mapping[str, str]]) -> None:
        """Take traces that the harness recorded into a run.

        Args:
            run_id: The run.
            tags: Trace id to the tags it gets, ``evalkit.run`` among them.

        Raises:
            StoreError: a trace is gone, or MLflow failed; doing the same again finishes.
        """
        for experiment_id, ids in self._by_experiment(tags).items():
            some = {each: self._mask(dict(tags[each]), "traces") for each in ids}
            with self._gateway.alone():
                assessments.adopt(self._gateway, experiment_id, run_id, some)

    def supersede(
        self, experiment_id: str, successors: Mapping[str, tuple[str, Mapping[str, str]]]
    ) -> None:
        """Let traces give way to others: what was said of them moves there, and they go.

        Args:
            experiment_id: The experiment of all of them.
            successors: Trace id to the id of the one that takes its place, with the tags that
                this one gets; it joins the run of the other.

        Raises:
            StoreError: MLflow failed; doing the same again finishes.
        """
        assessments.supersede(self._gateway, experiment_id, successors)
        batch.delete_traces(self._gateway, experiment_id, list(successors))

    # -- assessments ------------------------------------------------------------------------

    def write_assessments(self, changes: Changes) -> None:
        """Bring changes about on traces that are there.

        Raises:
            StoreError: a trace is gone, or MLflow failed; doing the same again finishes.
        """
        touched = [a.trace_id for a in (*changes.create, *changes.update, *changes.delete)]
        groups = self._by_experiment(touched).items()
        experiment_of = {each: experiment_id for experiment_id, ids in groups for each in ids}
        with self._gateway.alone():
            assessments.write_assessments(self._gateway, experiment_of, changes)

    def _earlier(self, experiment_id: str, run_key: str) -> Mapping[str, StoredTrace]:
        """The traces of a run as they were last read; what is written now makes that old."""
        if (experiment_id, run_key) not in self._traces:
            self.find_traces(experiment_id, run_key)
        return {trace.trace_id: trace for trace in self._traces.pop((experiment_id, run_key))}

    def _note(self, experiment_id: str, found: Iterable[StoredTrace]) -> None:
        self._experiment_of.update((trace.trace_id, experiment_id) for trace in found)

    def _by_experiment(self, trace_ids: Iterable[str]) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for trace_id in dict.fromkeys(trace_ids):
            if trace_id not in self._experiment_of:
                self._experiment_of[trace_id] = search.experiment_of(self._gateway, trace_id)
            groups.setdefault(self._experiment_of[trace_id], []).append(trace_id)
        return groups
