"""Cases and runs that a reader found become a project; what a person changed in it stays."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from evalkit.config_files import USUAL_CONFIG
from evalkit.errors import InputError, Problem, Unfinished
from evalkit.files import files_below, inside, read_document, write_whole
from evalkit.imports.run_files import result_of, summary_of
from evalkit.jsonable import Json, list_of, mapping_of, well_formed
from evalkit.runs.log_file import MOST_BYTES
from evalkit.runs.results import RESULT, SUMMARY

LEDGER = ".evalkit-import.json"
"""In the project, the SHA-256 of whatever evalkit wrote, by path: other content is a person's."""

FIXTURES = "fixtures/"
"""Beside the cases, by case, what its workspace is made of: no field of a case."""

MOST_FILES = 50
"""Files beside a case, or of an execution's outputs, that are taken along."""

_MOST_NAME = 80  # characters of a folder that is named for something
_HEADER = "# Written by `evalkit import`. What you change here stays, also when you import again.\n"
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Execution(NamedTuple):
    """What a case's execution consumed, what judges said of it, and the files that it left."""

    used: Mapping[str, Json]
    scores: Mapping[str, Mapping[str, Json]]
    files: Mapping[str, Json]


@dataclass
class Found:
    """What a reader finds, by and by.

    A file's content is bytes, a path to be copied, or a value that becomes YAML or JSON by its
    name.

    Attributes:
        format: What was read.
        cases: Case id to its files by name; those of ``fixtures/`` go beside the cases.
        runs: Run id to its files by path.
        times: Run id to when it was left, nanoseconds since the epoch.
        files: How many files were read.
        skipped: Paths that were passed over, and why.
        broken: Paths that could not be read, and why.
        notes: What else a person should know.
    """

    format: str
    cases: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    runs: dict[str, dict[str, Json]] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    files: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def read(self, path: Path) -> Json:
        """A file's value; None where it cannot be read, and then it is among the broken."""
        try:
            return read_document(path).value
        except InputError as error:
            self.broken[str(path)] = error.problems[0].message
            return None

    def small_files(self, folder: Path, names: Collection[str]) -> dict[str, Path]:
        """Those of a folder's files that are taken along; the others are noted."""
        small = [n for n in names if (folder / n).stat().st_size <= MOST_BYTES][:MOST_FILES]
        left = (str(folder / name) for name in names if name not in small)
        self.skipped |= dict.fromkeys(left, "is left there: large, or one of very many")
        return {name: folder / name for name in small}

    def add_run(
        self,
        run_id: str,
        trials: Mapping[str, Execution],
        modified_ns: int,
        *,
        figures: Collection[str] | None = None,
        more: Mapping[str, Json] | None = None,
        **facts: Json,
    ) -> None:
        """A run that was left at a time, with each case's execution.

        ``more`` has other files of it, and what ``summary.yaml`` says besides; for ``figures`` and
        ``facts`` see :func:`summary_of` and :func:`result_of`.
        """
        more = dict(more or {})
        files = {name: more.pop(name) for name in list(more) if "." in name}
        used = result_of({case: each.used for case, each in trials.items()}, **facts)
        said = summary_of({case: each.scores for case, each in trials.items()}, figures)
        self.runs[run_id] = {
            RESULT: {"run_id": run_id, **used},
            SUMMARY: {"run_id": run_id, **said, **more},
            **{
                f"cases/{case}/{n}": own for case, t in trials.items() for n, own in t.files.items()
            },
            **files,
        }
        self.times[run_id] = modified_ns

    def note_arms(self, treated: Sequence[str], baseline: Sequence[str]) -> None:
        """Say how to hold trials with a plugin or skill against those without."""
        if treated and baseline:
            arms = f"{' '.join(treated)} --baseline {' '.join(baseline)}"
            self.notes.append(f"to compare with and without: `evalkit compare {arms}`")

    def write(self, folder: Path, config: Mapping[str, Json] | None, schema: str) -> dict[str, Any]:
        """Make the project of it; the report of the import.

        ``config`` is what ``eval.yaml`` says besides the dataset; None leaves the one there is.

        Raises:
            InputError: there is nothing to write, or the folder cannot be written.
            Unfinished: files could not be read; all else was written.
        """
        results = [mapping_of(own[RESULT]["per_case"]) for own in self.runs.values()]
        ids = {*self.cases, *(case_id for own in results for case_id in own)}
        if not ids:
            broken = [Problem(why, path) for path, why in self.broken.items()]
            raise InputError(*broken or [Problem(f"there are no cases ({self.format})")])
        files = eval_files(config, schema, self.cases)
        home = Path(os.path.relpath(runs_dir(folder), folder.absolute())).as_posix()
        for run_id, own in self.runs.items():
            files |= {f"{home}/{run_id}/{name}": content for name, content in own.items()}
        times = {f"{home}/{run_id}": time for run_id, time in self.times.items()}
        executions, logs = sum(map(len, results)), sum(n.endswith("/stdout.log") for n in files)
        if (gone := executions - logs) and self.format != "table":
            what = f"of {executions} executions {gone} have no conversation below what was named"
            self.notes.append(f"{what}: their traces have no steps")
        counts, left = write_files(folder, files, times)
        report = {
            "format": self.format,
            "files": self.files,
            "cases": len(ids),
            "runs": len(results),
            "traces": logs,
            "executions": executions,
            "skipped": {**self.broken, **self.skipped, **left},
            "receipt": counts,
            "directory": str(folder),
            "notes": self.notes,
        }
        if self.broken:
            what = f"could not be read: {', '.join(self.broken)}; all else was imported"
            raise Unfinished(what, report)
        return report


