"""Reads the results of ``claude plugin eval`` with its cases; an arm's trials become runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from typing import Any

from evalkit.documents import scalar_text
from evalkit.errors import InputError
from evalkit.files import files_below, read_document
from evalkit.imports import Destination
from evalkit.imports import project_writer as writer
from evalkit.imports.plugin_cases import CASES, plugin_case, stated_case
from evalkit.jsonable import Json, is_number, list_of, mapping_of

RESULT_NAME = re.compile(r"aggregate-result.*\.json")
BY_MODEL = frozenset({"llm", "baseline"})
"""The types of graders in which a model judges; they cost money."""

SCORE = "score"
"""The judge that decides: the share of a trial's scored graders that passed, by weight."""

MOST_EVIDENCE = 4_000
"""Characters of what a grader saw that are kept with its verdict."""

TIMED_OUT = 124
"""The exit code of what took too long, as the shell's ``timeout`` has it."""

_SCHEMA = """\
- `input.yaml`: `prompt` is what the agent is asked.
- `annotations.yaml`: `expected_outcome` is the expected outcome; `graders` say what is expected.
"""
_JUDGE = {
    "name": SCORE,
    "description": "The share of the scored graders that passed, by weight",
    "builtin": "claude-plugin-eval",
    "score_range": [0, 1],
}
_CONSUMED = {
    "duration_s": "durationSeconds",
    "cost_usd": "costUsd",
    "judge_cost_usd": "judgeCostUsd",
    "num_turns": "turns",
}


def holds_plugin_evals(path: Path) -> bool:
    """Whether it is a result of ``claude plugin eval``, or a folder that holds such, or cases."""
    if path.is_file():
        return path.suffix == ".json" and _is_result(writer.value_in(path))
    return path.is_dir() and any(_finds(path))


def import_plugin_evals(paths: Sequence[Path], to: Destination) -> dict[str, Any]:
    """Make a project of the cases, and a run of each trial of an arm.

    Raises:
        InputError: there is neither a case nor a result that can be read.
        Unfinished: some of the files cannot be read; the others were.
    """
    suite = _Suite([path if path.is_dir() else path.parent for path in paths])
    for path in (each for root in paths for each in (_finds(root) if root.is_dir() else [root])):
        try:
            (suite.add_case if path.is_dir() else suite.add_result)(path)
        except InputError as error:
            suite.found.broken[str(path)] = error.problems[0].message
    return suite.write(to)


def _finds(root: Path) -> Iterator[Path]:
    """The results below a folder, and the folders of cases."""
    folders: dict[Path, None] = {}
    for path in (root / name for name in files_below(root, root)):
        if RESULT_NAME.fullmatch(path.name):
            yield path
        elif path.name in CASES and (
            (path.parent / "graders").is_dir()
            or "graders" in mapping_of(writer.value_in(path.parent / CASES[0]))
        ):
            folders[path.parent] = None
    yield from folders


def _is_result(found: Json) -> bool:
    cases = list_of(mapping_of(found).get("cases"))
    return bool(cases) and all("arms" in mapping_of(case) for case in cases)


