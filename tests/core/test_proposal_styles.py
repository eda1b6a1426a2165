"""The rules read schemas of many styles as a careful person would."""

from pathlib import Path

import pytest
import yaml
from cases import cases_of

from evalkit.core.mapping.infer import propose_by_rules
from evalkit.core.mapping.mapping import check_mapping

SCHEMAS = yaml.safe_load(Path(__file__).with_name("schemas.yaml").read_text("utf-8"))


@pytest.mark.parametrize("style", SCHEMAS, ids=lambda style: style["name"])
def test_inputs_and_expectations_are_told_apart_with_reasons(style):
    cases = cases_of(*style["files"])
    evidence = (style.get("arguments", ""), style.get("judges", ""))
    proposal = propose_by_rules(style.get("schema", ""), cases, *evidence)
    for side in ("inputs", "expectations"):
        assert {choice.key for choice in proposal.chosen(side)} == set(style[side].split())
    assert all(choice.reason.endswith(".") for choice in proposal.choices)
    assert "“”" not in " ".join(proposal.reasons.values())
    assert check_mapping(proposal.mapping, cases, "m.json") == ()
