"""A comparison as people read it: rows and figures of terminal and page, a comment in Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from evalkit.jsonable import Json, is_number, truncate
from evalkit.runs.compare import FLIP_KINDS, Row

NONE = "–"  # noqa: RUF001 (a dash where a table has nothing to show)
CHEAPER = {"more": "worse", "less": "better"}
MARK = "<!-- evalkit gate: "  # begins a comment, so that a later one can find it
MANY_JUDGES, MOST_MOVES, MOST_VALUE = 12, 4, 80
MOST_FLIPS, MOST_ANSWER = 15, 1_500  # cases whose answers a comment shows; characters of each


def rows(changes: Sequence[Row]) -> list[Row]:
    """``judges`` or ``figures`` of a report, one a row, in figures that people read.

    Of figures less is better, and their changes are in percent of the baseline's mean a case.
    """
    found: list[Row] = []
    for each in changes:
        row = {
            "Judge" if "judge" in each else "Figure": each.get("judge", each.get("figure")),
            "Verdict": CHEAPER.get(each["verdict"], each["verdict"]),
            "Cases": each["pairs"],
            "Baseline → candidate": levels(each),
            "Change": amount(each, each.get("difference")),
            "95 % interval": interval(each) or NONE,
        }
        if "totals" in each:
            row["Whole run"] = _from_to(each, *each["totals"])
        else:
            row["Cases to tell"] = (each["verdict"] == "unknown" and each["needed"]) or NONE
        found.append(row)
    return found


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
    rounded = float(f"{value:.3g}") + 0.0  # which is no -0
    is_whole = abs(value) >= 100  # noqa: PLR2004
    text = f"{value:,.0f}" if is_whole else np.format_float_positional(rounded, trim="-")
    return f"+{text}" if sign and value > 0 else text


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
    before, after = each.get("before"), each.get("after", each.get("alone_mean"))
    if after is not None:
        return _from_to(each, before, after)
    moves = [f"{old} → {new} in {count}" for old, new, count in each.get("moves", [])[:MOST_MOVES]]
    differing = each.get("differing")
    return ", ".join(moves) or (f"differs in {differing}" if differing else NONE)


def level(each: Row, mean: float | None) -> str:
    """A judge's mean, or its rate."""
    if mean is None:
        return NONE
    return f"{mean:.0%}" if each.get("kind") == "pass" else figure_text(mean)


def _from_to(each: Row, before: float | None, after: float | None) -> str:
    return f"{level(each, before)} → {level(each, after)} {each.get('unit', '')}".rstrip()


def amount(each: Row, value: float | None, points: str = " points") -> str:
    """A difference: points of a hundred for passes, percent of what was consumed, or a number."""
    if value is None or ("figure" in each and not each["before"]):
        return NONE
    if each.get("kind") == "number":
        return figure_text(value, sign=True)
    unit, whole = ("%", each["before"]) if "figure" in each else (points, 1)
    share = round(100 * value / whole, 1)
    digits = 0 if abs(share) >= 10 or not share % 1 else 1  # noqa: PLR2004
    return (f"{share:+.{digits}f}" if share else "0") + unit


def interval(each: Row) -> str:
    """The interval of a change; empty where there is none."""
    ends = [amount(each, end, points="") for end in each.get("interval") or ()]
    return "" if NONE in ends else " to ".join(ends)


# -- the comment for a pull request: whatever comes from files and logs is text there, no markup ---


def comment(
    evaluation: str,
    found: Row,
    answers: Callable[[str, str], Sequence[str]],
    links: Mapping[str, str],
) -> Iterator[str]:
    """The lines of a report in Markdown, which a later one replaces by its mark.

    ``answers`` gives what both arms answered in a case, by case and judge; ``links`` lead to the
    traces, by case.
    """
    name = _line(evaluation)
    mark = {"pass": "✅", "fail": "❌", "unknown": "❔"}[found["gate"]]
    arms = [", ".join(found[arm]) for arm in ("candidate", "baseline")]
    yield f"{MARK}{name} -->\n### {mark} {name}: {found['gate']}\n"
    yield f"{_line(arms[0])} against {_line(arms[1] or 'no baseline')}.\n"
    said = found["findings"]
    for text in (*said, *(t for t in found["shortfalls"] + found["open"] if t not in said[0])):
        yield f"- {_line(text)}"
    judges, left_out = telling(found["judges"])
    yield from _table(rows(judges))
    if left_out:
        yield f"\n{left_out}"
    for table in (rows(found["figures"]), threshold_rows(found)):
        yield from _table(table)
    flips = [each for each in found["flips"] if each["kind"] != "only in candidate"]
    by_case: dict[str, list[Row]] = {}
    for flip in sorted(flips, key=lambda each: FLIP_KINDS.index(each["kind"])):
        by_case.setdefault(flip["case"], []).append(flip)
    if flips:
        yield f"\n#### {len(flips)} scores changed"
    for case, own in [*by_case.items()][:MOST_FLIPS]:
        yield from _folded(case, own, answers(case, own[0]["judge"]), links.get(case))
    if len(by_case) > MOST_FLIPS:
        yield f"and {len(by_case) - MOST_FLIPS} more cases."


def _folded(
    case: str, flips: Sequence[Row], answers: Sequence[str], link: str | None
) -> Iterator[str]:
    moves = "; ".join(
        f"{each['judge']}: {value_words(each['before'])} → {value_words(each['after'])}"
        for each in flips
    )
    yield f"\n<details><summary><b>{_text(case)}</b> {_text(moves)}</summary>"
    for title, answer in zip(("Before", "After"), answers, strict=True):
        if answer:
            cut = answer[:MOST_ANSWER] + "…" * (len(answer) > MOST_ANSWER)
            fence = "`" * (3 + max(map(len, re.findall("`+", cut)), default=0))
            yield f"\n{title}:\n\n{fence}\n{cut}\n{fence}"
    if link:
        yield f"\n[the trace]({link})"
    yield "\n</details>"


def _table(found: Sequence[Row]) -> Iterator[str]:
    if found:
        yield f"\n| {' | '.join(map(_line, found[0]))} |\n|{' --- |' * len(found[0])}"
    for row in found:
        cells = (_line(str(value)).replace("|", r"\|") for value in row.values())
        yield f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Text from files on one line, which HTML shows as it is, and of which GitHub makes no link."""
    shown = html.escape(truncate(text, 1_000), quote=False)
    return re.sub(r"([@#]|:(?=//)|\bwww(?=\.))", "\\1\u200b", shown)


def _line(text: str) -> str:
    """The same in Markdown, which is no markup, either."""
    return re.sub(r"([\\\[\]`*_~])", r"\\\1", _text(text))
