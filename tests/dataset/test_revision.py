"""What a person makes of a proposal: by a file they wrote, and field by field."""

import pytest
from cases import cases_of

from evalkit.dataset.mapping import parse_mapping, parse_selector
from evalkit.dataset.proposal import Choice, MappingProposal

CASES = cases_of(
    {"input.yaml": {"prompt": "p1", "goal": "g1", "note": "n1"}, "gold.yaml": {"prompt": "q1"}},
    {"input.yaml": {"prompt": "p2", "goal": "g2"}, "gold.yaml": {"prompt": "q2"}},
)


def choice(side, selector, weight=0):
    found = parse_selector(selector)
    return Choice(side, found.path, found, f"Because of {selector}.", (2, 2), weight)


PROPOSAL = MappingProposal(
    (
        choice("inputs", "input.yaml:prompt"),
        choice("expectations", "gold.yaml:prompt"),
        choice(None, "input.yaml:goal", weight=2),
        choice(None, "input.yaml:note"),
        Choice(None, "photos/", None, "12 files: a workspace.", (0, 2)),
    )
)


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (
            '{"inputs": {"question": "input.yaml:prompt", "why": "input.yaml:note"}}',
            {
                "input.yaml:prompt": "Because of input.yaml:prompt.",
                "input.yaml:note": "The file says so. Because of input.yaml:note.",
                "gold.yaml:prompt": "The file leaves it out. Proposed as an expectation: "
                "Because of gold.yaml:prompt.",
                "photos/": "12 files: a workspace.",
            },
        ),
        (
            '{"inputs": {"a": "other.yaml:deep"}, "expectations": {"a": "input.yaml:prompt"}}',
            {"other.yaml:deep": "The file says so. It was not proposed."},
        ),
    ],
)
def test_what_the_file_maps_is_mapped_as_it_says_and_all_else_left_out(text, reasons):
    written = parse_mapping(text, "m.json")
    proposal = PROPOSAL.as_written(written, CASES)
    assert proposal.mapping == written
    assert reasons.items() <= {each.key: each.reason for each in proposal.choices}.items()
    new = [each.coverage for each in proposal.choices if each.key == "other.yaml:deep"]
    assert new in ([], [(0, 2)])


IN, OUT = "inputs", "expectations"


@pytest.mark.parametrize(
    ("sides", "inputs", "expectations"),
    [
        ([IN, OUT, None, None, None], {"prompt": "input"}, {"prompt": "gold"}),
        ([IN, None, None, OUT, None], {"prompt": "input"}, {"note": "input"}),
        ([IN, IN, None, None, None], {"prompt": "input", "gold_prompt": "gold"}, {}),
        ([OUT, IN, None, None, None], {"prompt": "gold"}, {"prompt": "input"}),
        # MLflow keeps the name, and what has no selector is left out
        ([IN, None, IN, None, IN], {"prompt": "input", "input_goal": "input"}, {}),
    ],
)
def test_a_choice_changes_sides_under_a_name_of_its_own(sides, inputs, expectations):
    revised = PROPOSAL.revised(sides)
    for side, wanted in ((IN, inputs), (OUT, expectations)):
        found = getattr(revised.mapping, side).items()
        assert {name: s.file.partition(".")[0] for name, s in found} == wanted
    moved = [b.reason for a, b in zip(PROPOSAL.choices, revised.choices, strict=True) if a != b]
    assert all(reason.startswith("Changed by hand: ") for reason in moved)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ('{"p": "input.yaml:prompt", "n": "input.yaml:note"}', []),
        ('{"p": "input.yaml:prompt", "answer": "gold.yaml:prompt"}', ["answer"]),
        ('{"g": "input.yaml:goal"}', ["g"]),
    ],
)
def test_an_expected_answer_among_the_inputs_is_told(inputs, told):
    assert PROPOSAL.exposed(parse_mapping(f'{{"inputs": {inputs}}}', "m.json")) == told
