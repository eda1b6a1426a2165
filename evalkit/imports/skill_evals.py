"""Reads skill-creator's evals: ``evals.json``, and what lies in an iteration's folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalkit.documents import scalar_text
from evalkit.errors import InputError, Problem
from evalkit.files import files_below, read_document
from evalkit.imports import Destination
from evalkit.imports import project_writer as writer
from evalkit.imports.skill_gradings import (
    EVALS,
    PASS_RATE,
    TELLING,
    Grading,
    consumed,
    fits,
    skill_files,
    verdicts,
)
from evalkit.jsonable import Json, list_of, mapping_of
from evalkit.runs.log_file import MOST_BYTES

MOST_FILES = 50
"""Files of an execution's outputs that are taken along."""

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
_LOGS = frozenset(("transcript", "session", "trace", "conversation", "stdout"))
_CONFIGURATIONS = {"with_skill", "without_skill", "old_skill", "new_skill", "baseline"}
_EXPECTED = ("expected_output", "expectations", "assertions")


def holds_skill_evals(path: Path) -> bool:
    """Whether it is an ``evals.json``, or a folder with one or with results of such evals."""
    found = [(each, writer.value_in(each)) for each in skill_files(path) if each.name in TELLING]
    return any(value is None or fits(each, value) for each, value in found)


def import_skill_evals(paths: Sequence[Path], to: Destination) -> dict[str, Any]:
    """Make a project of the cases, and a run of each configuration's trial in an iteration.

    Raises:
        InputError: there is no case that can be read, or several skills' are.
        Unfinished: some of the files cannot be read; the others were.
    """
    suite = _Suite()
    for path in sorted(skill_files(*paths), key=lambda each: (len(each.parts), each)):
        suite.load(path)
    suite.index_cases()
    suite.index_gradings()
    return suite.write(to)


def _name_of(entry: Mapping[str, Json]) -> Json:
    return entry.get("name") or entry.get("eval_name")


def _completed(entry: Mapping[str, Json], own: Mapping[str, Json]) -> dict[str, Json]:
    """An entry of ``evals.json`` with what it lacks and an ``eval_metadata.json`` has."""
    has_expected = any(entry.get(each) for each in _EXPECTED[1:])
    return {
        **{key: value for key, value in own.items() if key != "assertions" or not has_expected},
        **{key: value for key, value in entry.items() if value},
    }


