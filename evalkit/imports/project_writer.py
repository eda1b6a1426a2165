"""Cases and runs that a reader found become a project; what a person changed in it stays."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, TypeAlias

import yaml

from evalkit.config_files import USUAL_CONFIG
from evalkit.errors import InputError, Problem, Unfinished
from evalkit.files import files_below, inside, read_document, write_whole
from evalkit.jsonable import Json, is_number, list_of, mapping_of, truncate, well_formed
from evalkit.runs.results import RESULT, SUMMARY

SCHEMA = """\
- `input.yaml`: `prompt` is what the agent is asked; `files` are the input files.
- `annotations.yaml`: what is expected.
"""
"""What ``dataset.schema`` says of Claude's evals."""

_LEDGER = ".evalkit-import.json"  # the SHA-256 of all that was written: other content is a person's
_BASELINE = re.compile(r"(without|old|no)(_.*)?|baseline")  # the arms that others are held against
_MOST_NAME = 80  # characters of a folder that is named for something
_HEADER = "# Written by `evalkit import`. What you change here stays, also when you import again.\n"
_SUMS = ("duration_s", "cost_usd", "num_turns", "judge_cost_usd", "total_tokens")
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
Scores: TypeAlias = dict[str, dict[str, Json]]  # by judge, as ``summary.yaml`` has them
_Nested: TypeAlias = Mapping[str, Mapping[str, Json]]


class Execution(NamedTuple):
    """What a case's execution consumed, what judges said of it, and the files that it left."""

    used: Mapping[str, Json]
    scores: Mapping[str, Mapping[str, Json]]
    files: Mapping[str, Json]


@dataclass
class FoundRun:
    """A run: each case's execution, what is said of all, and when it was left."""

    executions: dict[str, Execution] = field(default_factory=dict)
    facts: dict[str, Json] = field(default_factory=dict)
    review: dict[str, str] = field(default_factory=dict)
    modified_ns: int = 0

    def files(self, run_id: str, figures: Collection[str]) -> dict[str, Json]:
        """What lies in the run's directory, by path."""
        used = {case: each.used for case, each in self.executions.items()}
        scores = {case: each.scores for case, each in self.executions.items()}
        files = {RESULT: result_of(used, **self.facts), SUMMARY: summary_of(scores, figures)}
        files |= {"review.yaml": {"feedback": self.review}} if self.review else {}
        files = {name: {"run_id": run_id, **content} for name, content in files.items()}
        for case, each in self.executions.items():
            files |= {f"cases/{case}/{name}": content for name, content in each.files.items()}
        return files


@dataclass
class Found:
    """What a reader finds, by and by.

    A file's content is bytes, a path to be copied, or a value that becomes YAML or JSON by name.
    """

    format: str
    cases: dict[str, dict[str, Json]] = field(default_factory=dict)  # the files of each, by name
    # by folder, whose name they take, arm, and number
    trials: dict[tuple[Path, str, int], FoundRun] = field(default_factory=dict)
    figures: Collection[str] = ()  # the judges with figures over the cases; empty where all have
    files: int = 0
    skipped: dict[str, str] = field(default_factory=dict)  # path to why
    broken: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def trial(self, folder: Path, arm: str, number: int, source: Path, **facts: Json) -> FoundRun:
        """That of an arm, found in a file."""
        found = self.trials.setdefault((folder, arm, number), FoundRun())
        found.facts, found.modified_ns = {**facts, **found.facts}, source.stat().st_mtime_ns
        return found

    def _runs(self, home: Path) -> dict[str, FoundRun]:
        """The runs by their ids: the last two by name are compared where nobody names any."""
        runs: dict[str, FoundRun] = {}
        arms: dict[Path, tuple[list[str], list[str]]] = {}
        for (folder, arm, number), trial in sorted(self.trials.items(), key=lambda own: own[0]):
            is_baseline = bool(_BASELINE.fullmatch(arm))
            marked = f"baseline-{arm}" if is_baseline and arm != "baseline" else arm
            names = (folder.name, f"run-{number}" if arm or number > 1 else "", marked)
            run_id = folder_name("-".join(filter(None, names)), runs)
            arms.setdefault(folder, ([], []))[is_baseline].append(run_id)
            runs[run_id] = trial
        for new, old in [each for each in arms.values() if all(each)][-1:]:
            told = shlex.join([*new, "--baseline", *old, "--config", str(home / USUAL_CONFIG)])
            self.notes.append(f"to compare with and without: `evalkit compare {told}`")
        return runs

    def write(self, folder: Path | None, config: Mapping[str, Json], schema: str) -> dict[str, Any]:
        """Make the project of it; the report of the import.

        It goes to ``eval/NAME``, where every stage finds it, if nobody says where; an empty config
        leaves what there is.
        """
        done = [case_id for trial in self.trials.values() for case_id in trial.executions]
        if not {*self.cases, *done}:
            broken = [Problem(why, path) for path, why in self.broken.items()]
            raise InputError(*broken or [Problem(f"there are no cases ({self.format})")])
        folder = folder or Path("eval", folder_name(config["name"]))
        base, home, below = folder, "", "eval/runs"
        if folder.parent.name == "eval":  # where runs lie beside the projects
            base, home, below = folder.parent, f"{folder.name}/", f"runs/{folder.name}"
        own = eval_files(config, schema, self.cases)
        files = {f"{home}{name}": content for name, content in own.items()}
        runs = self._runs(folder)
        for run_id, trial in runs.items():
            left = trial.files(run_id, self.figures)
            files |= {f"{below}/{run_id}/{name}": content for name, content in left.items()}
        logs = sum(name.endswith("/stdout.log") for name in files)
        if (gone := len(done) - logs) and self.format != "table":
            what = f"of {len(done)} executions {gone} have no conversation below what was named"
            self.notes.append(f"{what}: their traces have no steps")
        receipt, kept = write_files(base, files)
        for run_id, trial in runs.items():
            os.utime(base / below / run_id / RESULT, ns=(trial.modified_ns, trial.modified_ns))
        report = {
            "format": self.format,
            "files": self.files,
            "cases": len({*self.cases, *done}),
            "runs": len(runs),
            "traces": logs,
            "executions": len(done),
            "skipped": {**self.broken, **self.skipped, **kept},
            "receipt": receipt,
            "directory": str(folder),
            "notes": self.notes,
        }
        if self.broken:
            told = ", ".join(self.broken)
            raise Unfinished(f"could not be read: {told}; all else was imported", report)
        return report


