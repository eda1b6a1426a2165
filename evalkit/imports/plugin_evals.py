"""Reads the cases of ``claude plugin eval``, and its results: a trial of an arm becomes a run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from evalkit.documents import parse_yaml, scalar_text
from evalkit.errors import InputError
from evalkit.files import files_below, read_document, read_text
from evalkit.imports import project_writer as writer
from evalkit.imports.project_writer import mappings_in, without_empty
from evalkit.imports.run_files import score
from evalkit.jsonable import Json, is_number, list_of, mapping_of

ORIGIN = "plugin_eval"
"""The key in ``metadata.yaml`` under which stands what a case says besides."""

SCORE = "score"
"""The judge that decides: the share of a trial's scored graders that passed, by weight."""

_RESULT = re.compile(r"aggregate-result.*\.json")
_CASES = ("case.yaml", "case.yml", "prompt.md")  # a case's folder holds one of them
_SETTINGS = ("max_turns", "timeout_seconds", "model", "allowed_tools")
_BY_MODEL = {"llm", "baseline"}  # graders that cost money
_MOST_EVIDENCE = 4_000  # characters of what a grader saw
_TIMED_OUT = 124  # as the shell's ``timeout`` has it
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
    return path.is_dir() and bool(_finds(path))


def import_plugin_evals(paths: Sequence[Path], out: Path | None) -> dict[str, Any]:
    """Make a project of the cases, and a run of each trial of an arm."""
    found = writer.Found("claude plugin eval")
    roots = [path if path.is_dir() else path.parent for path in paths]
    results: dict[str, tuple[Path, Mapping[str, Json]]] = {}
    for path in (each for root in paths for each in (_finds(root) if root.is_dir() else [root])):
        if path.is_dir():
            _add_case(found, path)
        elif not _is_result(result := found.read(path)):
            if str(path) not in found.broken:
                found.skipped[str(path)] = "is no result: it has no `cases` with `arms`"
        elif any(result == other for _, other in results.values()):
            found.skipped[str(path)] = "is a copy of another result"
        else:
            found.files += 1
            stamp = re.sub(r"\.\d+|[Zz]$", "", scalar_text(result.get("startedAt")))
            usual = path.parent.name if path.stem == "aggregate-result" else path.stem
            results[writer.folder_name(stamp.replace(":", "-") or usual, results)] = path, result
    bar: dict[str, Json] = {"max_error_rate": 0}
    for stamp, (path, result) in sorted(results.items()):
        suite = mapping_of(result.get("suite"))
        bar |= {"min_mean": suite["threshold"]} if is_number(suite.get("threshold")) else {}
        for case in mappings_in(result["cases"]):
            found.cases.setdefault(_id_of(case), _stated_case(case))
        _add_runs(found, stamp, path, result, roots)
    name = _name(roots, [result for _, result in results.values()])
    config = {"name": name, "judges": [_JUDGE], "thresholds": {SCORE: bar}}
    return found.write(out or writer.usual_folder(name), config, _SCHEMA)


def _finds(root: Path) -> list[Path]:
    """The results below a folder, and the folders of cases."""
    paths = writer.listed([root])
    cases = [
        path.parent
        for path in paths
        if path.name in _CASES
        and (
            (path.parent / "graders").is_dir()
            or "graders" in mapping_of(writer.value_in(path.parent / _CASES[0]))
        )
    ]
    return list(dict.fromkeys([*(p for p in paths if _RESULT.fullmatch(p.name)), *cases]))


def _is_result(value: Json) -> bool:
    cases = mappings_in(mapping_of(value).get("cases"))
    return bool(cases) and all("arms" in case for case in cases)


def _name(roots: Sequence[Path], results: Sequence[Mapping[str, Json]]) -> str:
    """The plugin's, as its manifest says, else a result; else that of its folder."""
    places = [place for root in roots for place in (root, root.resolve().parent)]
    manifests = [writer.value_in(each / ".claude-plugin" / "plugin.json") for each in places]
    plugins = [p for each in results for p in list_of(mapping_of(each.get("suite")).get("plugins"))]
    stated = [scalar_text(mapping_of(each).get("name")) for each in (*manifests, *plugins)]
    folders = [each.resolve().name for each in places]
    return next(filter(None, [*stated, *(n for n in folders if n not in {"evals", "results"})]), "")


