"""Reads a finished run from its parsed files, and names everything that is not as expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evalkit.core.figures import leaves, rest, texts, won
from evalkit.core.results import Run, Score
from evalkit.documents import Document, scalar_text
from evalkit.errors import InputError, Problem
from evalkit.jsonable import is_beyond_numbers, is_number
from evalkit.project import Project
from evalkit.tokens import LONGEST_S, Consumption


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
    reader = _Reader(project)
    head = reader.root(summary)
    body = reader.root(result)
    reader.doubt(
        {key: head[key] for key in head if key not in {"per_case", "judges"}}, "summary.yaml"
    )
    reader.doubt(body, "run_result.json")
    judges = dict(reader.judges(head, summary))
    scores = tuple(reader.scores(head, summary))
    usage = reader.usage(body, result, "")
    case_usage = {
        case: reader.usage(values, result, f"per_case.{case}.")
        for case, values in reader.mappings(body, "per_case", result)
    }
    for case, own in (case_results or {}).items():
        if case not in case_usage:
            found = reader.root(own)
            reader.doubt(found, f"cases/{case}/run_result.json")
            case_usage[case] = reader.usage(found, own, "")
    if reader.problems:
        raise InputError(*reader.problems)
    mode = body.get("execution_mode")
    return Run(
        run_id=run_id,
        mode="batch" if mode == "batch" else "case" if mode else project.mode,
        judges=judges,
        scores=scores,
        usage=usage,
        case_usage=case_usage,
        cases=tuple(sorted({s.case_id for s in scores} | set(case_usage) | set(case_dirs))),
        model=scalar_text(body.get("model")) or project.models.get("skill", ""),
        agent=" ".join(
            filter(None, (scalar_text(body.get(k)) for k in ("agent", "agent_version")))
        ),
        figures={
            **reader.rest(head, "summary.yaml"),
            **reader.rest(body, "run_result.json"),
            **won(run_id, head.get("pairwise")),
        },
        eval_params=texts(body.get("eval_params")),
        validity=texts(head.get("validity")),
        notes=(*_missing(summary, result), *reader.notes),
    )


def _missing(summary: Document | None, result: Document | None) -> Iterator[str]:
    if summary is None:
        yield "no summary.yaml: no scores"
    if result is None:
        yield "no run_result.json: no duration, cost and tokens of the run"


MODEL_JUDGES = frozenset({"llm", "llm_judge", "prompt", "prompt_file", "llm_rubric", "agent"})
CODE_JUDGES = frozenset({"check", "code", "builtin", "module"})
"""The values of ``judge_type`` that say whether a model judges; others leave it to the config."""

READ_OF_SCORE = ("value", "rationale", "error", "judge_type")

RESTORE = "run the evaluation again, or restore the file"


class _Reader:
    """Reads figures of the expected type and collects what is wrong instead of stopping."""

    def __init__(self, project: Project) -> None:
        self.known = {judge.name: judge for judge in project.judges}
        self.usual_model = project.models.get("judge", "")
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def root(self, document: Document | None) -> dict[str, Any]:
        if document is None or document.value is None:
            return {}
        if isinstance(document.value, dict):
            return document.value
        self.problems.append(document.problem("", "is not a mapping of keys", RESTORE))
        return {}

    def doubt(self, found: Mapping[str, Any], file: str) -> None:
        """Name the figures that are left out: nothing can be reckoned with them."""
        for path, value in leaves(found):
            if is_beyond_numbers(value):
                self.notes.append(f"{file}: {path} is {_short(value)}, no number MLflow can show")
            elif path.endswith("duration_s") and is_number(value) and not 0 <= value < LONGEST_S:
                self.notes.append(f"{file}: {path} is {_short(value)}, no time that a run takes")

    def mappings(
        self, parent: Mapping[str, Any], key: str, document: Document | None, prefix: str = ""
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The entries of the mapping at ``key``, each itself a mapping."""
        found = parent.get(key)
        if found is None or document is None:
            return
        if not isinstance(found, dict):
            self.problems.append(document.problem(prefix + key, "must be a mapping", RESTORE))
            return
        for name, value in found.items():
            if isinstance(value, dict):
                yield name, value
            elif value is not None:
                where = f"{prefix}{key}.{name}"
                self.problems.append(document.problem(where, "must be a mapping", RESTORE))

    def judges(
        self, head: Mapping[str, Any], document: Document | None
    ) -> Iterator[tuple[str, dict[str, float | None]]]:
        for name, nested in self.mappings(head, "judges", document):
            figures = dict(leaves(nested))
            self.notes += [
                f"the summary's judges.{name}.{key} is no number that MLflow can show"
                for key, value in figures.items()
                if is_beyond_numbers(value)
            ]
            yield (
                name,
                {
                    key: None if value is None else float(value)
                    for key, value in figures.items()
                    if value is None or is_number(value)
                },
            )

    def scores(self, head: Mapping[str, Any], document: Document | None) -> Iterator[Score]:
        for case_id, judges in self.mappings(head, "per_case", document):
            prefix = f"per_case.{case_id}."
            for judge, found in judges.items():
                if isinstance(found, dict):
                    yield self.score(case_id, judge, found)
                elif found is not None and document is not None:
                    what = "must be a mapping with `value` and `rationale`"
                    self.problems.append(document.problem(prefix + judge, what, RESTORE))

    def score(self, case_id: str, judge: str, found: Mapping[str, Any]) -> Score:
        rationale, error = scalar_text(found.get("rationale")), found.get("error")
        if (
            error is True
        ):  # newer summaries only mark that there is no value; the rationale says why
            error = rationale or "the judge failed"
        own, judge_type = self.known.get(judge), scalar_text(found.get("judge_type"))
        kind = own.kind if own and judge_type.lower() not in CODE_JUDGES else judge_type.lower()
        by_model = bool(MODEL_JUDGES & {kind, judge_type.lower()})
        used = found.get("usage")
        stated = scalar_text(used.get("model")) if isinstance(used, dict) else ""
        return Score(
            case_id,
            judge,
            found.get("value"),
            rationale,
            scalar_text(error or ""),
            judge_type,
            by_model,
            stated or (own.model if own else "") or self.usual_model if by_model else "",
            {key: value for key, value in found.items() if key not in READ_OF_SCORE},
        )

    def rest(self, found: Mapping[str, Any], file: str) -> dict[str, float]:
        figures, others = rest(found, file)
        if others:
            what = f"{file} holds what only this artifact keeps: {', '.join(others)}"
            self.notes.append(what)
        return figures

    def usage(
        self, found: Mapping[str, Any], document: Document | None, prefix: str
    ) -> Consumption:
        turns, code = self.number(found, "num_turns", document, prefix), found.get("exit_code")
        lasted = self.number(found, "duration_s", document, prefix)
        return Consumption(
            duration_s=lasted if lasted is not None and 0 <= lasted < LONGEST_S else None,
            cost_usd=self.number(found, "cost_usd", document, prefix),
            num_turns=None if turns is None else int(turns),
            exit_code=int(code) if isinstance(code, (int, float)) and is_number(+code) else None,
            tokens={k: int(v) for k, v in _numbers(found.get("token_usage")).items()},
            per_model={
                model: _numbers(figures)
                for model, figures in self.mappings(found, "per_model_usage", document, prefix)
            },
            steps=tuple(name for name, _ in self.mappings(found, "steps", document, prefix)),
        )

    def number(
        self, found: Mapping[str, Any], key: str, document: Document | None, prefix: str
    ) -> float | None:
        value = found.get(key)
        if value is None or is_number(value):
            return value
        if document is not None and not is_beyond_numbers(value):
            self.problems.append(document.problem(prefix + key, "must be a number", RESTORE))
        return None


def _short(value: object) -> str:
    said = str(value)
    return said if len(said) < 40 else f"a number of {len(said)} digits"  # noqa: PLR2004 - a line's


def _numbers(found: object) -> dict[str, float]:
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if is_number(value)}
