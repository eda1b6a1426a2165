"""How pages look: the few shapes that all notebooks are made of.

Each function returns what a cell shows, on marimo's page and in Jupyter. Prose given to these
functions is Markdown by the notebook's author. What comes from files, logs or servers is data: it
goes in as a value of a table, a card or a record, or through :func:`quoted`, and never becomes
markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar

import marimo as mo
import pandas as pd

from evalkit.context import mlflow_pages
from evalkit.errors import EvalkitError, InputError, Problem, StoreAbsent
from evalkit.jsonable import Json, canonical
from evalkit.tracking import Tracking
from evalkit.ui.wording import as_text, marked, tinted

T = TypeVar("T")
Rows: TypeAlias = Sequence[Mapping[str, Any]]

MUTED = "color: var(--muted-foreground, #666)"
BOX = "border: 1px solid var(--border, #ddd); border-radius: 8px; padding: 0.75rem 1rem"
TEXT = "white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.5"
LINE = "max-width: 26rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap"
TITLE = "font-weight: 600; margin-bottom: 0.5rem; overflow-wrap: anywhere"
CELL = (
    "text-align: left; vertical-align: top; padding: 0.5rem 0.75rem; font-size: 0.875rem; "
    "border-bottom: 1px solid var(--border, #ddd)"
)
CARD = (
    f'<div style="{BOX}; font-size: 0.8rem; line-height: 1.4">{{}}'
    '<div style="font-size: 1.4rem; font-weight: 700; padding: 0.2rem 0">{}</div>'
    f'<div style="{MUTED}">{{}}</div></div>'
)
BESIDE = """
.ek-beside { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, var(--ek-wide));
  gap: 1.5rem; align-items: start }
.ek-beside > div { min-width: 0; display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem }
.ek-beside > .ek-stays { position: sticky; top: 0.5rem; max-height: calc(100vh - 1rem);
  overflow-y: auto }
@media (max-width: 700px) {
  .ek-beside { grid-template-columns: minmax(0, 1fr) }
  .ek-beside > .ek-stays { position: static; max-height: none }
}
"""

ELSEWHERE = "start it there, or name another one above, under More settings"
"""What a person does about an MLflow that cannot be reached."""


def is_live() -> bool:
    """Whether marimo's page shows what cells return."""
    return mo.app_meta().mode in {"run", "edit"}


def quoted(text: object) -> str:
    """Text from a file or a server, fit to stand in Markdown as it is."""
    # not with backslashes: \( and \[ would begin a formula
    return re.sub(r"[^\w\s,;'\"]|_", lambda found: f"&#{ord(found[0])};", str(text))


def callout(text: str, kind: str = "info") -> Any:
    """Markdown in a box: something to know, to do, or to be glad of."""
    prose = mo.md(text)
    return mo.callout(prose, kind) if is_live() else prose  # type: ignore[arg-type]


def problem(error: EvalkitError) -> Any:
    """What is wrong, where, and what to do next; every problem that was found."""
    fix = ELSEWHERE if isinstance(error, StoreAbsent) else ""
    problems: Sequence[Problem] = [Problem(str(error), fix=fix)]
    if isinstance(error, InputError):
        problems = error.problems
    shown = mo.Html("".join(map(_problem, problems)))
    kind: Literal["danger", "warn"] = "danger" if error.exit_code else "warn"
    return mo.callout(shown, kind) if is_live() else shown


def _problem(each: Problem) -> str:
    where = each.file + (f":{each.line}" if each.line is not None else "")
    place = html.escape(" · ".join(filter(None, (where, each.field))))
    fix = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(each.fix))
    parts = (
        f'<div style="font-weight: 600">{html.escape(each.message)}</div>',
        f"<div><code>{place}</code></div>" if place else "",
        f"<div>→ {fix}</div>" if fix else "",
    )
    return f'<div style="{TEXT}; margin: 0.25rem 0 0.75rem">{"".join(parts)}</div>'


def cards(*figures: tuple[str, object, str]) -> Any:
    """Figures side by side: (label, value, what it means)."""
    # not mo.stat: it neither wraps nor shrinks
    told = (map(html.escape, (label, str(value), caption)) for label, value, caption in figures)
    return side_by_side(*(mo.Html(CARD.format(*each)) for each in told), least_px=130)