def _id_of(case: Mapping[str, Json]) -> str:
    return writer.folder_name(scalar_text(case.get("name")))


# -- cases ------------------------------------------------------------------------------------


def _add_case(found: writer.Found, folder: Path) -> None:
    """A case in its own folder: ``case.yaml``, ``prompt.md`` and ``graders/*.md``."""
    listing = files_below(folder, folder)
    config = next((folder / name for name in _CASES[:2] if name in listing), None)
    own = [name for name in listing if re.fullmatch(r"graders/[^/]+\.md", name)]
    try:
        said = dict(mapping_of(read_document(config).value)) if config else {}
        head, body = _front_matter(folder / _CASES[2]) if _CASES[2] in listing else ({}, "")
        heads = {name: _front_matter(folder / name) for name in own}
    except InputError as error:
        found.broken[str(folder)] = error.problems[0].message
        return
    settings = {key: head.pop(key) for key in _SETTINGS if key in head}
    execution = {**settings, **mapping_of(said.pop("execution", None))}
    prompt, graders = execution.pop("prompt", None) or body, list_of(said.pop("graders", None))
    for name, (grader, text) in heads.items():
        key = "pattern" if grader.get("type") == "regex" else "criteria"
        given = {key: text} if text and key not in grader else {}
        graders.append({"name": PurePosixPath(name).stem, **grader, **given})
    about = {"name": folder.name, **head, **said, "schema_version": None}
    case = _case_files(prompt, graders, about.pop("expected_outcome", None), about, execution)
    others = found.small_files(folder, [each for each in listing if each not in {*_CASES, *own}])
    case |= {f"{writer.FIXTURES}{name}": path for name, path in others.items()}
    found.files += 1 + len(graders)
    found.cases[writer.folder_name(scalar_text(about["name"]), found.cases)] = case


def _stated_case(case: Mapping[str, Json]) -> dict[str, Json]:
    """A case as a result repeats it."""
    graders: list[Json] = [
        {
            **{key: each[key] for key in ("name", "type", "weight") if key in each},
            **mapping_of(each.get("config")),
            **without_empty({"criteria": each.get("graderMarkdown")}),
        }
        for each in mappings_in(case.get("graders"))
    ]
    execution = {
        "max_turns": case.get("maxTurns"),
        "timeout_seconds": case.get("timeoutSeconds"),
    }
    about = {"name": case.get("name"), "runs": case.get("runsPerCase")}
    return _case_files(case.get("promptMarkdown"), graders, None, about, execution)


def _case_files(
    prompt: Json,
    graders: list[Json],
    outcome: Json,
    about: Mapping[str, Json],
    execution: Mapping[str, Json],
) -> dict[str, Json]:
    return {
        "input.yaml": {"prompt": scalar_text(prompt).strip()},
        "annotations.yaml": {**without_empty({"expected_outcome": outcome}), "graders": graders},
        "metadata.yaml": {
            ORIGIN: without_empty({**about, "execution": without_empty(execution)}),
        },
    }


def _front_matter(path: Path) -> tuple[dict[str, Json], str]:
    """The fields at the head of a Markdown file, and its text below them."""
    text = read_text(path)
    found = re.match(r"---[ \t]*\r?\n(.*?)(?:^|\n)---[ \t]*(?:\r?\n|$)(.*)", text, re.DOTALL)
    if not found:
        return {}, text.strip()
    return dict(mapping_of(parse_yaml(found[1], str(path)).value)), found[2].strip()


# -- results ----------------------------------------------------------------------------------


