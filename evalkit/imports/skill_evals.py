"""Reads skill-creator's evals: ``evals.json``, and what lies in an iteration's folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from evalkit.documents import scalar_text
from evalkit.errors import InputError, Problem
from evalkit.imports import project_writer as writer
from evalkit.imports.project_writer import Execution, Found, mappings_in, value_in, without_empty
from evalkit.jsonable import Json, is_number, list_of, mapping_of
from evalkit.runs.log_file import MOST_BYTES
from evalkit.truncation import truncate

ORIGIN = "skill_creator"
"""The key in ``metadata.yaml`` under which stands what a case says besides."""

_SHARE = "pass_rate"  # the judge that decides: the share of the expectations that were met
_GRADED = ("expectations", "assertion_results", "assertions")  # keys of verdicts
_KEYS = {
    "evals.json": ("evals",),
    "eval_metadata.json": ("prompt", "eval_id", "eval_name"),
    "grading.json": (*_GRADED, "summary"),
    "benchmark.json": ("runs",),
    "feedback.json": ("reviews",),
}
"""The files that are read, in this order, and keys of which each has one."""

_GIVEN, _EXPECTED = ("prompt", "files"), ("expected_output", "expectations", "assertions")
_ARMS = {"with_skill", "without_skill", "old_skill", "new_skill", "baseline"}
_MET = {"true", "pass", "passed", "yes", "met"}
_MOST_NAME = 60  # characters of an expectation that becomes a judge's name
_Said: TypeAlias = Mapping[str, Json]
_Trial: TypeAlias = tuple[Path, str, int]
"""The folder of an iteration, the configuration's name, and the trial's number."""


def holds_skill_evals(path: Path) -> bool:
    """Whether it is an ``evals.json``, or a folder with one or with results of such evals."""
    telling = {"evals.json", "grading.json", "benchmark.json"}
    return any(each.name in telling and _fits(each) for each in writer.listed([path]))


def _fits(path: Path) -> bool:
    """Whether a file holds what skill-creator has under that name, or nothing that can be read."""
    value = value_in(path)
    if path.name == "benchmark.json":
        return any("configuration" in run for run in mappings_in(value.get("runs")))
    if path.name == "evals.json" and value:
        entries = mappings_in(value.get("evals"))
        return bool(entries) and all("prompt" in each for each in entries)
    return not value or any(key in value for key in _KEYS[path.name])


def import_skill_evals(paths: Sequence[Path], out: Path | None) -> dict[str, Any]:
    """Make a project of the cases, and a run of each configuration's trial in an iteration."""
    evals = _SkillEvals(found := Found("skill-creator"))
    listed = writer.listed(paths, found.skipped)
    listed.sort(key=lambda each: (len(each.parts), each))
    for name, add in evals.readers.items():
        for path in (each for each in listed if each.name == name):
            if not _fits(path):
                found.skipped[str(path)] = "is of another shape than skill-creator's"
            elif said := mapping_of(found.read(path)):
                found.files += 1
                add(path, said)
    evals.add_runs()
    name = evals.skill or "skill-evals"
    config = writer.config_of(name, _SHARE, "skill-creator") | {"skill": evals.skill}
    return found.write(out, config, writer.SCHEMA)


