"""Writes a project of the harness, with cases and runs; what a person changed in it stays."""

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
from statistics import fmean

import yaml

from evalkit.config_files import USUAL_CONFIG
from evalkit.errors import InputError, Problem, Unfinished
from evalkit.files import inside, read_document, write_whole
from evalkit.jsonable import Json, is_number, list_of, mapping_of, well_formed
from evalkit.runs.results import RESULT, SUMMARY

LEDGER = ".evalkit-import.json"
"""In the project, the SHA-256 of whatever evalkit wrote, by path: other content is a person's."""

FIXTURES = "fixtures/"
"""Beside the cases, by case, what its workspace is made of: no field of a case."""

MOST_NAME = 80
"""Characters of a folder that is named for something."""

_HEADER = "# Written by `evalkit import`. What you change here stays, also when you import again.\n"
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_SUMS = ("duration_s", "cost_usd", "num_turns", "judge_cost_usd", "total_tokens")


def value_in(path: Path) -> Json:
    """What a YAML or JSON file holds; None where there is none that can be read."""
    with suppress(InputError):
        return read_document(path).value
    return None


def usual_folder(name: str) -> Path:
    """Where a project goes if nobody says: every stage finds ``eval/NAME/eval.yaml`` by itself."""
    return Path("eval", folder_name(name))


def folder_name(text: str, taken: Collection[str] = ()) -> str:
    """A name for a folder that says the text, and is none of those taken, whatever their case."""
    text = unicodedata.normalize("NFC", well_formed(text))
    plain = re.sub(r"[^\w.+@ ()\[\]-]+", "-", text).strip("-. ")[:MOST_NAME].strip("-. ")
    name, number, lowered = plain or "case", 1, {each.casefold() for each in taken}
    while name.casefold() in lowered:
        number += 1
        name = f"{plain or 'case'}-{number}"
    return name


def summary_of(
    per_case: Mapping[str, Mapping[str, Mapping[str, Json]]],
    aggregated: Collection[str] | None = None,
) -> dict[str, Json]:
    """The content of ``summary.yaml``.

    Args:
        per_case: Case to judge to ``value``, ``rationale``, ``error`` and ``judge_type``.
        aggregated: The judges that get figures over the cases; None for all.
    """
    said: dict[str, list[Mapping[str, Json]]] = {}
    for own in per_case.values():
        for judge, score in own.items():
            said.setdefault(judge, []).append(score)
    judges: dict[str, dict[str, Json]] = {}
    for judge, scores in said.items():
        if aggregated is not None and judge not in aggregated:
            continue
        values: list[Json] = [each.get("value") for each in scores if not each.get("error")]
        passes = [value for value in values if isinstance(value, bool)]
        numbers = [value for value in values if is_number(value)]
        judges[judge] = {
            **({"pass_rate": fmean(passes)} if passes else {}),
            **({"mean": fmean(numbers)} if numbers else {}),
            "scored_cases": len([value for value in values if value is not None]),
            "errored_cases": len(scores) - len(values),
        }
    return {"judges": judges, "per_case": per_case}


def result_of(per_case: Mapping[str, Mapping[str, Json]], **facts: Json) -> dict[str, Json]:
    """The content of ``run_result.json``; what each case says of its consumption is summed up.

    Args:
        per_case: Case to what its execution consumed, in the harness's words.
        facts: What is said of the whole run; None is left out.
    """
    totals: dict[str, Json] = {}
    for name in _SUMS:
        values: list[Json] = [own.get(name) for own in per_case.values()]
        if values and all(map(is_number, values)):  # a sum of some would look like one of all
            totals[name] = round(sum(values), 9)
    said = {name: value for name, value in facts.items() if value is not None}
    mode = {"execution_mode": "case", "num_cases": len(per_case)}
    return {**mode, **said, **totals, "per_case": per_case}


@dataclass
class Findings:
    """What a reader found on its way.

    Attributes:
        files: How many files were read.
        skipped: Paths that were passed over, and why.
        broken: Paths that could not be read, and why.
        notes: What else a person should know.
    """

    files: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note_arms(self, treated: Sequence[str], baseline: Sequence[str]) -> None:
        """Say how to hold trials with a plugin or skill against those without."""
        if treated and baseline:
            arms = f"{' '.join(treated)} --baseline {' '.join(baseline)}"
            self.notes.append(f"to compare with and without: `evalkit compare {arms}`")


