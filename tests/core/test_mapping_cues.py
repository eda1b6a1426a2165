"""What names and descriptions lean to."""

from __future__ import annotations

import pytest

from evalkit.core.mapping.cues import description_lean, name_lean, words_of


@pytest.mark.parametrize(
    ("text", "side"),
    [
        # the thing comes first, what it is about later
        ("the answer to the user's question", "expectation"),
        ("the question whose answer we look for", "input"),
        ("business context with segments and success criteria", "input"),
        ("list of tools the agent should call", "expectation"),
        ("the task the agent should perform", "input"),
        ("what the agent must summarise", "input"),
        # who gets it outranks what it is called
        ("a rubric, passed to the agent", "input"),
        ("the text that the skill reads", "input"),
        ("the text, never shown to the agent", "expectation"),
        ("not copied to the workspace", "expectation"),
        ("the agent does not get it", "expectation"),
        ("notes for the judge", "expectation"),
        ("used to score the reply", "expectation"),
        ("hidden tests", "expectation"),
        # what is called gold stays gold, whoever else is spoken of
        ("the gold answer; the agent reads only the question", "expectation"),
        # the essay is to be graded, it does not grade
        ("the student's essay to grade", "input"),
        ("text to translate", "input"),
        ("text to return", None),
        # set apart from the gold it mentions
        ("url and sha, pinned to the state before the gold-standard merge", None),
        # sorting
        ("category of the question", "metadata"),
        ("tags for filtering", "metadata"),
        ("where we took it from", "metadata"),
        # other languages
        ("was der Agent bekommt", "input"),
        ("wird dem Agenten nicht gezeigt", "expectation"),
        ("die erwartete Antwort", "expectation"),
        ("die Frage der Kundin", "input"),
        ("la respuesta esperada", "expectation"),
        # nothing
        ("string, nullable", None),
        ("one of a, b and c", None),
        ("", None),
    ],
)
def test_a_description_leans_to(text: str, side: str | None) -> None:
    lean = description_lean(text)
    assert (lean.side if lean else None) == side


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("expected_total", "expectation"),
        ("expectedTotal", "expectation"),
        ("ground_truth", "expectation"),
        ("must_contain", "expectation"),
        ("score_tolerance", "expectation"),
        ("reference_answer", "expectation"),
        ("reference_translation", "expectation"),
        ("reference_url", None),
        ("answer", "expectation"),
        ("answer_format", None),
        ("answer_text", "expectation"),
        ("erwartete_antwort", "expectation"),
        ("question", "input"),
        ("user_prompt", "input"),
        ("prompt_2", "input"),
        ("question_type", "metadata"),
        ("ticket_id", None),
        ("case_id", "metadata"),
        ("id", "metadata"),
        ("difficulty", "metadata"),
        ("created_at", "metadata"),
        ("notes", "remark"),
        ("wiki_state", None),
        ("42", None),
        ("", None),
    ],
)
def test_a_name_leans_to(name: str, side: str | None) -> None:
    lean = name_lean(name)
    assert (lean.side if lean else None) == side


def test_names_are_read_word_by_word() -> None:
    assert words_of("expectedAnswer_v2") == ["expected", "answer", "v", "2"]
    assert words_of("HTTPStatus") == ["http", "status"]
