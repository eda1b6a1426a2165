"""Good outputs, damaged on purpose, and which scorer notices."""

from __future__ import annotations

import json

import pytest
from suites import ANSWERS

from evalkit.core.agent.answer import Path, answer_in, answer_path, answer_place, text_at, with_text
from evalkit.core.agent.damage import DAMAGES, ERROR_TEXT, MOST_ROWS, Damaged, damages
from evalkit.core.agent.suite import Row, Score, ToolStep
from evalkit.core.agent.verdicts import (
    Caught,
    damage_table,
    damage_table_text,
    is_good,
    is_worse,
    rank,
)
from evalkit.core.values import Json

FIRST, SECOND = list(ANSWERS.values())[:2]
CHAT = {"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": FIRST}]}


def whole(_: str) -> Path:
    return ()


def row(output: Json, *, question: str = "?", seconds: float | None = 2.0, steps: int = 0) -> Row:
    used = tuple(ToolStep(f"tool-{number}", output="found") for number in range(steps))
    return Row({"question": question}, output, {}, f"tr-{question}", used, seconds)


def damaged(*rows: Row, routes: str = "", place: Path | None = None) -> dict[str, Row]:
    """What becomes of the first row, by damage."""
    good = {position: routes[position : position + 1] for position in range(len(rows))}
    at = answer_place([each.outputs for each in rows]) if place is None else place
    return {each.damage: each.row for each in damages(rows, good, lambda _: at) if each.index == 0}


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (FIRST, FIRST),
        ([FIRST, SECOND], SECOND),
        ({"answer": FIRST, "sources": ["a long list of pages " * 9]}, FIRST),
        ({"verdict": "ok", "explained": FIRST}, FIRST),
        (CHAT, FIRST),
        (
            {"choices": [{"message": {"role": "assistant", "content": FIRST}}], "id": "x" * 99},
            FIRST,
        ),
        ([{"type": "text", "text": FIRST}, {"type": "image", "data": None}], FIRST),
    ],
)
def test_the_answer_is_found_in_an_output(output: Json, words: str) -> None:
    path = answer_path(output)
    assert path is not None
    assert text_at(output, path) == words


@pytest.mark.parametrize("output", [None, 3, True, {}, [], "", {"score": 3, "tags": []}])
def test_an_output_without_words_has_no_answer(output: Json) -> None:
    assert answer_path(output) is None


LABEL = {"kind": "damaged", "urgency": "low", "order": None}
ORDERED = {"kind": "lost", "urgency": "high", "order": "A-1001-2026"}
ASKED = {"messages": [{"content": "Hi?"}, {"content": FIRST}]}
ALONE = {"messages": [{"content": SECOND}]}


@pytest.mark.parametrize(
    ("outputs", "place"),
    [
        ([], ()),
        ([None, 3, {}], ()),
        ([FIRST, SECOND], ()),
        ([LABEL, ORDERED, ORDERED], ("kind",)),  # though two of three would choose their order
        ([ASKED, ALONE], ("messages", -1, "content")),
        ([[FIRST], [SECOND, FIRST], []], (-1,)),
        ([{"answer": FIRST}, {"answer": ""}, {"note": "none"}, {"answer": " "}], ("answer",)),
        ([{"note": "many words"}, {"note": "words", "text": ""}, {"note": "words", "text": "t"}],
         ("note",)),
        ([{"text": FIRST}, {"text": [{"text": SECOND}]}], ("text",)),
    ],
)  # fmt: skip
def test_a_routes_answers_lie_where_the_most_have_words(outputs: list[Json], place: Path) -> None:
    assert answer_place(outputs) == place


