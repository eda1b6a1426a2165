"""Reads tables: where the rows of a file stand, whatever its format, and what values they hold."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from evalkit.errors import InputError, Problem
from evalkit.files import read_text
from evalkit.jsonable import Json, mapping_of, to_json, well_formed

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".parquet")
MOST_ROWS = 10_000
"""Of a table: each becomes a folder."""

MOST_BYTES = 200_000_000

_WRAPPERS = ("row", "item", "data", "example", "record")
_DEEPEST = 2_000_000  # characters of a cell that is read as a list


class TableReader:
    """Reads a file; ``skipped`` says where something stands that is no row, and why."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: dict[str, str] = {}

    def rows(self) -> dict[str, dict[str, Json]]:
        """Where each row stands, and its values by column, without those that are empty.

        Raises:
            InputError: it is no table that can be read.
        """
        if self.path.stat().st_size > MOST_BYTES:
            raise self.wrong(f"is larger than {MOST_BYTES:,} bytes", "take a sample of it")
        found = {}
        for place, row in self._rows():
            plain = {str(name).strip(): v for name, v in _asked_only(_unwrapped(row)).items()}
            if kept := {n: well_formed(v) for n, v in plain.items() if v not in (None, "", [], {})}:
                found[f"{self.path}:{place}"] = kept
        if not found:
            raise self.wrong("holds no rows", "give a question a row, below the columns' names")
        if len(found) > MOST_ROWS:
            what = f"holds {len(found):,} rows, of which each would become a folder"
            raise self.wrong(what, f"take at most {MOST_ROWS:,} of them")
        return found

    def wrong(self, what: str, fix: str) -> InputError:
        """The complaint about the file."""
        return InputError(Problem(what, str(self.path), fix=fix))

    def _rows(self) -> Iterator[tuple[int, Mapping[str, Json]]]:
        suffix = self.path.suffix.lower()
        if suffix in {".xlsx", ".parquet"}:
            return self._frame(suffix)
        text = read_text(self.path)
        if suffix in {".csv", ".tsv"}:
            return self._separated(text)
        try:
            if suffix == ".json":
                return enumerate(rows_in(json.loads(text)), start=1)
        except (ValueError, RecursionError):
            pass  # some call lines of objects so
        return self._lines(text)

    def _separated(self, text: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
        csv.field_size_limit(MOST_BYTES)
        header = text.partition("\n")[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t|", key=header.count))
        names = next(reader, [])
        while names and not names[-1].strip():  # a separator at the end of each line
            names.pop()
        places = range(len(names))
        for number, cells in enumerate(reader):
            if not any(each.strip() for each in cells):
                continue
            if len(cells) < len(names) or any(each.strip() for each in cells[len(names) :]):
                place = f"{self.path}:{reader.line_num}"
                self.skipped[place] = f"has {len(cells)} values, and there are {len(names)} columns"
                continue
            named = {names[at].strip() or f"column {at + 1}": cells[at] for at in places}
            if not names[0].strip() and cells[0] in {str(number), str(number + 1)}:
                del named["column 1"]  # where a data frame was written, its numbers
            yield reader.line_num, {name: _cell(value) for name, value in named.items()}

    def _lines(self, text: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield number, row
            else:
                self.skipped[f"{self.path}:{number}"] = "is no JSON object"

    def _frame(self, suffix: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
        import pandas as pd

        try:
            if suffix == ".parquet":
                frame = pd.read_parquet(self.path)
            else:
                frame = pd.read_excel(self.path, engine="openpyxl")
        except ImportError as error:
            missing = "pyarrow" if suffix == ".parquet" else "openpyxl"
            fix = f"install {missing} where evalkit is installed, or save the table as .csv"
            raise self.wrong(f"cannot be read without the package {missing}", fix) from error
        except Exception as error:  # whatever pandas finds wrong with it
            raise self.wrong(f"is no {suffix} that can be read: {error}", "save it anew") from error
        for number, row in enumerate(frame.to_dict("records"), start=1):
            yield number, {str(name): _plain(value) for name, value in row.items()}


def rows_in(found: Json) -> list[dict[str, Json]]:
    """The rows of a JSON document: a list, one that is wrapped, columns, or objects by their ids.

    Raises:
        ValueError: there are none.
    """
    if isinstance(found, list):
        rows = [each for each in found if isinstance(each, dict)]
        if rows and len(rows) == len(found):
            return rows
        raise ValueError("no list of objects")
    held = {n: v for n, v in mapping_of(found).items() if not n.startswith(("_", "$"))}
    lists = [v for v in held.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
    if len(lists) == 1:
        return rows_in(lists[0])
    sizes = {len(v) if isinstance(v, list) else -1 for v in held.values()}
    if len(held) > 1 and len(sizes) == 1 and -1 not in sizes:
        return [dict(zip(held, row, strict=True)) for row in zip(*held.values(), strict=True)]
    if len(held) > 1 and all(isinstance(each, dict) for each in held.values()):
        return [{"id": name, **row} for name, row in held.items()]
    raise ValueError("no rows")


def _unwrapped(row: Mapping[str, Json]) -> Mapping[str, Json]:
    inner = [each for name in _WRAPPERS if isinstance(each := row.get(name), dict)]
    return inner[0] if len(inner) == 1 and len(row) <= 3 else row  # noqa: PLR2004 - with its number


def _asked_only(row: Mapping[str, Json]) -> Mapping[str, Json]:
    """A row whose conversations end before the agent's last word, which is expected."""
    asked = dict(row)
    for name, said in row.items():
        turns = list(said) if isinstance(said, list) else []
        replies: list[Json] = []
        while turns and mapping_of(turns[-1]).get("role") in {"assistant", "ai", "model"}:
            replies.insert(0, mapping_of(turns.pop()).get("content"))
        if turns and replies:
            reply = replies[0] if len(replies) == 1 else replies
            asked |= {name: turns, "expected_reply": row.get("expected_reply", reply)}
    return asked


def naming_words(value: Json) -> str:
    """Some words of what is asked, to name it by: of a conversation the last."""
    if isinstance(value, dict):
        value = value.get("content") or next(iter(value.values()), "")
    elif isinstance(value, list):
        value = value[-1] if value else ""
    return naming_words(value) if isinstance(value, (dict, list)) else str(value)


def _cell(text: str) -> Json:
    """A cell; a list or object that it holds, as JSON or as Python writes it."""
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] in {"[]", "{}"} and len(stripped) < _DEEPEST:
        for read in (json.loads, ast.literal_eval):
            try:
                return to_json(read(stripped))
            except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                continue
    return stripped


def _plain(value: object) -> Json:
    """A value of a data frame as JSON; None where there is none."""
    if hasattr(value, "tolist"):  # of numpy
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if value is None or value != value or str(value) == "NaT":  # noqa: PLR0124 - not a number
        return None
    try:
        return to_json(value)
    except TypeError:
        return str(value)
