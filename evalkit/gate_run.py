"""``compare``, ``gate`` and ``history``: is a run better, worse, the same, or can nobody tell.

The gate's Markdown is one comment for a pull request, which a later one replaces by its first line.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from evalkit import reading
from evalkit.context import Workspace
from evalkit.dataset.cases import read_case
from evalkit.documents import scalar_text
from evalkit.entities import BRANCH_TAG, COMMIT_TAG
from evalkit.errors import InputError, Problem, StoreAbsent, StoreError
from evalkit.jsonable import Json, is_number
from evalkit.masking import mask_json, mask_text
from evalkit.runs import arms
from evalkit.runs.arms import Finder, Trial
from evalkit.runs.compare import Row
from evalkit.runs.compare_report import figure, report, rows, threshold_rows
from evalkit.runs.metrics import run_key
from evalkit.runs.trials import FLIP_KINDS, level, pooled
from evalkit.stats import mean_interval
from evalkit.truncation import truncate

MOST_FLIPS = 15
"""Flipped cases whose answers the comment shows; what GitHub takes is 65,536 characters."""

MOST_ANSWER = 1_500

MOST_RUNS = 50
"""Logged runs that a history goes back."""


def compare(
    workspace: Workspace,
    *,
    candidate: Sequence[str] = (),
    baseline: Sequence[str] = (),
    margin: float | None = None,
) -> Row:
    """Hold runs against a baseline; several of an arm are trials, pooled by case.

    Args:
        workspace: The opened project.
        candidate: Run directories, ids of MLflow runs, or ``git:REF``; else the newest on disk.
        baseline: The same; else the run on disk before the candidate.
        margin: The change that does not matter; see
            :func:`evalkit.runs.compare.compare_judges`.

    Returns:
        The report; see :func:`evalkit.runs.compare_report.report`.

    Raises:
        InputError: there is no such run, or a run's files are wrong.
    """
    if not (candidate and baseline):
        baseline, candidate = arms.choose(arms.run_ids(workspace.files), baseline, candidate)
    finder = finder_of(workspace)
    try:
        new, old = finder.trials(candidate, "candidate"), finder.trials(baseline, "baseline")
    except (StoreAbsent, StoreError) as error:
        found = _report(workspace, [], [], margin)
        return found | {
            "open": [str(error)],
            "findings": [f"Cannot tell: {error}"],
            "on_unknown": "3",  # nothing was compared, so that is how it ends
        }
    return _report(workspace, old, new, margin)


def gate(
    workspace: Workspace,
    *,
    run_id: Sequence[str],
    baseline: Sequence[str] = (),
    margin: float | None = None,
    out: str | Path | None = None,
    on_unknown: str = "3",
) -> Row:
    """Whether runs are good enough to merge, beside a baseline.

    Args:
        workspace: The opened project.
        run_id: The candidate's runs, as in :func:`compare`.
        baseline: The same; else the newest run logged for where HEAD left the main branch.
        margin: The change that does not matter.
        out: Where to write the comment for the pull request; None for nowhere.
        on_unknown: What the command makes of not knowing: ``3``, ``pass`` or ``fail``.

    Returns:
        The report of :func:`compare`; ``gate`` in it is pass, fail or unknown, the last also where
        there is no baseline or no MLflow to have it from.

    Raises:
        InputError: a run that is named is not there, or its files are wrong.
    """
    finder = finder_of(workspace)
    new = finder.trials(run_id, "run-id")
    old: list[Trial] = []
    why = ""
    try:
        if baseline:
            old = finder.trials(baseline, "baseline")
        elif (found := finder.merge_base(new[0].run.run_id)) is not None:
            old = [found]
        else:
            why = "no run is logged for where this branch left the main one, or for a commit before"
    except (StoreAbsent, StoreError) as error:
        why = str(error)
    found_report = _report(workspace, old, new, margin) | {"on_unknown": on_unknown}
    if why:
        found_report["open"][0] = f"there is no baseline: {why}"
        found_report["findings"][0] = f"Cannot tell: there is no baseline: {why}."
    if out is not None:
        out = Path(out)
        text = "\n".join(_comment(workspace, found_report, old, new)) + "\n"
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(mask_text(text)[0], encoding="utf-8")
        except OSError as error:
            problem = Problem(f"cannot be written: {error.strerror}", str(out), field="--out")
            raise InputError(problem) from error
    return found_report


def history(workspace: Workspace, *, judge: str) -> Row:
    """A judge over the logged runs, the newest first.

    Args:
        workspace: The opened project.
        judge: Its name.

    Returns:
        ``judge`` and ``runs``: of each ``run_id``, ``mlflow_run_id``, ``time_ms``, ``commit``,
        ``branch``, ``dataset`` (its digest), ``mean`` or ``pass_rate``, and its ``interval``.

    Raises:
        InputError: no logged run has figures of that judge.
        StoreError: MLflow is absent or answered with an error.
    """
    try:
        found = list(_over_time(finder_of(workspace), judge))
    except StoreAbsent as error:
        raise StoreError(str(error)) from error
    if not found:
        known = ", ".join(each.name for each in workspace.files.project.judges)
        raise InputError(
            Problem(
                f"no logged run of {workspace.files.project.name} has scores of {judge!r}",
                field="--judge",
                fix=f"run log-results first; the config's judges are {known or 'none'}",
            )
        )
    return {"judge": judge, "runs": found}


def _over_time(finder: Finder, judge: str) -> Iterator[Row]:
    for stored in islice(finder.logged(), MOST_RUNS):
        scores = pooled([finder.stored_trial(stored).run]).get(judge, {})
        values = [level("number", each) for each in scores.values()]
        numbers = [value for value in values if isinstance(value, bool) or is_number(value)]
        if not numbers:
            continue
        mean, low, high = mean_interval(numbers)
        yield {
            "run_id": stored.params.get("run_id", ""),
            "mlflow_run_id": stored.run_id,
            "time_ms": stored.start_ms,
            "commit": stored.tags.get(COMMIT_TAG, ""),
            "branch": stored.tags.get(BRANCH_TAG, ""),
            "dataset": next(iter(stored.datasets.values()), ""),
            "cases": len(numbers),
            "pass_rate" if isinstance(numbers[0], bool) else "mean": mean,
            "interval": [low, high],
        }


def finder_of(workspace: Workspace) -> Finder:
    """Looks for the project's runs, on disk and in its MLflow."""
    return Finder(workspace.files, workspace.run, lambda: workspace.store)


