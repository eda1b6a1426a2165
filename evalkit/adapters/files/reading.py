"""Reading and writing single files safely: inside their folder, as UTF-8, whole or not at all."""

from __future__ import annotations

import codecs
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from evalkit.core.document import Document, parse_json, parse_yaml
from evalkit.errors import InputError, Problem

VOLUMES = Path("/Volumes")
"""Where Databricks mounts volumes: they take whole files, and neither renaming nor rights."""

DOCUMENT_SUFFIXES = (".yaml", ".yml", ".json")
"""Files that are parsed, not only read."""


_PART = re.compile(r"\.(\d+)\.[a-z0-9_]{8}\.part$")
"""How the name of a file in the making ends, after that of the file: the process that makes it."""


def inside(path: Path, root: Path) -> Path:
    """``path`` itself, once it is sure that it does not lead out of ``root`` or its project.

    Links within the project are followed: within the git repository, else the working directory.

    Raises:
        InputError: a symbolic link on the way leads elsewhere.
    """
    try:
        real, own = path.resolve(), root.resolve()
    except (OSError, RuntimeError) as error:  # Python 3.11 and 3.12 raise the second for a loop
        problem = Problem("is a link that leads to itself", str(path), fix="remove the link")
        raise InputError(problem) from error
    project = _project_around(own)
    if real.is_relative_to(own) or (real.is_relative_to(project) and ".git" not in real.parts):
        return path
    fix = "copy the file into the folder instead of linking to it"
    raise InputError(Problem(f"leads out of {project}", str(path), fix=fix))


def _project_around(folder: Path) -> Path:
    repository = next(
        (each for each in (folder, *folder.parents) if (each / ".git").exists()), None
    )
    here = Path.cwd()
    if repository is None and folder.is_relative_to(here) and here not in {Path("/"), Path.home()}:
        return here
    return repository or folder


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
        write_whole(path, _mark_of(path) + text.encode())
    except OSError as error:
        raise InputError(
            Problem(f"cannot be written: {error.strerror}", str(path), fix="check the folder")
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in its place in one go, and clear away what a kill left of earlier attempts.

    Raises:
        OSError: the folder cannot be written.
    """
    if is_on_volume(path):
        path.write_bytes(content)
        return
    for left in path.parent.glob(".*.part"):
        if (made := _PART.search(left.name)) and not _is_alive(int(made[1])):
            left.unlink(missing_ok=True)
    handle, temporary = tempfile.mkstemp(".part", f".{path.name}.{os.getpid()}.", path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        rights = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        Path(temporary).chmod(rights)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


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


def files_below(folder: Path, root: Path, skipped: dict[str, str] | None = None) -> Iterator[str]:
    """Relative POSIX paths of all files below ``folder``, sorted; those of git are left out.

    Links are followed as far as :func:`inside` lets them, a folder once, so that no cycle is
    walked.

    Args:
        folder: Where to look.
        root: What no link may lead out of.
        skipped: Is told each link that was not followed, and why.
    """
    found: list[str] = []
    notes = {} if skipped is None else skipped
    followed = {folder.resolve()}
    for base, folders, names in os.walk(folder, followlinks=True):
        here = Path(base)
        links = [here / name for name in (*folders, *names) if (here / name).is_symlink()]
        barred = {link.name: why for link in links if (why := _bar(link, root, followed))}
        notes |= {(here / name).relative_to(folder).as_posix(): barred[name] for name in barred}
        folders[:] = [name for name in folders if name not in barred and name != ".git"]
        ignored = {*barred, ".gitkeep", ".gitignore", ".gitattributes", ".DS_Store"}
        there = (here / name for name in names if name not in ignored)
        found += [path.relative_to(folder).as_posix() for path in there if path.is_file()]
    yield from sorted(found)


def _bar(link: Path, root: Path, followed: set[Path]) -> str:
    """Why a link is not followed; empty where it is."""
    try:
        real = inside(link, root).resolve()
    except InputError as error:
        return error.problems[0].message
    if not real.exists():
        return "is a link to nothing"
    if real.is_dir():
        if any(known.is_relative_to(real) for known in followed):
            return "leads back to a folder that was read already"
        followed.add(real)
    return ""


def folders_in(folder: Path) -> list[str]:
    """Names of the folders directly in ``folder``, sorted; hidden ones are left out."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
