"""What a run's files say: ``summary.yaml``, ``run_result.json``, and where its code comes from."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalkit.documents import Document, scalar_text
from evalkit.entities import BRANCH_TAG, COMMIT_TAG
from evalkit.errors import InputError, Problem
from evalkit.files import inside, read_document
from evalkit.jsonable import Json, is_beyond_numbers, is_number, kind_of, mapping_of, truncate
from evalkit.masking import mask_text
from evalkit.project import Judge, Project
from evalkit.runs.run import Run, Score
from evalkit.tokens import LONGEST_S, Consumption

SUMMARY, RESULT = "summary.yaml", "run_result.json"
"""What judges said; what the run, and in a case's folder the case, consumed and how it ended."""

MODEL_JUDGES = frozenset({"llm", "llm_judge", "prompt", "prompt_file", "llm_rubric", "agent"})
CODE_JUDGES = frozenset({"check", "code", "builtin", "module"})
"""The values of ``judge_type`` that say whether a model judges; others leave it to the config."""

_READ = {
    SUMMARY: "run_id judges per_case validity",
    RESULT: "agent agent_version cost_usd duration_s eval_params execution_mode exit_code model"
    " harbor_job_dir num_cases num_turns per_case per_model_usage run_id start_time started"
    " started_at token_usage",
}
"""The keys that are read by name; of all others, figures are taken as they are."""

GIT_SECONDS = 10
"""How long git may take to answer."""

SNAPSHOT = "harness-snapshot.json"
"""What the harness may know of where the evaluated code comes from."""

BASIS_TAG = "evalkit.commit"
UNCOMMITTED = ", with uncommitted changes"
"""Ends how the commit is known where the run is of more than that commit."""

SNAPSHOT_TAGS = {
    **{name: name for name in ("agent", "role", "slug", "model", "forge_platform", "trace_id")},
    **{name: name for name in ("repository_url", "ref_revision", "ref_name", "change_id")},
    **{name: name for name in ("pipeline_run_id", "pipeline_run_url", "harness_content_sha")},
    "commit_sha": "ref_revision",
    "harness_fingerprint": "harness_content_sha",
}
"""The harness's own tags of a run, and the snapshot's field that each takes."""


def read_run(
    run_id: str,
    project: Project,
    documents: Mapping[str, Document],
    case_results: Mapping[str, Document],
    case_dirs: Sequence[str] = (),
) -> Run:
    """Put a run together from its parsed files; ``per_case`` wins over cases' own, key by key.

    Raises:
        InputError: with every place where a file's content is not of the expected shape.
    """
    said, ended = (_File(name, documents.get(name)) for name in (SUMMARY, RESULT))
    head, body = said.root, ended.root
    judged, listed = said.mappings(head, "judges"), ended.mappings(body, "per_case")
    known, usual = {judge.name: judge for judge in project.judges}, project.models.get("judge", "")
    scores = tuple(
        _score(case, judge, found, known.get(judge), usual)
        for case, own in said.mappings(head, "per_case").items()
        for judge, found in said.mappings({f"per_case.{case}": own}, f"per_case.{case}").items()
    )
    files = {c: _File(f"cases/{c}/{RESULT}", document) for c, document in case_results.items()}
    usage = {case: file.usage(file.root) for case, file in files.items()}
    for case, own in listed.items():
        stated = {key: value for key, value in own.items() if value is not None}
        beside = files[case].root if case in files else {}
        usage[case] = ended.usage({**beside, **stated}, f"per_case.{case}.")
    mode, whole = body.get("execution_mode"), ended.usage(body)
    figures = {**said.rest(), **ended.rest(), **_won(run_id, mapping_of(head.get("pairwise")))}
    if problems := [each for file in (said, ended, *files.values()) for each in file.problems]:
        raise InputError(*problems)
    started = (body[key] for key in ("started_at", "start_time", "started") if key in body)
    agent = (scalar_text(body.get(key)) for key in ("agent", "agent_version"))
    absent = {SUMMARY: "no scores", RESULT: "no duration, cost and tokens of the run"}
    return Run(
        run_id=run_id,
        mode="batch" if mode == "batch" else "case" if mode else project.mode,
        judges={
            judge: {k: n for k, n in _leaves(own) if n is None or is_number(n)}
            for judge, own in judged.items()
        },
        scores=scores,
        usage=whole,
        case_usage=usage,
        cases=tuple(sorted({score.case_id for score in scores} | usage.keys() | {*case_dirs})),
        model=scalar_text(body.get("model")) or project.models.get("skill", ""),
        agent=" ".join(filter(None, agent)),
        figures=figures,
        eval_params=_texts(body.get("eval_params")),
        validity=_texts(head.get("validity")),
        started=next(started, None),
        notes=(
            *(f"no {name}: {lost}" for name, lost in absent.items() if name not in documents),
            *(note for file in (said, ended, *files.values()) for note in file.notes),
        ),
    )


