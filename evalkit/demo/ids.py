"""The ids in a generated log: made up, but the same each time the same story is told."""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass


@dataclass(slots=True)
class Ids:
    """The ids of one session, in the order in which they are asked for.

    Attributes:
        name: The session's name, which all of them are derived from.
    """

    name: str
    _given: int = 0

    @property
    def session(self) -> str:
        """The session's own id."""
        return _uuid(self.name)

    def uuid(self) -> str:
        """The next uuid."""
        return _uuid(f"{self.name}/{self._next()}")

    def api(self, prefix: str, length: int = 22) -> str:
        """The next id of the kind that the API gives, such as ``msg_01…``."""
        digest = hashlib.sha256(f"{self.name}/{prefix}/{self._next()}".encode()).digest()
        return prefix + base64.b64encode(digest, b"xY").decode()[:length]

    def _next(self) -> int:
        self._given += 1
        return self._given


def _uuid(seed: str) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(seed.encode()).digest()[:16], version=4))