def side_by_side(*parts: Any, least_px: int) -> Any:
    """Parts of equal width in as many columns as there is room for."""
    columns = f"repeat(auto-fit, minmax(min(100%, {least_px}px), 1fr))"
    cells = "".join(
        f'<div style="min-width: 0; display: grid">{mo.as_html(each).text}</div>' for each in parts
    )
    return mo.Html(
        f'<div style="display: grid; grid-template-columns: {columns}; gap: 1rem">{cells}</div>'
    )


def beside(left: Iterable[Any], right: Iterable[Any], *, wide: float = 1.0) -> Any:
    """Two columns, of which the left one stays in sight; below each other where it is narrow.

    ``wide`` says how many times as wide as the left one the right one is; parts may be None.
    """
    stays, goes = (
        "".join(mo.as_html(part).text for part in parts if part is not None)
        for parts in (left, right)
    )
    return mo.Html(
        f'<style>{BESIDE}</style><div class="ek-beside" style="--ek-wide: {wide}fr">'
        f'<div class="ek-stays">{stays}</div><div>{goes}</div></div>'
    )


def table(
    rows: Rows | pd.DataFrame,
    *,
    select: Literal["single", "multi"] | None = None,
    tint: str = "",
    page_size: int = 15,
    optional: Sequence[str] = (),
    nothing: str = "Nothing to show.",
    wrapped_columns: Sequence[str] = (),
    format_mapping: Mapping[str, Callable[[Any], Any]] | None = None,
    **options: Any,
) -> Any:
    """A table to read, to search, and to select rows in: one mapping a row, or a data frame.

    Lists and objects are shown as JSON. Where rows may be selected (``select``), the first one is;
    :func:`chosen` tells which are. The words of the column ``tint`` are coloured as they are meant,
    ``optional`` ones are left out where no row has a value, ``wrapped_columns`` shown in full.
    ``nothing`` is said where there are no rows; ``options`` are further ones of ``mo.ui.table``.
    Outside of marimo's page it is a data frame.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    frame = frame.map(lambda v: canonical(v) if isinstance(v, (dict, list)) else v)
    frame = frame.reset_index(drop=True)
    words = frame.select_dtypes(exclude="number").columns
    frame[words] = frame[words].fillna("")
    frame = frame.drop(columns=[name for name in optional if not frame[name].any()])
    if not is_live():
        return frame
    if frame.empty:
        return mo.md(f"*{nothing}*")
    shape = {name: TEXT if name in wrapped_columns else LINE for name in words}
    forms: dict[str, Callable[[Any], Any]] = {k: partial(_inert, v) for k, v in shape.items()}
    forms |= format_mapping or {}
    return mo.ui.table(
        frame,
        selection=select,
        page_size=page_size,
        pagination=len(frame) > page_size,
        show_column_summaries=False,
        show_data_types=False,
        style_cell=lambda _, column, value: tinted(value) if column == tint else {},
        wrapped_columns=[name for name in wrapped_columns if name in frame],
        format_mapping={name: form for name, form in forms.items() if name in frame},
        **({"initial_selection": [0] if select else None} | options),
    )


def _inert(style: str, value: Any) -> Any:
    """Text as HTML: marimo's tables would render Markdown in it, and fetch the pictures it names.

    Only what is shown: a table goes on sorting, searching and giving back the text itself.
    """
    if not isinstance(value, str):
        return value
    shown = html.escape(value)
    return {"mimetype": "text/html", "data": f'<div style="{style}" title="{shown}">{shown}</div>'}


def chosen(table: Any, of: Sequence[T]) -> list[T]:
    """What stands behind the rows that are selected in a table, ``of`` all of them, in order."""
    value = getattr(table, "value", None)
    return [of[row] for row in value.index] if isinstance(value, pd.DataFrame) else []


def comparison(fields: Iterable[tuple[str, Json, Json]], title: str = "") -> Any:
    """Fields (name, value before, value after) side by side, with what differs marked.

    Where there was nothing before, or is nothing after, only the other side is shown.
    """
    rows = [(name, as_text(before), as_text(after)) for name, before, after in fields]
    if not any(before for _, before, _ in rows):
        return _sheet(title, ("", "New"), [(name, after) for name, _, after in rows])
    if not any(after for _, _, after in rows):
        return _sheet(title, ("", "Gone"), [(name, before) for name, before, _ in rows])
    return _sheet(title, ("", "Before", "After"), rows)


def record(fields: Mapping[str, Json], title: str = "") -> Any:
    """Fields and their values below each other, in full, under a title."""
    return _sheet(title, ("", ""), [(name, as_text(value)) for name, value in fields.items()])


def _sheet(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    """Rows of a field's name and one or two texts; two are compared."""
    heading = f'<div style="{TITLE}">{html.escape(title)}</div>' if title else ""
    if not rows:
        return mo.Html(f'{heading}<div style="{MUTED}">Nothing differs.</div>')
    head = "".join(f'<th style="{CELL}; {MUTED}">{name}</th>' for name in heads)
    body = "".join(_row(*row) for row in rows)
    return mo.Html(
        f'{heading}<table style="width: 100%; table-layout: fixed; border-collapse: collapse">'
        f'<colgroup><col style="width: 22%">{"<col>" * (len(heads) - 1)}</colgroup>'
        f"{f'<thead><tr>{head}</tr></thead>' if any(heads) else ''}<tbody>{body}</tbody></table>"
    )