class _File:
    """One parsed file: what is as expected is taken, and all else noted instead of stopping."""

    def __init__(self, name: str, document: Document | None) -> None:
        self.name, self.document = name, document or Document(None, name)
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.root = mapping_of(self.document.value)
        if not (self.document.value is None or isinstance(self.document.value, dict)):
            self.wrong("", "is not a mapping of keys")
        for path, value in _leaves(self.root, without={"per_case"} if name == SUMMARY else set()):
            self.doubt(path, value)

    def wrong(self, path: str, what: str) -> None:
        fix = "run the evaluation again, or restore the file"
        self.problems.append(self.document.problem(path, what, fix))

    def doubt(self, path: str, value: Json) -> None:
        """Name a figure that is left out: nothing can be reckoned with it."""
        why = "no number MLflow can show" if is_beyond_numbers(value) else ""
        if path.endswith("duration_s") and is_number(value) and not 0 <= value < LONGEST_S:
            why = "no time that a run takes"
        if why:
            self.notes.append(f"{self.name}: {path} is {truncate(str(value), 40)}, {why}")

    def mappings(
        self, parent: Mapping[str, Any], key: str, prefix: str = ""
    ) -> dict[str, dict[str, Any]]:
        """The entries of the mapping at ``key``, each itself a mapping."""
        found = parent.get(key)
        if found is not None and not isinstance(found, dict):
            self.wrong(prefix + key, "must be a mapping")
        for name, value in mapping_of(found).items():
            if not (value is None or isinstance(value, dict)):
                self.wrong(f"{prefix}{key}.{name}", "must be a mapping")
        return {k: v for k, v in mapping_of(found).items() if isinstance(v, dict)}

    def rest(self) -> dict[str, float]:
        """The figures that nobody asks for by name; what else there is, is noted."""
        figures, others = {}, []
        for path, value in _leaves(self.root, without={*_READ[self.name].split()}):
            if is_number(value):
                figures[path] = value
            elif path == "permission_denials" and isinstance(value, list):
                figures[path] = len(value)
            elif value not in (None, {}, []):
                others.append(path)
        held = ", ".join(sorted(others))
        self.notes += [f"{self.name} holds what only this artifact keeps: {held}"] if held else []
        return figures

    def usage(self, found: Mapping[str, Any], prefix: str = "") -> Consumption:
        turns, code = self.number(found, "num_turns", prefix), found.get("exit_code")
        if not (code is None or (is_number(code) and code == int(code))):
            self.wrong(f"{prefix}exit_code", "must be a whole number")
            code = None
        lasted = self.number(found, "duration_s", prefix)
        return Consumption(
            duration_s=lasted if lasted is not None and 0 <= lasted < LONGEST_S else None,
            cost_usd=self.number(found, "cost_usd", prefix),
            num_turns=None if turns is None else int(turns),
            exit_code=None if code is None else int(code),
            tokens={kind: int(n) for kind, n in _numbers(found.get("token_usage")).items()},
            per_model={
                model: _numbers(figures)
                for model, figures in self.mappings(found, "per_model_usage", prefix).items()
            },
            steps=tuple(self.mappings(found, "steps", prefix)),
        )

    def number(self, found: Mapping[str, Any], key: str, prefix: str) -> float | None:
        value = found.get(key)
        if not (value is None or is_number(value) or is_beyond_numbers(value)):
            self.wrong(prefix + key, "must be a number")
        return value if is_number(value) else None


