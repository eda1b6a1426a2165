"""Reads tables: where the rows of a file stand, whatever its format, and what values they hold."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evalkit.errors import InputError, Problem
from evalkit.files import read_text
from evalkit.jsonable import Json, mapping_of, to_json, well_formed

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".parquet")
MOST_ROWS = 10_000
"""Of a table: each becomes a folder."""

MOST_BYTES = 200_000_000

_DEEPEST = 2_000_000  # characters of a cell that is read as a list


def wrong(path: Path, what: str, fix: str) -> InputError:
    """The complaint about a table."""
    return InputError(Problem(what, str(path), fix=fix))


def read_rows(path: Path, skipped: dict[str, str]) -> dict[str, dict[str, Json]]:
    """Where each row stands, and its values by column, without those that are empty.

    What is no row is skipped, and why.

    Raises:
        InputError: it is no table that can be read.
    """
    if path.stat().st_size > MOST_BYTES:
        raise wrong(path, f"is larger than {MOST_BYTES:,} bytes", "take a sample of it")
    found = {}
    for number, row in _rows(path):
        if isinstance(row, str):
            skipped[f"{path}:{number}"] = row
            continue
        named = {str(name).strip(): well_formed(each) for name, each in _asked_only(row).items()}
        if kept := {n: each for n, each in named.items() if each not in (None, "", [], {})}:
            found[f"{path}:{number}"] = kept
    if not found:
        raise wrong(path, "holds no rows", "give a question a row, below the columns' names")
    if len(found) > MOST_ROWS:
        what = f"holds {len(found):,} rows, of which each would become a folder"
        raise wrong(path, what, f"take at most {MOST_ROWS:,} of them")
    return found


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Json] | str]]:
    """Each row's line or number, and its values; or why it is none."""
    suffix = path.suffix.lower()
    if suffix in {".xlsx", ".parquet"}:
        return enumerate(_frame(path, suffix), start=1)
    text = read_text(path)
    if suffix in {".csv", ".tsv"}:
        return _separated(text)
    if suffix == ".json" and (rows := _wrapped(text)):
        return enumerate(rows, start=1)
    return _lines(text)  # some call lines of objects .json


def _separated(text: str) -> Iterator[tuple[int, Mapping[str, Json] | str]]:
    csv.field_size_limit(MOST_BYTES)
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t|", key=header.count))
    names = [each.strip() for each in next(reader, [])]
    for number, cells in enumerate(reader):
        if not any(each.strip() for each in cells):
            continue
        if len(cells) < len(names) or any(each.strip() for each in cells[len(names) :]):
            yield reader.line_num, f"has {len(cells)} values, and there are {len(names)} columns"
            continue
        named = {n or f"column {at}": _cell(cells[at - 1]) for at, n in enumerate(names, start=1)}
        if not names[0] and cells[0] in {str(number), str(number + 1)}:
            del named["column 1"]  # where a data frame was written, its numbers
        yield reader.line_num, named


def _wrapped(text: str) -> list[dict[str, Json]]:
    """The rows of a JSON document: a list of objects, one it wraps, or objects by their ids."""
    found = _json_in(text)
    if isinstance(found, dict):
        held = {name: own for name, own in found.items() if not name.startswith("_")}
        lists = [own for own in held.values() if isinstance(own, list) and own]
        lists = [own for own in lists if isinstance(own[0], dict)]
        by_id = [{"id": name, **own} for name, own in held.items() if isinstance(own, dict)]
        found = lists[0] if len(lists) == 1 else by_id if 1 < len(by_id) == len(held) else None
    is_table = isinstance(found, list) and all(isinstance(each, dict) for each in found)
    return found if is_table else []


def _lines(text: str) -> Iterator[tuple[int, Mapping[str, Json] | str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        row = _json_in(line)
        if line.strip():
            yield number, row if isinstance(row, dict) else "is no JSON object"


def _json_in(text: str) -> Json:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _frame(path: Path, suffix: str) -> list[dict[str, Json]]:
    import pandas as pd

    missing = "openpyxl" if suffix == ".xlsx" else "pyarrow"
    options: dict[str, Any] = {"date_format": "iso", "double_precision": 15, "default_handler": str}
    try:
        if suffix == ".xlsx":
            frame = pd.read_excel(path, engine="openpyxl")
        else:
            frame = pd.read_parquet(path, engine="pyarrow")
        rows: list[dict[str, Json]] = json.loads(frame.to_json(orient="records", **options))
    except ImportError as error:
        fix = f"install {missing} where evalkit is installed, or save the table as .csv"
        raise wrong(path, f"cannot be read without the package {missing}", fix) from error
    except Exception as error:  # whatever pandas finds wrong with it
        raise wrong(path, f"is no {suffix} that can be read: {error}", "save it anew") from error
    return rows


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
