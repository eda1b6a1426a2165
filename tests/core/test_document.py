"""YAML and JSON text become plain values, or an error that names the place."""

import pytest

from evalkit.documents import parse_json, parse_yaml
from evalkit.errors import InputError

ALIASES = "".join(f"{n}: &a [*a]\n" if n else "0: &a []\n" for n in range(300))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: \x00", None, "not YAML"),
        ("[" * 100_000, None, "nests deeper"),
        ("a: 1\nb: 2\n---\nc: 3", 3, "not YAML"),
        (ALIASES, None, "deeper"),
        ("a: &a [*a]", 1, "contains itself"),
        ("<<: 3\na: 1", 1, "merges mappings only"),
    ],
    ids=range(6),
)
def test_bad_yaml_is_refused_with_its_place(text, line, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_yaml(text, "eval.yaml")
    assert [(p.file, p.line) for p in caught.value.problems] == [("eval.yaml", line)]


@pytest.mark.parametrize("text", ['{"a": ', "[" * 100_000, "", "nope"], ids=range(4))
def test_bad_json_is_refused(text):
    with pytest.raises(InputError, match="not JSON|nests deeper"):
        parse_json(text, "run_result.json")


def test_values_without_a_json_form_become_text_and_a_dot_in_a_key_is_no_path():
    text = "day: 2026-07-09\nat: 2026-07-09T15:30:00Z\nnan: .nan\n1: one\nraw: !!binary aGk=\n"
    said = {"day": "2026-07-09", "at": "2026-07-09T15:30:00+00:00", "nan": "NaN"}
    found = parse_yaml(f"{text}a.b: 1\na:\n  b: 2\n", "x").value
    assert found == {**said, "1": "one", "raw": "aGk=", "a.b": 1, "a": {"b": 2}}


def test_every_field_knows_its_line():
    document = parse_yaml("a:\n  b:\n  - c: 1\n  - 2\n", "x")
    places = ("a", "a.b", "a.b[0]", "a.b[0].c", "a.b[1]", "a.b[0].missing")
    assert [document.problem(path, "wrong").line for path in places] == [1, 2, 3, 3, 4, 3]
