"""The port's part for people: where a browser shows what is in MLflow."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from evalkit.store.probe import is_server


class Links:
    """Addresses of MLflow's own pages; a database has none."""

    uri: str

    def trace_url(self, experiment_id: str, trace_id: str) -> str | None:
        """Where a browser shows a trace, however old it is; None for a database."""
        return self._url(f"experiments/{experiment_id}/traces?selectedEvaluationId={trace_id}")

    def traces_url(self, experiment_id: str) -> str | None:
        """Where a browser shows an experiment's traces; None for a database."""
        return self._url(f"experiments/{experiment_id}/traces")

    def run_url(self, experiment_id: str, run_id: str) -> str | None:
        """Where a browser shows a run; None for a database."""
        return self._url(f"experiments/{experiment_id}/runs/{run_id}")

    def datasets_url(self, experiment_id: str) -> str | None:
        """Where a browser shows an experiment's datasets; None for a database."""
        return self._url(f"experiments/{experiment_id}/datasets")

    def _url(self, page: str) -> str | None:
        if not is_server(self.uri):
            return None
        parts = urlsplit(self.uri)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/", "", "/" + page))
