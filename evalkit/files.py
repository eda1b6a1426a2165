"""Reading and writing single files safely: inside their folder, as UTF-8, whole or not at all."""

from __future__ import annotations

import codecs
import io
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from dotenv.parser import parse_stream

from evalkit.documents import Document, parse_json, parse_yaml
from evalkit.errors import InputError, Problem

VOLUMES = Path("/Volumes")
"""Where Databricks mounts volumes: they take whole files, and neither renaming nor rights."""

DOCUMENT_SUFFIXES = (".yaml", ".yml", ".json")
"""Files that are parsed, not only read."""

ENV_FILE = ".env"
"""Variables beside a project, read and never put into the environment."""

_IGNORED = frozenset({".gitkeep", ".gitignore", ".gitattributes", ".DS_Store"})
_PART = re.compile(r"\.(\d+)\.[a-z0-9_]{8}\.part$")
"""How the name of a file in the making ends, after that of the file: the process that makes it."""


def check_id(text: str, what: str, *, fail: Callable[[Problem], Exception] = InputError) -> str:
    """A run id or case id that is safe as one component of a path."""
    if text in {"", ".", ".."} or re.search(r"[/\\\x00-\x1f]", text):
        fix = "give the name of one folder, without slashes"
        raise fail(Problem(f"{text!r} is no {what}", field=what, fix=fix))
    return text


def inside(path: Path, root: Path) -> Path:
    """``path`` itself, once it is sure that it does not lead out of ``root`` or its project.

    Links within the project are followed: within the git repository, else the working directory.
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
    around, here = (folder, *folder.parents), Path.cwd()
    repository = next((each for each in around if (each / ".git").exists()), None)
    if repository is None and here in around and here not in {Path("/"), Path.home()}:
        return here
    return repository or folder


def read_text(path: Path) -> str:
    """A file's text, without a byte order mark; not to be read or not UTF-8, it is an error."""
    data, line = b"", None
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        what, fix = "there is no such file", "check the path"
    except OSError as error:
        what, fix = f"cannot be read: {error.strerror}", "check what it is"
    except UnicodeDecodeError as error:
        what, fix = f"is not UTF-8 (byte 0x{data[error.start]:02x})", "save the file as UTF-8"
        line = data.count(b"\n", 0, error.start) + 1
    raise InputError(Problem(what, str(path), line, fix=fix))


def read_document(path: Path) -> Document:
    """A YAML or JSON file, parsed by its suffix."""
    return (parse_json if path.suffix == ".json" else parse_yaml)(read_text(path), str(path))


def read_env_file(path: Path) -> dict[str, str]:
    """The variables that a ``.env`` file sets; none if there is no such file.

    Values are taken as they stand: a ``$`` in a token is no reference. Every line is named that
    sets no variable, and none is quoted, for secrets stand there.
    """
    if not path.exists():
        return {}
    text = read_text(path)
    bindings = list(parse_stream(io.StringIO(text)))
    lines = text.splitlines()
    problems = []
    for line in (each.original.line for each in bindings if each.error):
        begins = next((at for at in range(line, len(lines)) if lines[at - 1].strip()), len(lines))
        fix = 'write NAME=value or NAME="value", one a line, and # before a comment'
        problems.append(Problem("sets no variable", str(path), begins, fix=fix))
    if problems:
        raise InputError(*problems)
    return {each.key: each.value or "" for each in bindings if each.key}


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; it keeps the byte order mark that reading leaves out."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_marked = path.exists() and path.read_bytes().startswith(codecs.BOM_UTF8)
        write_whole(path, text.encode("utf-8-sig" if is_marked else "utf-8"))
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise InputError(Problem(what, str(path), fix="check the folder")) from error


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in its place in one go, and clear away what a kill left of earlier attempts.

    On a volume of Databricks it is the volume that takes whole files only.
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
        os.umask(mask := os.umask(0))
        rights = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~mask
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


def files_below(folder: Path, root: Path, skipped: dict[str, str] | None = None) -> list[str]:
    """Relative POSIX paths of all files below ``folder``, sorted; those of git are left out.

    Links are followed as far as :func:`inside` lets them, a folder once, so that no cycle is
    walked; ``skipped`` is given each that was not, each folder that cannot be read, and why.
    """
    found: list[str] = []
    notes = {} if skipped is None else skipped
    followed = {folder.resolve()}

    def skip(path: str | Path, why: str | None) -> None:
        notes[Path(path).relative_to(folder).as_posix()] = f"cannot be read: {why}"

    walked = os.walk(folder, onerror=lambda e: skip(e.filename, e.strerror), followlinks=True)
    for base, folders, names in walked:
        here = Path(base)
        if not os.access(here, os.X_OK):
            skip(here, "permission denied")
            folders.clear()
            continue
        links = [here / name for name in (*folders, *names) if (here / name).is_symlink()]
        barred = {link.name: why for link in links if (why := _bar(link, root, followed))}
        notes |= {(here / name).relative_to(folder).as_posix(): barred[name] for name in barred}
        folders[:] = [name for name in folders if name not in barred and name != ".git"]
        there = (here / name for name in names if name not in barred and name not in _IGNORED)
        found += [path.relative_to(folder).as_posix() for path in there if path.is_file()]
    return sorted(found)


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
