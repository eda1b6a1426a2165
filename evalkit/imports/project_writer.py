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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import yaml

from evalkit.config_files import USUAL_CONFIG
from evalkit.errors import InputError, Problem, Unfinished
from evalkit.files import files_below, inside, read_document, write_whole
from evalkit.jsonable import Json, is_number, list_of, mapping_of, well_formed
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


class Execution(NamedTuple):
    """What a case's execution consumed, what judges said of it, and the files that it left."""

    used: Mapping[str, Json]
    scores: Mapping[str, Mapping[str, Json]]
    files: Mapping[str, Json]


@dataclass
class Found:
    """What a reader finds, by and by.

    A file's content is bytes, a path to be copied, or a value that becomes YAML or JSON by name.
    """

    format: str
    cases: dict[str, dict[str, Json]] = field(default_factory=dict)  # the files of each, by name
    runs: dict[str, dict[str, Json]] = field(default_factory=dict)  # the same, by path
    times: dict[str, int] = field(default_factory=dict)
    arms: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)  # last the baselines
    files: int = 0
    skipped: dict[str, str] = field(default_factory=dict)  # path to why
    broken: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def read(self, path: Path) -> Json:
        """A file's value; None where it cannot be read, and then it is among the broken."""
        try:
            return read_document(path).value
        except InputError as error:
            self.broken[str(path)] = error.problems[0].message
            return None

    def add_run(
        self,
        named: tuple[str, str, int],
        executions: Mapping[str, Execution],
        modified_ns: int,
        *,
        figures: Collection[str] | None = None,
        files: Mapping[str, Mapping[str, Json]] | None = None,
        **facts: Json,
    ) -> None:
        """A run by its place, arm and trial: each case's execution, and when it was left.

        Of a trial, that with a plugin or skill is the last by name, and that without the one
        before: they are compared where nobody names runs.
        """
        place, arm, trial = named
        is_baseline = bool(_BASELINE.fullmatch(arm))
        marked = f"baseline-{arm}" if is_baseline and arm != "baseline" else arm
        number = f"run-{trial}" if arm or trial > 1 else ""
        run_id = folder_name("-".join(filter(None, (place, number, marked))), self.runs)
        self.arms.setdefault(place, ([], []))[is_baseline].append(run_id)
        self.times[run_id] = modified_ns
        used = {case: each.used for case, each in executions.items()}
        scores = {case: each.scores for case, each in executions.items()}
        self.runs[run_id] = own = {
            RESULT: {"run_id": run_id, **result_of(used, **facts)},
            SUMMARY: {"run_id": run_id, **summary_of(scores, figures)},
            **{name: {"run_id": run_id, **content} for name, content in (files or {}).items()},
        }
        for case, each in executions.items():
            own |= {f"cases/{case}/{name}": content for name, content in each.files.items()}

    def write(self, folder: Path | None, config: Mapping[str, Json], schema: str) -> dict[str, Any]:
        """Make the project of it; the report of the import.

        It goes to ``eval/NAME``, where every stage finds it, if nobody says where; an empty config
        leaves what there is.
        """
        results = [mapping_of(own[RESULT]["per_case"]) for own in self.runs.values()]
        ids = {*self.cases, *(case_id for own in results for case_id in own)}
        if not ids:
            broken = [Problem(why, path) for path, why in self.broken.items()]
            raise InputError(*broken or [Problem(f"there are no cases ({self.format})")])
        folder = folder or Path("eval", folder_name(config["name"]))
        base, home, runs = folder, "", "eval/runs/"
        if folder.parent.name == "eval":  # where runs lie beside the projects
            base, home, runs = folder.parent, f"{folder.name}/", f"runs/{folder.name}/"
        own = eval_files(config, schema, self.cases)
        files = {f"{home}{name}": content for name, content in own.items()}
        for run_id, left in self.runs.items():
            files |= {f"{runs}{run_id}/{name}": content for name, content in left.items()}
        executions, logs = sum(map(len, results)), sum(n.endswith("/stdout.log") for n in files)
        if (gone := executions - logs) and self.format != "table":
            what = f"of {executions} executions {gone} have no conversation below what was named"
            self.notes.append(f"{what}: their traces have no steps")
        for new, old in [arms for arms in self.arms.values() if all(arms)][-1:]:
            told = shlex.join([*new, "--baseline", *old, "--config", str(folder / USUAL_CONFIG)])
            self.notes.append(f"to compare with and without: `evalkit compare {told}`")
        receipt, kept = write_files(base, files)
        for run_id, time_ns in self.times.items():
            os.utime(base / runs / run_id / RESULT, ns=(time_ns, time_ns))
        report = {
            "format": self.format,
            "files": self.files,
            "cases": len(ids),
            "runs": len(results),
            "traces": logs,
            "executions": executions,
            "skipped": {**self.broken, **self.skipped, **kept},
            "receipt": receipt,
            "directory": str(folder),
            "notes": self.notes,
        }
        if self.broken:
            what = f"could not be read: {', '.join(self.broken)}; all else was imported"
            raise Unfinished(what, report)
        return report


