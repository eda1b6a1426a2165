"""Reads a run from its parsed ``summary.yaml`` and ``run_result.json``; opens no files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evalkit.documents import Document, scalar_text
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json, is_beyond_numbers, is_number, mapping_of
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

_LINE = 40


def read_run(
    run_id: str,
    project: Project,
    summary: Document | None,
    result: Document | None,
    *,
    case_dirs: Sequence[str] = (),
    case_results: Mapping[str, Document] | None = None,
) -> Run:
    """Put a run together from its parsed files.

    Args:
        run_id: The run directory's name.
        project: Says the mode and model where the run does not.
        summary: ``summary.yaml``; None where the run has none.
        result: ``run_result.json``; None where the run has none.
        case_dirs: Names of the folders below ``cases/``.
        case_results: The ``run_result.json`` in some of these folders; ``per_case`` wins over it.

    Raises:
        InputError: with every place where a file's content is not of the expected shape.
    """
    said, ended = _File(SUMMARY, summary), _File(RESULT, result)
    head, body, files = said.root, ended.root, [said, ended]
    known = {judge.name: judge for judge in project.judges}
    usual = project.models.get("judge", "")
    judges = {
        name: {
            key: n if n is None else float(n)
            for key, n in _leaves(own)
            if n is None or is_number(n)
        }
        for name, own in said.mappings(head, "judges").items()
    }
    scores = tuple(
        _score(case, judge, found, known.get(judge), usual)
        for case, own in said.mappings(head, "per_case").items()
        for judge, found in said.mappings({f"per_case.{case}": own}, f"per_case.{case}").items()
    )
    usage = ended.usage(body)
    case_usage = {
        case: ended.usage(own, f"per_case.{case}.")
        for case, own in ended.mappings(body, "per_case").items()
    }
    for case, document in (case_results or {}).items():
        if case not in case_usage:
            own = _File(f"cases/{case}/{RESULT}", document)
            case_usage[case] = own.usage(own.root)
            files.append(own)
    if problems := [problem for each in files for problem in each.problems]:
        raise InputError(*problems)
    mode, won = body.get("execution_mode"), _won(run_id, mapping_of(head.get("pairwise")))
    started = (body[key] for key in ("started_at", "start_time", "started") if key in body)
    agent = (scalar_text(body.get(key)) for key in ("agent", "agent_version"))
    return Run(
        run_id=run_id,
        mode="batch" if mode == "batch" else "case" if mode else project.mode,
        judges=judges,
        scores=scores,
        usage=usage,
        case_usage=case_usage,
        cases=tuple(sorted({s.case_id for s in scores} | set(case_usage) | set(case_dirs))),
        model=scalar_text(body.get("model")) or project.models.get("skill", ""),
        agent=" ".join(filter(None, agent)),
        figures={**said.rest(), **ended.rest(), **won},
        eval_params=_texts(body.get("eval_params")),
        validity=_texts(head.get("validity")),
        started=next(started, None),
        notes=(
            *([] if summary else [f"no {SUMMARY}: no scores"]),
            *([] if result else [f"no {RESULT}: no duration, cost and tokens of the run"]),
            *(note for each in files for note in each.notes),
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
        data = {"per_case"} if name == SUMMARY else set()
        for path, value in _leaves({k: v for k, v in self.root.items() if k not in data}):
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
            text = str(value)
            shown = text if len(text) < _LINE else f"a number of {len(text)} digits"
            self.notes.append(f"{self.name}: {path} is {shown}, {why}")

    def mappings(
        self, parent: Mapping[str, Any], key: str, prefix: str = ""
    ) -> dict[str, dict[str, Any]]:
        """The entries of the mapping at ``key``, each itself a mapping."""
        found = parent.get(key)
        if found is not None and not isinstance(found, dict):
            self.wrong(prefix + key, "must be a mapping")
        entries = mapping_of(found).items()
        for name, value in entries:
            if not (value is None or isinstance(value, dict)):
                self.wrong(f"{prefix}{key}.{name}", "must be a mapping")
        return {name: value for name, value in entries if isinstance(value, dict)}

    def rest(self) -> dict[str, float]:
        """The figures that nobody asks for by name; what else there is, is noted."""
        read, figures, others = set(_READ[self.name].split()), {}, []
        for path, value in _leaves({k: v for k, v in self.root.items() if k not in read}):
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
        lasted = self.number(found, "duration_s", prefix)
        return Consumption(
            duration_s=lasted if lasted is not None and 0 <= lasted < LONGEST_S else None,
            cost_usd=self.number(found, "cost_usd", prefix),
            num_turns=None if turns is None else int(turns),
            exit_code=int(code) if isinstance(code, (int, float)) and is_number(+code) else None,
            tokens={kind: int(n) for kind, n in _numbers(found.get("token_usage")).items()},
            per_model={
                model: _numbers(figures)
                for model, figures in self.mappings(found, "per_model_usage", prefix).items()
            },
            steps=tuple(self.mappings(found, "steps", prefix)),
        )

    def number(self, found: Mapping[str, Any], key: str, prefix: str) -> float | None:
        value = found.get(key)
        if value is None or is_number(value):
            return value
        if not is_beyond_numbers(value):
            self.wrong(prefix + key, "must be a number")
        return None


def _score(
    case_id: str, judge: str, found: Mapping[str, Any], own: Judge | None, usual_model: str
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
        stated or (own.model if own else "") or usual_model if by_model else "",
        {key: value for key, value in found.items() if key not in read},
    )


def _leaves(found: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Everything below nested mappings with its path, such as ``human_agreement/value``."""
    if isinstance(found, Mapping) and (found or not path):
        for key, value in found.items():
            yield from _leaves(value, f"{path}/{key}" if path else key)
    else:
        yield path, found


def _texts(found: Json) -> dict[str, str]:
    return {path: scalar_text(v) for path, v in _leaves(found) if path and v not in (None, {}, [])}


def _numbers(found: Json) -> dict[str, float]:
    return {key: value for key, value in mapping_of(found).items() if is_number(value)}


def _won(run_id: str, pairwise: Mapping[str, Json]) -> dict[str, float]:
    """How often the run was found better than the one it was compared with; a tie is no win."""
    names = ("wins_a", "wins_b", "ties")
    counts = {key: pairwise[key] for key in names if is_number(pairwise.get(key))}
    side = next((each for each in "ab" if pairwise.get(f"run_{each}") == run_id), "")
    if not side or len(counts) < len(names) or not sum(counts.values()):
        return {}
    return {"pairwise/win_rate": counts[f"wins_{side}"] / sum(counts.values())}