def _report(
    workspace: Workspace, old: Sequence[Trial], new: Sequence[Trial], margin: float | None
) -> Row:
    project = workspace.files.project
    return report(project, [each.run for each in old], [each.run for each in new], margin)


def _comment(
    workspace: Workspace, found: Row, old: Sequence[Trial], new: Sequence[Trial]
) -> Iterator[str]:
    """The lines of the comment."""
    name = workspace.files.project.name
    mark = {"pass": "✅", "fail": "❌", "unknown": "❔"}[found["gate"]]
    yield f"<!-- evalkit gate: {_line(name)} -->"
    yield f"### {mark} {_line(name)}: {found['gate']}"
    yield ""
    against = ", ".join(found["baseline"]) or "no baseline"
    yield f"{_line(', '.join(found['candidate']))} against {_line(against)}."
    yield ""
    said = found["findings"]
    for text in (*said, *(t for t in found["shortfalls"] + found["open"] if t not in said[0])):
        yield f"- {_line(text)}"
    yield from _table(rows(found["judges"]))
    yield from _table(rows(found["figures"]))
    yield from _table(threshold_rows(found))
    flips = [each for each in found["flips"] if each["kind"] != "only in candidate"]
    flips.sort(key=lambda each: FLIP_KINDS.index(each["kind"]))
    if flips:
        yield ""
        yield f"#### {len(flips)} scores changed"
    links = _links(workspace, new) if flips else {}
    shown: dict[str, list[Row]] = {}
    for each in flips:
        shown.setdefault(each["case"], []).append(each)
    for case, own in islice(shown.items(), MOST_FLIPS):
        before, after = (_answer(workspace, side, case) for side in (old, new))
        yield from _flipped(case, own, before, after, links.get(case))
    if len(shown) > MOST_FLIPS:
        yield f"and {len(shown) - MOST_FLIPS} more cases."


