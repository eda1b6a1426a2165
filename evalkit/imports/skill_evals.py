"""Reads skill-creator's evals: ``evals.json``, and what lies in an iteration's folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalkit.documents import scalar_text
from evalkit.errors import InputError, Problem
from evalkit.imports import project_writer as writer
from evalkit.imports.project_writer import mappings_in, value_in, without_empty
from evalkit.imports.skill_gradings import GRADED, PASS_RATE, Grading, execution_of
from evalkit.jsonable import Json, list_of, mapping_of

_EVALS = re.compile(r"evals[\w-]*\.json")
_NEEDED = {
    "benchmark.json": ("runs",),
    "grading.json": (*GRADED, "summary"),
    "eval_metadata.json": ("prompt", "eval_id", "eval_name"),
    "feedback.json": ("reviews",),
}
"""The files that are read, and keys of which each has one."""

_TELLING = {"evals.json", "grading.json", "benchmark.json"}  # by which a folder is known
_SCHEMA = """\
- `input.yaml`: `prompt` is what the agent is asked; `files` are the input files.
- `annotations.yaml`: `expected_output` is the expected output; `expectations` and `assertions` say
  what is expected.
"""
_JUDGE = {
    "name": PASS_RATE,
    "description": "The share of the expectations that were met",
    "builtin": "skill-creator",
    "score_range": [0, 1],
}
_CONFIGURATIONS = {"with_skill", "without_skill", "old_skill", "new_skill", "baseline"}
_GIVEN, _EXPECTED = ("prompt", "files"), ("expected_output", "expectations", "assertions")


def holds_skill_evals(path: Path) -> bool:
    """Whether it is an ``evals.json``, or a folder with one or with results of such evals."""
    found = [(each, value_in(each)) for each in _files([path]) if each.name in _TELLING]
    return any(value is None or _fits(each, value) for each, value in found)


def import_skill_evals(paths: Sequence[Path], out: Path | None) -> dict[str, Any]:
    """Make a project of the cases, and a run of each configuration's trial in an iteration."""
    found = writer.Found("skill-creator")
    evals = _SkillEvals(found)
    for path in sorted(_files(paths), key=lambda each: (len(each.parts), each)):
        if _fits(path, value := found.read(path)):
            found.files += 1
            evals.documents[path] = value
        elif str(path) not in found.broken:
            found.skipped[str(path)] = "is of another shape than skill-creator's"
    skill = evals.index_cases()
    evals.index_gradings()
    evals.add_runs()
    name = skill or "skill-evals"
    bar = {PASS_RATE: {"max_error_rate": 0}}
    config = {"name": name, "skill": skill, "judges": [_JUDGE], "thresholds": bar}
    return found.write(out or writer.usual_folder(name), config, _SCHEMA)


def _files(paths: Sequence[Path]) -> list[Path]:
    return [p for p in writer.listed(paths) if p.name in _NEEDED or _EVALS.fullmatch(p.name)]


def _fits(path: Path, found: Json) -> bool:
    """Whether a file holds what skill-creator has under that name."""
    value = mapping_of(found)
    if path.name == "benchmark.json":
        return any("configuration" in run for run in mappings_in(value.get("runs")))
    if path.name in _NEEDED:
        return any(key in value for key in _NEEDED[path.name])
    entries = mappings_in(value.get("evals"))
    return bool(entries) and all("prompt" in each for each in entries)


def _name_of(entry: Mapping[str, Json]) -> Json:
    return entry.get("name") or entry.get("eval_name")


def _id_of(entry: Mapping[str, Json], usual: Json) -> Json:
    return entry.get("id", entry.get("eval_id", usual))


