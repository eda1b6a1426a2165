"""What people already have becomes traces, or a project that all stages work on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from evalkit.errors import InputError, Problem


@dataclass(frozen=True)
class Destination:
    """Where it shall go.

    Attributes:
        experiment: Name or id of the experiment for traces; None where none was said.
        out: Folder for a project; None for the one that its reader proposes.
        tracking_uri: The MLflow to use; None for the one that the environment says.
        say: Told the progress, a line at a time.
    """

    experiment: str | None = None
    out: Path | None = None
    tracking_uri: str | None = None
    say: Callable[[str], None] = lambda _: None


Reader: TypeAlias = Callable[[Sequence[Path], Destination], dict[str, Any]]
"""Takes all paths of its kind; its report has ``format``, ``files`` (read), ``skipped`` (path to
why it was not), and of ``cases``, ``runs``, ``traces``, ``receipt``, ``directory`` what there is.
"""


def _readers() -> tuple[tuple[Callable[[Path], bool], Reader], ...]:
    """What tells by a look at a path whether it is for a reader; the first that says so has it."""
    from evalkit.imports import plugin_evals, questions, session_files, sessions, skill_evals

    return (
        (plugin_evals.holds_plugin_evals, plugin_evals.import_plugin_evals),
        (skill_evals.holds_skill_evals, skill_evals.import_skill_evals),
        (session_files.has_sessions, sessions.import_sessions),
        (questions.is_table, questions.import_tables),
    )


def import_paths(
    paths: Sequence[str | Path],
    *,
    experiment_id: str | None = None,
    out: str | Path | None = None,
    tracking_uri: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Take over what other tools left: logs of agents, Claude's evals, a table of questions.

    Doing it again changes nothing that is there already.

    Args:
        paths: Files or folders, all of one kind; the kind is told from what they hold.
        experiment_id: The experiment that traces of logs go to, by name or id.
        out: The folder that a project is written to.
        tracking_uri: The MLflow to use.
        say: Told the progress, a line at a time.

    Returns:
        The report: ``format``, ``files``, ``skipped``, and what came of them.

    Raises:
        InputError: a path is not there, is nothing that can be taken over, or several are of
            several kinds.
        StoreError: MLflow did not take it.
    """
    found = [Path(each).expanduser() for each in paths]
    known = _readers()
    readers = {path: next((r for is_its, r in known if is_its(path)), None) for path in found}
    problems = [
        Problem("there is no such file or folder", str(path))
        if not path.exists()
        else Problem("is nothing that evalkit knows to import", str(path), fix=_FIX)
        for path, reader in readers.items()
        if reader is None
    ]
    if not found:
        problems = [Problem("what to import is not said", field="PATH", fix=_FIX)]
    elif not problems and len(set(readers.values())) > 1:
        problems = [Problem("several kinds of files at once", fix="import one kind after another")]
    if problems:
        raise InputError(*problems)
    reader = next(iter(readers.values()))
    assert reader is not None  # noqa: S101 - else it would be a problem
    folder = Path(out).expanduser() if out else None
    return reader(found, Destination(experiment_id, folder, tracking_uri, say))


_FIX = (
    "name logs of agents or folders of them, a folder with Claude's evals, or a table of questions"
)