def value_in(path: Path) -> Json:
    """What a YAML or JSON file holds; None where there is none that can be read."""
    with suppress(InputError):
        return read_document(path).value
    return None


def mappings_in(value: Json) -> list[Mapping[str, Json]]:
    """The entries of a list, each as a mapping."""
    return [mapping_of(each) for each in list_of(value)]


def without_empty(value: Mapping[str, Json]) -> dict[str, Json]:
    """A mapping without what says nothing."""
    return {key: each for key, each in value.items() if each not in (None, "", [], {})}


def listed(paths: Sequence[Path]) -> list[Path]:
    """These files, and those below these folders."""
    below = ([p / n for n in files_below(p, p)] if p.is_dir() else [p] for p in paths)
    return [path for own in below for path in own]


def usual_folder(name: str) -> Path:
    """Where a project goes if nobody says: every stage finds ``eval/NAME/eval.yaml`` by itself."""
    return Path("eval", folder_name(name))


def runs_dir(folder: Path) -> Path:
    """Where the stages look for a project's runs: beside it in a folder ``eval``, else below it."""
    folder = folder.absolute()
    beside = folder.parent.name == "eval"
    return folder.parent / "runs" / folder.name if beside else folder / "eval" / "runs"


def folder_name(text: str, taken: Collection[str] = ()) -> str:
    """A name for a folder that says the text, and is none of those taken, whatever their case."""
    text = unicodedata.normalize("NFC", well_formed(text))
    plain = re.sub(r"[^\w.+@ ()\[\]-]+", "-", text).strip("-. ")[:_MOST_NAME].strip("-. ")
    name, number, lowered = plain or "case", 1, {each.casefold() for each in taken}
    while name.casefold() in lowered:
        number += 1
        name = f"{plain or 'case'}-{number}"
    return name


def eval_files(
    config: Mapping[str, Json] | None, schema: str, cases: Mapping[str, Mapping[str, Json]]
) -> dict[str, Json]:
    """The files of a project without runs, by path; what says nothing is left out."""
    files: dict[str, Json] = {}
    if config is not None:
        dataset = {"path": "cases", "schema": schema}
        files[USUAL_CONFIG] = {**without_empty(config), "dataset": dataset}
    for case_id, own in cases.items():
        for name, content in without_empty(own).items():
            rest = name.removeprefix(FIXTURES)
            files[f"{FIXTURES if rest != name else 'cases/'}{case_id}/{rest}"] = content
    return files


def write_files(
    folder: Path, files: Mapping[str, Json], times: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, str]]:
    """Write into a project, by path, what is not there yet, or was left by an earlier import.

    What lies in a folder with a time has that time, a copied file its source's. Says how many files
    were ``written``, ``updated``, ``unchanged`` and ``left``, and of each that was left, why.

    Raises:
        InputError: the folder cannot be written, or a link in it leads elsewhere.
    """
    ledger = folder / LEDGER
    found = mapping_of(read_document(ledger).value) if ledger.is_file() else {}
    own = {name: list_of(each) for name, each in found.items()}
    contents = {name: _content(name, each) for name, each in files.items()}
    digests = {name: _digest(each) for name, each in contents.items()}
    known = {name: [*own.get(name, ()), digest] for name, digest in digests.items()}
    known = {name: list(dict.fromkeys(each)) for name, each in sorted({**own, **known}.items())}
    # first of all: who is killed on the way finds the files to be evalkit's the next time
    if known != own:
        _put(folder, ledger, json.dumps(known, indent=1).encode() + b"\n")
    counts, left = Counter(written=0, updated=0, unchanged=0, left=0), dict[str, str]()
    for name, content in contents.items():
        path = folder / name
        is_there = path.exists() or path.is_symlink()
        there = _digest(path) if path.is_file() else ""
        if there == digests[name]:
            counts["unchanged"] += 1
        elif is_there and there not in own.get(name, ()):
            counts["left"] += 1
            left[str(path)] = "was changed since evalkit wrote it, or by others: it stays so"
        else:
            counts["updated" if is_there else "written"] += 1
            _put(folder, path, content if isinstance(content, bytes) else content.read_bytes())
            copied = content.stat().st_mtime_ns if isinstance(content, Path) else None
            if (time := times.get(Path(name).parent.as_posix(), copied)) is not None:
                os.utime(path, ns=(time, time))
    return dict(counts), left


def _content(name: str, value: Json) -> bytes | Path:
    """What shall stand in a file, as bytes, or still as the file that is copied."""
    if isinstance(value, (bytes, Path)):
        return value
    if name.endswith(".json"):
        return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    options: dict[str, Json] = {"sort_keys": False, "allow_unicode": True, "width": 100}
    text = str(yaml.dump(well_formed(value), Dumper=_DUMPER, **options))
    return ((_HEADER if name == USUAL_CONFIG else "") + text).encode()


def _digest(content: bytes | Path) -> str:
    data = content if isinstance(content, bytes) else content.read_bytes()
    return hashlib.sha256(data).hexdigest()


def _put(folder: Path, path: Path, content: bytes) -> None:
    runs = runs_dir(folder)
    inside(path, runs if path.absolute().is_relative_to(runs) else folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise InputError(Problem(what, str(path), fix="name another folder")) from error
