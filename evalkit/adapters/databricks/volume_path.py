"""A path on a volume of Unity Catalog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from evalkit.core.errors import InputError, Problem

_SHAPE = "/Volumes/CATALOG/SCHEMA/VOLUME, and a folder in it if you like"
_OUTSIDE = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class VolumePath:
    """A folder on a volume.

    Attributes:
        catalog: The catalog's name.
        schema: The schema's name.
        volume: The volume's name.
        folder: The POSIX path within the volume; empty for the volume itself.
    """

    catalog: str
    schema: str
    volume: str
    folder: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The path that ``/Volumes/catalog/schema/volume/folder`` stands for.

        Raises:
            InputError: it is not of that form.
        """
        parts = text.strip().removeprefix("dbfs:").rstrip("/").split("/")
        wrong = parts[:2] != ["", "Volumes"] or len(parts) < 5 or _OUTSIDE & set(parts[2:])  # noqa: PLR2004 - "", Volumes and three names
        if wrong:
            raise InputError(
                Problem(f"{text!r} is no path on a volume", field="volume_path", fix=_SHAPE)
            )
        return cls(parts[2], parts[3], parts[4], "/".join(parts[5:]))

    @property
    def full_name(self) -> str:
        """The volume's name in Unity Catalog."""
        return f"{self.catalog}.{self.schema}.{self.volume}"

    def __truediv__(self, name: str) -> str:
        """The absolute path of what lies in the folder.

        Raises:
            InputError: the name leads out of it.
        """
        if not name:
            return str(self)
        if name.startswith("/") or _OUTSIDE & set(name.split("/")):
            raise InputError(Problem(f"{name!r} leads out of {self}", fix="name a file within it"))
        return f"{self}/{name}"

    def relative(self, path: str) -> str:
        """The path within the folder of what lies in it."""
        return PurePosixPath(path).relative_to(str(self)).as_posix()

    def __str__(self) -> str:
        root = f"/Volumes/{self.catalog}/{self.schema}/{self.volume}"
        return f"{root}/{self.folder}" if self.folder else root