@dataclass
class _SkillEvals:
    """What the files say: ``aliases`` has a case's names, ``trials`` each iteration's results."""

    found: writer.Found
    documents: dict[Path, Mapping[str, Json]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    trials: dict[tuple[Path, str, int], dict[str, Grading]] = field(default_factory=dict)

    def _named(self, name: str) -> Iterator[tuple[Path, Mapping[str, Json]]]:
        yield from ((path, own) for path, own in self.documents.items() if path.name == name)

    def index_cases(self) -> str:
        """The cases of ``evals.json``, and what lies beside their results; the skill's name."""
        evals = [(p, own) for p, own in self.documents.items() if _EVALS.fullmatch(p.name)]
        skills = {scalar_text(own.get("skill_name") or own.get("skill")) for _, own in evals} - {""}
        if len(skills) > 1:
            what = f"several skills at once: {', '.join(sorted(skills))}"
            raise InputError(Problem(what, fix="name one's folders"))
        entries: dict[str, dict[str, Json]] = {}
        for path, own in evals:
            if path.parent != evals[0][0].parent:
                self.found.skipped[str(path)] = f"is a copy of {evals[0][0]}, which counts"
                continue
            for number, entry in enumerate(mappings_in(own["evals"]), 1):
                key = scalar_text(_id_of(entry, number))
                entries[key] = {**entry, **entries.get(key, {})}
        known = {scalar_text(_name_of(entry)): key for key, entry in entries.items()}
        benchmarks = [own for _, own in self._named("benchmark.json")]
        runs = [run for own in benchmarks for run in mappings_in(own.get("runs"))]
        arms = _CONFIGURATIONS | {scalar_text(run.get("configuration")) for run in runs}
        folders: dict[str, str] = {}
        for path, own in self._named("eval_metadata.json"):
            at = path.parent.parent if path.parent.name in arms else path.parent
            name = scalar_text(_name_of(own)) or at.name
            key = known.get(name) or scalar_text(own.get("eval_id", own.get("id"))) or name
            entry = without_empty(entries.get(key, {}))
            both = {"assertions": None} if "expectations" in entry else {}
            entries[key] = {**own, **both, **entry}
            folders.setdefault(at.name, key)
        for key, entry in entries.items():
            name = scalar_text(_name_of(entry)) or f"eval-{key}"
            keyed = {"id": _id_of(entry, key), "name": _name_of(entry)}
            case_id = self._add_case(name, {**entry, **keyed})
            own_folders = (folder for folder, its in folders.items() if its == key)
            for alias in (key, f"eval-{key}", f"eval_{key}", name, *own_folders):
                self.aliases.setdefault(alias, case_id)
        stated = [scalar_text(mapping_of(b.get("metadata")).get("skill_name")) for b in benchmarks]
        return next(filter(None, [*skills, *stated]), "")

    def _add_case(self, name: str, entry: Mapping[str, Json]) -> str:
        case_id = writer.folder_name(name, self.found.cases)
        known = {*_GIVEN, *_EXPECTED, "eval_id", "eval_name"}
        others = {k: v for k, v in entry.items() if k not in known and v is not None}
        self.found.cases[case_id] = {
            "input.yaml": without_empty({key: entry.get(key) for key in _GIVEN}),
            "annotations.yaml": without_empty({key: entry.get(key) for key in _EXPECTED}),
            "metadata.yaml": {"skill_creator": others},
        }
        return case_id

    def _known_case(self, *names: Json) -> str | None:
        texts = map(scalar_text, names)
        return next((self.aliases[name] for name in texts if name in self.aliases), None)

    def index_gradings(self) -> None:
        """Which case, configuration, trial and iteration a result is of: as its folders say."""
        for path, said in self._named("grading.json"):
            folder = path.parent.parent if path.parent.name == "outputs" else path.parent
            home, number = folder, re.fullmatch(r"(?:run|trial)[-_]?(\d+)", folder.name)
            folder, arm = folder.parent if number else folder, ""
            if folder.name not in self.aliases:
                folder, arm = folder.parent, folder.name
            numbered = re.match(r"eval[-_](\d+)(?=[-_])", folder.name)
            stated = said.get("eval_name"), said.get("eval_id"), numbered and numbered[1]
            case = self._known_case(folder.name, *stated)
            if case is None:
                case = self.aliases[folder.name] = self._add_case(folder.name, {})
            trial, name = int(number[1]) if number else 1, f"{folder.name}-{arm}".rstrip("-")
            own = self.trials.setdefault((folder.parent, arm, trial), {})
            if case in own:
                self.found.skipped[str(path)] = f"is a second result of {case} in {folder.parent}"
            else:
                own[case] = Grading(path, home, said, (f"{name}-run-{trial}", name))
        for path, benchmark in self._named("benchmark.json"):
            here = [(key[1], own) for key, own in self.trials.items() if key[0] == path.parent]
            graded = {(arm, case) for arm, own in here for case in own}
            for run in mappings_in(benchmark.get("runs")):
                case = self._known_case(run.get("eval_name"), run.get("eval_id"))
                arm, trial = scalar_text(run.get("configuration")), run.get("run_number", 1)
                # "with_skill (iter3)" beside a graded "with_skill" repeats another iteration's
                if case and isinstance(trial, int) and (arm.partition(" (")[0], case) not in graded:
                    own = self.trials.setdefault((path.parent, arm, trial), {})
                    said = {**run, **mapping_of(run.get("result"))}
                    own.setdefault(case, Grading(path, None, said))

    def add_runs(self) -> None:
        """A run of each trial of a configuration in an iteration."""
        places = {folder: folder.resolve() for folder, _, _ in self.trials}
        names = [place.name for place in places.values()]
        arms: dict[tuple[str, str], list[str]] = {}
        for (folder, arm, trial), own in sorted(self.trials.items()):
            place = places[folder]
            is_one = names.count(place.name) == 1
            iteration = place.name if is_one else f"{place.parent.name}-{place.name}"
            run_id = writer.folder_name("-".join(filter(None, (iteration, arm, str(trial)))))
            arms.setdefault((iteration, arm), []).append(run_id)
            facts = {"configuration": arm, "trial": trial, "iteration": iteration}
            about = mapping_of(
                mapping_of(self.documents.get(folder / "benchmark.json")).get("metadata")
            )
            model, said = scalar_text(about.get("executor_model")), self._reviews(folder, own)
            self.found.add_run(
                run_id,
                {c: execution_of(each, self._expected(c), self.found) for c, each in own.items()},
                max(each.path.stat().st_mtime_ns for each in own.values()),
                figures=(PASS_RATE,),
                more={"review.yaml": {"run_id": run_id, "feedback": said}} if said else {},
                model=None if model.startswith("<") else model or None,  # "<model-name>"
                started_at=about.get("timestamp"),
                eval_params=without_empty(facts),
            )
        for (iteration, arm), runs in arms.items():
            if arm == "with_skill":
                self.found.note_arms(runs, arms.get((iteration, "without_skill"), ()))
        if not self.trials:
            self.found.notes.append("no results: name the folder with the iterations, too")

    def _expected(self, case: str) -> list[Json]:
        wanted = mapping_of(self.found.cases[case]["annotations.yaml"])
        return next((list_of(wanted[key]) for key in _EXPECTED[1:] if key in wanted), [])

    def _reviews(self, folder: Path, own: Mapping[str, Grading]) -> dict[str, str]:
        """What a person said of these executions; an empty comment of a review is acceptance."""
        reviews = mappings_in(
            mapping_of(self.documents.get(folder / "feedback.json")).get("reviews")
        )
        said = {
            scalar_text(each.get("run_id")): scalar_text(each.get("feedback")) for each in reviews
        }
        names = {name: case for case, each in own.items() for name in each.names}
        return {names[name]: comment for name, comment in said.items() if name in names}
