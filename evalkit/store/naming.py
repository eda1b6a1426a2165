"""Names and texts as MLflow takes them, without secrets.

It refuses a whole batch because of one name it does not like. So names are made to fit before,
and two names never become one: what had to be changed ends in a hash of what it was.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from dataclasses import replace

import msgspec

from evalkit.entities import Trace
from evalkit.errors import StoreError
from evalkit.jsonable import Json, derive_id
from evalkit.masking import MASKED, mask_counted, mask_text

NAME_LIMIT = 250
PARAM_LIMIT = 6000
RUN_TAG_LIMIT = 8000

_UNFIT = re.compile("[\x00\ud800-\udfff]")
_ILLEGAL = re.compile(r"[^/\w.\- :]")
_HASH_LENGTH = 8


def clean(text: str) -> str:
    """The text without what databases and UTF-8 have no place for: NUL and halves of characters."""
    return text if text.isascii() and "\x00" not in text else _UNFIT.sub("\ufffd", text)


def shorten(text: str, limit: int) -> str:
    """The text in at most ``limit`` characters, an ellipsis in place of what is left out."""
    text = clean(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def json_text(value: Json) -> str:
    """The value as JSON text, whatever is in its texts."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return clean(json.dumps(value, ensure_ascii=False))


def quoted(text: str) -> str:
    """The text as a value in MLflow's search language.

    Raises:
        StoreError: it holds both kinds of quotes, for which the language has no form.
    """
    mark = "'" if "'" not in text else '"'
    if mark in text:
        raise StoreError(
            f"MLflow cannot be searched for {text!r}: it holds single and double quotes;"
            " use a name without them"
        )
    return f"{mark}{text}{mark}"


def fit_name(name: str) -> str:
    """The name as MLflow takes it: itself where that is possible.

    MLflow allows letters, digits and ``_ - . : /`` and spaces, in 250 characters, and nothing
    that leads elsewhere when read as a path. (Windows allows no colon; servers rarely run there.)
    """
    fitting = _ILLEGAL.sub("_", name)
    if _leads_elsewhere(fitting):
        fitting = "/".join(part.strip(".") or "_" for part in fitting.split("/"))
    if fitting == name and len(name) <= NAME_LIMIT:
        return name
    mark = derive_id(name, length=_HASH_LENGTH)
    return f"{fitting[: NAME_LIMIT - _HASH_LENGTH - 1]}-{mark}"


def fit_value(text: str, limit: int) -> str:
    """The text of a param or tag as MLflow takes it."""
    return shorten(text, limit)


def _leads_elsewhere(name: str) -> bool:
    plain = posixpath.normpath(name)
    return plain != name or plain == "." or plain.startswith(("..", "/"))


class Masking:
    """Masks what is on its way to MLflow.

    Logs are masked as they are read, and assessments and dataset rows where they are compared with
    what stands.

    Attributes:
        masked: Place to secrets that were masked in what was to go there.
    """

    masked: Counter[str]

    def _mask(self, value: Json, place: str) -> Json:
        return mask_counted(value, self.masked, place)

    def _masked_file(self, content: bytes) -> bytes:
        try:
            text = mask_text(content.decode())[0]
        except UnicodeDecodeError:  # a picture, an archive
            return content
        if marks := text.count(MASKED):  # most were masked as they were read
            self.masked["artifacts"] += marks
        return text.encode()

    def _masked_trace(self, trace: Trace) -> Trace:
        """The trace without secrets around its steps; those come from a log, which is masked."""
        root, *steps = trace.spans
        name, inputs, outputs, message = self._mask(
            [root.name, root.inputs, root.outputs, root.message], "traces"
        )
        root = replace(root, name=name, inputs=inputs, outputs=outputs, message=message)
        return replace(
            trace,
            name=self._mask(trace.name, "traces"),
            request=self._mask(trace.request, "traces"),
            response=self._mask(trace.response, "traces"),
            spans=(root, *steps),
            tags=self._mask(dict(trace.tags), "traces"),
            metadata=self._mask(dict(trace.metadata), "traces"),
        )
