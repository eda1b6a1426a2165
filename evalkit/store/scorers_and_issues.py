"""The port's part for scorers that MLflow holds and for its Issues; no scorer is run here."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.errors import StoreError
from evalkit.store.client import Client
from evalkit.store.naming import Masking
from evalkit.tracking import is_workspace

CUSTOM_SCORERS = "MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS"


class ScorersAndIssues(Masking):
    """Registered scorers, and issues with their evidence."""

    _client: Client

    def register_scorers(self, experiment_id: str, serialized: Mapping[str, str]) -> dict[str, str]:
        """Register scorers and judges where they are not registered as they are.

        No code of theirs is run here.

        Args:
            experiment_id: The experiment.
            serialized: Each as MLflow serializes it, by name.

        Returns:
            Why MLflow does not hold one, by its name; empty where it does.
        """
        client, said = self._client, dict[str, str]()
        if is_workspace(client.uri):
            return dict.fromkeys(serialized, "in a workspace its owner has to register it")
        allowed = os.environ.get(CUSTOM_SCORERS, "").casefold() in ("true", "1")
        try:
            with client.answering("listing scorers"):
                listed = client.tracking.list_scorers(experiment_id)
            there = {each.scorer_name: json.loads(each._serialized_scorer) for each in listed}  # noqa: SLF001 - the public property builds what it describes
        except StoreError as error:  # a store that holds none
            return dict.fromkeys(serialized, str(error))
        for name, text in serialized.items():
            wanted = _checked(name, text)
            said[name] = ""
            if not wanted:
                said[name] = "it is none that MLflow knows"
            elif wanted.get("call_source") and not allowed and client.uri.startswith("sqlite"):
                said[name] = f"MLflow takes code only where {CUSTOM_SCORERS} is true"
            elif there.get(name) != wanted:
                try:
                    with client.answering("registering a scorer"):
                        client.tracking.register_scorer(experiment_id, name, json.dumps(wanted))
                except StoreError as error:  # such as a judge whose model this store does not allow
                    said[name] = str(error)
        return said

    def write_issue(
        self, experiment_id: str, name: str, description: str, trace_ids: Sequence[str]
    ) -> str:
        """An MLflow Issue with its evidence; again is safe.

        Args:
            experiment_id: The experiment of the traces.
            name: What is wrong, in short; there is one issue of a name.
            description: What was found.
            trace_ids: The traces that show it.

        Returns:
            Its id.

        Raises:
            StoreError: MLflow failed.
        """
        from mlflow.entities import AssessmentSource, IssueReference

        tracking = self._client.tracking
        name, description = self._mask([name, description], "issues")
        with self._client.answering(f"writing the issue {name!r}"):
            found = [i for i in tracking.search_issues(experiment_id) if i.name == name]
            issue = (
                found[0]
                if found
                else tracking.create_issue(experiment_id, name, description, created_by="evalkit")
            )
            source = AssessmentSource("CODE", "evalkit")
            for trace_id in dict.fromkeys(trace_ids):
                said = tracking.get_trace_info(trace_id).assessments
                if not any(each.name == issue.issue_id for each in said):
                    reference = IssueReference(issue.issue_id, name, source, trace_id=trace_id)
                    tracking.create_assessment(reference)
        return str(issue.issue_id)


def _checked(name: str, serialized: str) -> dict[str, Any]:
    """A scorer of MLflow's own, or code as MLflow keeps it; empty where it is neither."""
    from mlflow.genai import scorers

    try:
        said = json.loads(serialized)
        if said.get("call_source"):
            parts = ("call_source", "call_signature", "original_func_name", "mlflow_version")
            return {"name": name, "serialization_version": 1, **{p: str(said[p]) for p in parts}}
        kind: Any = getattr(scorers, said["builtin_scorer_class"])
        values = dict(said["builtin_scorer_pydantic_data"])
        fields = values.keys() & kind.__pydantic_fields__.keys()
        made: Any = kind(**{key: values[key] for key in fields})
        is_one = isinstance(made, scorers.Scorer)
        return dict(json.loads(json.dumps(made.model_dump()))) if is_one else {}
    except Exception:  # noqa: BLE001 - whatever a suite's process wrote
        return {}
