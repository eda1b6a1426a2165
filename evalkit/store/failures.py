"""What goes wrong between evalkit and MLflow, said so that a person knows what to do next."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from evalkit.errors import StoreAbsent, StoreError
from evalkit.jsonable import mapping_of
from evalkit.tracking import is_workspace, without_password

_PROXY = "where all else works, have the proxy before MLflow let this path through"
_ADVICE = {
    401: "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD;"
    f" {_PROXY}",
    403: "use an account that may do this, or allow this host (mlflow server --allowed-hosts);"
    f" {_PROXY}",
    404: "check that the tracking URI is that of an MLflow server, of version 3.13 or newer, and"
    " that no proxy before it keeps this path back",
    413: "raise the size of requests that the proxy before MLflow accepts",
    429: "wait a little and run the same command again",
    500: "see the server's own log, then run the same command again",
}
_ADVICE_WORKSPACE = _ADVICE | {
    401: "set DATABRICKS_HOST and DATABRICKS_TOKEN, or log in: databricks auth login",
    403: "use an account that may do this, or have it granted the right (GRANT in Unity Catalog)",
    500: "run the same command again; if it stays so, ask who runs the workspace",
}
_ADVICE_DELETED = "see in MLflow's UI whether it was deleted, then run the same command again"
_ADVICE_GONE = "see whether the server still runs, then run the same command again"
_ADVICE_TLS = "set MLFLOW_TRACKING_SERVER_CERT_PATH to the certificate of the server's authority"

NOT_FOUND = 404
_STATUS = {"PERMISSION_DENIED": 403, "UNAUTHENTICATED": 401}
_SERVER_ERRORS = 500
_LONGEST = 300  # characters of MLflow's own message that are repeated: servers send whole pages

_NO_JSON = re.compile(
    r"API request to endpoint (\S+) failed with error code (\d+) != \d+\. Response body: '(.*)'",
    re.DOTALL,
)
"""What MLflow's client says of an answer that is no JSON."""

UNTRUSTED, _CUT = "its certificate is not trusted", "the connection was cut"
_REASONS = {
    "Connection refused": "the connection was refused",
    "resolve|Name or service|getaddrinfo": "its name cannot be resolved",
    "unreachable": "there is no way to it",
    "timed out": "it stayed silent",
    "reset|aborted|broken": _CUT,
}


T = TypeVar("T")


class Refused(StoreError):
    """MLflow answered, and did not do what it was asked: an HTTP status, and MLflow's code."""

    def __init__(self, where: str, doing: str, status: int, code: str, message: str) -> None:
        self.status, self.code = status, code
        # the SDK of Databricks appends what it is configured with
        own_words = " ".join(message.split()).partition(" Config: host=")[0]
        self.said = own_words[:_LONGEST].rstrip(".")
        known = _ADVICE_WORKSPACE if is_workspace(where) else _ADVICE
        is_gone = status == NOT_FOUND and code
        advice = _ADVICE_DELETED if is_gone else known.get(min(status, _SERVER_ERRORS), "")
        super().__init__(
            f"MLflow at {where} refused {doing} ({f'{status} {code}'.rstrip()})"
            + (f": {self.said}" if self.said else "")
            + (f". What to do: {advice}" if advice else "")
        )

    @property
    def says_there_is_none(self) -> bool:
        """Whether what was asked for is not there; workspaces have names of their own for that."""
        return self.status == NOT_FOUND or self.code.endswith("_DOES_NOT_EXIST")

    @property
    def concerns_access(self) -> bool:
        """Whether it would refuse everything else of the kind as well."""
        # MLflow says by a code what is not there; a server that lacks the path does not
        no_path = self.status == NOT_FOUND and not self.code
        return no_path or self.status in (401, 403, 405, 407, 429, 501)


def unless_gone(ask: Callable[[str], T], named: str) -> T | None:
    """What MLflow says of something that is named; None where there is none."""
    try:
        return ask(named)
    except Refused as error:
        if error.says_there_is_none:
            return None
        raise


class NotMlflow(StoreError):
    """Something else answered in MLflow's place, such as a proxy's page to sign in."""

    def __init__(self, where: str, request: str, status: int, said: str) -> None:
        super().__init__(
            f"what answered {request} at {without_password(where)} is not MLflow"
            f" ({status}, {said}). What to do: sign in again if a proxy asks for it, or have it"
            " let this path through; then run the same command again"
        )


@contextmanager
def answering(uri: str, doing: str) -> Iterator[None]:
    """Turn whatever MLflow's own code raises while ``doing`` something into a StoreError."""
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    where = without_password(uri)
    try:
        yield
    except ImportError as error:
        raise StoreError(
            f"{where} needs a Python package ({error.name or error.__cause__ or error}): install it"
            " beside evalkit, for datasets of a workspace pip install 'mlflow-evalkit[databricks]'"
        ) from error
    except json.JSONDecodeError as error:
        raise NotMlflow(where, f"to {doing}", 200, repr(plain(error.doc)[:80])) from error
    except MlflowException as error:
        raise _from_mlflow(where, doing, error) from error
    except (requests.RequestException, SQLAlchemyError, OSError, NotImplementedError) as error:
        # the last where MLflow's client could not ask the server for its version
        raise _from_network(where, doing, error) from error


