"""The dataset task by rules: the planned traces as rows, without those that the check refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evalkit.core.content import list_of, mapping_of
from evalkit.core.values import Json
from evalkit.flows.agent.rules.gathering import Gathered, gathered
from evalkit.flows.agent.rules.hearing import Heard, Use
from evalkit.flows.agent.rules.moves import Move, use

MOST_WRITES = 4

_TWICE = re.compile(r"rows (\d+) and (\d+) have the same inputs")
_ROW = re.compile(r"\brow (\d+)\b")


def write_dataset(known: Heard) -> Move:
    """The next step of the dataset's worker."""
    found = gathered(known)
    if isinstance(found, Move):
        return found
    written = known.of("write_dataset")
    if len(written) >= MOST_WRITES:
        return _given_up(known)
    cases = _cases(known, found)
    manual = list_of(known.analysis.get("manual_cases"))
    checked = known.of("check_task")
    for refused, check in zip(written, checked, strict=False):
        cases = _without_refused(cases, refused, check)
    if not (cases or manual):
        return _given_up(known)
    if written and written[-1].arguments.get("cases") == cases:
        return _given_up(known)
    said = "Without the rows that were refused." if written else "The planned traces as rows."
    return use(said, ("write_dataset", {"cases": cases, "manual": manual}), ("check_task", {}))


def _cases(known: Heard, found: Gathered) -> list[dict[str, Json]]:
    routes = found.routes_of_cases
    planned = [mapping_of(case) for case in list_of(known.analysis.get("cases"))]
    return [
        {
            "trace_id": str(case["trace_id"]),
            "why": str(case["why"]),
            "expectations": found.expectations(
                str(case["trace_id"]), routes.get(str(case["trace_id"]), "")
            ),
        }
        for case in planned
    ]


def _without_refused(
    cases: Sequence[dict[str, Json]], written: Use, checked: Use
) -> list[dict[str, Json]]:
    """The cases that neither the tool nor the check named as wrong."""
    if written.failed:
        return [case for case in cases if str(case["trace_id"]) not in written.text]
    again = {int(later) for _, later in _TWICE.findall(checked.text)}
    refused = again | {int(row) for row in _ROW.findall(checked.text)}
    return [case for place, case in enumerate(cases) if place not in refused]


def _given_up(known: Heard) -> Move:
    checked = known.last("check_task")
    return Move(
        "Rules cannot write a dataset that passes: "
        + (checked.text[:1_000] if checked else "no case is planned")
    )
