"""Names and texts as MLflow takes them.

It refuses a whole batch because of one name it does not like. So names are made to fit before,
and two names never become one: what had to be changed ends in a hash of what it was.
"""

from __future__ import annotations

import json
import posixpath
import re

import msgspec

from evalkit.errors import StoreError
from evalkit.jsonable import Json, derive_id

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
