"""Reading and writing single files safely: inside their folder, as UTF-8, whole or not at all."""

from __future__ import annotations

import codecs
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from evalkit.core.document import Document, parse_json, parse_yaml
from evalkit.core.errors import InputError, Problem

VOLUMES = Path("/Volumes")
"""Where Databricks mounts volumes: they take whole files, and neither renaming nor rights."""

DOCUMENT_SUFFIXES = (".yaml", ".yml", ".json")
"""Files that are parsed, not only read."""


def inside(path: Path, root: Path) -> Path:
    """``path`` itself, once it is sure that it does not lead out of ``root``.

    Raises:
        InputError: a symbolic link on the way leads elsewhere.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(
            Problem(
                f"leads out of {root}",
                str(path),
                fix="copy the file into the folder instead of linking to it",
            )
        )
    return path


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        InputError: the file is missing, cannot be read, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            Problem("there is no such file", str(path), fix="check the path")
        ) from error
    except OSError as error:
        raise InputError(
            Problem(f"cannot be read: {error.strerror}", str(path), fix="check what it is")
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            Problem(
                f"is not UTF-8 (byte 0x{data[error.start]:02x})",
                str(path),
                line,
                fix="save the file as UTF-8",
            )
        ) from error


def read_document(path: Path, *, with_lines: bool = False) -> Document:
    """A YAML or JSON file, parsed by its suffix.

    Raises:
        InputError: it cannot be read or parsed.
    """
    text = read_text(path)
    if path.suffix == ".json":
        return parse_json(text, str(path))
    return parse_yaml(text, str(path), with_lines=with_lines)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: a kill leaves the old file or the new one.

    It keeps its rights, and the byte order mark it may begin with, which reading leaves out. On a
    volume of Databricks it is the volume that takes whole files only.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_on_volume(path):
            path.write_bytes(_mark_of(path) + text.encode())
            return
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_mark_of(path) + text.encode())
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                Path(temporary).chmod(path.stat().st_mode & 0o777)
            else:
                Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(
            Problem(f"cannot be written: {error.strerror}", str(path), fix="check the folder")
        ) from error


def is_on_volume(path: Path) -> bool:
    """Whether it lies on a volume that Databricks has mounted."""
    return path.resolve().is_relative_to(VOLUMES)


def _mark_of(path: Path) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return codecs.BOM_UTF8 if file.read(3) == codecs.BOM_UTF8 else b""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def files_below(folder: Path, root: Path) -> Iterator[str]:
    """Relative POSIX paths of all files below ``folder``, sorted; hidden ones are left out.

    Links to folders are not followed, so that no cycle is walked.

    Raises:
        InputError: a link to a file leads out of ``root``.
    """
    found: list[str] = []
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith("."):
                continue
            path = Path(base, name)
            if path.is_symlink():
                inside(path, root)
            if path.is_file():
                found.append(path.relative_to(folder).as_posix())
    yield from sorted(found)


def folders_in(folder: Path) -> list[str]:
    """Names of the folders directly in ``folder``, sorted; hidden ones are left out."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