def value_in(path: Path) -> Mapping[str, Json]:
    """What a YAML or JSON file holds; nothing where there is none that can be read."""
    with suppress(InputError):
        return mapping_of(read_document(path).value)
    return {}


def mappings_in(value: Json) -> list[Mapping[str, Json]]:
    """The entries of a list, each as a mapping."""
    return [mapping_of(each) for each in list_of(value)]


def without_empty(value: Mapping[str, Json]) -> dict[str, Json]:
    """A mapping without what says nothing."""
    return {key: each for key, each in value.items() if each not in (None, "", [], {})}


def listed(paths: Sequence[Path], skipped: dict[str, str] | None = None) -> list[Path]:
    """These files, and those below these folders; ``skipped`` is given what is passed over."""
    found: list[Path] = []
    for path in paths:
        barred: dict[str, str] = {}
        found += [path / n for n in files_below(path, path, barred)] if path.is_dir() else [path]
        if skipped is not None:
            skipped |= {str(path / name): why for name, why in barred.items()}
    return found


def config_of(name: str, judge: str, source: str, **bar: Json) -> dict[str, Json]:
    """What ``eval.yaml`` says where a share of what was checked decides."""
    judges = [{"name": judge, "builtin": source, "score_range": [0, 1]}]
    return {"name": name, "judges": judges, "thresholds": {judge: {"max_error_rate": 0, **bar}}}


def folder_name(text: str, taken: Collection[str] = ()) -> str:
    """A name for a folder that says the text, and is none of those taken, whatever their case."""
    text = re.sub(r"[^\w.+@ ()\[\]-]+", "-", well_formed(text))
    plain = text.strip("-. ")[:_MOST_NAME].strip("-. ") or "case"
    name, number, lowered = plain, 1, {each.casefold() for each in taken}
    while name.casefold() in lowered:
        number += 1
        name = f"{plain}-{number}"
    return name


def score(value: Json, *why: str, by: str, error: str = "", **more: Json) -> dict[str, Json]:
    """What a judge of a kind said of a case, as ``summary.yaml`` has it; nothing, with an error."""
    said = {"value": None if error else value, "rationale": "\n\n".join(filter(None, why))}
    others = {"judge_type": by, "error": error, **more}
    return said | {name: each for name, each in others.items() if each}


def summary_of(
    per_case: Mapping[str, Mapping[str, Mapping[str, Json]]],
    figures: Collection[str] | None = None,
) -> dict[str, Json]:
    """The content of ``summary.yaml``, from case to judge to score; ``figures`` of all, or some."""
    said: dict[str, list[Mapping[str, Json]]] = {}
    for judge, score in (each for own in per_case.values() for each in own.items()):
        if figures is None or judge in figures:
            said.setdefault(judge, []).append(score)
    judges: dict[str, dict[str, Json]] = {}
    for judge, scores in said.items():
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
    """The content of ``run_result.json``: facts of the run, and the sum of what cases consumed."""
    totals: dict[str, Json] = {}
    for name in _SUMS:
        values: list[Json] = [own.get(name) for own in per_case.values()]
        if values and all(map(is_number, values)):  # a sum of some would look like one of all
            totals[name] = round(sum(values), 9)
    said = {name: value for name, value in facts.items() if value is not None}
    if began := [str(own["started_at"]) for own in per_case.values() if own.get("started_at")]:
        said["started_at"] = min(began)
    mode = {"execution_mode": "case", "num_cases": len(per_case)}
    return {**mode, **said, **totals, "per_case": per_case}


def eval_files(
    config: Mapping[str, Json], schema: str, cases: Mapping[str, Mapping[str, Json]]
) -> dict[str, Json]:
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
