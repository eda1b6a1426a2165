"""The rules read schemas of many styles as a careful person would."""

from __future__ import annotations

import pytest
from schema_styles import STYLES, Style

from evalkit.core.mapping.proposal import Proposal, propose_by_rules
from evalkit.core.mapping.schema_mapping import check_mapping


def _propose(style: Style) -> Proposal:
    return propose_by_rules(style.schema, style.cases, style.arguments)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_inputs_and_expectations_are_told_apart(style: Style) -> None:
    proposal = _propose(style)
    chosen = {side: {c.key for c in proposal.chosen(side)} for side in ("inputs", "expectations")}
    assert chosen == {
        "inputs": set(style.inputs.split()),
        "expectations": set(style.expectations.split()),
    }


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_every_line_has_a_reason_and_every_selector_is_found(style: Style) -> None:
    proposal = _propose(style)
    assert all(choice.reason.endswith(".") for choice in proposal.choices)
    assert all(hits for hits, _ in proposal.coverage.values())
    assert check_mapping(proposal.mapping, style.cases, "m.json") == ()
    mapped = len(proposal.mapping.inputs) + len(proposal.mapping.expectations)
    assert mapped == len(style.inputs.split()) + len(style.expectations.split())
