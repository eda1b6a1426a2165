"""What the rules do beyond reading: copies, hidden answers, names, and what they leave out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from cases import case_of, cases_of

from evalkit.dataset.cases import Case
from evalkit.dataset.infer import propose_by_rules
from evalkit.dataset.mapping import apply_mapping, check_mapped
from evalkit.dataset.places import MAX_FIELDS
from evalkit.dataset.proposal import Choice, MappingProposal


def _keys(proposal: MappingProposal, side: str | None) -> set[str]:
    return {choice.key for choice in proposal.choices if choice.side == side}


def _line(proposal: MappingProposal, key: str) -> Choice:
    return next(choice for choice in proposal.choices if choice.key == key)


# -- copies: the same content in two places


def test_an_expectation_repeated_in_the_input_file_is_no_input() -> None:
    proposal = propose_by_rules(
        "input.yaml: prompt, wanted. annotations.yaml: wanted again, for the judges.",
        cases_of(
            *(
                {
                    "input.yaml": {"prompt": f"p{n}", "wanted": f"a long answer {n}"},
                    "annotations.yaml": {"wanted": f"a long answer {n}"},
                }
                for n in range(3)
            )
        ),
    )
    assert _keys(proposal, "inputs") == {"input.yaml:prompt"}
    assert _keys(proposal, "expectations") == {"annotations.yaml:wanted"}
    assert "in all 3 cases" in proposal.reasons["input.yaml:wanted"]


def test_an_expectation_repeated_under_another_name_is_no_input() -> None:
    proposal = propose_by_rules(
        "input.yaml: what the agent gets. gold.yaml: `expected_text`.",
        cases_of(
            *(
                {
                    "input.yaml": {"prompt": f"p{n}", "blob": f"the very same {n}"},
                    "gold.yaml": {"expected_text": f"the very same {n}"},
                }
                for n in range(2)
            )
        ),
    )
    assert _keys(proposal, "inputs") == {"input.yaml:prompt"}
    assert _keys(proposal, "expectations") == {"gold.yaml:expected_text"}


def test_a_skill_may_have_to_return_what_it_is_given() -> None:
    proposal = propose_by_rules(
        "",
        cases_of(
            {
                "input.yaml": {"letter": "Dear Ida, hello"},
                "gold.yaml": {"expected": "Dear Ida, hello"},
            }
        ),
        "{letter}",
    )
    assert _keys(proposal, "inputs") == {"input.yaml:letter"}
    assert _keys(proposal, "expectations") == {"gold.yaml:expected"}


def test_an_input_repeated_in_the_annotations_is_not_expected() -> None:
    proposal = propose_by_rules(
        "",
        cases_of(
            {"input.yaml": {"ticket": "T-1"}, "annotations.yaml": {"ticket": "T-1", "team": "a"}}
        ),
        "{ticket}",
    )
    assert _keys(proposal, "inputs") == {"input.yaml:ticket"}
    assert _keys(proposal, "expectations") == {"annotations.yaml:team"}


def test_short_values_that_happen_to_be_equal_are_no_copies() -> None:
    proposal = propose_by_rules(
        "",
        cases_of({"input.yaml": {"prompt": "p", "lang": "de"}, "gold.yaml": {"reply_lang": "de"}}),
    )
    assert _keys(proposal, "inputs") == {"input.yaml:prompt", "input.yaml:lang"}
    assert _keys(proposal, "expectations") == {"gold.yaml:reply_lang"}


# -- answers inside inputs


def test_an_object_with_an_answer_inside_is_taken_apart() -> None:
    proposal = propose_by_rules(
        "input.yaml: the ticket",
        cases_of({"input.yaml": {"ticket": {"subject": "s", "body": "b", "expected_team": "x"}}}),
    )
    assert _keys(proposal, "inputs") == {"input.yaml:ticket.subject", "input.yaml:ticket.body"}
    assert _keys(proposal, "expectations") == {"input.yaml:ticket.expected_team"}


def test_a_list_with_answers_inside_is_left_out_because_nothing_can_part_it() -> None:
    turns = [{"user": "a", "expected_reply": "b"}]
    proposal = propose_by_rules(
        "input.yaml: the conversation", cases_of({"input.yaml": {"opening": "hi", "turns": turns}})
    )
    assert _keys(proposal, "inputs") == {"input.yaml:opening"}
    assert "no selector parts them" in proposal.reasons["input.yaml:turns"]


def test_an_argument_that_the_schema_calls_gold_is_no_input() -> None:
    proposal = propose_by_rules(
        "spec.yaml: `repo`; `answer`: the gold answer.",
        cases_of({"spec.yaml": {"repo": "r", "answer": "main"}}),
        "{repo} {answer}",
    )
    assert _keys(proposal, "inputs") == {"spec.yaml:repo"}
    assert "in doubt it is no input" in proposal.reasons["spec.yaml:answer"]


def test_a_description_that_nobody_explains_may_give_the_answer_away() -> None:
    files = {"input.yaml": {"prompt": "p", "description": "agent must refuse", "name": "refusal"}}
    proposal = propose_by_rules("input.yaml holds the prompt.", cases_of(files))
    assert _keys(proposal, "inputs") == {"input.yaml:prompt"}
    assert "may give the answer away" in proposal.reasons["input.yaml:description"]


def test_a_title_and_description_are_inputs_where_there_is_nothing_else() -> None:
    files = {"input.yaml": {"title": "t", "description": "d"}, "annotations.yaml": {"label": "bug"}}
    proposal = propose_by_rules("", cases_of(files))
    assert _keys(proposal, "inputs") == {"input.yaml:title", "input.yaml:description"}
    assert "please check" in proposal.reasons["input.yaml:title"]


# -- left out


def test_what_sorts_cases_is_left_out_unless_the_skill_gets_it() -> None:
    files = {"input.yaml": {"prompt": "p", "category": "refund", "tags": ["a"], "case_id": "7"}}
    assert _keys(propose_by_rules("", cases_of(files)), "inputs") == {"input.yaml:prompt"}
    told = "input.yaml: prompt; `category`: the queue, passed to the agent."
    assert "input.yaml:category" in _keys(propose_by_rules(told, cases_of(files)), "inputs")
    argued = propose_by_rules("", cases_of(files), "{prompt} --category {category}")
    assert "input.yaml:category" in _keys(argued, "inputs")


def test_what_nothing_speaks_for_is_left_out_and_not_guessed() -> None:
    proposal = propose_by_rules(
        "Recipe scaling. `recipe.md` is the recipe, `servings` in input.yaml the number to reach.",
        cases_of({"recipe.md": "r", "input.yaml": {"servings": 4}, "scaled.md": "s"}),
    )
    assert _keys(proposal, "inputs") == {"input.yaml:servings"}
    assert proposal.reasons["scaled.md:__file__"].startswith("Nothing says")


def test_files_of_a_workspace_are_summed_up_by_folder() -> None:
    proposal = propose_by_rules(
        "",
        cases_of(
            {
                "input.yaml": {"task": "t"},
                "fixtures/a.md": "a",
                "fixtures/deep/b.json": {"answer": 1},
            }
        ),
    )
    line = _line(proposal, "fixtures/")
    assert (line.side, line.selector) == (None, None)
    assert line.reason.startswith("2 files")


def test_files_that_are_no_text_are_told() -> None:
    proposal = propose_by_rules("", cases_of({"input.yaml": {"task": "t"}, "reference.pdf": None}))
    assert proposal.reasons["reference.pdf"] == "It is no text, or too large."


def test_names_that_no_case_holds_are_told() -> None:
    proposal = propose_by_rules(
        "input.yaml has `task` and docs_path (added at setup time). The gold/ folder is fetched.",
        cases_of({"input.yaml": {"task": "t"}}),
        "{task} --docs {docs_path} --lang {lang}",
    )
    assert proposal.reasons["docs_path"] == "Named by the schema, but no case holds it."
    assert proposal.reasons["gold/"] == "Named by the schema, but no case holds it."
    assert proposal.reasons["lang"] == "Named by the skill's arguments, but no case holds it."


def test_fields_that_are_always_null_are_proposed_and_said_to_be() -> None:
    cases = cases_of(
        *({"input.yaml": {"ask": "a"}, "gold.yaml": {"grade": None}} for _ in range(3))
    )
    line = _line(propose_by_rules("", cases), "gold.yaml:grade")
    assert (line.side, line.coverage) == ("expectations", (3, 3))
    assert line.reason.endswith("; null in 3 of 3 cases.")


# -- judges as witnesses


def test_what_judges_read_from_the_annotations_is_expected() -> None:
    cases = cases_of({"case.yaml": {"question": "q", "tools": ["a"]}})
    assert not _keys(propose_by_rules("", cases), "expectations")
    code = "annotations = outputs.get('annotations', {})\nreturn annotations.get('tools') == []"
    assert _keys(propose_by_rules("", cases, judges=code), "expectations") == {"case.yaml:tools"}


def test_judges_may_read_inputs_without_making_them_expectations() -> None:
    cases = cases_of({"input.yaml": {"question": "q", "tools": ["a"]}})
    proposal = propose_by_rules("", cases, judges="annotations.get('tools')")
    assert _keys(proposal, "inputs") == {"input.yaml:question", "input.yaml:tools"}


# -- files of a folder


def test_pages_called_as_each_case_likes_are_one_expectation_counted_by_case() -> None:
    proposal = propose_by_rules(
        "The reference/ folder holds the gold pages.",
        cases_of(
            {
                "prompt.md": "p1",
                "reference/a.md": "A",
                "reference/b.md": "B",
                "reference/all.md": "x",
            },
            {"prompt.md": "p2", "reference/c.md": "C", "reference/all.md": "y"},
            {"prompt.md": "p3"},
        ),
    )
    assert {c.key: c.coverage for c in proposal.chosen("expectations")} == {
        "reference/*.md:__file__": (2, 3)
    }


def test_pages_called_alike_in_all_cases_are_one_expectation_each() -> None:
    proposal = propose_by_rules(
        "The reference/ folder holds the gold pages.",
        cases_of(
            {"prompt.md": "p1", "reference/a.md": "A", "reference/b.md": "B"},
            {"prompt.md": "p2", "reference/a.md": "A"},
        ),
    )
    assert {c.key: c.coverage for c in proposal.chosen("expectations")} == {
        "reference/a.md:__file__": (2, 2),
        "reference/b.md:__file__": (1, 2),
    }


# -- names


def test_an_input_called_goal_is_renamed_because_mlflow_keeps_the_name() -> None:
    proposal = propose_by_rules(
        "input.yaml has goal and budget, both passed to the agent. gold.yaml has plan.",
        cases_of({"input.yaml": {"goal": "g", "budget": 2}, "gold.yaml": {"plan": "p"}}),
    )
    assert set(proposal.mapping.inputs) == {"input_goal", "budget"}
    assert "MLflow keeps the input “goal”" in proposal.reasons["input.yaml:goal"]


def test_names_that_collide_are_told_apart_by_where_they_are() -> None:
    proposal = propose_by_rules(
        "The skill reads order.yaml (text, item) and mail.yaml (text). gold.yaml: text.",
        cases_of(
            {
                "order.yaml": {"text": "chairs, please", "item": {"text": "x"}},
                "mail.yaml": {"text": "dear shop, hello"},
                "gold.yaml": {"text": "gladly, dear customer"},
            }
        ),
    )
    assert {name: str(s) for name, s in proposal.mapping.inputs.items()} == {
        "order_text": "order.yaml:text",
        "item": "order.yaml:item",
        "mail_text": "mail.yaml:text",
    }
    assert set(proposal.mapping.expectations) == {"text"}


def test_files_are_called_by_their_name_without_dots() -> None:
    cases = cases_of({"prompt.md": "p", "reply.gold.md": "g"})
    assert set(propose_by_rules("", cases).mapping.expectations) == {"reply_gold"}


# -- many, large and odd


def test_optional_fields_show_in_the_coverage() -> None:
    cases = cases_of(
        {"input.yaml": {"ask": "a", "history": ["h"]}},
        {"input.yaml": {"ask": "b"}, "gold.yaml": {"x": 1}},
        {},
    )
    assert propose_by_rules("", cases).coverage == {
        "input.yaml:ask": (2, 3),
        "input.yaml:history": (1, 3),
        "gold.yaml:x": (1, 3),
    }


def test_a_document_with_very_many_fields_gives_the_most_frequent() -> None:
    wide = {f"field_{n}": n for n in range(500)}
    proposal = propose_by_rules(
        "", cases_of({"input.yaml": {"ask": "a"}}, {"input.yaml": {"ask": "b", **wide}})
    )
    assert len(proposal.mapping.inputs) == MAX_FIELDS
    assert "ask" in proposal.mapping.inputs


def test_empty_and_odd_documents_are_no_trouble() -> None:
    cases = [
        case_of("empty", {"input.yaml": None, "gold.yaml": {}}),
        Case("bare", ()),
        case_of("odd", {"input.yaml": {"ask": "a", "": 1, "a.b": 2}, "gold.yaml": "just text"}),
    ]
    proposal = propose_by_rules("", cases)
    assert "input.yaml:ask" in _keys(proposal, "inputs")


def test_five_thousand_cases_take_seconds() -> None:
    schema = "- input.yaml: prompt, context\n- annotations.yaml: expected_total, known_issues, tags"
    cases = [
        case_of(
            f"case-{n}",
            {
                "input.yaml": {"prompt": f"p{n} " * 100, "context": "c" * 2000},
                "annotations.yaml": {"expected_total": n, "known_issues": [], "tags": []},
                f"reference/page-{n}.md": "gold",
            },
        )
        for n in range(5000)
    ]
    start = time.perf_counter()
    proposal = propose_by_rules(schema, cases, "{prompt}")
    assert time.perf_counter() - start < 10  # noisy machines; about one second on a quiet one
    assert proposal.coverage["input.yaml:prompt"] == (5000, 5000)
    assert proposal.coverage["reference/*.md:__file__"] == (5000, 5000)


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
    assert not check_mapped(
        proposal.mapping, [apply_mapping(proposal.mapping, case) for case in cases], "m.json"
    )