@dataclass
class _Suite:
    """What was found, by and by."""

    roots: list[Path]
    found: writer.Findings = field(default_factory=writer.Findings)
    cases: dict[str, dict[str, Json]] = field(default_factory=dict)
    results: dict[str, tuple[Path, Mapping[str, Json]]] = field(default_factory=dict)

    def add_result(self, path: Path) -> None:
        result = mapping_of(read_document(path).value)
        if not _is_result(result):
            self.found.skipped[str(path)] = "is no result: it has no `cases` with `arms`"
        elif any(result == other for _, other in self.results.values()):
            self.found.skipped[str(path)] = "is a copy of another result"
        else:
            self.found.files += 1
            stamp = re.sub(r"\.\d+|[Zz]$", "", scalar_text(result.get("startedAt")))
            usual = path.parent.name if path.stem == "aggregate-result" else path.stem
            name = writer.folder_name(stamp.replace(":", "-") or usual, self.results)
            self.results[name] = path, result

    def add_case(self, folder: Path) -> None:
        name, case = plugin_case(folder)
        self.found.files += 1 + len(case["annotations.yaml"]["graders"])
        case_id = writer.folder_name(name, self.cases)
        if case_id != writer.folder_name(name):
            self.found.notes.append(f"{folder} is a second case {name}: it becomes {case_id}")
        self.cases[case_id] = case

    def write(self, to: Destination) -> dict[str, Any]:
        for _, result in self.results.values():
            for case in map(mapping_of, list_of(result["cases"])):
                self.cases.setdefault(_id_of(case), stated_case(case))
        name = self._name()
        project = writer.ProjectWriter(to.out or writer.usual_folder(name))
        for case_id, files in self.cases.items():
            project.add_case(case_id, files)
        bar: dict[str, Json] = {"max_error_rate": 0}
        for stamp in sorted(self.results):
            suite = mapping_of(self.results[stamp][1].get("suite"))
            bar |= {"min_mean": suite["threshold"]} if is_number(suite.get("threshold")) else {}
            self._add_runs(project, stamp, suite)
        project.add_config({"name": name, "judges": [_JUDGE], "thresholds": {SCORE: bar}}, _SCHEMA)
        return project.finish("claude plugin eval", self.found)

    def _name(self) -> str:
        """The plugin's, as its manifest says, else a result; else that of its folder."""
        places = [place for root in self.roots for place in (root, root.resolve().parent)]
        manifests = [writer.value_in(p / ".claude-plugin" / "plugin.json") for p in places]
        suites = (mapping_of(result.get("suite")) for _, result in self.results.values())
        plugins = (plugin for suite in suites for plugin in list_of(suite.get("plugins")))
        names = (mapping_of(each).get("name") for each in (*manifests, *plugins))
        folders = (place.resolve().name for place in places)
        usual = next((name for name in folders if name not in {"evals", "results"}), "")
        return next(filter(None, map(scalar_text, names)), usual)

    def _add_runs(
        self, project: writer.ProjectWriter, stamp: str, suite: Mapping[str, Json]
    ) -> None:
        path, result = self.results[stamp]
        trials: dict[tuple[str, int], dict[str, dict[str, Json]]] = {}
        for case in map(mapping_of, list_of(result["cases"])):
            for arm, runs in mapping_of(case.get("arms")).items():
                for number, run in enumerate(map(mapping_of, list_of(runs)), 1):
                    own = {**run, "scores": _scores(run, case, suite)}
                    trials.setdefault((arm, number), {})[_id_of(case)] = own
        partial = None
        if result.get("partial"):
            partial = scalar_text(result.get("partialReason")) or "yes"
            self.found.notes.append(f"{stamp} is partial ({partial}): it lacks cases or trials")
        self._note_judges(stamp, result, [run for own in trials.values() for run in own.values()])
        arms: dict[str, list[str]] = {}
        for (arm, number), own in trials.items():
            run_id = writer.folder_name(f"{stamp}-{arm}-{number}")
            arms.setdefault(arm, []).append(run_id)
            facts = {"configuration": arm, "trial": number, "result": stamp, "partial": partial}
            facts |= {key: suite.get(key) for key in ("ablation", "threshold", "judgeModel")}
            files: dict[str, Json] = {}
            for case_id, run in own.items():
                files |= self._log(f"cases/{case_id}", run, path)
            began = [str(run["startedAt"]) for run in own.values() if run.get("startedAt")]
            project.add_run(
                run_id,
                writer.result_of(
                    {case_id: _consumed(run) for case_id, run in own.items()},
                    agent="claude-code",
                    agent_version=result.get("claudeVersion"),
                    model=suite.get("modelOverride"),
                    started_at=min(began, default=result.get("startedAt")),
                    eval_params={key: fact for key, fact in facts.items() if fact is not None},
                ),
                writer.summary_of({case_id: run["scores"] for case_id, run in own.items()})
                | ({"validity": {"partial": partial}} if partial else {}),
                files,
                path.stat().st_mtime_ns,
            )
        self.found.note_arms(arms.get("with", ()), arms.get("without", ()))

    def _note_judges(
        self, stamp: str, result: Mapping[str, Json], runs: Sequence[Mapping[str, Json]]
    ) -> None:
        """What judges cost, which the file counts in or not."""
        costs: list[Json] = [
            sum(run[key] for run in runs if is_number(run.get(key)))
            for key in ("costUsd", "judgeCostUsd")
        ]
        if costs[1]:
            stated: Json = result.get("costUsd")
            is_apart = is_number(stated) and isclose(sum(costs), stated, abs_tol=1e-6)
            where = "comes on top of" if is_apart else "may be part of, or on top of,"
            self.found.notes.append(f"{stamp}: judge_cost_usd, {costs[1]:.4g}, {where} cost_usd")

    def _log(self, folder: str, run: Mapping[str, Json], result: Path) -> dict[str, Json]:
        """The conversation, if it lies below what was named, and what ended it."""
        error = scalar_text(run.get("error"))
        files: dict[str, Json] = (
            {f"{folder}/stderr.log": error.encode("utf-8", "replace")} if error else {}
        )
        stated = scalar_text(run.get("tracePath")).replace("\\", "/")
        roots = [root.resolve() for root in self.roots]
        for base in (result.parent, *roots, *(root.parent for root in roots)) if stated else ():
            with suppress(OSError, ValueError):  # no path at all
                path = (base / stated).resolve()
                if any(path.is_relative_to(root) for root in roots) and path.is_file():
                    return files | {f"{folder}/stdout.log": path}
        return files