def value_in(path: Path, broken: dict[str, str] | None = None) -> Mapping[str, Json]:
    """What a YAML or JSON file holds; nothing if it cannot be read, which ``broken`` is told."""
    try:
        return mapping_of(read_document(path).value)
    except InputError as error:
        if broken is not None:
            broken[str(path)] = error.problems[0].message
        return {}


def mappings_in(value: Json) -> list[Mapping[str, Json]]:
    """The entries of a list, each as a mapping."""
    return [mapping_of(each) for each in list_of(value)]


def without_empty(value: Mapping[str, Json]) -> dict[str, Json]:
    """A mapping without what says nothing."""
    return {key: each for key, each in value.items() if each not in (None, "", [], {})}


def listed(paths: Sequence[Path], skipped: dict[str, str] | None = None) -> list[Path]:
    """These files, and those below these folders; ``skipped`` is given what is passed over."""
    found, notes = list[Path](), {} if skipped is None else skipped
    for path in paths:
        barred: dict[str, str] = {}
        found += [path / n for n in files_below(path, path, barred)] if path.is_dir() else [path]
        notes |= {str(path / name): why for name, why in barred.items()}
    return found


def config_of(name: str, judge: str, source: str, **bar: Json) -> dict[str, Json]:
    """What ``eval.yaml`` says where a share of what was checked decides."""
    judges = [{"name": judge, "builtin": source, "score_range": [0, 1]}]
    return {"name": name, "judges": judges, "thresholds": {judge: {"max_error_rate": 0, **bar}}}


def folder_name(text: str, taken: Collection[str] = ()) -> str:
    """A name for a folder that says the text, and is none of those taken, whatever their case."""
    text = re.sub(r"[^\w.+@ ()\[\]-]+", "-", well_formed(text))
    plain = text.strip("-. ")[:_MOST_NAME].strip("-. ") or "case"
    lowered, names = {each.casefold() for each in taken}, (f"{plain}-{n}" for n in count(2))
    return next(name for name in chain([plain], names) if name.casefold() not in lowered)


def score(value: Json, *why: str, by: str, error: str = "", **more: Json) -> dict[str, Json]:
    """What a judge of a kind said of a case, as ``summary.yaml`` has it; nothing, with an error."""
    said = {"value": None if error else value, "rationale": "\n\n".join(filter(None, why))}
    others = {"judge_type": by, "error": error, **more}
    return said | {name: each for name, each in others.items() if each}