class _SkillEvals:
    """What the files say: ``aliases`` has a case's names, ``trials`` each iteration's results."""

    def __init__(self, found: Found) -> None:
        self.found, self.skill = found, ""
        self.aliases: dict[str, str] = {}
        self.trials: dict[_Trial, dict[str, Execution]] = {}
        self.sources: dict[_Trial, Path] = {}
        self.benchmarks: dict[Path, _Said] = {}
        self.reviewed: dict[tuple[Path, str], tuple[_Trial, str]] = {}
        self.reviews: dict[_Trial, dict[str, str]] = {}
        adders = self._add_evals, self._add_about, self._add_grading, self._add_benchmark
        self.readers = dict(zip(_KEYS, (*adders, self._add_feedback), strict=True))

    def _add_evals(self, path: Path, said: _Said) -> None:
        skill = scalar_text(said.get("skill_name") or said.get("skill"))
        if self.skill not in {"", skill}:
            what = f"several skills at once: {self.skill}, {skill}"
            raise InputError(Problem(what, str(path), fix="name one's folders"))
        if self.aliases:
            self.found.skipped[str(path)] = "is a copy of another, which counts"
            return
        self.skill = skill
        for number, entry in enumerate(mappings_in(said["evals"]), 1):
            self._add_case(entry, number)

    def _add_case(self, entry: _Said, usual: Json) -> str:
        key = scalar_text(entry.get("id", entry.get("eval_id", usual)))
        name = scalar_text(entry.get("name") or entry.get("eval_name"))
        case_id = writer.folder_name(name or f"eval-{key}", self.found.cases)
        known = {*_GIVEN, *_EXPECTED, "eval_id", "eval_name"}
        others = {k: v for k, v in entry.items() if k not in known}
        self.found.cases[case_id] = {
            "input.yaml": without_empty({each: entry.get(each) for each in _GIVEN}),
            "annotations.yaml": without_empty({each: entry.get(each) for each in _EXPECTED}),
            "metadata.yaml": {ORIGIN: without_empty({"id": key, "name": name, **others})},
        }
        for alias in filter(None, (key, f"eval-{key}", f"eval_{key}", name)):
            self.aliases.setdefault(alias, case_id)
        return case_id

    def _case_of(self, *names: Json) -> str | None:
        texts = map(scalar_text, names)
        return next((self.aliases[name] for name in texts if name in self.aliases), None)

    def _add_about(self, path: Path, said: _Said) -> None:
        """What lies beside the results of a case, and may be all that there is of it."""
        is_arms = path.parent.name in _ARMS
        folder = path.parent.parent.name if is_arms else path.parent.name
        case = self._case_of(said.get("eval_name"), said.get("eval_id"), folder)
        case = case or self._add_case({"eval_name": folder, **without_empty(said)}, folder)
        self.aliases.setdefault(folder, case)
        expected = self.found.cases[case]["annotations.yaml"]
        if expected.keys() <= {"expected_output"}:
            expected |= without_empty({key: said.get(key) for key in _EXPECTED[1:]})

    def _add_grading(self, path: Path, said: _Said) -> None:
        """The result in a folder, of the case, configuration and trial that the folders say."""
        home = path.parent.parent if path.parent.name == "outputs" else path.parent
        number = re.fullmatch(r"(?:run|trial)[-_]?(\d+)", home.name)
        folder, arm = home.parent if number else home, ""
        if folder.name not in self.aliases:
            folder, arm = folder.parent, folder.name
        numbered = re.match(r"eval[-_](\d+)(?=[-_])", folder.name)
        stated = said.get("eval_name"), said.get("eval_id"), numbered and numbered[1]
        case = self._case_of(folder.name, *stated)
        case = case or self._add_case({"name": folder.name}, folder.name)
        trial = (folder.parent, arm, int(number[1]) if number else 1)
        if case in self.trials.get(trial, ()):
            self.found.skipped[str(path)] = f"is a second result of {case} in {folder.parent}"
            return
        name = f"{folder.name}-{arm}".rstrip("-")
        for each in (name, f"{name}-run-{trial[2]}"):
            self.reviewed.setdefault((folder.parent, each), (trial, case))
        beside = [value_in(home / name) for name in ("timing.json", "outputs/timing.json")]
        timing = next(filter(None, beside), mapping_of(said.get("timing")))
        files: dict[str, Json] = {}
        for left in writer.listed([home]):  # of links, those that lead nowhere else
            name = left.relative_to(home).as_posix()
            if left.parent == home and left.suffix == ".jsonl":
                files.setdefault("stdout.log", left)
            elif name.startswith("outputs/") and left.name != "grading.json":
                if left.stat().st_size <= MOST_BYTES:
                    files[name] = left
                else:
                    self.found.skipped[str(left)] = "is left there: it is large"
        self._add(trial, case, path, said, Execution(_consumed(timing), {}, files))

    def _add_benchmark(self, path: Path, benchmark: _Said) -> None:
        """The results that only a benchmark repeats."""
        self.benchmarks[path.parent] = benchmark
        graded = {(t[0], t[1], case) for t, own in self.trials.items() for case in own}
        for run in mappings_in(benchmark.get("runs")):
            case = self._case_of(run.get("eval_name"), run.get("eval_id"))
            arm, number = scalar_text(run.get("configuration")), run.get("run_number", 1)
            # "with_skill (iter3)" beside a graded "with_skill" repeats another iteration's
            is_graded = (path.parent, arm.partition(" (")[0], case) in graded
            if case and isinstance(number, int) and not is_graded:
                said = {**run, **mapping_of(run.get("result"))}
                own = Execution(_consumed(mapping_of(said.get("timing")) or said), {}, {})
                self._add((path.parent, arm, number), case, path, said, own)

    def _add(self, trial: _Trial, case: str, path: Path, said: _Said, execution: Execution) -> None:
        self.sources[trial] = path
        expected = self.found.cases[case]["annotations.yaml"]
        wanted = next((list_of(expected[k]) for k in _EXPECTED[1:] if k in expected), [])
        own = execution._replace(scores=_verdicts(said, wanted))
        self.trials.setdefault(trial, {}).setdefault(case, own)

    def _add_feedback(self, path: Path, said: _Said) -> None:
        """What people said of executions; an empty comment is acceptance."""
        for each in mappings_in(said["reviews"]):
            named = self.reviewed.get((path.parent, scalar_text(each.get("run_id"))))
            if named:
                own = self.reviews.setdefault(named[0], {})
                own[named[1]] = scalar_text(each.get("feedback"))

    def add_runs(self) -> None:
        """A run of each trial of a configuration in an iteration."""
        for trial, executions in sorted(self.trials.items()):
            folder, arm, number = trial
            iteration, review = folder.resolve().name, self.reviews.get(trial)
            about = mapping_of(mapping_of(self.benchmarks.get(folder)).get("metadata"))
            model = scalar_text(about.get("executor_model"))
            facts = {"configuration": arm, "trial": number, "iteration": iteration}
            self.found.add_run(
                (iteration, arm, number),
                executions,
                self.sources[trial].stat().st_mtime_ns,
                figures=(_SHARE,),
                files={"review.yaml": {"feedback": review}} if review else {},
                model=None if model.startswith("<") else model or None,  # "<model-name>"
                started_at=about.get("timestamp"),
                eval_params=without_empty(facts),
            )
        if not self.trials:
            self.found.notes.append("no results: name the folder with the iterations, too")


