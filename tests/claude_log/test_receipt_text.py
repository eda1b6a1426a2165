"""A receipt in plain words."""

from evalkit.receipt import MOST_LINES, Receipt


def test_everything_that_was_not_used_is_named():
    told = Receipt(
        lines=20,
        used=11,
        skipped={"repeated event: the same uuid": 2},
        unreadable=tuple((number, "no JSON") for number in range(1, 8)),
        sessions=2,
        verdict="incomplete",
        masked={"github-token": 3},
        truncated={"Bash output": 12345},
        notes=("no event has a timestamp", "the log is cut off"),
    ).in_words()
    assert told["Lines"] == (
        "20 lines: 11 became part of the trace, 2 carry nothing for a trace, 7 could not be read"
    )
    assert told["Skipped"] == "repeated event: the same uuid: 2"
    *named, rest = told["Unreadable"].splitlines()
    assert (len(named), named[0], rest) == (MOST_LINES, "line 1: no JSON", "and 2 more")
    assert told["Masked"].startswith("github-token: 3")
    assert told["Shortened"] == "Bash output: 12,345 characters left out"
    assert told["Sessions"] == "2, one after the other"
    assert told["To know"] == "no event has a timestamp\nthe log is cut off"