@pytest.mark.parametrize(
    ("output", "place", "path"),
    [
        (FIRST, (), ()),
        (7, (), None),
        (ORDERED, ("kind",), ("kind",)),
        (ASKED, ("messages", -1, "content"), ("messages", -1, "content")),
        ([FIRST, SECOND], (-1,), (-1,)),
        ({"answer": 42, "note": "a guess"}, ("answer",), ("answer",)),
        ({"text": [{"text": SECOND}]}, ("text",), ("text", 0, "text")),
        # another shape than the route's: where it would have its words by itself
        ({"kind": None, "order": "A-1001"}, ("kind",), ("order",)),
        ({"kind": "", "order": "A-1001"}, ("kind",), ("order",)),
        ({"sorry": "not today"}, ("kind",), ("sorry",)),
        ("not today", ("kind",), ()),
        ("not today", (-1,), ()),
        ([], (-1,), None),
        ([FIRST], (1,), (0,)),
        ({"kind": True}, ("kind",), None),
    ],
)
def test_an_answer_lies_at_its_routes_place_else_at_its_own(
    output: Json, place: Path, path: Path | None
) -> None:
    assert answer_in(output, place) == path


@pytest.mark.parametrize(
    ("output", "path", "changed"),
    [
        ([FIRST, SECOND], (-1,), [FIRST, "x"]),
        (ASKED, ("messages", -1, "content"), {"messages": [{"content": "Hi?"}, {"content": "x"}]}),
        ({"a": [["b", "c"], "d"]}, ("a", -2, -1), {"a": [["b", "x"], "d"]}),
    ],
)
def test_minus_one_is_a_lists_last_item_to_read_and_to_write(
    output: Json, path: Path, changed: Json
) -> None:
    before = json.dumps(output)
    assert with_text(output, path, "x") == changed
    assert text_at(with_text(output, path, "x"), path) == "x"
    assert json.dumps(output) == before


def test_an_answer_is_damaged_where_its_routes_scorers_look() -> None:
    labels = [row(ORDERED), row(LABEL, question="!"), row(LABEL, question=".")]
    found = damaged(*labels)
    assert found["emptied"].outputs == ORDERED | {"kind": ""}
    assert found["truncated"].outputs == ORDERED | {"kind": "lo"}
    assert found["error_text"].outputs == ORDERED | {"kind": ERROR_TEXT}
    assert found["overlong"].outputs["order"] == ORDERED["order"]
    assert damaged(*labels, place=("order",))["emptied"].outputs == ORDERED | {"order": ""}


def test_an_answer_of_another_shape_than_its_routes_is_damaged_where_its_own_words_are() -> None:
    found = damaged(row({"sorry": "not today"}), row(LABEL, question="!"), place=("kind",))
    assert found["emptied"].outputs == {"sorry": ""}
    assert found["truncated"].outputs == {"sorry": "not "}


