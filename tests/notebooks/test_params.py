"""A stage's parameters: who may say them, who wins, and what is refused."""

from dataclasses import dataclass
from typing import Literal

import pytest

from evalkit import InputError
from evalkit.arguments import from_form, param, resolve
from evalkit.params import ProjectParams


@dataclass(frozen=True)
class Params(ProjectParams):
    """Look at runs."""

    run_id: str | None = param(None, "The run", link=True)
    limit: int = param(20, "Rows to read, 100% at most")
    share: float = param(0.5, "How much")
    names: Literal["auto", "seed"] = param("auto", "How to name feedback")
    dry_run: bool = param(False, "Write nothing")


@pytest.mark.parametrize(
    ("said", "value", "origin"),
    [
        ({}, None, "default"),
        ({"environment": "E"}, "E", "environment"),
        ({"link": "L", "environment": "E"}, "L", "link"),
        ({"widget": "W", "link": "L", "environment": "E"}, "W", "widget"),
        ({"argument": "A", "widget": "W", "link": "L", "environment": "E"}, "A", "argument"),
        ({"widget": "", "environment": "E"}, "E", "environment"),
        ({"argument": "", "environment": "E"}, None, "argument"),
    ],
    ids=str,
)
def test_the_first_that_says_something_wins(said, value, origin):
    found = resolve(Params, {name: {"run_id": text} for name, text in said.items()})
    assert (found.values.run_id, found.origins["run_id"]) == (value, origin)


def test_a_link_fills_in_only_what_it_may_and_a_form_keeps_what_it_does_not_show():
    link = {"run_id": "r1", "config": "a/eval.yaml", "tracking_uri": "http://x", "limit": "3"}
    found = resolve(Params, {"link": link})
    assert [n for n, o in found.origins.items() if o == "link"] == ["config", "run_id"]
    assert (found.values.tracking_uri, found.values.limit) == (None, 20)
    changed = from_form(Params(strict=True, run_id="r1"), {"run_id": "", "limit": 9.0})
    assert changed == Params(strict=True, run_id=None, limit=9)


def test_all_wrong_values_are_named_at_once_and_where_they_stand():
    said = {"argument": {"limit": "x"}, "widget": {"names": "z"}, "environment": {"share": "y"}}
    with pytest.raises(InputError) as wrong:
        resolve(Params, said)
    assert [(each.field, each.fix) for each in wrong.value.problems] == [
        ("--limit", "expected a whole number"),
        ("EVALKIT_SHARE", "expected a number"),
        ("widget names", "expected one of auto, seed"),
    ]