def _flipped(
    case: str, own: Sequence[Row], before: str, after: str, link: str | None
) -> Iterator[str]:
    """A case whose scores changed, with both answers folded."""
    moves = "; ".join(
        f"{each['judge']}: {_value(each['before'])} → {_value(each['after'])}" for each in own
    )
    yield ""
    yield f"<details><summary><b>{html.escape(case)}</b> {html.escape(moves)}</summary>"
    for title, answer in (("Before", before), ("After", after)):
        if answer:
            fence = "`" * (3 + max((len(run) for run in _ticks(answer)), default=0))
            yield from ("", f"{title}:", "", fence, answer, fence)
    if link:
        yield from ("", f"[the trace]({link})")
    yield from ("", "</details>")


def _ticks(text: str) -> list[str]:
    return [run for run in "".join(c if c == "`" else " " for c in text).split() if run]


def answer_of(workspace: Workspace, trial: Trial, case: str) -> str:
    """What the agent answered, as the log or MLflow's trace tells; empty where neither does."""
    found: Json = None
    with suppress(InputError, StoreAbsent, StoreError):
        if trial.files is not None and trial.run.mode == "case":
            found = reading.read_trace(trial.files, case).response
        elif case in trial.traces:
            found = workspace.store.observe_one(trial.traces[case].trace_id).response
    return scalar_text(found)


def expected_of(workspace: Workspace, case: str) -> Mapping[str, Json]:
    """What a case's files expect, by file and field; empty where they are not here."""
    with suppress(InputError):
        documents = read_case(workspace.files.cases_dir, case).documents
        return {
            f"{name}: {key}": mask_json(value)
            for name, found in documents.items()
            if not name.startswith("input") and isinstance(found, dict)
            for key, value in found.items()
        }
    return {}


def _answer(workspace: Workspace, side: Sequence[Trial], case: str) -> str:
    """The answer of the arm's first run that has one, cut to what a comment holds."""
    answers = (answer_of(workspace, trial, case) for trial in side)
    said = next(filter(None, answers), "")
    return said if len(said) <= MOST_ANSWER else said[:MOST_ANSWER] + "…"


def _links(workspace: Workspace, new: Sequence[Trial]) -> dict[str, str]:
    """Where the candidate's traces are seen, by case; none where MLflow is no server or absent."""
    with suppress(StoreAbsent, StoreError):
        store, project = workspace.store, workspace.files.project
        experiment_id = store.experiment(project.experiment, create=False)
        if experiment_id is None:
            return {}
        return {
            trace.case_id: url
            for trial in reversed(new)
            for trace in store.find_traces(
                experiment_id, run_key(experiment_id, project, trial.run.run_id)
            )
            if trace.case_id and (url := store.trace_url(experiment_id, trace.trace_id))
        }
    return {}


def _table(found: Sequence[Row]) -> Iterator[str]:
    if not found:
        return
    names = list(found[0])
    yield ""
    yield f"| {' | '.join(map(_line, names))} |"
    yield f"|{' --- |' * len(names)}"
    for row in found:
        cells = (_line(str(row[name])).replace("|", r"\|") for name in names)
        yield f"| {' | '.join(cells)} |"


def _value(value: Json) -> str:
    if isinstance(value, bool):
        return "pass" if value else "fail"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return figure(value) if is_number(value) else truncate(str(value), 80)


def _line(text: str) -> str:
    """Text from files as Markdown shows it, not as it reads it."""
    return html.escape(truncate(text, 1_000), quote=False).replace("@", "@\u200b")
