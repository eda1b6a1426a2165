"""What a person makes of a proposal: by a file they wrote, and field by field."""

import pytest
from cases import cases_of

from evalkit.dataset.mapping import parse_mapping, parse_selector
from evalkit.dataset.proposal import Choice, MappingProposal, differences

CASES = cases_of(
    {"input.yaml": {"prompt": "p1", "goal": "g1", "note": "n1"}, "gold.yaml": {"prompt": "q1"}},
    {"input.yaml": {"prompt": "p2", "goal": "g2"}, "gold.yaml": {"prompt": "q2"}},
)


def choice(side, selector, name="", **more):
    found = parse_selector(selector)
    return Choice(side, name or found.path, found, f"Because of {selector}.", (2, 2), **more)


PROPOSAL = MappingProposal(
    (
        choice("inputs", "input.yaml:prompt"),
        choice("expectations", "gold.yaml:prompt"),
        choice(None, "input.yaml:goal", gives_away=True),
        choice(None, "input.yaml:note"),
        Choice(None, "photos/", None, "12 files: a workspace.", (0, 2)),
    )
)


def mapping(text):
    return parse_mapping(text, "m.json")


def json_of(proposal):
    return proposal.mapping.as_json()


# -- a file


def test_what_the_file_maps_is_mapped_as_it_says_and_all_else_left_out():
    written = mapping('{"inputs": {"question": "input.yaml:prompt", "why": "input.yaml:note"}}')
    proposal = PROPOSAL.as_written(written, CASES)
    assert proposal.mapping == written
    reasons = {choice.key: choice.reason for choice in proposal.choices}
    assert reasons["input.yaml:prompt"] == "Because of input.yaml:prompt."
    assert reasons["input.yaml:note"].startswith("The file says so.")
    assert reasons["gold.yaml:prompt"].startswith("The file leaves it out. Proposed as an expect")
    assert reasons["photos/"] == "12 files: a workspace."


def test_a_line_that_nobody_proposed_is_taken_from_the_file_with_its_coverage():
    written = mapping('{"inputs": {"a": "other.yaml:deep.path", "b": "input.yaml:note"}}')
    proposal = PROPOSAL.as_written(written, CASES)
    assert {c.key: c.coverage for c in proposal.chosen("inputs")} == {
        "other.yaml:deep.path": (0, 2),
        "input.yaml:note": (2, 2),
    }


def test_a_file_may_use_one_place_on_both_sides():
    written = mapping(
        '{"inputs": {"p": "input.yaml:prompt"}, "expectations": {"same": "input.yaml:prompt"}}'
    )
    assert PROPOSAL.as_written(written, CASES).mapping == written


# -- a person


def test_nothing_changed_is_the_same_proposal():
    assert PROPOSAL.revised([choice.side for choice in PROPOSAL.choices]) == PROPOSAL


def test_a_choice_changes_sides_and_its_reason_says_so():
    proposal = PROPOSAL.revised(["inputs", None, None, "expectations", None])
    assert json_of(proposal) == {
        "inputs": {"prompt": "input.yaml:prompt"},
        "expectations": {"note": "input.yaml:note"},
    }
    assert proposal.choices[1].reason == (
        "Changed by hand: left out, was an expectation. Because of gold.yaml:prompt."
    )


def test_a_name_that_is_taken_there_is_preceded_by_what_it_is_a_part_of():
    proposal = PROPOSAL.revised(["inputs", "inputs", None, None, None])
    assert json_of(proposal)["inputs"] == {
        "prompt": "input.yaml:prompt",
        "gold_prompt": "gold.yaml:prompt",
    }


def test_two_that_swap_sides_keep_their_names():
    proposal = PROPOSAL.revised(["expectations", "inputs", None, None, None])
    assert json_of(proposal) == {
        "inputs": {"prompt": "gold.yaml:prompt"},
        "expectations": {"prompt": "input.yaml:prompt"},
    }


def test_an_input_is_not_called_what_mlflow_keeps_for_itself():
    proposal = PROPOSAL.revised(["inputs", None, "inputs", None, None])
    assert json_of(proposal)["inputs"]["input_goal"] == "input.yaml:goal"


def test_inputs_of_a_simulated_conversation_keep_their_name():
    simulated = MappingProposal(
        (choice("inputs", "input.yaml:goal"), choice(None, "input.yaml:prompt", "persona"))
    )
    proposal = simulated.revised(["inputs", "inputs"])
    assert set(json_of(proposal)["inputs"]) == {"goal", "persona"}


def test_what_no_selector_can_name_stays_out():
    proposal = PROPOSAL.revised(["inputs", None, None, None, "inputs"])
    assert json_of(proposal)["inputs"] == {"prompt": "input.yaml:prompt"}


# -- what speaks about a mapping


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ('{"p": "input.yaml:prompt", "n": "input.yaml:note"}', []),
        ('{"p": "input.yaml:prompt", "answer": "gold.yaml:prompt"}', ["answer"]),
        ('{"g": "input.yaml:goal"}', ["g"]),
    ],
)
def test_an_expected_answer_among_the_inputs_is_told(inputs, told):
    assert PROPOSAL.exposed(mapping(f'{{"inputs": {inputs}}}')) == told


def test_two_mappings_differ_in_what_feeds_a_field():
    before = mapping('{"inputs": {"a": "i.yaml:a", "b": "i.yaml:b", "c": "i.yaml:c"}}')
    after = mapping('{"inputs": {"c": "i.yaml:c", "b": "x.md:__file__", "d": "i.yaml:a"}}')
    assert differences(before, after) == [
        ("inputs.a", "i.yaml:a", ""),
        ("inputs.b", "i.yaml:b", "x.md:__file__"),
        ("inputs.d", "", "i.yaml:a"),
    ]
    assert differences(after, after) == []