def _id_of(case: Mapping[str, Json]) -> str:
    return writer.folder_name(scalar_text(case.get("name")))


def _consumed(run: Mapping[str, Json]) -> dict[str, Json]:
    """What a trial consumed and how it ended, in the harness's words."""
    found = {name: run[key] for name, key in _CONSUMED.items() if is_number(run.get(key))}
    if not (error := scalar_text(run.get("error"))):
        return {**found, "exit_code": 0}
    code = re.match(r"exit (\d+)", error)
    ended = TIMED_OUT if "timed out" in error else 1
    return {**found, "exit_code": int(code[1]) or 1 if code else ended, "error": error}


def _scores(
    run: Mapping[str, Json], case: Mapping[str, Json], suite: Mapping[str, Json]
) -> dict[str, dict[str, Json]]:
    """What the graders said of a trial, and the score that follows.

    A grader that failed, or was skipped for the money was spent, is recorded as not passed; it
    said nothing, and so there is no score either.
    """
    stated_graders = map(mapping_of, list_of(case.get("graders")))
    kinds = {scalar_text(each.get("name")): each.get("type") for each in stated_graders}
    found: dict[str, dict[str, Json]] = {}
    counted, silent = [], []
    for grader in map(mapping_of, list_of(run.get("graders"))):
        name, votes = scalar_text(grader.get("name")), grader.get("judgeVotes")
        kind = scalar_text(grader.get("type") or kinds.get(name) or ("llm" if votes else ""))
        why, by_model = scalar_text(grader.get("explanation")), kind in BY_MODEL
        error = why if why.startswith("grader threw") else ""
        if by_model and not votes and run.get("skippedPaidGraders"):
            error = error or "was skipped, for the money was spent"
        with_only = bool(grader.get("withOnly")) or grader.get("scored") is False
        counted += [] if with_only else [bool(grader.get("passed"))]
        silent += [name] if error and not with_only else []
        evidence = scalar_text(grader.get("evidence"))[:MOST_EVIDENCE]
        model = suite.get("judgeModel") if by_model else None
        found[name] = {
            "value": None if error else bool(grader.get("passed")),
            "rationale": "\n\n".join(filter(None, (why, evidence))),
            **({"error": error} if error else {}),
            "judge_type": "llm" if by_model else "code",
            **({"usage": {"model": model}} if model else {}),
            **({"with_only": True} if with_only else {}),
        }
    stated: Json = run.get("score")
    lacks = f"no verdict of {', '.join(silent)}; {stated} is stated" if silent else ""
    found[SCORE] = {
        "value": float(stated) if is_number(stated) and not silent else None,
        "rationale": f"{sum(counted)} of {len(counted)} scored graders passed",
        **({"error": lacks} if lacks else {}),
        "judge_type": "code",
    }
    return found
