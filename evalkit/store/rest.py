"""The way into an MLflow server: plain REST, with MLflow's own credentials and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from evalkit.core.tracking import without_password
from evalkit.jsonable import Json
from evalkit.store.answers import watch_answers
from evalkit.store.datasets import KeptDatasets
from evalkit.store.failures import NotMlflow, Refused, answering, plain
from evalkit.store.gateway import Datasets, Gateway
from evalkit.store.naming import json_text

_OK = 200


class RestGateway(Gateway):
    """An MLflow server, spoken to in plain REST with MLflow's own credentials and settings."""

    workers = 4
    layered = True

    def __init__(self, uri: str) -> None:
        from evalkit.store.internals import get_store

        watch_answers()
        self.uri = uri
        with self.answering("opening it"):
            self.tracking: Any = get_store(uri)
        self.datasets: Datasets = KeptDatasets(self)

    def answering(self, doing: str) -> AbstractContextManager[None]:
        """Turn MLflow's exceptions into StoreError while ``doing`` something."""
        return answering(self.uri, doing)

    def create_run(
        self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]
    ) -> tuple[str, str]:
        """Create a run by one request that is never repeated."""
        body = {
            "experiment_id": experiment_id,
            "run_name": name,
            "start_time": start_ms,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        info = self._create("/api/2.0/mlflow/runs/create", body, "run")["info"]
        return info["run_id"], info["artifact_uri"]

    def _create_dataset(self, name: str, experiment_id: str, tags: Mapping[str, str]) -> str:
        body = {"name": name, "experiment_ids": [experiment_id], "tags": json_text(dict(tags))}
        dataset_id: str = self._create("/api/3.0/mlflow/datasets/create", body, "dataset")[
            "dataset_id"
        ]
        return dataset_id

    def _create(self, endpoint: str, body: Json, what: str) -> Json:
        """What one request created that is never repeated.

        Raises:
            NotMlflow: somebody else answered.
        """
        answer = self._post(endpoint, body, f"creating the {what}", retries=0)
        if not isinstance(answer.get(what), dict):
            said = repr(plain(str(answer))[:80])
            raise NotMlflow(without_password(self.uri), f"POST {endpoint}", 200, said)
        return answer[what]

    def _post(self, endpoint: str, body: Json, doing: str, retries: int | None = None) -> Json:
        return self._request(endpoint, doing, retries, json=body).json()

    def _request(
        self, endpoint: str, doing: str, retries: int | None = None, **content: Any
    ) -> Any:
        """One POST; ``retries`` None leaves it to MLFLOW_HTTP_REQUEST_MAX_RETRIES."""
        creds = self.tracking.get_host_creds
        return request(self.uri, creds, "POST", endpoint, doing, retries, **content)


def request(
    uri: str,
    creds: Callable[[], Any],
    method: str,
    endpoint: str,
    doing: str,
    retries: int | None = None,
    **content: Any,
) -> Any:
    """One request, as MLflow's own client sends it.

    Args:
        uri: The tracking URI, for messages.
        creds: Gives MLflow's host and credentials, as they are now.
        method: Such as ``POST``.
        endpoint: The path.
        doing: What is being done, such as ``writing the run``.
        retries: How often it may be sent again; None leaves it to MLFLOW_HTTP_REQUEST_MAX_RETRIES.
        content: What ``requests`` takes: ``json``, ``data``, ``params``; and ``extra_headers``.

    Raises:
        Refused: the answer is not "OK".
        Unanswered: there was none.
    """
    from evalkit.store.internals import http_request

    with answering(uri, doing):
        answer = http_request(
            creds(), endpoint, method, max_retries=retries, raise_on_status=False, **content
        )
    if answer.status_code == _OK:
        return answer
    code, said = _error_of(answer)
    what = f"{method} {endpoint} ({doing})"
    raise Refused(without_password(uri), what, answer.status_code, code, said)


def _error_of(answer: Any) -> tuple[str, str]:
    """MLflow's name of an error and its message, as far as the answer holds them."""
    try:
        body = answer.json()
    except ValueError:
        return "", answer.text
    if not isinstance(body, dict):
        return "", answer.text
    return str(body.get("error_code") or ""), str(body.get("message", body.get("detail", "")))
