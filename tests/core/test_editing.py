"""One text of a YAML document changes, and nothing else in it."""

import pytest
import yaml

from evalkit.errors import InputError
from evalkit.yaml_edit import edit_yaml

PLACE = ("feedback", "a")
BLOCK = "feedback:\n    b: |\n      text\n\n# x\nz: 1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # a new value follows its siblings
        ("", "feedback:\n  a: new\n"),
        ("z: 1", "z: 1\nfeedback:\n  a: new\n"),
        ("feedback:\n# x\nz: 1\n", "feedback:\n  a: new\n# x\nz: 1\n"),
        ("feedback: {} # x\nz: 1\n", "feedback: # x\n  a: new\nz: 1\n"),
        (BLOCK, BLOCK.replace("text\n", "text\n    a: new\n")),
        ("feedback: {b: x} # x\n", "feedback: # x\n  b: x\n  a: new\n"),
        # one that is there is replaced where it stands
        ("feedback:\n  a: old # x\n  b: ''\n", "feedback:\n  a: new # x\n  b: ''\n"),
        ("feedback:\n  a:\n  b: ''\n", "feedback:\n  a: new\n  b: ''\n"),
        ("feedback:\n  a: |- # x\n    1\n\n    2\n\n  # y\n", "feedback:\n  a: new # x\n\n  # y\n"),
        ("feedback: {a: old, b: x}", "feedback:\n  a: new\n  b: x\n"),
        ("feedback:\r\n  a: old # x\r\nz: 1\r\n", "feedback:\r\n  a: new # x\r\nz: 1\r\n"),
    ],
)  # fmt: skip
def test_a_value_is_set_where_it_belongs(before, after):
    assert edit_yaml(before, "f", PLACE, "new") == after


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
    "value", ["yes", "", "a: b # c", "'\"", "- über 😀", "two\nlines", "a\n\n  b: |\n", "\x07"]
)
@pytest.mark.parametrize(
    "before", ["", "feedback:\n  a: x # kept\n  b: y\n", "feedback:\r\n  b: y\r\n"]
)
def test_any_text_comes_back_as_it_was(before, value):
    after = edit_yaml(before, "f", PLACE, value)
    others = {"b": "y"} if before else {}
    assert yaml.safe_load(after)["feedback"] == others | {"a": value}
    assert edit_yaml(after, "f", PLACE, value) == after
    assert ("# kept" in after) == ("# kept" in before)
    assert after.count("\r\n") == (after.count("\n") if "\r" in before else 0)


@pytest.mark.parametrize(
    "before",
    [
        "z: &k old\nfeedback:\n  a: *k\n",
        "feedback:\n  a: &k old\nz: *k\n",
        "feedback:\n  a: {b: 1}\n",
        "feedback: {\n  b: x, # said twice\n}\n",
        "a: [",
    ],
)
def test_what_cannot_be_edited_without_harm_is_refused(before):
    with pytest.raises(InputError):
        edit_yaml(before, "f", PLACE, "new")


def test_a_key_is_what_is_written_whatever_yaml_takes_it_for():
    after = edit_yaml("feedback:\n  007: x\n", "f", ("feedback", "007"), "new")
    assert after == "feedback:\n  007: new\n"
