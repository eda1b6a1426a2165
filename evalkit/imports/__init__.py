"""What people already have becomes traces, or a project that all stages work on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from evalkit.errors import InputError, Problem


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
        The report: ``format``, ``files`` (read), ``skipped`` (path to why it was not), and of
        ``cases``, ``runs``, ``traces``, ``receipt``, ``directory`` what there is.

    Raises:
        InputError: a path is not there, is nothing that can be taken over, or several are of
            several kinds; or the folder cannot be written.
        StoreError: MLflow did not take it.
        Unfinished: some of it could not be taken over; the report says what was.
    """
    from evalkit.imports import plugin_evals, sessions, skill_evals, tables

    kinds: dict[Callable[[Path], bool], Callable[[Sequence[Path], Path | None], dict[str, Any]]] = {
        plugin_evals.holds_plugin_evals: plugin_evals.import_plugin_evals,
        skill_evals.holds_skill_evals: skill_evals.import_skill_evals,
        sessions.has_sessions: lambda found, _: sessions.import_sessions(
            found, experiment_id, tracking_uri, say
        ),
        tables.is_table: tables.import_tables,
    }  # of which the first that says so has it
    found = [Path(each).expanduser() for each in paths]
    readers = [next((kinds[is_its] for is_its in kinds if is_its(path)), None) for path in found]
    fix = "name logs of agents, a folder with Claude's evals, or a table of questions"
    problems = [
        Problem("is nothing that evalkit knows to import", str(path), fix=fix)
        if os.access(path, os.R_OK)
        else Problem("there is no such file or folder that can be read", str(path))
        for path, reader in zip(found, readers, strict=True)
        if reader is None
    ]
    if not found:
        problems = [Problem("what to import is not said", field="PATH", fix=fix)]
    elif not problems and len({*readers}) > 1:
        problems = [Problem("several kinds of files at once", fix="import one kind after another")]
    if problems or (read := readers[0]) is None:
        raise InputError(*problems)
    return read(found, Path(out).expanduser() if out else None)
