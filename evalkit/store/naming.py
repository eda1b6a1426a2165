"""Names and texts that MLflow takes for params, metrics and tags of a run.

It refuses a whole batch because of one name it does not like. So names are made to fit before,
and two names never become one: what had to be changed ends in a hash of what it was.
"""

from __future__ import annotations

import posixpath
import re

from evalkit.jsonable import derive_id
from evalkit.store.wire import shorten

NAME_LIMIT = 250
PARAM_LIMIT = 6000
RUN_TAG_LIMIT = 8000

_ILLEGAL = re.compile(r"[^/\w.\- :]")
_HASH_LENGTH = 8


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
