"""Waiting for an answer, and not for longer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from evalkit.core.tracking import without_password
from evalkit.errors import StoreAbsent

T = TypeVar("T")


def within(seconds: float, uri: str, ask: Callable[[], T]) -> T:
    """The answer of ``ask``, or StoreAbsent when it takes longer than ``seconds``.

    It runs in a thread of its own, because neither a name that takes long to resolve nor a
    server that sends a byte now and then ends by a timeout of the socket.
    """
    answers: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # noqa: BLE001 - raised again by the waiting thread
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True, name="evalkit-probe")
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not answers:
        raise StoreAbsent(f"MLflow at {without_password(uri)} is not reachable: it stayed silent")
    return answers[0]
