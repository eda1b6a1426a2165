"""Answers looked at before anybody believes them: a proxy answers in MLflow's place, with 200 too.

A sign-in page for an artifact that was sent, or for spans, is no error to MLflow's own client.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from evalkit.store.failures import NotMlflow, plain

_SPANS = "/v1/traces"
_IN_JSON = re.compile(r"/api/\d\.\d/mlflow(-artifacts/artifacts$|/)")
_SENT_FILES = "/mlflow-artifacts/artifacts/"


def watch_answers() -> None:
    """Have every answer to a request of MLflow's client in this process looked at."""
    from evalkit.store.internals import http_request, request_utils

    del http_request  # imported first, for it brings the other
    made: Any = request_utils._get_request_session  # noqa: SLF001 - MLflow offers no hook of its own
    if hasattr(made, "__wrapped__"):
        return

    def watched(*args: Any, **kwargs: Any) -> Any:
        session = made(*args, **kwargs)
        if _look_at not in session.hooks["response"]:
            session.hooks["response"].append(_look_at)
        return session

    watched.__wrapped__ = made  # type: ignore[attr-defined]
    request_utils._get_request_session = watched  # noqa: SLF001


def _look_at(answer: Any, **_: Any) -> None:
    """Refuse what no MLflow server says where it has done what it was asked.

    Raises:
        NotMlflow: it is a page, nothing, or leads to another place.
    """
    request = answer.request
    asked = urlsplit(answer.url)
    is_json = bool(_IN_JSON.search(asked.path))
    is_file = request.method == "PUT" and _SENT_FILES in asked.path
    if not (is_json or is_file or asked.path.endswith(_SPANS)):
        return
    if answer.is_redirect:
        to = urlsplit(urljoin(answer.url, answer.headers["Location"]))
        said = (
            "" if to.path == asked.path else f"a redirection to {to.scheme}://{to.netloc}{to.path}"
        )
    elif answer.ok:
        said = "" if is_file and not answer.content else _oddity(answer, is_json or is_file)
    else:
        return
    if said:
        server = f"{asked.scheme}://{asked.netloc}"
        raise NotMlflow(server, f"{request.method} {asked.path}", answer.status_code, said)


def _oddity(answer: Any, is_json: bool) -> str:
    """What an answer is instead of MLflow's; empty where it may be MLflow's."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    body = answer.content.lstrip()
    fits = body[:1] == b"{" if is_json else kind in {"application/x-protobuf", "application/json"}
    if fits and kind != "text/html":
        return ""
    return f"{kind or 'no content type'}: {plain(answer.text)[:80]!r}" if body else "nothing"
