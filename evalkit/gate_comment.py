"""The gate's comment for a pull request, in Markdown: one that a later one replaces by its mark.

Whatever comes from files and logs is shown as text, not read as markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from evalkit import reading
from evalkit.context import Workspace
from evalkit.documents import scalar_text
from evalkit.errors import InputError, StoreError
from evalkit.jsonable import Json
from evalkit.runs.arms import Trial
from evalkit.runs.compare import Row
from evalkit.runs.compare_rows import rows, telling, threshold_rows, value_words
from evalkit.runs.metrics import run_key
from evalkit.runs.pairs import FLIP_KINDS
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
    name = _line(workspace.files.project.name)
    mark = {"pass": "✅", "fail": "❌", "unknown": "❔"}[found["gate"]]
    arms = [", ".join(found[arm]) for arm in ("candidate", "baseline")]
    yield f"{MARK}{name} -->\n### {mark} {name}: {found['gate']}\n"
    yield f"{_line(arms[0])} against {_line(arms[1] or 'no baseline')}.\n"
    said = found["findings"]
    for text in (*said, *(t for t in found["shortfalls"] + found["open"] if t not in said[0])):
        yield f"- {_line(text)}"
    judges, left_out = telling(found["judges"])
    yield from _table(rows(judges))
    if left_out:
        yield f"\n{left_out}"
    for table in (rows(found["figures"]), threshold_rows(found)):
        yield from _table(table)
    flips = [each for each in found["flips"] if each["kind"] != "only in candidate"]
    flips.sort(key=lambda each: FLIP_KINDS.index(each["kind"]))
    if not flips:
        return
    yield f"\n#### {len(flips)} scores changed"
    links, cases = _links(workspace, new), list(dict.fromkeys(each["case"] for each in flips))
    for case in cases[:MOST_FLIPS]:
        moves = "; ".join(
            f"{each['judge']}: {value_words(each['before'])} → {value_words(each['after'])}"
            for each in flips
            if each["case"] == case
        )
        yield f"\n<details><summary><b>{_text(case)}</b> {_text(moves)}</summary>"
        judge = next(each["judge"] for each in flips if each["case"] == case)
        both = answers(workspace, (old, new), case, judge)
        for title, answer in zip(("Before", "After"), both, strict=True):
            if answer:
                cut = answer[:MOST_ANSWER] + "…" * (len(answer) > MOST_ANSWER)
                fence = "`" * (3 + max(map(len, re.findall("`+", cut)), default=0))
                yield f"\n{title}:\n\n{fence}\n{cut}\n{fence}"
        if case in links:
            yield f"\n[the trace]({links[case]})"
        yield "\n</details>"
    if len(cases) > MOST_FLIPS:
        yield f"and {len(cases) - MOST_FLIPS} more cases."


def answers(
    workspace: Workspace, arms: Sequence[Sequence[Trial]], case: str, judge: str
) -> list[str]:
    """What the agent answered in each of two arms; empty where no log and no trace tells.

    Of several trials it is that of the first with a score that no trial of the other arm has.
    """
    said = [[[s for s in trial.run.scores if s.case_id == case] for trial in arm] for arm in arms]
    values = [[[s.value for s in own if s.judge == judge] for own in side] for side in said]
    found = []
    for arm, own, others in zip(arms, values, reversed(values), strict=True):
        order = sorted(range(len(arm)), key=lambda n: own[n] in others)
        found.append(_answer(workspace, [arm[n] for n in order], case))
    return found


def _answer(workspace: Workspace, arm: Sequence[Trial], case: str) -> str:
    for trial in arm:
        found: Json = None
        with suppress(InputError, StoreError):
            if trial.files is not None and trial.run.mode == "case":
                found = reading.read_trace(trial.files, case).response
            elif case in trial.traces:
                found = workspace.store.observe_one(trial.traces[case].trace_id).response
        if found:
            return scalar_text(found)
    return ""


def _links(workspace: Workspace, new: Sequence[Trial]) -> dict[str, str]:
    """Where the candidate's traces are seen, by case; none where MLflow is no server or absent."""
    found: dict[str, str] = {}
    with suppress(StoreError):
        store, project = workspace.store, workspace.files.project
        experiment_id = store.experiment(project.experiment, create=False)
        for trial in reversed(new):
            if experiment_id is None:
                break
            key = run_key(experiment_id, project, trial.run.run_id)
            for trace in store.find_traces(experiment_id, key):
                if trace.case_id and (url := store.url(experiment_id, "traces", trace.trace_id)):
                    found[trace.case_id] = url
    return found


def _table(found: Sequence[Row]) -> Iterator[str]:
    if found:
        yield f"\n| {' | '.join(map(_line, found[0]))} |\n|{' --- |' * len(found[0])}"
    for row in found:
        cells = (_line(str(value)).replace("|", r"\|") for value in row.values())
        yield f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Text from files on one line, which HTML shows as it is, and of which GitHub makes no link."""
    shown = html.escape(truncate(text, 1_000), quote=False)
    return re.sub(r"([@#]|:(?=//)|\bwww(?=\.))", "\\1\u200b", shown)


def _line(text: str) -> str:
    """The same in Markdown, which is no markup, either."""
    return re.sub(r"([\\\[\]`*_~])", r"\\\1", _text(text))
