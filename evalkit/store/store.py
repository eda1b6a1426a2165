"""The port: what evalkit does with MLflow, whichever way leads there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Literal, overload

from evalkit.core.mirror import digest_of
from evalkit.core.spans import Trace
from evalkit.entities import RUN_TAG, Assessment, Changes, StoredTrace
from evalkit.jsonable import Json
from evalkit.store import (
    artifacts,
    assessments,
    batch,
    experiments,
    recording,
    runs,
    search,
    traces,
)
from evalkit.store.agent_traces import AgentTraces
from evalkit.store.dataset_rows import DatasetRows
from evalkit.store.evaluations import Evaluations
from evalkit.store.gateway import Gateway
from evalkit.store.links import Links
from evalkit.store.masking import Masking
from evalkit.store.parcel import Destination
from evalkit.store.runs import RunRecord, StoredRun, WrittenRun
from evalkit.store.traces import Written


class Store(AgentTraces, DatasetRows, Evaluations, Links, Masking):
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
            StoreError: an experiment of that name was deleted, or MLflow failed.
        """
        name = self._mask(name, "experiment")
        with self._gateway.alone() if create else nullcontext():
            return experiments.experiment_id(self._gateway, name, create=create)

    # -- runs -------------------------------------------------------------------------------

    def find_run(self, experiment_id: str, key: str) -> StoredRun | None:
        """The run of that key; None where there is none.

        Raises:
            StoreError: MLflow failed.
        """
        run = runs.find_run(self._gateway, experiment_id, key)
        if run is not None:
            self._runs[run.run_id] = run
        return run

    def write_run(self, experiment_id: str, record: RunRecord) -> WrittenRun:
        """Find or create a run and bring it up to date; nothing is sent where nothing changed.

        Raises:
            StoreError: MLflow failed.
        """
        record = replace(
            record,
            name=self._mask(record.name, "run name"),
            params=self._mask(dict(record.params), "params"),
            tags=self._mask(dict(record.tags), "tags"),
            metrics=[(self._mask(name, "metrics"), value) for name, value in record.metrics],
        )
        with self._gateway.alone():
            outcome, run = runs.write_run(self._gateway, experiment_id, record)
        self._runs[outcome.run_id] = run
        return outcome

    def write_artifacts(
        self,
        run_id: str,
        files: Mapping[str, bytes],
        tables: Mapping[str, Mapping[str, Sequence[Json]]] | None = None,
    ) -> tuple[str, ...]:
        """Send the artifacts whose content is not there yet.

        Args:
            run_id: The run.
            files: Content by path, POSIX and relative.
            tables: By path, which ends in ``.json``: the values of each column, by its name.
                MLflow's UI shows them as tables.

        Returns:
            The paths that were sent.

        Raises:
            StoreError: MLflow failed; what was sent is not sent again.
        """
        run = self._run(run_id)
        files = {path: self._masked_file(content) for path, content in files.items()}
        tables = self._mask(dict(tables or {}), "artifacts")
        with self._gateway.alone():
            sent, tags = artifacts.write_artifacts(self._gateway, run, files, tables)
        self._runs[run_id] = runs.with_tags(run, tags)
        return sent

    def link_dataset(
        self, run_id: str, experiment_id: str, name: str
    ) -> Literal["linked", "was linked", "missing"]:
        """Link a run to a dataset, as the input that it was evaluated on, if to none so far.

        Its digest is of the rows' content, whoever wrote them.

        Returns:
            Whether it is linked now, was before, or there is no such dataset.

        Raises:
            StoreError: MLflow failed.
        """
        run = self._run(run_id)
        if run.datasets:
            return "was linked"
        dataset_id = self._gateway.datasets.find(name, experiment_id) if name else None
        if dataset_id is None:
            return "missing"
        digest = digest_of(self._gateway.datasets.rows(dataset_id))
        source = self._gateway.datasets.source(name, dataset_id)
        with self._gateway.alone():
            runs.link_dataset(self._gateway, run_id, name, digest, source)
        self._runs[run_id] = replace(run, datasets=(name,))
        return "linked"

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

    def _run(self, run_id: str) -> StoredRun:
        if run_id not in self._runs:
            self._runs[run_id] = runs.read_run(self._gateway, run_id)
        return self._runs[run_id]

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