def _from_mlflow(where: str, doing: str, error: Any) -> StoreError:
    import requests

    # MLflow wraps a failed connection, sometimes without naming it as the cause
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, (requests.RequestException, NotMlflow)):
        seen = seen.__cause__ or seen.__context__
    if isinstance(seen, NotMlflow):
        return seen
    if seen is not None:
        return _from_network(where, doing, seen)
    message = str(getattr(error, "message", error))
    if found := _NO_JSON.match(message):  # by something before MLflow, which has no codes
        return Refused(where, f"{found[1]} ({doing})", int(found[2]), "", plain(found[3]))
    return Refused(where, doing, error.get_http_status_code(), error.error_code or "", message)


def _from_network(where: str, doing: str, error: BaseException) -> StoreError:
    """An answer's address is not repeated, for it may be a signed one."""
    answer, code = getattr(error, "response", None), str(getattr(error, "error_code", None) or "")
    if answer is None and code:  # as the SDK of Databricks raises it
        usual = NOT_FOUND if code.endswith("_DOES_NOT_EXIST") else 400
        return Refused(where, doing, _STATUS.get(code, usual), code, str(error))
    if answer is not None:
        words = answer.reason
        with suppress(ValueError):
            said = mapping_of(answer.json())
            code, words = said.get("error_code") or "", said.get("message") or words
        return Refused(where, doing, answer.status_code, str(code), str(words or ""))
    if found := re.search(r"too many (\d+) error", str(error)):  # asked again in vain
        return Refused(where, doing, int(found[1]), "", "")
    why = reason(error)
    advice = _ADVICE_TLS if why == UNTRUSTED else _ADVICE_GONE
    return StoreError(
        f"MLflow at {where} gave no answer while {doing} ({why}). What to do: {advice}"
    )


def plain(text: str) -> str:
    """The words of a page, without its marks."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def is_absence(cause: BaseException) -> bool:
    """Whether a failed connection says that nobody is there, and not that somebody said no."""
    return reason(cause) in {*_REASONS.values()} - {_CUT}


def reason(cause: BaseException) -> str:
    """Why there was no answer, in a few words."""
    import requests

    if isinstance(cause, requests.exceptions.SSLError):
        return UNTRUSTED
    text = "timed out" if isinstance(cause, requests.Timeout) else str(cause)
    found = next((words for signs, words in _REASONS.items() if re.search(signs, text)), None)
    return found or " ".join(text.split())[:_LONGEST] or type(cause).__name__


def within(seconds: float, uri: str, ask: Callable[[], T]) -> T:
    """The answer of ``ask``, or StoreAbsent; sockets have no timeout for names and slow bytes."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised again by the waiting thread
            answer.set_exception(error)

    Thread(target=run, daemon=True, name="evalkit-probe").start()
    try:
        return answer.result(seconds)
    except TimeoutError as error:
        where = without_password(uri)
        raise StoreAbsent(f"MLflow at {where} is not reachable: it stayed silent") from error


_OF_MLFLOW = re.compile(r"/api/\d\.\d/mlflow(-artifacts/artifacts$|/)|/v1/traces$")
_UPLOAD = re.compile(r"PUT .*/mlflow-artifacts/artifacts/")
_MADE = re.compile(r"/(run|experiment|dataset)s/create$")


def watch_answers() -> None:
    """Have every answer to a request of MLflow's client in this process looked at."""
    from evalkit.store.internals import request_utils

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
    """Refuse, as NotMlflow, what no MLflow server says where it has done what it was asked."""
    asked = urlsplit(answer.url)
    request, said = f"{answer.request.method} {asked.path}", ""
    is_upload = bool(_UPLOAD.match(request))
    if not is_upload and not _OF_MLFLOW.search(asked.path):
        return
    if answer.is_redirect:
        to = urlsplit(urljoin(answer.url, answer.headers["Location"]))
        if to.path != asked.path:
            said = f"a redirection to {to.scheme}://{to.netloc}{to.path}"
    elif answer.ok and not (is_upload and not answer.content):
        said = _oddity(answer, asked.path)
    if said:
        raise NotMlflow(f"{asked.scheme}://{asked.netloc}", request, answer.status_code, said)


def _oddity(answer: Any, path: str) -> str:
    """What an answer is instead of MLflow's; empty where it may be MLflow's."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    body = answer.content.lstrip()
    fits = body[:1] == b"{"
    if path.endswith("/v1/traces"):
        fits = kind in {"application/x-protobuf", "application/json"}
    if made := _MADE.search(path):  # without its name it is somebody else's JSON
        fits = fits and bool(re.search(rf'"{made[1]}(_id)?"', answer.text))
    if fits and kind != "text/html":
        return ""
    return f"{kind or 'no content type'}: {plain(answer.text)[:80]!r}" if body else "nothing"