def add_share(scores: Scores, judge: str, share: Json, what: str, by: str) -> None:
    """Add the score that decides, a share of those that count; none if one has no verdict."""
    counted = {name: each for name, each in scores.items() if "with_only" not in each}
    silent = ", ".join(name for name, each in counted.items() if "error" in each)
    passed = [name for name, each in counted.items() if each["value"] is True]
    why = f"{len(passed)} of {len(counted)} {what}" if counted else ""
    lacks = f"no verdict of {truncate(silent, 200)}" if silent else ""
    scores[judge] = score(float(share) if is_number(share) else None, why, by=by, error=lacks)


def summary_of(per_case: Mapping[str, _Nested], figures: Collection[str] = ()) -> dict[str, Json]:
    """The content of ``summary.yaml``, from case to judge to score; of all or of ``figures``."""
    judges: Scores = {}
    there = dict.fromkeys(judge for own in per_case.values() for judge in own)
    for judge in (each for each in there if not figures or each in figures):
        scores = [own[judge] for own in per_case.values() if judge in own]
        values: list[Json] = [each.get("value") for each in scores if not each.get("error")]
        passes = [value for value in values if isinstance(value, bool)]
        numbers = [value for value in values if is_number(value)]
        judges[judge] = {"pass_rate": fmean(passes)} if passes else {}
        judges[judge] |= {"mean": fmean(numbers)} if numbers else {}
        judges[judge]["scored_cases"] = sum(value is not None for value in values)
        judges[judge]["errored_cases"] = len(scores) - len(values)
    return {"judges": judges, "per_case": per_case}


def result_of(per_case: _Nested, **facts: Json) -> dict[str, Json]:
    """The content of ``run_result.json``: facts of the run, and the sum of what cases consumed."""
    columns: dict[str, list[Json]] = {n: [own.get(n) for own in per_case.values()] for n in _SUMS}
    whole = {n: values for n, values in columns.items() if values and all(map(is_number, values))}
    totals = {name: round(sum(values), 9) for name, values in whole.items()}  # not of some
    said = {name: value for name, value in facts.items() if value is not None}
    if began := [str(own["started_at"]) for own in per_case.values() if own.get("started_at")]:
        said["started_at"] = min(began)
    said |= {"execution_mode": "case", "num_cases": len(per_case), **totals}
    return {**said, "per_case": per_case}


def eval_files(config: Mapping[str, Json], schema: str, cases: _Nested) -> dict[str, Json]:
    """The files of a project without runs, by path; what says nothing is left out."""
    dataset = {"path": "cases", "schema": schema}
    files = {USUAL_CONFIG: {**without_empty(config), "dataset": dataset}} if config else {}
    for case_id, own in cases.items():
        files |= {f"cases/{case_id}/{name}": each for name, each in without_empty(own).items()}
    return files


def write_files(folder: Path, files: Mapping[str, Json]) -> tuple[dict[str, int], dict[str, str]]:
    """Write into a folder, by path, what is not there yet, or was left by an earlier import.

    Says how many files were written, updated, unchanged and left, and of each of these why.
    """
    ledger, digests = folder / _LEDGER, set[str]()
    known = {*list_of(read_document(ledger).value)} if ledger.is_file() else set[str]()
    counts, left = Counter(written=0, updated=0, unchanged=0, left=0), dict[str, str]()
    for name, value in files.items():
        path, content = folder / name, _content(name, value)
        digests.add(digest := hashlib.sha256(content).hexdigest())
        is_there = path.exists() or path.is_symlink()
        there = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        if there == digest:
            counts["unchanged"] += 1
        elif is_there and there not in known:
            counts["left"] += 1
            left[str(path)] = "was changed since evalkit wrote it, or by others: it stays so"
        else:
            counts["updated" if is_there else "written"] += 1
            _put(folder, path, content)
            if isinstance(value, Path):  # a log may say no times but its own
                shutil.copystat(value, path)
    if not known.issuperset(digests):
        _put(folder, ledger, json.dumps(sorted(known | digests), indent=1).encode() + b"\n")
    return dict(counts), left


def _content(name: str, value: Json) -> bytes:
    if isinstance(value, (bytes, Path)):
        return value if isinstance(value, bytes) else value.read_bytes()
    if name.endswith(".json"):
        return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    options: dict[str, Json] = {"sort_keys": False, "allow_unicode": True, "width": 100}
    text = str(yaml.dump(well_formed(value), Dumper=_DUMPER, **options))
    return ((_HEADER if name.endswith(USUAL_CONFIG) else "") + text).encode()


def _put(folder: Path, path: Path, content: bytes) -> None:
    inside(path, folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise InputError(Problem(what, str(path), fix="name another folder")) from error
