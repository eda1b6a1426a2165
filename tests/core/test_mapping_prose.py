"""Which files and fields a schema speaks of, and what it says about each."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.mapping.clauses import Statement, sentences
from evalkit.core.mapping.prose import read_prose
from evalkit.core.mapping.wording import Vocabulary, tokens

KNOWN = Vocabulary(
    frozenset({"input.yaml", "gold.yaml", "notes.md", "pages/a.md"}),
    frozenset({"question", "answer", "text", "lang", "order_id", "total"}),
)


def _read(schema: str) -> list[Statement]:
    return list(read_prose(dedent(schema), KNOWN))


def _about(schema: str, subject: str) -> list[tuple[str, str]]:
    """(file, what is said) of each statement on the subject."""
    return [(s.file, s.says) for s in _read(schema) if s.subject == subject]


@pytest.mark.parametrize(
    ("schema", "subject", "file", "says"),
    [
        ("- question: what is asked", "question", "", "what is asked"),
        ("- question (string): what is asked", "question", "", "string, what is asked"),
        ("- `question` — what is asked", "question", "", "what is asked"),
        ("- **question** - what is asked", "question", "", "what is asked"),
        ("* Optional: question (string)", "question", "", "string"),
        ("1. question = what is asked", "question", "", "what is asked"),
        ("- question: what is\n  asked here", "question", "", "what is asked here"),
        ("- input.yaml:\n  - question: asked", "question", "input.yaml", "asked"),
        ("input.yaml:\n  question: asked", "question", "input.yaml", "asked"),
        ("## input.yaml\n\n- question: asked", "question", "input.yaml", "asked"),
        ("In input.yaml there is `question` (asked).", "question", "input.yaml", "asked, there is"),
        ("`question` in input.yaml is asked.", "question", "input.yaml", "in input.yaml is asked"),
        ("It is asked in input.yaml:question.", "question", "input.yaml", "It is asked in"),
        ("- question (in gold.yaml): asked", "question", "gold.yaml", "in gold.yaml, asked"),
        ("input.yaml has text (raw), lang and order_id.", "text", "input.yaml", "raw"),
        ("input.yaml has text (raw), lang and order_id.", "lang", "input.yaml", ""),
        ("input.yaml (text, lang) is sent.", "lang", "input.yaml", ""),
        ("| field | meaning |\n|---|---|\n| total | the sum |", "total", "", "the sum"),
        ("| total | input.yaml | the sum |", "total", "input.yaml", "the sum"),
        ("The question field is asked.", "question", "", "The … field is asked"),
    ],
)
def test_a_field_and_what_is_said_of_it(schema: str, subject: str, file: str, says: str) -> None:
    assert _about(schema, subject) == [(file, says)]


@pytest.mark.parametrize(
    "schema",
    [
        "The text is long and the total is large.",  # common words, not names
        "See eval/scripts/question.sh for more.",
        "- lang: the language of the text",  # a description speaks of the text, it names no field
    ],
)
def test_common_words_are_no_names(schema: str) -> None:
    assert not _about(schema, "text")
    assert not _about(schema, "question")


def test_bare_names_share_what_is_said_around_their_list() -> None:
    found = {
        s.subject: s.says or s.context
        for s in _read("The judge reads `total`, `answer` and `lang`.")
    }
    assert found == {
        "total": "The judge reads",
        "answer": "The judge reads",
        "lang": "The judge reads",
    }
    found = {s.subject: s.context for s in _read("`total` and `answer` are kept for the judge.")}
    assert found["total"] == "are kept for the judge"


def test_a_line_above_a_list_is_context_for_its_items() -> None:
    schema = """
    Never shown to the agent:

    - answer
    - total: the sum
    """
    assert {s.subject: s.context for s in _read(schema)} == {
        "answer": "Never shown to the agent",
        "total": "Never shown to the agent",
    }


def test_a_list_ends_where_the_indentation_does() -> None:
    schema = """
    - input.yaml
      - question
    - gold.yaml
      - answer
    The lang field is in both.
    """
    assert [(s.subject, s.file) for s in _read(schema) if not s.is_file] == [
        ("question", "input.yaml"),
        ("answer", "gold.yaml"),
        ("lang", ""),
    ]


def test_nested_items_are_parts_of_the_field_above() -> None:
    schema = """
    - order: what was bought
      - total: the sum
    """
    vocabulary = Vocabulary(KNOWN.files, KNOWN.fields | {"order"})
    assert [s.subject for s in read_prose(dedent(schema), vocabulary)] == ["order", "order.total"]


def test_a_file_is_described_without_the_fields_that_it_lists() -> None:
    (statement,) = [
        s
        for s in _read("- gold.yaml: what we compare with, includes fields like total")
        if s.is_file
    ]
    assert statement.says == "what we compare with"


def test_it_refers_to_what_was_named_last() -> None:
    assert ("", "It is never shown to the agent") in _about(
        "The merged fix is in notes.md. It is never shown to the agent.", "notes.md"
    )


def test_folders_and_patterns_are_files_too() -> None:
    assert [(s.subject, s.is_file) for s in _read("The pages folder and ref/*.md are gold.")] == [
        ("pages/", True),
        ("ref/*.md", True),
    ]


def test_names_that_no_case_has_are_found_where_they_are_written_as_names() -> None:
    found = [s.subject for s in _read("input.yaml has due_date, `colour` and a nice smell.")]
    assert found == ["input.yaml", "due_date", "colour"]


def test_dots_in_names_brackets_and_abbreviations_end_no_sentence() -> None:
    text = "See input.yaml, e.g. question (short. Or long.) and so on. Then gold.yaml. End"
    assert sentences(text) == [
        "See input.yaml, e.g. question (short. Or long.) and so on",
        "Then gold.yaml",
        "End",
    ]


def test_a_bracket_that_is_never_closed_is_a_plain_sign() -> None:
    assert [t.text for t in tokens("a (b c")] == ["a", "(", "b", "c"]


@given(
    st.lists(
        st.sampled_from([*"`'\"()[]{}:;,.-|*#>=\n\t ", "question", "input.yaml", "and ", "is "]),
        max_size=60,
    ).map("".join)
)
def test_any_text_is_read_without_complaint(schema: str) -> None:
    for statement in read_prose(schema, KNOWN):
        assert statement.subject
