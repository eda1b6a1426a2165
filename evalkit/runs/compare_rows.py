"""A comparison's rows and figures as people read them, in the terminal, the page and Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.jsonable import Json, is_number
from evalkit.runs.compare import Row
from evalkit.truncation import truncate

NONE = "–"  # noqa: RUF001 (a dash where a table has nothing to show)
CHEAPER = {"more": "worse", "less": "better"}
"""What more and less of a cost means."""

MOST_MOVES, MOST_VALUE = 4, 80
MANY_JUDGES = 12


def rows(changes: Sequence[Row]) -> list[Row]:
    """``judges`` or ``figures`` of a report, one a row, in figures that people read.

    Of figures less is better, and their changes are in percent of the baseline's mean a case.
    """
    return [
        {
            "Judge" if "judge" in each else "Figure": each.get("judge", each.get("figure")),
            "Verdict": CHEAPER.get(each["verdict"], each["verdict"]),
            "Cases": each["pairs"],
            "Baseline → candidate": levels(each),
            "Change": amount(each, each.get("difference")),
            "95 % interval": interval(each) or NONE,
            **({"Whole run": _from_to(each["totals"], each["unit"])} if "totals" in each else {}),
            **(
                {"Cases to tell": (each["verdict"] == "unknown" and each["needed"]) or NONE}
                if "needed" in each
                else {}
            ),
        }
        for each in changes
    ]


def telling(judges: Sequence[Row]) -> tuple[list[Row], str]:
    """The judges of a report without those, of many, that decide nothing and saw one case or none.

    The second says how many are left out; empty where none is.
    """
    told = [each for each in judges if each["decides"] or each["pairs"] > 1]
    if len(judges) <= MANY_JUDGES or len(told) == len(judges):
        return list(judges), ""
    left = len(judges) - len(told)
    return told, f"{left} judges that decide nothing and scored one case are not shown"


def threshold_rows(found: Row) -> list[Row]:
    """One threshold a row, with what each run has, and whether that of the candidate will do."""
    return [
        {
            "Judge": each["judge"],
            "Threshold": each["demand"],
            **{
                run_id: "not measured" if actual is None else figure_text(actual)
                for run_id, actual in each["runs"].items()
            },
            "Verdict": each["verdict"],
        }
        for each in found["thresholds"]
    ]


def figure_text(value: float, *, sign: bool = False) -> str:
    """A number with three digits that count; never in powers of ten."""
    rounded = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 (from there on, whole numbers)
    if "e" in rounded:
        rounded = f"{value:.6f}".rstrip("0").rstrip(".")
    rounded = rounded.removeprefix("-") if rounded in {"-0", "0"} else rounded
    return f"+{rounded}" if sign and value > 0 else rounded


def value_words(value: Json) -> str:
    """A judge's value on one line."""
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return "pass" if value else "fail"
    if isinstance(value, list):
        return "[" + ", ".join(map(value_words, value)) + "]"
    return figure_text(value) if is_number(value) else truncate(str(value), MOST_VALUE)


def levels(each: Row) -> str:
    """The mean or rate before and after; of labels and the like, what changed in how many cases."""
    if "before" in each and each.get("kind") == "pass":
        return f"{level(each, each['before'])} → {level(each, each['after'])}"
    if "before" in each:
        return _from_to([each["before"], each["after"]], each.get("unit", ""))
    if (mean := each.get("alone_mean")) is not None:
        return f"{NONE} → {level(each, mean)}"
    moves = [f"{old} → {new} in {count}" for old, new, count in each.get("moves", [])[:MOST_MOVES]]
    differing = each.get("differing")
    return ", ".join(moves) or (f"differs in {differing}" if differing else NONE)


def level(judge: Row, mean: float) -> str:
    """A judge's mean, or its rate."""
    return f"{mean:.0%}" if judge["kind"] == "pass" else figure_text(mean)


def amount(each: Row, value: float | None, points: str = " points") -> str:
    """A difference: points of a hundred for passes, percent of what was consumed, or a number."""
    if value is None or ("figure" in each and not each["before"]):
        return NONE
    if "figure" in each:
        return f"{_hundredths(value / each['before'])}%"
    return _hundredths(value) + points if each["kind"] == "pass" else figure_text(value, sign=True)


def interval(each: Row) -> str:
    """The interval of a change; empty where there is none."""
    ends = [amount(each, end, points="") for end in each.get("interval") or ()]
    return "" if NONE in ends else " to ".join(ends)


def _hundredths(share: float) -> str:
    """A share in points of a hundred with its sign, and a decimal where there are few."""
    points = round(100 * share, 1)
    if not points:
        return "0"
    return f"{points:+.0f}" if abs(points) >= 10 or not points % 1 else f"{points:+.1f}"  # noqa: PLR2004


def _from_to(amounts: Sequence[float | None], unit: str) -> str:
    old, new = (NONE if value is None else figure_text(value) for value in amounts)
    return f"{old} → {new} {unit}".rstrip()
