"""The gate's comment for a pull request, in Markdown: one that a later one replaces by its mark.

Whatever comes from files and logs is shown as text, not read as markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from evalkit import reading
from evalkit.context import Workspace
from evalkit.dataset.cases import read_case
from evalkit.documents import scalar_text
from evalkit.errors import InputError, StoreAbsent, StoreError
from evalkit.jsonable import Json, is_number
from evalkit.masking import mask_json
from evalkit.runs.arms import Trial
from evalkit.runs.compare import Row
from evalkit.runs.compare_rows import figure_text, rows, threshold_rows
from evalkit.runs.metrics import run_key
from evalkit.runs.trials import FLIP_KINDS
from evalkit.truncation import truncate

MARK = "<!-- evalkit gate: "
"""Begins a comment, so that a later one can find it."""

MOST_FLIPS = 15
"""Flipped cases whose answers the comment shows; what GitHub takes is 65,536 characters."""

MOST_ANSWER = 1_500


def comment(
    workspace: Workspace, found: Row, old: Sequence[Trial], new: Sequence[Trial]
) -> Iterator[str]:
    """The lines of the comment."""
    name = workspace.files.project.name
    mark = {"pass": "✅", "fail": "❌", "unknown": "❔"}[found["gate"]]
    yield f"{MARK}{_line(name)} -->"
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
    yield f"<details><summary><b>{_text(case)}</b> {_text(moves)}</summary>"
    for title, answer in (("Before", before), ("After", after)):
        if answer:
            fence = "`" * (3 + max(map(len, re.findall("`+", answer)), default=0))
            yield from ("", f"{title}:", "", fence, answer, fence)
    if link:
        yield from ("", f"[the trace]({link})")
    yield from ("", "</details>")


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
    return figure_text(value) if is_number(value) else truncate(str(value), 80)


def _text(text: str) -> str:
    """Text from files on one line, which HTML shows and does not read, and GitHub pings nobody."""
    one_line = " ".join(truncate(text, 1_000).split())
    return html.escape(one_line, quote=False).replace("@", "@\u200b")


def _line(text: str) -> str:
    """The same in Markdown, which is no markup, either."""
    return re.sub(r"([\\\[\]`*_~])", r"\\\1", _text(text))