@dataclass
class _Suite:
    """What was found, by and by."""

    found: writer.Findings = field(default_factory=writer.Findings)
    documents: dict[Path, Mapping[str, Json]] = field(default_factory=dict)
    skill: str = ""
    cases: dict[str, dict[str, Json]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    trials: dict[tuple[Path, str, int], dict[str, Grading]] = field(default_factory=dict)

    def load(self, path: Path) -> None:
        try:
            value = read_document(path).value
        except InputError as error:
            self.found.broken[str(path)] = error.problems[0].message
            return
        if not fits(path, value):
            self.found.skipped[str(path)] = "is of another shape than skill-creator's"
            return
        self.found.files += 1
        self.documents[path] = value

    def _named(self, name: str) -> Iterator[tuple[Path, Mapping[str, Json]]]:
        yield from ((path, own) for path, own in self.documents.items() if path.name == name)

    def index_cases(self) -> None:
        """The cases of ``evals.json``; others are known by what lies beside their results."""
        evals = [(p, own) for p, own in self.documents.items() if EVALS.fullmatch(p.name)]
        skills = {scalar_text(own.get("skill_name") or own.get("skill")) for _, own in evals} - {""}
        if len(skills) > 1:
            listed = [Problem("another skill's evals", str(path)) for path, _ in evals]
            raise InputError(*listed, Problem("several skills at once", fix="name one's folders"))
        stated = (mapping_of(own.get("metadata")) for _, own in self._named("benchmark.json"))
        names = [*skills, *(scalar_text(each.get("skill_name")) for each in stated)]
        self.skill = next(filter(None, names), "")
        entries: dict[str, dict[str, Json]] = {}
        for path, own in evals:
            if path.parent != evals[0][0].parent:
                self.found.skipped[str(path)] = f"is a copy of {evals[0][0]}, which counts"
                continue
            for number, entry in enumerate(map(mapping_of, own["evals"]), 1):
                key = scalar_text(entry.get("id", entry.get("eval_id", number)))
                entries[key] = {**entry, **entries.get(key, {})}
        known = {scalar_text(_name_of(entry)): key for key, entry in entries.items()}
        folders: dict[str, str] = {}
        for path, own in self._named("eval_metadata.json"):
            at = path.parent.parent if path.parent.name in self._configurations else path.parent
            name = scalar_text(_name_of(own)) or at.name
            key = known.get(name) or scalar_text(own.get("eval_id", own.get("id"))) or name
            entries[key] = _completed(entries.get(key, {}), own)
            folders.setdefault(at.name, key)
        for key, entry in entries.items():
            name = scalar_text(_name_of(entry)) or f"eval-{key}"
            keyed = {"id": entry.get("id", entry.get("eval_id", key)), "name": _name_of(entry)}
            case_id = self._add_case(name, {**entry, **keyed})
            own_folders = (folder for folder, its in folders.items() if its == key)
            for alias in (key, f"eval-{key}", f"eval_{key}", name, *own_folders):
                self.aliases.setdefault(alias, case_id)

    @property
    def _configurations(self) -> set[str]:
        runs = [run for _, own in self._named("benchmark.json") for run in list_of(own.get("runs"))]
        return {scalar_text(mapping_of(run).get("configuration")) for run in runs} | _CONFIGURATIONS

    def _add_case(self, name: str, entry: Mapping[str, Json]) -> str:
        case_id = writer.folder_name(name, self.cases)
        given, expected = ("prompt", "files"), _EXPECTED
        self.cases[case_id] = {
            "input.yaml": {key: entry[key] for key in given if entry.get(key)},
            "annotations.yaml": {key: entry[key] for key in expected if entry.get(key)},
            "metadata.yaml": {
                "skill_creator": {
                    key: value
                    for key, value in entry.items()
                    if value is not None and key not in {*given, *expected, "eval_id", "eval_name"}
                }
            },
        }
        return case_id

    def _case_of(self, folder: Path, grading: Mapping[str, Json]) -> str:
        stated = (scalar_text(grading.get(key)) for key in ("eval_name", "eval_id"))
        numbered = re.match(r"eval[-_](\d+)(?=[-_])", folder.name)
        names = (folder.name, *stated, numbered[1] if numbered else "")
        known = next((self.aliases[name] for name in names if name in self.aliases), None)
        if known is None:
            known = self.aliases[folder.name] = self._add_case(folder.name, {})
        return known

    def index_gradings(self) -> None:
        """Which case, configuration, trial and iteration a result is of: as its folders say."""
        for path, grading in self._named("grading.json"):
            folder = path.parent.parent if path.parent.name == "outputs" else path.parent
            home, number = folder, re.fullmatch(r"(?:run|trial)[-_]?(\d+)", folder.name)
            folder, arm = folder.parent if number else folder, ""
            if folder.name not in self.aliases:
                folder, arm = folder.parent, folder.name
            case, trial = self._case_of(folder, grading), int(number[1]) if number else 1
            name = "-".join(filter(None, (folder.name, arm)))
            own = self.trials.setdefault((folder.parent, arm, trial), {})
            if case in own:
                self.found.skipped[str(path)] = f"is a second result of {case} in {folder.parent}"
            else:
                own[case] = Grading(path, home, grading, (f"{name}-run-{trial}", name))
        for path, benchmark in self._named("benchmark.json"):
            for run in map(mapping_of, list_of(benchmark.get("runs"))):
                self._add_stated(path, {**run, **mapping_of(run.get("result"))})

    def _add_stated(self, path: Path, said: Mapping[str, Json]) -> None:
        """A result that only a ``benchmark.json`` tells of.

        Its ``with_skill (iter3)`` beside a graded ``with_skill`` repeats another iteration's.
        """
        names = (scalar_text(said.get(key)) for key in ("eval_name", "eval_id"))
        case = next((self.aliases[name] for name in names if name in self.aliases), None)
        arm, trial = scalar_text(said.get("configuration")), said.get("run_number", 1)
        same = (path.parent, arm.partition(" (")[0])
        graded = (
            own[case].home for key, own in self.trials.items() if key[:2] == same and case in own
        )
        if case is not None and isinstance(trial, int) and not any(graded):
            own = self.trials.setdefault((path.parent, arm, trial), {})
            own.setdefault(case, Grading(path, None, said))

    def write(self, to: Destination) -> dict[str, Any]:
        name = self.skill or "skill-evals"
        project = writer.ProjectWriter(to.out or writer.usual_folder(name))
        for case_id, files in self.cases.items():
            project.add_case(case_id, files)
        bar = {PASS_RATE: {"max_error_rate": 0}}
        config = {"name": name, "skill": self.skill, "judges": [_JUDGE], "thresholds": bar}
        project.add_config({key: value for key, value in config.items() if value}, _SCHEMA)
        places = [folder.resolve() for folder in {folder for folder, _, _ in self.trials}]
        names = [place.name for place in places]
        arms: dict[tuple[str, str], list[str]] = {}
        for (folder, arm, trial), own in sorted(self.trials.items()):
            place = folder.resolve()
            is_one = names.count(place.name) == 1
            iteration = place.name if is_one else f"{place.parent.name}-{place.name}"
            run_id = writer.folder_name("-".join(filter(None, (iteration, arm, str(trial)))))
            arms.setdefault((iteration, arm), []).append(run_id)
            facts = {"configuration": arm, "trial": trial, "iteration": iteration}
            self._add_run(project, run_id, folder, facts, own)
        for (iteration, arm), runs in arms.items():
            if arm == "with_skill":
                self.found.note_arms(runs, arms.get((iteration, "without_skill"), ()))
        if not self.trials:
            self.found.notes.append("no results: name the folder with the iterations, too")
        return project.finish("skill-creator", self.found)

    def _add_run(
        self,
        project: writer.ProjectWriter,
        run_id: str,
        folder: Path,
        facts: Mapping[str, Json],
        own: Mapping[str, Grading],
    ) -> None:
        about = mapping_of(
            mapping_of(self.documents.get(folder / "benchmark.json")).get("metadata")
        )
        model = scalar_text(about.get("executor_model"))
        used: dict[str, dict[str, Json]] = {}
        files: dict[str, Json] = {}
        for case, each in own.items():
            used[case] = consumed(each)
            files |= self._outputs(f"cases/{case}", each.home) if each.home else {}
        if said := self._reviews(folder, own):
            files["review.yaml"] = {"run_id": run_id, "feedback": said}
        began = [str(each["started_at"]) for each in used.values() if "started_at" in each]
        project.add_run(
            run_id,
            writer.result_of(
                used,
                model=None if model.startswith("<") else model or None,  # "<model-name>"
                started_at=min(began, default=about.get("timestamp")),
                eval_params={key: value for key, value in facts.items() if value},
            ),
            writer.summary_of(
                {case: verdicts(each, self._expected(case)) for case, each in own.items()},
                (PASS_RATE,),
            ),
            files,
            max(each.path.stat().st_mtime_ns for each in own.values()),
        )

    def _expected(self, case: str) -> list[Json]:
        wanted = self.cases[case]["annotations.yaml"]
        return next((list_of(wanted[key]) for key in _EXPECTED[1:] if key in wanted), [])

    def _outputs(self, place: str, home: Path) -> dict[str, Json]:
        """What an execution left behind, as far as it is small; a log of it becomes its log."""
        found: dict[str, Json] = {}
        for name in files_below(home, home):
            path, is_output = home / name, name.startswith("outputs/")
            if path.suffix == ".jsonl" and (not is_output or path.stem in _LOGS):
                found.setdefault(f"{place}/stdout.log", path)
            elif not is_output or path.name == "grading.json":
                continue
            elif len(found) >= MOST_FILES or path.stat().st_size > MOST_BYTES:
                self.found.skipped[str(path)] = "is left there: large, or one of very many"
            else:
                found[f"{place}/{name}"] = path
        return found

    def _reviews(self, folder: Path, own: Mapping[str, Grading]) -> dict[str, str]:
        """What a person said of these executions; an empty comment of a review is acceptance."""
        found = mapping_of(self.documents.get(folder / "feedback.json"))
        said = {
            scalar_text(review.get("run_id")): scalar_text(review.get("feedback"))
            for review in map(mapping_of, list_of(found.get("reviews")))
        }
        names = {name: case for case, each in own.items() for name in each.names}
        return {names[name]: comment for name, comment in said.items() if name in names}
