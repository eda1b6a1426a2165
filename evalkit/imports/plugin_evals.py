"""Reads the cases of ``claude plugin eval``, and its results: a trial of an arm becomes a run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from evalkit.documents import parse_yaml, scalar_text
from evalkit.errors import InputError
from evalkit.files import read_document, read_text
from evalkit.imports import project_writer as writer
from evalkit.imports.project_writer import Found, Scores, mappings_in, value_in, without_empty
from evalkit.jsonable import Json, is_number, list_of, mapping_of

ORIGIN = "plugin_eval"
"""The key in ``metadata.yaml`` under which stands what a case says besides."""

_SCORE = "score"  # the judge that decides: the share of the scored graders that passed, by weight
_HEAD = re.compile(rb'\s*\{\s*"schemaVersion":\s*\d+,\s*"claudeVersion"')  # of a result
_CASES = ("case.yaml", "case.yml", "prompt.md")  # a case's folder holds one of them
_SETTINGS = ("max_turns", "timeout_seconds", "model", "allowed_tools")
_BY_MODEL = {"llm", "baseline"}  # graders that cost money
_MOST_EVIDENCE = 4_000  # characters of what a grader saw
_CONSUMED = {
    "duration_s": "durationSeconds",
    "cost_usd": "costUsd",
    "judge_cost_usd": "judgeCostUsd",
    "num_turns": "turns",
}
_Said: TypeAlias = Mapping[str, Json]


def holds_plugin_evals(path: Path) -> bool:
    """Whether it is a result of ``claude plugin eval``, or a folder that holds such, or cases."""
    if path.is_file():
        return path.suffix == ".json" and _is_result(value_in(path))
    return any(_begins(each) or _is_case(each) for each in writer.listed([path]))


def import_plugin_evals(paths: Sequence[Path], out: Path | None) -> dict[str, Any]:
    """Make a project of the cases, and a run of each trial of an arm."""
    found = Found("claude plugin eval")
    listed = writer.listed(paths, found.skipped)
    roots = [(path if path.is_dir() else path.parent).resolve() for path in paths]
    for folder in dict.fromkeys(path.parent for path in listed if _is_case(path)):
        _add_case(found, folder)
    results: dict[str, tuple[Path, _Said]] = {}
    for path in (each for each in listed if each in paths or _begins(each)):
        result = value_in(path, found.broken)
        if any(result == other for _, other in results.values()):
            found.skipped[str(path)] = "is a copy of another result"
        elif _is_result(result):
            began = re.sub(r"\.\d+|[Zz]$", "", scalar_text(result.get("startedAt")))
            results[writer.folder_name(began or path.parent.name, results)] = path, result
        elif str(path) not in found.broken:
            found.skipped[str(path)] = "is no result: it has no `cases` with `arms`"
    found.files += len(results)
    suites = []
    for stamp, (path, result) in sorted(results.items()):
        suites.append(mapping_of(result.get("suite")))
        _add_trials(found, Path(stamp), path, roots, result)
    bars = [each["threshold"] for each in suites if is_number(each.get("threshold"))]
    places = [place for root in roots for place in (root, root.parent)]
    plugins = [value_in(each / ".claude-plugin" / "plugin.json") for each in places]
    plugins += [each for suite in suites for each in mappings_in(suite.get("plugins"))]
    names = [scalar_text(plugin.get("name")) for plugin in plugins]
    names += [each.name for each in places if each.name not in {"evals", "results"}]
    bar = {"min_mean": bars[-1]} if bars else {}
    config = writer.config_of(max(names, key=bool), _SCORE, "claude-plugin-eval", **bar)
    return found.write(out, config, writer.SCHEMA)


def _is_case(path: Path) -> bool:
    if path.name not in _CASES:
        return False
    says = path.suffix != ".md" and "graders" in value_in(path)
    return says or (path.parent / "graders").is_dir()


def _begins(path: Path) -> bool:
    """Whether a file is named as results are; what ``--json FILE`` wrote begins as one."""
    if path.suffix != ".json" or path.name.startswith("aggregate-result"):
        return path.suffix == ".json"
    with suppress(OSError), path.open("rb") as file:
        return bool(_HEAD.match(file.read(100)))
    return False


def _is_result(value: _Said) -> bool:
    cases = mappings_in(value.get("cases"))
    return bool(cases) and all("arms" in case for case in cases)


def _add_case(found: Found, folder: Path) -> None:
    """A case in its own folder: ``case.yaml``, ``prompt.md`` and ``graders/*.md``."""
    there = writer.listed([folder])
    try:
        configs = [read_document(folder / n).value for n in _CASES[:2] if folder / n in there]
        said = dict(mapping_of(configs[0])) if configs else {}
        prompt = folder / _CASES[2]
        about, text = _front_matter(prompt) if prompt in there else ({}, "")
        files = [each for each in there if each.parent == folder / "graders"]
        own = {each.stem: _front_matter(each) for each in files if each.suffix == ".md"}
    except InputError as error:
        found.broken[str(folder)] = error.problems[0].message
        return
    execution = {key: about.pop(key) for key in _SETTINGS if key in about}
    execution |= mapping_of(said.pop("execution", None))
    text, graders = execution.pop("prompt", None) or text, list_of(said.pop("graders", None))
    for name, (grader, rubric) in own.items():
        key = "pattern" if grader.get("type") == "regex" else "criteria"
        graders.append({"name": name, **without_empty({key: rubric}), **grader})
    about = {"name": folder.name, **about, **said, "execution": execution, "schema_version": None}
    found.files += 1 + len(own)
    case_id = writer.folder_name(scalar_text(about["name"]), found.cases)
    expected = without_empty({"expected_outcome": about.pop("expected_outcome", None)})
    found.cases[case_id] = _case(text, {**expected, "graders": graders}, about)


def _case(prompt: Json, expected: dict[str, Json], about: dict[str, Json]) -> dict[str, Json]:
    return {
        "input.yaml": {"prompt": scalar_text(prompt).strip()},
        "annotations.yaml": expected,
        "metadata.yaml": {ORIGIN: without_empty(about)},
    }


def _front_matter(path: Path) -> tuple[dict[str, Json], str]:
    """The fields at the head of a Markdown file, and its text below them."""
    text = read_text(path)
    found = re.match(r"---[ \t]*\r?\n(.*?)(?:^|\n)---[ \t]*(?:\r?\n|$)(.*)", text, re.DOTALL)
    if not found:
        return {}, text.strip()
    return dict(mapping_of(parse_yaml(found[1], str(path)).value)), found[2].strip()


def _add_trials(
    found: Found, stamp: Path, path: Path, roots: Sequence[Path], result: _Said
) -> None:
    suite, spent, partial = mapping_of(result.get("suite")), 0.0, ""
    if result.get("partial"):
        partial = scalar_text(result.get("partialReason")) or "yes"
        found.notes.append(f"{stamp} is partial ({partial}): it lacks cases or trials")
    facts = {key: suite.get(key) for key in ("ablation", "threshold", "judgeModel")}
    facts |= {"result": str(stamp), "partial": partial}
    for case in mappings_in(result["cases"]):
        case_id = writer.folder_name(scalar_text(case.get("name")))
        graders = [{**g, **mapping_of(g.get("config"))} for g in mappings_in(case.get("graders"))]
        stated = _case(case.get("promptMarkdown"), {"graders": graders}, {"name": case.get("name")})
        found.cases.setdefault(case_id, stated)
        arms = [(arm, mappings_in(runs)) for arm, runs in mapping_of(case.get("arms")).items()]
        for arm, number, run in ((arm, *each) for arm, own in arms for each in enumerate(own, 1)):
            trial = found.trial(
                *(stamp, arm, number, path),
                agent="claude-code",
                agent_version=result.get("claudeVersion"),
                model=suite.get("modelOverride"),
                started_at=result.get("startedAt"),
                eval_params=without_empty({"configuration": arm, "trial": number, **facts}),
            )
            used, scores = _consumed(run), _scores(run, case, suite.get("judgeModel"))
            trial.executions[case_id] = writer.Execution(used, scores, _left(run, path, roots))
            spent += used.get("judge_cost_usd", 0)
    if spent:
        what = f"{stamp}: judge_cost_usd, {spent:.4g}, may be part of, or on top of, cost_usd"
        found.notes.append(f"{what}: its file does not say")


def _left(run: _Said, result: Path, roots: Sequence[Path]) -> dict[str, Json]:
    """What ended a trial, and its conversation where that lies below what was named."""
    error, stated = scalar_text(run.get("error")), scalar_text(run.get("tracePath"))
    files: dict[str, Json] = {"stderr.log": error.encode("utf-8", "replace")} if error else {}
    with suppress(OSError, ValueError):  # no path at all
        near = [(each / stated.replace("\\", "/")).resolve() for each in result.parents]
        own = [path for path in near if path.is_file() and any(map(path.is_relative_to, roots))]
        files |= {"stdout.log": own[0]} if own else {}
    return files


def _consumed(run: _Said) -> dict[str, Json]:
    """What a trial consumed and how it ended, in the harness's words."""
    found = {name: run[key] for name, key in _CONSUMED.items() if is_number(run.get(key))}
    found |= without_empty({"started_at": run.get("startedAt")})
    if not (error := scalar_text(run.get("error"))):
        return {**found, "exit_code": 0}
    code = re.match(r"exit (\d+)", error)
    ended = 124 if "timed out" in error else 1  # as the shell's ``timeout`` has it
    return {**found, "exit_code": int(code[1]) or 1 if code else ended, "error": error}


def _scores(run: _Said, case: _Said, model: Json) -> Scores:
    """What the graders said of a trial, and the score that follows.

    One that failed or was skipped is recorded as not passed: it said nothing; there is no score.
    """
    kinds = {scalar_text(g.get("name")): g.get("type") for g in mappings_in(case.get("graders"))}
    found: Scores = {}
    for grader in mappings_in(run.get("graders")):
        name, votes = scalar_text(grader.get("name")), grader.get("judgeVotes")
        kind, why = grader.get("type") or kinds.get(name), scalar_text(grader.get("explanation"))
        by_model = bool(votes) or scalar_text(kind) in _BY_MODEL
        unpaid = by_model and not votes and run.get("skippedPaidGraders")
        error = "was skipped, for the money was spent" if unpaid else ""
        found[name] = writer.score(
            bool(grader.get("passed")),
            why,
            scalar_text(grader.get("evidence"))[:_MOST_EVIDENCE],
            by="llm" if by_model else "code",
            error=why if why.startswith("grader threw") else error,
            usage={"model": model} if model and by_model else None,
            with_only=bool(grader.get("withOnly")) or grader.get("scored") is False,
        )
    writer.add_share(found, _SCORE, run.get("score"), "scored graders passed", "code")
    return found