def _consumed(said: _Said) -> dict[str, Json]:
    """What an execution consumed, in the harness's words; how it ended is not known."""
    seconds = said.get("total_duration_seconds", said.get("time_seconds"))
    if is_number(said.get("duration_ms")):
        seconds = said["duration_ms"] / 1000
    found = {"duration_s": seconds, "total_tokens": said.get("total_tokens", said.get("tokens"))}
    return {key: value for key, value in found.items() if is_number(value)}


def _text_of(item: Json) -> str:
    said = (mapping_of(item).get(key) for key in ("text", "description", "assertion", "name"))
    return scalar_text(item if isinstance(item, str) else next(filter(None, said), ""))


def _verdicts(said: _Said, expected: Sequence[Json]) -> dict[str, dict[str, Json]]:
    """Each expectation's verdict, and the share that was met.

    In the case's words where there are as many: graders paraphrase them, each time differently.
    """
    items = next((found for key in _GRADED if (found := mappings_in(said.get(key)))), [])
    known = [_text_of(each) for each in expected]
    scores: dict[str, dict[str, Json]] = {}
    for place, item in enumerate(items):
        own = _text_of(item)
        text = known[place] if len(known) == len(items) and own not in known else own
        name = truncate(scalar_text(item.get("id")) or text or "expectation", _MOST_NAME)
        while name in scores:
            name += "'"
        verdict = next((item[key] for key in ("passed", "pass", "met") if key in item), None)
        scores[name] = writer.score(
            scalar_text(verdict).lower() in _MET,
            "" if own == name else own,
            scalar_text(item.get("evidence")),
            by="code" if item.get("type") == "code" else "llm",
            error="there is no verdict" if verdict is None else "",
        )
    met = [each["value"] for each in scores.values() if "error" not in each]
    share = mapping_of(said.get("summary")).get(_SHARE, said.get(_SHARE))
    share, lacking = sum(met) / len(met) if met else share, len(items) - len(met)
    scores[_SHARE] = writer.score(
        share if is_number(share) else None,
        f"{sum(met)} of {len(items)} expectations were met" if items else "",
        by="llm",
        error=f"{lacking} expectations have no verdict" if lacking else "",
    )
    return scores
