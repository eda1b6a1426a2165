"""YAML and JSON text become plain values, or an error that names the place."""

import pytest

from evalkit.documents import parse_json, parse_yaml
from evalkit.errors import InputError


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: \x00", None, "not YAML"),
        ("[" * 100_000, None, "nests deeper"),
        ("a: 1\nb: 2\n---\nc: 3", 3, "not YAML"),
        ("".join(f"{n}: &a [*a]\n" if n else "0: &a []\n" for n in range(300)), None, "deeper"),
        ("a: &a [*a]", 1, "contains itself"),
        ("<<: 3\na: 1", 1, "merges mappings only"),
    ],
    ids=["NUL", "flow", "two documents", "aliases", "an alias of itself", "merged"],
)
def test_bad_yaml_is_refused_with_its_place(text, line, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_yaml(text, "eval.yaml")
    assert [p.line for p in caught.value.problems] == [line]
    assert "eval.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ['{"a": ', "[" * 100_000, "", "nope"])
def test_bad_json_is_refused(text):
    with pytest.raises(InputError, match="not JSON|nests deeper"):
        parse_json(text, "run_result.json")


def test_values_without_a_json_form_become_text():
    text = "day: 2026-07-09\nat: 2026-07-09T15:30:00Z\nnan: .nan\n1: one\nraw: !!binary aGk=\n"
    assert parse_yaml(text, "x").value == {
        "day": "2026-07-09",
        "at": "2026-07-09T15:30:00+00:00",
        "nan": "NaN",
        "1": "one",
        "raw": "aGk=",
    }


def test_every_field_knows_its_line():
    document = parse_yaml("a:\n  b:\n  - c: 1\n  - 2\n", "x")
    places = ("a", "a.b", "a.b[0]", "a.b[0].c", "a.b[1]", "a.b[0].missing")
    assert [document.problem(path, "wrong").line for path in places] == [1, 2, 3, 3, 4, 3]


def test_a_key_with_a_dot_is_not_mistaken_for_a_path():
    assert parse_yaml("a.b: 1\na:\n  b: 2\n", "x").value["a.b"] == 1
