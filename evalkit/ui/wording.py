"""Values as a person reads them: as text, in colours, with what differs marked, in charts."""

from __future__ import annotations

import difflib
import html
import re
from typing import Any

import yaml

from evalkit.jsonable import Json, canonical


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and every value in full."""

    def ignore_aliases(self, _: object) -> bool:
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def as_text(value: Json) -> str:
    """Text as it is, lists and objects as YAML with long texts in blocks, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        written = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=2**16)
        return str(written).rstrip()
    return value if isinstance(value, str) else canonical(value)


def figure(number: float) -> str:
    """A number in three digits, large ones in full."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"  # noqa: PLR2004 - three digits


def duration(seconds: float) -> str:
    """A time as a person says it: ``12 ms``, ``2.72 s``, ``1,204 s``."""
    if seconds >= 1 or seconds == 0:
        return f"{figure(seconds)} s"
    return "under 1 ms" if seconds < 0.001 else f"{seconds * 1000:.0f} ms"  # noqa: PLR2004 - 1 ms


HUES = {
    "grass": "created, passed, fixed, better, met, accepted, reconciled, agree, verified, pass",
    "amber": "updated, differs, incomplete, error, skipped, too few traces, judge failed",
    "red": "deleted, failed, broken, worse, fails, refused, disagree, blocked, fail",
    "slate": "unchanged, same, within noise, too few cases",
}
TINTS = {word: hue for hue, words in HUES.items() for word in words.split(", ")}
"""Words that are coloured, and the hue of each."""


def tinted(value: object) -> dict[str, str]:
    """How a table shows a word, as CSS; nothing special for words that mean nothing here."""
    hue = TINTS.get(str(value))
    return {"color": f"var(--{hue}-11)", "fontWeight": "600"} if hue else {}


REMOVED = "background: var(--red-4, #ffdbdc); color: var(--red-12, #641723); text-decoration: none"
ADDED = (
    "background: var(--grass-4, #d6f1d8); color: var(--grass-12, #203c25); text-decoration: none"
)

LONGEST_COMPARED = 1_500
"""Words of a text; beyond that, before and after are shown whole and unmarked."""


def marked(before: str, after: str) -> tuple[str, str]:
    """Both texts as HTML, with the words that differ marked; markup in them is text."""
    old, new = (re.findall(r"\s+|\w+|[^\w\s]", each) for each in (before, after))
    if max(len(old), len(new)) > LONGEST_COMPARED:
        return html.escape(before), html.escape(after)
    left = right = ""
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = (html.escape("".join(part)) for part in (old[a:b], new[c:d]))
        same = kind == "equal"
        left += gone if same or not gone else f'<del style="{REMOVED}">{gone}</del>'
        right += come if same or not come else f'<ins style="{ADDED}">{come}</ins>'
    return left, right


BLUE, GREEN, RED, GREY = "#0090ff", "#30a46c", "#e5484d", "#8b8d98"
"""Of a middle brightness, so that they read on both grounds."""


def dressed(chart: Any) -> Any:
    """The altair chart (a whole one) without a ground of its own and with quiet grid lines."""
    return (
        chart.properties(background="transparent")
        .configure_view(stroke=None)
        .configure_axis(gridColor=GREY, gridOpacity=0.25, domainColor=GREY, tickColor=GREY)
        .configure_title(anchor="start", subtitleColor=GREY)
    )