@dataclass
class ProjectWriter:
    """What a project shall hold is gathered, and written by :meth:`save` all at once.

    Attributes:
        folder: The project's folder, in which its ``eval.yaml`` will lie.
        files: Paths from that folder to what shall stand there: bytes, a file to be copied, or a
            value that becomes YAML or JSON as the name says.
        times: When some of these were last changed, nanoseconds since the epoch.
    """

    folder: Path
    files: dict[str, Json] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    @property
    def runs_dir(self) -> Path:
        """Where the stages look for its runs: beside it in a folder ``eval``, else below it."""
        folder = self.folder.absolute()
        beside = folder.parent.name == "eval"
        return folder.parent / "runs" / folder.name if beside else folder / "eval" / "runs"

    def add_config(self, content: Mapping[str, Json], schema: str) -> None:
        """The project's ``eval.yaml``, whose cases lie in ``cases``."""
        dataset = {"path": "cases", "schema": schema}
        self.files[USUAL_CONFIG] = {**content, "dataset": dataset}

    def add_case(self, case_id: str, files: Mapping[str, Json]) -> None:
        """A case directory with its files; those without content are left out."""
        for name, content in files.items():
            is_fixture = name.startswith(FIXTURES)
            place = f"{FIXTURES}{case_id}/{name[len(FIXTURES) :]}" if is_fixture else ""
            if content not in (None, {}, []):
                self.files[place or f"cases/{case_id}/{name}"] = content

    def add_run(
        self,
        run_id: str,
        result: Mapping[str, Json],
        summary: Mapping[str, Json],
        files: Mapping[str, Json],
        modified_ns: int | None = None,
    ) -> None:
        """A run directory.

        Args:
            run_id: Its name.
            result: The content of ``run_result.json``; see :func:`result_of`.
            summary: The content of ``summary.yaml``; see :func:`summary_of`.
            files: What else lies in it, such as ``cases/ID/stdout.log``, by path.
            modified_ns: When it was left, nanoseconds since the epoch; None for now.
        """
        home = Path(os.path.relpath(self.runs_dir, self.folder.absolute()), run_id).as_posix()
        said = {RESULT: {"run_id": run_id, **result}, SUMMARY: {"run_id": run_id, **summary}}
        for name, content in (*said.items(), *files.items()):
            self.files[f"{home}/{name}"] = content
            if modified_ns is not None and name in said:
                self.times[f"{home}/{name}"] = modified_ns

    def finish(self, source: str, found: Findings) -> dict[str, Json]:
        """Write everything; the report of the import.

        Args:
            source: The format that was read.
            found: What was found there.

        Raises:
            InputError: there is nothing to write, or the folder cannot be written.
            Unfinished: files could not be read; all else was written.
        """
        cases = {name.split("/")[1] for name in self.files if name.startswith("cases/")}
        if not cases:
            broken = [Problem(why, path) for path, why in found.broken.items()]
            raise InputError(*broken or [Problem(f"there are no cases ({source})")])
        runs = [own["per_case"] for name, own in self.files.items() if name.endswith(f"/{RESULT}")]
        executions, logs = sum(map(len, runs)), sum(n.endswith("/stdout.log") for n in self.files)
        if gone := executions - logs:
            what = f"the conversation of {gone} of {executions} executions is gone, or not below"
            found.notes.append(f"{what} what was named: their traces have no steps")
        counts, left = self.save()
        report = {
            "format": source,
            "files": found.files,
            "cases": len(cases),
            "runs": len(runs),
            "traces": logs,
            "executions": executions,
            "skipped": {**found.broken, **found.skipped, **left},
            "receipt": counts,
            "directory": str(self.folder),
            "notes": found.notes,
        }
        if found.broken:
            what = f"could not be read: {', '.join(found.broken)}; all else was imported"
            raise Unfinished(what, report)
        return report

    def save(self) -> tuple[dict[str, int], dict[str, str]]:
        """Write what is not there yet, or was left by an earlier import.

        Returns:
            How many files were ``written``, ``updated``, ``unchanged`` and ``left``; and the paths
            of those left, with why.

        Raises:
            InputError: the folder cannot be written, or a link in it leads elsewhere.
        """
        ledger = self.folder / LEDGER
        own = self._written(ledger)
        self.files = {name: self._settled(name) for name in self.files}
        digests = {
            name: hashlib.sha256(_bytes(own)).hexdigest() for name, own in self.files.items()
        }
        known = {name: [*own.get(name, ()), digest] for name, digest in digests.items()}
        known = {name: list(dict.fromkeys(each)) for name, each in sorted({**own, **known}.items())}
        counts, left = Counter(written=0, updated=0, unchanged=0, left=0), {}
        # first of all: who is killed on the way finds the files to be evalkit's the next time
        if known != own:
            self._put(ledger, json.dumps(known, indent=1).encode() + b"\n")
        for name, digest in digests.items():
            path = self.folder / name
            is_there = path.exists() or path.is_symlink()
            there = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            if there == digest:
                counts["unchanged"] += 1
            elif is_there and there not in own.get(name, ()):
                left[str(path)] = "was changed since evalkit wrote it, or by others: it stays so"
            else:
                counts["updated" if is_there else "written"] += 1
                self._put(path, _bytes(self.files[name]))
                source = self.files[name]
                copied = source.stat().st_mtime_ns if isinstance(source, Path) else None
                if (time := self.times.get(name, copied)) is not None:
                    os.utime(path, ns=(time, time))
        counts["left"] = len(left)
        return dict(counts), left

    def _written(self, ledger: Path) -> dict[str, Sequence[str]]:
        if not ledger.is_file():
            return {}
        found = mapping_of(read_document(ledger).value)
        return {name: [str(each) for each in list_of(own)] for name, own in found.items()}

    def _settled(self, name: str) -> bytes | Path:
        """What shall stand in a file, as bytes, or still as the file that is copied."""
        content = self.files[name]
        if isinstance(content, (bytes, Path)):
            return content
        if name.endswith(".json"):
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            return text.encode("utf-8", "replace")
        options: dict[str, Json] = {"sort_keys": False, "allow_unicode": True, "width": 100}
        written: Json = yaml.dump(well_formed(content), Dumper=_DUMPER, **options)
        return ((_HEADER if name == USUAL_CONFIG else "") + str(written)).encode()

    def _put(self, path: Path, content: bytes) -> None:
        is_run = path.absolute().is_relative_to(self.runs_dir)
        inside(path, self.runs_dir if is_run else self.folder)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise InputError(Problem(what, str(path), fix="name another folder")) from error


def _bytes(content: bytes | Path) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()