def _add_runs(
    found: writer.Found,
    stamp: str,
    path: Path,
    result: Mapping[str, Json],
    roots: Sequence[Path],
) -> None:
    suite = mapping_of(result.get("suite"))
    trials: dict[tuple[str, int], dict[str, writer.Execution]] = {}
    for case in mappings_in(result["cases"]):
        for arm, runs in mapping_of(case.get("arms")).items():
            for number, run in enumerate(mappings_in(runs), 1):
                scores = _scores(run, case, suite.get("judgeModel"))
                trial = writer.Execution(_consumed(run), scores, _left(run, path, roots))
                trials.setdefault((arm, number), {})[_id_of(case)] = trial
    partial = None
    if result.get("partial"):
        partial = scalar_text(result.get("partialReason")) or "yes"
        found.notes.append(f"{stamp} is partial ({partial}): it lacks cases or trials")
    spent = (t.used.get("judge_cost_usd", 0) for own in trials.values() for t in own.values())
    if cost := sum(spent):
        what = f"{stamp}: judge_cost_usd, {cost:.4g}, may be part of, or on top of, cost_usd"
        found.notes.append(f"{what}: its file does not say")
    arms: dict[str, list[str]] = {}
    for (arm, number), own in trials.items():
        run_id = writer.folder_name(f"{stamp}-{arm}-{number}")
        arms.setdefault(arm, []).append(run_id)
        facts = {"configuration": arm, "trial": number, "result": stamp, "partial": partial}
        facts |= {key: suite.get(key) for key in ("ablation", "threshold", "judgeModel")}
        found.add_run(
            run_id,
            own,
            path.stat().st_mtime_ns,
            more={"validity": {"partial": partial}} if partial else {},
            agent="claude-code",
            agent_version=result.get("claudeVersion"),
            model=suite.get("modelOverride"),
            started_at=result.get("startedAt"),
            eval_params=without_empty(facts),
        )
    found.note_arms(arms.get("with", ()), arms.get("without", ()))


def _left(run: Mapping[str, Json], result: Path, roots: Sequence[Path]) -> dict[str, Json]:
    """The conversation, if it lies below what was named, and what ended it."""
    error, stated = scalar_text(run.get("error")), scalar_text(run.get("tracePath"))
    files: dict[str, Json] = {"stderr.log": error.encode("utf-8", "replace")} if error else {}
    roots = [root.resolve() for root in roots]
    for base in (result.parent, *roots, *(root.parent for root in roots)) if stated else ():
        with suppress(OSError, ValueError):  # no path at all
            path = (base / stated.replace("\\", "/")).resolve()
            if path.is_file() and any(path.is_relative_to(root) for root in roots):
                return files | {"stdout.log": path}
    return files


def _consumed(run: Mapping[str, Json]) -> dict[str, Json]:
    """What a trial consumed and how it ended, in the harness's words."""
    found = {name: run[key] for name, key in _CONSUMED.items() if is_number(run.get(key))}
    found |= without_empty({"started_at": run.get("startedAt")})
    if not (error := scalar_text(run.get("error"))):
        return {**found, "exit_code": 0}
    code = re.match(r"exit (\d+)", error)
    ended = _TIMED_OUT if "timed out" in error else 1
    return {**found, "exit_code": int(code[1]) or 1 if code else ended, "error": error}


def _scores(
    run: Mapping[str, Json], case: Mapping[str, Json], model: Json
) -> dict[str, dict[str, Json]]:
    """What the graders said of a trial, and the score that follows.

    A grader that failed, or was skipped for the money was spent, is recorded as not passed; it
    said nothing, and so there is no score either.
    """
    stated_graders = mappings_in(case.get("graders"))
    kinds = {scalar_text(each.get("name")): each.get("type") for each in stated_graders}
    found: dict[str, dict[str, Json]] = {}
    counted, silent = [], []
    for grader in mappings_in(run.get("graders")):
        name, votes = scalar_text(grader.get("name")), grader.get("judgeVotes")
        kind = scalar_text(grader.get("type") or kinds.get(name) or ("llm" if votes else ""))
        by_model, why = kind in _BY_MODEL, scalar_text(grader.get("explanation"))
        unpaid = by_model and not votes and run.get("skippedPaidGraders")
        error = "was skipped, for the money was spent" if unpaid else ""
        error = why if why.startswith("grader threw") else error
        with_only = bool(grader.get("withOnly")) or grader.get("scored") is False
        counted += [] if with_only else [bool(grader.get("passed"))]
        silent += [name] if error and not with_only else []
        found[name] = score(
            bool(grader.get("passed")),
            why,
            scalar_text(grader.get("evidence"))[:_MOST_EVIDENCE],
            by="llm" if by_model else "code",
            error=error,
            usage={"model": model} if model and by_model else None,
            with_only=with_only,
        )
    stated: Json = run.get("score")
    lacks = f"no verdict of {', '.join(silent)}; {stated} is stated" if silent else ""
    share = f"{sum(counted)} of {len(counted)} scored graders passed"
    value = float(stated) if is_number(stated) else None
    return found | {SCORE: score(value, share, by="code", error=lacks)}
