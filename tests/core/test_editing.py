"""One text of a YAML document changes, and nothing else in it."""

import pytest
import yaml

from evalkit.errors import InputError
from evalkit.yaml_edit import edit_yaml

PLACE = ("feedback", "a")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "feedback:\n  a: new\n", id="no document"),
        pytest.param("z: 1", "z: 1\nfeedback:\n  a: new\n", id="no line break at the end"),
        pytest.param(
            "feedback:\n# x\nz: 1\n", "feedback:\n  a: new\n# x\nz: 1\n", id="a key without value"
        ),
        pytest.param(
            "feedback: {} # x\nz: 1\n", "feedback: # x\n  a: new\nz: 1\n", id="empty braces"
        ),
        pytest.param(
            "feedback:\n    b: |\n      text\n\n# x\nz: 1\n",
            "feedback:\n    b: |\n      text\n    a: new\n\n# x\nz: 1\n",
            id="after a block, with its siblings' indent",
        ),
        pytest.param("feedback: {b: x} # x\n", "feedback: # x\n  b: x\n  a: new\n", id="in braces"),
        pytest.param("feedback:\r\n  b: ''\r\n", "feedback:\r\n  b: ''\r\n  a: new\r\n", id="CRLF"),
    ],
)
def test_a_new_value_follows_its_siblings(before, after):
    assert edit_yaml(before, "f", PLACE, "new") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            "feedback:\n  a: old # x\n  b: ''\n",
            "feedback:\n  a: new # x\n  b: ''\n",
            id="a comment behind it stays",
        ),
        pytest.param("feedback:\n  a:\n  b: ''\n", "feedback:\n  a: new\n  b: ''\n", id="no value"),
        pytest.param(
            "feedback:\n  a: |- # x\n    one\n\n    two\n\n\n  # y\n  b: ''\n",
            "feedback:\n  a: new # x\n\n\n  # y\n  b: ''\n",
            id="a block, with comments at both its ends",
        ),
        pytest.param("feedback: {a: old, b: x}", "feedback:\n  a: new\n  b: x\n", id="in braces"),
        pytest.param(
            "feedback:\r\n  a: old # x\r\nz: 1\r\n",
            "feedback:\r\n  a: new # x\r\nz: 1\r\n",
            id="CRLF",
        ),
    ],
)
def test_a_value_is_replaced_where_it_stands(before, after):
    assert edit_yaml(before, "f", PLACE, "new") == after


@pytest.mark.parametrize(
    "value",
    ["yes", "", "a: b # c", "'\"", "- über 😀", "two\nlines", "a\n\n  b: |\n", "\x07"],
)
@pytest.mark.parametrize(
    "before",
    ["", "feedback: {a: x}", "feedback:\n  a: x # kept\n  b: y\n", "feedback:\r\n  b: y\r\n"],
)
def test_any_text_comes_back_as_it_was(before, value):
    after = edit_yaml(before, "f", PLACE, value)
    found = yaml.safe_load(after)
    assert found["feedback"]["a"] == value
    assert {**found["feedback"], "a": 0} == {
        **(yaml.safe_load(before or "{}").get("feedback") or {}),
        "a": 0,
    }
    assert edit_yaml(after, "f", PLACE, value) == after
    assert ("# kept" in after) == ("# kept" in before)
    assert after.count("\r\n") == (after.count("\n") if "\r" in before else 0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("feedback:\n  # x\n  a: old # y\n  b: ''\n", "feedback:\n  # x\n  b: ''\n"),
        ("feedback:\n  a: |\n    one\n    two\n\nz: 1\n", "feedback:\n\nz: 1\n"),
        ("feedback: {b: y, a: x}\n", "feedback:\n  b: y\n"),
        ("feedback: {a: x}\n", "feedback: {}\n"),
        ("z: 1\n", "z: 1\n"),
    ],
)
def test_a_value_is_taken_away_with_its_line(before, after):
    assert edit_yaml(before, "f", PLACE, None) == after


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("z: &k old\nfeedback:\n  a: *k\n", id="the value is an alias"),
        pytest.param("feedback:\n  a: &k old\nz: *k\n", id="another value is an alias of it"),
        pytest.param("feedback:\n  a: {b: 1}\n", id="a mapping in its place"),
        pytest.param("feedback: {\n  b: x, # said twice\n}\n", id="a comment within braces"),
        pytest.param("a: [", id="no YAML"),
    ],
)
def test_what_cannot_be_edited_without_harm_is_refused(before):
    with pytest.raises(InputError):
        edit_yaml(before, "f", PLACE, "new")


def test_a_key_is_what_is_written_whatever_yaml_takes_it_for():
    assert edit_yaml("feedback:\n  007: x\n", "f", ("feedback", "007"), "new") == (
        "feedback:\n  007: new\n"
    )
