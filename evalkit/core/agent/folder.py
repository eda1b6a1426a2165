"""Where a session's files lie, as far as anybody but an adapter needs to know."""

from __future__ import annotations

from typing import Protocol


class Folder(Protocol):
    """Files by their path, written whole: a directory, or a folder of a Unity Catalog volume.

    Paths are relative, POSIX, and lead nowhere else. Nothing is appended to, renamed or locked,
    because volumes do none of these.

    Attributes:
        location: The folder as a person names it.
    """

    location: str

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is none."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Write a whole file; one that is there is replaced."""
        ...

    def claim(self, path: str, content: bytes) -> bool:
        """Write a file unless it is there; False where it is."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """The paths of all files whose path begins with the prefix, sorted."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is passed over."""
        ...
