"""Reads skill-creator's evals: ``evals.json``, and what lies in an iteration's folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from evalkit.documents import scalar_text
from evalkit.errors import InputError, Problem
from evalkit.imports import project_writer as writer
from evalkit.imports.project_writer import Found, Scores, mappings_in, value_in, without_empty
from evalkit.jsonable import Json, is_number, list_of, mapping_of, truncate
from evalkit.runs.log_file import MOST_BYTES

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

_GIVEN, _WORDS = ("prompt", "files"), ("expectations", "assertions")
_EXPECTED = ("expected_output", *_WORDS)
_ARMS = {"with_skill", "without_skill", "old_skill", "new_skill", "baseline"}
_MET = {"true", "pass", "passed", "yes", "met"}
_MOST_NAME = 60  # characters of an expectation that becomes a judge's name
_Said: TypeAlias = Mapping[str, Json]


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
    evals = _SkillEvals(found := Found("skill-creator", figures=(_SHARE,)))
    listed = writer.listed(paths, found.skipped)
    listed.sort(key=lambda each: (len(each.parts), each))
    for name, add in evals.readers.items():
        for path in (each for each in listed if each.name == name):
            if not _fits(path):
                found.skipped[str(path)] = "is of another shape than skill-creator's"
            elif said := value_in(path, found.broken):
                found.files += 1
                add(path, said)
    if not found.trials:
        found.notes.append("no results: name the folder with the iterations, too")
    name = evals.skill or "skill-evals"
    config = writer.config_of(name, _SHARE, "skill-creator") | {"skill": evals.skill}
    return found.write(out, config, writer.SCHEMA)


class _SkillEvals:
    """What the files say: by a case's names its id, by an execution's its trial and its case."""

    def __init__(self, found: Found) -> None:
        self.found, self.skill = found, ""
        self.aliases: dict[str, str] = {}
        self.reviewed: dict[tuple[Path, str], tuple[writer.FoundRun, str]] = {}
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
            expected |= without_empty({key: said.get(key) for key in _WORDS})

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
        trial = self._trial(folder.parent, arm, int(number[1]) if number else 1, path)
        if case in trial.executions:
            self.found.skipped[str(path)] = f"is a second result of {case} in {folder.parent}"
            return
        name = f"{folder.name}-{arm}".rstrip("-")
        for each in (name, f"{name}-run-{number[1] if number else 1}"):
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
        trial.executions[case] = writer.Execution(
            _consumed(timing), self._scores(case, said), files
        )

    def _trial(self, folder: Path, arm: str, number: int, source: Path) -> writer.FoundRun:
        folder = folder.resolve()
        facts = {"configuration": arm, "trial": number, "iteration": folder.name}
        return self.found.trial(folder, arm, number, source, eval_params=without_empty(facts))

    def _scores(self, case: str, said: _Said) -> Scores:
        expected = self.found.cases[case]["annotations.yaml"]
        return _verdicts(said, next((list_of(expected[k]) for k in _WORDS if k in expected), []))

    def _add_benchmark(self, path: Path, benchmark: _Said) -> None:
        """What it says of the runs, and the results that only a benchmark repeats."""
        folder, trials = path.parent.resolve(), self.found.trials
        graded = {
            (arm, case)
            for at, arm, n in trials
            if at == folder
            for case in trials[at, arm, n].executions
        }
        for run in mappings_in(benchmark.get("runs")):
            case = self._case_of(run.get("eval_name"), run.get("eval_id"))
            arm, number = scalar_text(run.get("configuration")), run.get("run_number", 1)
            # "with_skill (iter3)" beside a graded "with_skill" repeats another iteration's
            is_graded = (arm.partition(" (")[0], case) in graded
            if case and isinstance(number, int) and not is_graded:
                said = {**run, **mapping_of(run.get("result"))}
                used = _consumed(mapping_of(said.get("timing")) or said)
                own = writer.Execution(used, self._scores(case, said), {})
                self._trial(folder, arm, number, path).executions.setdefault(case, own)
        about = mapping_of(benchmark.get("metadata"))
        model = scalar_text(about.get("executor_model"))
        known = {"model": model if model[:1] != "<" else "", "started_at": about.get("timestamp")}
        for (at, _, _), trial in trials.items():
            trial.facts |= without_empty(known) if at == folder else {}

    def _add_feedback(self, path: Path, said: _Said) -> None:
        """What people said of executions; an empty comment is acceptance."""
        for each in mappings_in(said["reviews"]):
            if named := self.reviewed.get((path.parent, scalar_text(each.get("run_id")))):
                trial, case = named
                trial.review[case] = scalar_text(each.get("feedback"))


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


def _verdicts(said: _Said, expected: Sequence[Json]) -> Scores:
    """Each expectation's verdict, and the share that was met.

    In the case's words where there are as many: graders paraphrase them, each time differently.
    """
    items = next((found for key in _GRADED if (found := mappings_in(said.get(key)))), [])
    known = [_text_of(each) for each in expected]
    scores: Scores = {}
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
    stated = mapping_of(said.get("summary")).get(_SHARE, said.get(_SHARE))
    share = sum(met) / len(met) if met else stated
    writer.add_share(scores, _SHARE, share, "expectations were met", "llm")
    return scores