def test_a_text_is_damaged_in_every_way() -> None:
    found = damaged(row(FIRST, steps=2), row(SECOND, question="!", seconds=4.0))
    assert list(found) == list(DAMAGES)
    assert found["emptied"].outputs == ""
    assert found["truncated"].outputs == FIRST[: len(FIRST) // 2]
    assert found["swapped"].outputs == SECOND
    assert found["error_text"].outputs == ERROR_TEXT
    assert found["wrong_format"].outputs == {"value": FIRST}
    assert found["tools_dropped"].steps == ()
    assert [step.failed for step in found["tool_failed"].steps] == [False, True]
    assert found["slowed"].seconds == 100
    assert len(found["overlong"].outputs) > 10 * max(len(FIRST), len(SECOND))


def test_what_lies_around_an_answer_stays_as_it_is() -> None:
    found = damaged(row(CHAT), row({"messages": []}, question="!"))
    for damage, words in [
        ("emptied", ""),
        ("truncated", FIRST[: len(FIRST) // 2]),
        ("error_text", ERROR_TEXT),
    ]:
        user, assistant = found[damage].outputs["messages"]
        assert user == CHAT["messages"][0]
        assert assistant == {"role": "assistant", "content": words}


@pytest.mark.parametrize(
    ("output", "spoiled"),
    [
        ({"city": "Oslo", "days": 5}, "city: Oslo\ndays: 5"),
        (json.dumps({"city": "Oslo"}), "city: Oslo"),
        (["a", "b"], {"items": ["a", "b"]}),
        (7, "7"),
    ],
)
def test_a_wrong_format_is_another_kind_of_value(output: Json, spoiled: Json) -> None:
    assert damaged(row(output))["wrong_format"].outputs == spoiled


@pytest.mark.parametrize(
    ("output", "emptied"),
    [({"score": 3}, {}), ([1, 2], []), (7, None), ({"a": "words"}, {"a": ""})],
)
def test_what_has_no_words_is_emptied_as_a_whole(output: Json, emptied: Json) -> None:
    assert damaged(row(output))["emptied"].outputs == emptied


def test_a_damage_that_does_not_apply_is_left_out() -> None:
    found = damaged(row(FIRST, seconds=None))
    assert set(DAMAGES) - set(found) == {"swapped", "tools_dropped", "tool_failed", "slowed"}
    assert "truncated" not in damaged(row({"score": 3}))


def test_answers_are_swapped_within_a_route_and_only_for_others() -> None:
    rows = [row(FIRST), row("of another route", question="2"), row(FIRST, question="3")]
    assert "swapped" not in damaged(*rows, routes="aba")
    assert damaged(*rows, row(SECOND, question="4"), routes="abaa")["swapped"].outputs == SECOND


def test_only_good_rows_are_damaged_and_not_too_many() -> None:
    rows = [row(f"The answer {number}.", question=str(number)) for number in range(100)]
    few, all_of_them = {3: "a", 5: "a"}, dict.fromkeys(range(100), "a")
    assert {each.index for each in damages(rows, few, whole)} == {3, 5}
    assert len({each.index for each in damages(rows, all_of_them, whole)}) == MOST_ROWS


def test_equal_rows_give_equal_copies_and_are_not_changed() -> None:
    rows = [row(CHAT, steps=1), row({"messages": [{"content": SECOND}]}, question="!")]
    before = json.dumps(CHAT)
    orders = {0: "a", 1: "a"}, {1: "a", 0: "a"}
    assert damages(rows, orders[0], whole) == damages(rows, orders[1], whole)
    assert json.dumps(CHAT) == before


@pytest.mark.parametrize(
    ("value", "ranked", "good"),
    [
        (True, 1, True),
        (False, 0, False),
        ("yes", 1, True),
        ("no", 0, False),
        (0.7, 0.7, True),
        (0.2, 0.2, False),
        (5, 5, True),
        (None, None, False),
        ("excellent", None, False),
        (float("nan"), None, False),
        ({"value": True}, None, False),
    ],
)
def test_values_have_a_rank(value: Json, ranked: float | None, good: bool) -> None:
    assert rank(value) == ranked
    assert is_good(value) is good


@pytest.mark.parametrize(
    ("clean", "spoiled", "worse"),
    [
        (True, False, True),
        ("yes", "no", True),
        (0.9, 0.8, True),
        (4, 1, True),
        (True, True, False),
        (False, True, False),
        (0.5, 0.9, False),
        (True, None, False),
        (None, False, False),
    ],
)
def test_worse_is_a_fall(clean: Json, spoiled: Json, worse: bool) -> None:
    assert is_worse(clean, spoiled) is worse


def test_the_table_says_who_notices_what() -> None:
    rows = [row(FIRST), row(SECOND, question="!")]
    copies = [
        Damaged(0, "emptied", rows[0]),
        Damaged(1, "emptied", rows[1]),
        Damaged(0, "error_text", rows[0]),
    ]
    clean = [[Score("said", True), Score("size", 5, part="a"), Score("size", 3, part="b")]] * 2
    said, unsaid = Score("said", True), Score("said", False)
    large, small = Score("size", 5, part="a"), Score("size", 1, part="b")
    table = damage_table(clean, copies, [[unsaid, large], [unsaid, small], [said, large]])
    assert table.scorers == {
        "said": {"emptied": Caught(2, 2), "error_text": Caught(0, 1)},
        "size": {"emptied": Caught(1, 2), "error_text": Caught(0, 1)},
    }
    assert table.suite == {"emptied": Caught(2, 2), "error_text": Caught(0, 1)}
    assert table.caught_by("size") == ["emptied"]
    assert damage_table_text(table) == (
        "             emptied  error\n"
        "                       text\n"
        "said             2/2      -\n"
        "size             1/2      -\n"
        "any of them      2/2      -\n"
    )


def test_a_table_of_nothing_says_so() -> None:
    text = damage_table_text(damage_table([], [], []))
    assert text == "No row has a good output that could be damaged.\n"