def _score(
    case_id: str, judge: str, found: Mapping[str, Any], own: Judge | None, usual: str
) -> Score:
    rationale, error = scalar_text(found.get("rationale")), found.get("error")
    if error is True:  # newer summaries only mark that there is no value; the rationale says why
        error = rationale or "the judge failed"
    judge_type = scalar_text(found.get("judge_type"))
    kind = own.kind if own and judge_type.lower() not in CODE_JUDGES else judge_type.lower()
    by_model = bool(MODEL_JUDGES & {kind, judge_type.lower()})
    stated = scalar_text(mapping_of(found.get("usage")).get("model"))
    read = {"value", "rationale", "error", "judge_type"}
    return Score(
        case_id,
        judge,
        found.get("value"),
        rationale,
        scalar_text(error or ""),
        judge_type,
        by_model,
        stated or (own.model if own else "") or usual if by_model else "",
        {key: value for key, value in found.items() if key not in read},
    )


def _leaves(
    found: Json, path: str = "", without: Collection[str] = ()
) -> Iterator[tuple[str, Json]]:
    """Everything below nested mappings with its path, such as ``human_agreement/value``."""
    if isinstance(found, Mapping) and (found or not path):
        for key, value in found.items():
            if key not in without:
                yield from _leaves(value, f"{path}/{key}" if path else key)
    else:
        yield path, found


def _texts(found: Json) -> dict[str, str]:
    return {path: scalar_text(v) for path, v in _leaves(found) if path and v not in (None, {}, [])}


def _numbers(found: Json) -> dict[str, float]:
    return {key: value for key, value in mapping_of(found).items() if is_number(value)}


def _won(run_id: str, pairwise: Mapping[str, Json]) -> dict[str, float]:
    """How often the run was found better than the one it was compared with; a tie is no win."""
    sides = [pairwise.get("run_a"), pairwise.get("run_b")]
    counts: list[Json] = [pairwise.get(key) for key in ("wins_a", "wins_b", "ties")]
    if run_id not in sides or not all(map(is_number, counts)) or not any(counts):
        return {}
    return {"pairwise/win_rate": counts[sides.index(run_id)] / sum(counts)}


def origin_of(folder: Path) -> tuple[dict[str, str], list[str]]:
    """What the snapshot says, as tags, and what no tag says; nothing where it cannot be read."""
    path = folder / SNAPSHOT
    try:
        said = read_document(inside(path, folder)).value if path.is_file() else {}
    except InputError:  # which the artifacts say
        return {}, []
    if not isinstance(said, dict):
        return {}, [f"{SNAPSHOT} is {kind_of(said)}, not a mapping: it gives the run no tags"]
    found = {tag: scalar_text(said.get(name)).strip() for tag, name in SNAPSHOT_TAGS.items()}
    others = ", ".join(sorted(said.keys() - SNAPSHOT_TAGS.values()))
    notes = [f"{SNAPSHOT} holds what only this artifact keeps: {others}"] if others else []
    return {tag: mask_text(text)[0] for tag, text in found.items() if text}, notes


def commit_tags(
    origin: Mapping[str, str], config: Path, run: Path, began_ns: int
) -> dict[str, str]:
    """Run tags with commit and branch: the snapshot's, else HEAD of the config's repository.

    HEAD counts where the run lies in that repository and began (nanoseconds since the epoch) after
    the commit was made. A tag says how the commit is known, and whether tracked files outside of
    the run differed from it.
    """
    if commit := origin.get("commit_sha"):
        branch, basis = origin.get("ref_name", ""), SNAPSHOT
    else:
        root = Path(ask_git(config.parent, "rev-parse", "--show-toplevel") or "no repository")
        own = run.resolve()
        if not own.is_relative_to(root := root.resolve()):
            return {}
        head = ask_git(config.parent, "rev-list", "--timestamp", "-1", "HEAD")
        time_s, _, commit = head.partition(" ")
        if not commit or int(time_s) * 10**9 > began_ns:
            return {}
        branch = ask_git(config.parent, "branch", "--show-current")
        outside = (":/", f":(exclude,top){own.relative_to(root)}")
        changed = ("status", "--porcelain", "--untracked-files=no", "--", *outside)
        basis = "inferred: HEAD when the run was logged"
        basis += UNCOMMITTED if ask_git(config.parent, *changed) else ""
    return {COMMIT_TAG: commit, BASIS_TAG: basis, **({BRANCH_TAG: branch} if branch else {})}


def ask_git(folder: Path, *arguments: str) -> str:
    """What git says; nothing where there is no git, no repository, or no commit."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
