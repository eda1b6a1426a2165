"""Tools for files: everything of the session can be read, only the suite can be written."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Annotated

import msgspec

from evalkit.core.agent.analysis import CasePick, ManualCase
from evalkit.core.agent.code import dataset_code
from evalkit.core.agent.requests import Recorded
from evalkit.core.agent.suite import DATASET_FILE, SCORERS_FILE, Row
from evalkit.core.masking import mask_json
from evalkit.core.values import Json
from evalkit.flows.agent.directory import SUITE_FILES, SessionDirectory
from evalkit.flows.agent.evidence import Evidence
from evalkit.flows.agent.toolbox import Tool, ToolFailed

MOST_READ = 10_000
"""Characters of a file that are read at a time."""

MOST_WRITTEN = 400_000
"""Characters that a file of the suite may have."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Arguments of read_file."""

    path: Annotated[str, msgspec.Meta(description="Such as evaluation/scorers.py")]
    offset: Annotated[int, msgspec.Meta(ge=0, description="Characters to skip")] = 0


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Arguments of write_file."""

    path: Annotated[str, msgspec.Meta(description="One of the suite's three files")]
    content: str


@dataclass(frozen=True, slots=True)
class ListFiles:
    """Arguments of list_files: none."""


@dataclass(frozen=True, slots=True)
class DatasetCase(CasePick):
    """A trace that becomes a row, and what is expected of an answer to it."""

    expectations: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WriteDataset:
    """Arguments of write_dataset."""

    cases: tuple[DatasetCase, ...] = ()
    manual: tuple[ManualCase, ...] = ()


def file_tools(directory: SessionDirectory, evidence: Evidence) -> list[Tool]:
    """The tools for files.

    Args:
        directory: The session directory.
        evidence: The traces that rows are copied from.
    """
    files = _Files(directory, evidence)
    return [
        Tool("list_files", "List the files of the session.", ListFiles, files.names),
        Tool(
            "read_file",
            f"Read a file of the session, at most {MOST_READ:,} characters at a time.",
            ReadFile,
            files.read,
        ),
        Tool(
            "write_file",
            f"Write a whole file of the suite: {', '.join(SUITE_FILES)}. Nothing else can be "
            f"written. {DATASET_FILE} is better written by write_dataset.",
            WriteFile,
            files.write,
        ),
        Tool(
            "write_dataset",
            f"Write {DATASET_FILE}. The program copies inputs, outputs and tool steps from the "
            "traces that you name, so that they are what was recorded. Say why each is there. "
            "`manual` adds rows that no trace shows; they have no recorded output.",
            WriteDataset,
            files.write_dataset,
        ),
    ]


class _Files:
    def __init__(self, directory: SessionDirectory, evidence: Evidence) -> None:
        self._directory = directory
        self._evidence = evidence

    def names(self, _: ListFiles) -> str:
        names = self._directory.folder.names()
        return "\n".join(name for name in names if not name.startswith("state/journal/"))

    def read(self, asked: ReadFile) -> str:
        path = _inside(asked.path)
        content = self._directory.folder.read(path)
        if content is None:
            raise ToolFailed(f"there is no file {path}; list_files shows what there is")
        text = content.decode(errors="replace")
        part = text[asked.offset : asked.offset + MOST_READ]
        if more := max(0, len(text) - asked.offset - len(part)):
            return f"{part}\n… {more:,} characters more; offset={asked.offset + len(part)}"
        return part or "(empty)"

    def write(self, asked: WriteFile) -> str:
        path = _inside(asked.path)
        if path not in SUITE_FILES:
            raise ToolFailed(f"{path} cannot be written; only {', '.join(SUITE_FILES)} can")
        if len(asked.content) > MOST_WRITTEN:
            raise ToolFailed(f"{len(asked.content):,} characters are too many for one file")
        self._directory.folder.write(path, asked.content.encode())
        return f"wrote {path}, {len(asked.content.splitlines())} lines{_syntax(asked.content)}"

    def write_dataset(self, asked: WriteDataset) -> str:
        rows, why = self._rows(asked)
        routes = {case.trace_id: self._taken(case).route for case in asked.cases}
        self._directory.folder.write(DATASET_FILE, dataset_code(rows, why, routes).encode())
        return f"wrote {DATASET_FILE} with {len(rows)} rows"

    def _rows(self, asked: WriteDataset) -> tuple[list[Row], list[str]]:
        missing = [c.trace_id for c in asked.cases if self._evidence.of(c.trace_id) is None]
        if missing:
            raise ToolFailed(
                f"the experiment has no trace {', '.join(missing[:10])} with spans; nothing was "
                "written. Name traces that analyze_experiment or mlflow_query show."
            )
        if not (asked.cases or asked.manual):
            raise ToolFailed("name at least one case; nothing was written")
        rows = [self._row(case) for case in asked.cases]
        rows += [Row(each.inputs, None, each.expectations, None) for each in asked.manual]
        why = [case.why for case in asked.cases] + [manual.why for manual in asked.manual]
        return rows, why

    def _taken(self, case: DatasetCase) -> Recorded:
        taken = self._evidence.of(case.trace_id)
        if taken is None:
            raise ToolFailed(f"the experiment has no trace {case.trace_id}")
        return taken

    def _row(self, case: DatasetCase) -> Row:
        """The row of a trace that is there, with its secrets masked."""
        row = self._taken(case).row
        steps = [replace(step, output=mask_json(step.output)) for step in row.steps]
        return replace(
            row,
            inputs={name: mask_json(value) for name, value in row.inputs.items()},
            outputs=mask_json(row.outputs),
            expectations={name: mask_json(value) for name, value in case.expectations.items()},
            steps=tuple(steps),
        )


def _inside(path: str) -> str:
    """The path within the session directory.

    Raises:
        ToolFailed: it leads elsewhere.
    """
    parts = PurePosixPath(path.strip().removeprefix("./"))
    if parts.is_absolute() or ".." in parts.parts or "\\" in path or "\0" in path:
        raise ToolFailed(f"{path!r} is outside of the session; use a path such as {SCORERS_FILE}")
    return str(parts)


def _syntax(code: str) -> str:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError) as error:
        return f"; but it is no valid Python: {error}"
    return ""