def _row(name: str, *texts: str) -> str:
    label = re.sub(r"([._/])", r"\1<wbr>", html.escape(name))
    shown = marked(*texts) if len(texts) == len(("before", "after")) else map(html.escape, texts)
    cells = "".join(f'<td style="{CELL}; {TEXT}">{each}</td>' for each in shown)
    return f'<tr><td style="{CELL}; {MUTED}; overflow-wrap: anywhere">{label}</td>{cells}</tr>'


def text(value: object) -> Any:
    """Text from a file, a log or a server, as it is: wrapped, and never read as markup."""
    return mo.Html(f'<div style="{BOX}; {TEXT}">{html.escape(as_text(value))}</div>')


def folded(title: str, body: Sequence[str] | Mapping[str, Json], *, opened: bool = False) -> Any:
    """A text, lines of text, or fields with their values, behind a title; None for nothing."""
    if not body:
        return None
    if isinstance(body, Mapping):
        inner = record(body).text
    else:
        lines = body if isinstance(body, str) else "\n".join(body)
        inner = f'<div style="{TEXT}">{html.escape(lines)}</div>'
    # what is read beside something else must not push it out of sight
    inner = f'<div style="max-height: 18rem; overflow-y: auto">{inner}</div>'
    head = f'<summary style="cursor: pointer; {TITLE}">{html.escape(title)}</summary>'
    # by its key the page knows that this is another one
    key = html.escape(f"{title} {hash(inner)}")
    state = " open" if opened else ""
    return mo.Html(f'<details{state} key="{key}" style="{BOX}">{head}{inner}</details>')


def link(url: str, label: str) -> str:
    """Markdown of a link that opens in a new tab; only its words where it leads to no web page."""
    if not re.match(r"https?://", url):
        return quoted(label)
    address = html.escape(url)
    return f'<a href="{address}" target="_blank" rel="noopener">{quoted(label)}&nbsp;↗</a>'


def in_mlflow(url: str | None, tracking: Tracking) -> Any:
    """The way to what was written, in MLflow's own pages; a database has none (``url`` None)."""
    if url:
        return mo.md(link(url, "Open it in MLflow"))
    return record({"See it in MLflow's own pages": mlflow_pages(tracking.uri)})


def tabs(views: Mapping[str, Any]) -> Any:
    """Views behind each other, the first one open; in Jupyter below each other."""
    return mo.ui.tabs(dict(views)) if is_live() else stack(*views.values())


def is_open(bar: Any, name: str) -> bool:
    """Whether a view of :func:`tabs` is seen; where nobody can choose, every one is."""
    return not is_live() or bar.value == name


def stack(*parts: Any) -> Any:
    """Parts below each other; those that are None are left out."""
    kept = [part for part in parts if part is not None]
    if is_live():
        return mo.vstack(kept, gap=1)
    return Column(kept) if kept else None


class Column(tuple[Any, ...]):
    """Several things below each other where marimo's page does not lay them out: in Jupyter."""

    __slots__ = ()

    def _ipython_display_(self) -> None:
        """Called by IPython to show it."""
        from IPython.display import display

        display(*self)
