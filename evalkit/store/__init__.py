"""MLflow: the only package that imports it, and not before it is needed.

``connect`` gives a :class:`Store`, the port that flows use; ``probe`` says whether it would.
"""

from __future__ import annotations

from evalkit.store.forms import as_kept
from evalkit.store.probe import Reachability, probe
from evalkit.store.runs import RunRecord, StoredRun, WrittenRun
from evalkit.store.store import Store
from evalkit.store.stored_spans import spans_of
from evalkit.store.traces_read import assessments_of, run_of
from evalkit.store.traces_write import Written

__all__ = [
    "Reachability",
    "RunRecord",
    "Store",
    "StoredRun",
    "Written",
    "WrittenRun",
    "as_kept",
    "assessments_of",
    "connect",
    "probe",
    "run_of",
    "spans_of",
]


def connect(uri: str, *, timeout_s: float = 4.0) -> Store:
    """Open the MLflow behind a tracking URI.

    Args:
        uri: A server (``http://host:port``) or a database (``sqlite:///file``, which is made
            where it is missing).
        timeout_s: Seconds to wait for an answer; importing MLflow takes its own time on top.

    Raises:
        StoreAbsent: nobody answers: refused, not to be resolved, or silent.
        StoreError: something is there that cannot be used; says what to do.
    """
    from evalkit.store.opening import open_gateway

    return Store(open_gateway(uri, timeout_s=timeout_s))
