"""A table becomes a project: what its columns are, a case for each row, a run of given answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from evalkit.config_files import USUAL_CONFIG
from evalkit.dataset.cues import name_lean
from evalkit.imports import project_writer as writer
from evalkit.imports.tables import SUFFIXES, read_rows, wrong
from evalkit.jsonable import Json, canonical, derive_id, is_number

_ID = re.compile(
    r"(?:(?:case|question|query|test|item|example|sample|row|eval|task|q)_?)?(?:id|uid|uuid|key|idx)"
    r"|case|index|no|nr|#|column 1"
)
_OUTPUT = re.compile(
    r"outputs?|response|prediction|predicted|completion|actual(_\w+)?|generation|generated"
    r"|(model|agent|bot|llm|generated|predicted|system|assistant)_"
    r"(answer|output|response|reply|text|completion)s?"
)
_SCORE = re.compile(
    r"score|metric|correct|pass(es|ed)?\b|faithful|relevancy|precision|recall|accura|f1|bleu|rouge"
    r"|similar|ground(ed|ing)|grade|rating|match|hit|success|toxic|hallucinat|verdict|judge|coverage"
)
_USED = re.compile(
    r"error|cost(_usd)?"
    r"|(total_|response_)?(duration|latency|elapsed|time|time_taken)(_(s|secs?|seconds|ms))?"
)
_RAN = re.compile(r"run_id|timestamp\w*|retrieved_\w+|(response_)?model(_name)?")
_ASKED = re.compile(r"(?:.*_)?(?:q|user|human|ask|nl|text|statement|claim|sentence|goal)")
_ABOUT = re.compile(
    r"(?:^|_)(?:required|relevant|retrieved|supporting|cited|evidence|contexts?|sources?|expected"
    r"|answers?|reference|correct)(?:_|$)"
)
"""Words of columns that are about the answer, though their names may end like a question's."""

_WORDS = {"true": True, "false": False, "yes": True, "no": False, "pass": True, "fail": False}
_MOST_LABEL = 80  # characters of a score that is a label, and no comment
_ROLES = ("inputs", "expectations", "outputs", "score", "id", "metadata", "used", "ran")
_SAID = {
    "inputs": "what the agent is asked, and is passed to the agent",
    "expectations": "expected",
    "metadata": "for reporting only",
}
_Row: TypeAlias = Mapping[str, Json]
_Columns: TypeAlias = Mapping[str, Sequence[str]]
"""What a case has of a table, and what a run: a role's columns. ``ran`` is what only runs have."""


def is_table(path: Path) -> bool:
    """Whether it is a file of a kind that holds tables."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def import_tables(paths: Sequence[Path], out: Path | None) -> dict[str, Any]:
    """Make a project of the rows, and a run of each table that holds answers.

    Raises:
        InputError: a file is no table, or no column of it can be told to be what is asked.
    """
    found, name = writer.Found("table", files=len(paths)), writer.folder_name(paths[0].stem)
    folder = out or writer.usual_folder(name)
    config: dict[str, Json] | None = {"name": name, "skill": name, "judges": []}
    schema, judges = "", dict[str, Json]()
    for path in paths:
        rows = read_rows(path, found.skipped)
        columns = _columns(list(rows.values()))
        if not columns["inputs"]:
            named = ", ".join(dict.fromkeys(name for row in rows.values() for name in row))
            raise wrong(path, f"no column can be told to be asked ({named})", "name it question")
        is_run = bool(columns["ran"] or columns["outputs"])
        trials = _trials(rows, columns, found.skipped, is_run=is_run)
        for case_id, row in ((case_id, row) for own in trials for case_id, row in own.items()):
            if not (is_run and (folder / "cases" / case_id).is_dir()):  # answers to its questions
                found.cases.setdefault(case_id, _case_files(row, columns))
        for number, own in enumerate(trials if is_run else (), start=1):
            run_id = writer.folder_name(path.stem) + (f"-{number}" if number > 1 else "")
            done = {case_id: _trial(row, columns) for case_id, row in own.items()}
            code = max(each.used["exit_code"] for each in done.values())
            found.add_run(run_id, done, path.stat().st_mtime_ns, exit_code=code)
            scored = (name for each in done.values() for name in each.scores)
            judges |= {name: {"name": name, "builtin": "imported"} for name in scored}
        found.notes.append(f"{path.name}: {_described(columns)}")
        if path == paths[0]:
            schema = _schema(columns)
            config = None if out and is_run and (folder / USUAL_CONFIG).exists() else config
    if config is None:
        found.notes.append(f"{folder / USUAL_CONFIG} is there already: it stays as it is")
    report = found.write(folder, config and {**config, "judges": [*judges.values()]}, schema)
    return {**report, "written": report["receipt"]}


# -- columns ----------------------------------------------------------------------------------


def _columns(rows: Sequence[_Row]) -> _Columns:
    names = list(dict.fromkeys(name for row in rows for name in row))
    plain = {name: re.sub(r"[^a-z0-9#]+", "_", _snake(name)).strip("_") for name in names}
    roles = {name: _role(plain[name]) for name in names}
    if {"used", "ran"} & set(roles.values()) or any(
        name_lean(each).gold for each in plain.values()
    ):
        # beside a known truth, what somebody's agent answered
        roles |= {n: "outputs" for n in names if plain[n] in {"answer", "result"}}
    if "outputs" in roles.values() or {"score", "ran"} <= set(roles.values()):
        case = {"expectations", "metadata"}  # whose name says nothing is about that answer
        roles |= {n: "ran" for n in names if roles[n] in case and not name_lean(plain[n])}
    else:
        roles |= {n: "metadata" for n in names if roles[n] in {"score", "used", "ran"}}
    ids = [n for n in names if roles[n] == "id"]
    best = next((n for n in ids if len({canonical(r.get(n)) for r in rows}) == len(rows)), None)
    roles |= {n: "metadata" for n in ids if n != (best or ids[0])}
    if "inputs" not in roles.values():
        asked = [n for n in names if roles[n] == "metadata" and _ASKED.fullmatch(plain[n])]
        roles |= dict.fromkeys(asked[:1], "inputs")
    return {role: [n for n in names if roles[n] == role] for role in _ROLES}


def _role(plain: str) -> str:
    lean, is_about = name_lean(plain), bool(_ABOUT.search(plain))
    for role, pattern in (("id", _ID), ("outputs", _OUTPUT), ("used", _USED), ("ran", _RAN)):
        if pattern.fullmatch(plain):
            return role
    if lean.side == "expectations" and lean.gold:
        return "expectations"
    if _SCORE.search(plain) and plain not in {"correct_answer", "exact_answer"}:
        return "score"
    if lean.side == "inputs" and not is_about:
        return "inputs"
    return "expectations" if lean.side or is_about else "metadata"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _schema(columns: _Columns) -> str:
    """What ``dataset.schema`` says of the columns, which is where a mapping begins."""
    return "".join(
        f"- `{'input' if role == 'inputs' else 'annotations'}.yaml`: `{name}` is {what}.\n"
        for role, what in _SAID.items()
        for name in columns[role]
    )


def _described(columns: _Columns) -> str:
    told = ((role, ", ".join(columns[role])) for role in _ROLES[:6])
    return "; ".join(f"{role}: {names}" for role, names in told if names)


# -- rows -------------------------------------------------------------------------------------


def _trials(
    rows: Mapping[str, _Row], columns: _Columns, skipped: dict[str, str], *, is_run: bool
) -> list[dict[str, _Row]]:
    """Case id to its row; where one is asked several times in a run, there are several."""
    trials: list[dict[str, _Row]] = [{}]
    seen: dict[str, str] = {}
    for place, row in rows.items():
        asked = _part(row, columns["inputs"])
        if not asked:
            skipped[place] = f"asks nothing: {', '.join(columns['inputs'])} is empty"
            continue
        if (first := seen.setdefault(canonical(row), place)) != place:
            skipped[place] = f"says the same as {first}"
            continue
        ids = list(_part(row, columns["id"]).values())
        slug = re.sub(r"\W+", "-", _naming_words(asked).lower())[:40].strip("-")
        name = _text(ids[0]) if ids else f"{slug or 'case'}-{derive_id(canonical(asked), length=6)}"
        name = writer.folder_name(name, () if is_run else trials[0])
        if name in trials[-1]:
            trials.append({})
        next(each for each in trials if name not in each)[name] = row
    return trials


def _part(row: _Row, names: Iterable[str]) -> dict[str, Json]:
    return {name: row[name] for name in names if name in row}


def _naming_words(value: Json) -> str:
    """Some words of what is asked, to name it by: of a conversation the last."""
    if isinstance(value, dict):
        return _naming_words(value.get("content") or next(iter(value.values()), ""))
    if isinstance(value, list):
        return _naming_words(value[-1]) if value else ""
    return str(value)


def _case_files(row: _Row, columns: _Columns) -> dict[str, Json]:
    files = {"input.yaml": ("inputs",), "annotations.yaml": ("expectations", "metadata")}
    made: dict[str, Json] = {file: {} for file in files}
    for file, roles in files.items():
        for name, value in _part(row, (n for role in roles for n in columns[role])).items():
            is_group = name in {"inputs", "expectations"} and isinstance(value, dict)
            made[file] |= value if is_group else {name: value}
    return made


def _trial(row: _Row, columns: _Columns) -> writer.Execution:
    """The answer, what it took and what scored it; what else the table says lies beside it."""
    scores: dict[str, dict[str, Json]] = {}
    for name, held in _part(row, columns["score"]).items():
        for part, value in held.items() if isinstance(held, dict) else [(name, held)]:
            if (read := _value(value)) is not None:
                scores[part] = {"value": read, "judge_type": "code"}
    files: dict[str, Json] = {}
    given = _part(row, columns["outputs"])
    answer = next(iter(given.values())) if len(given) == 1 else given
    if isinstance(answer, str):
        files["answer.md"] = answer.encode("utf-8", "replace")
    elif given:
        files["answer.json"] = answer
    others = (name for name in (*columns["ran"], *columns["score"]) if name not in scores)
    if more := _part(row, others):
        files["details.json"] = more
    return writer.Execution(_used(_part(row, columns["used"])), scores, files)


def _used(row: _Row) -> dict[str, Json]:
    found: dict[str, Json] = {"exit_code": 0}
    for name, given in row.items():
        plain, value = _snake(name), _value(given)
        if plain == "error" and given not in (False, "None", "null"):
            found |= {"exit_code": 1, "error": _text(given)}
        elif is_number(value) and plain.startswith("cost"):
            found["cost_usd"] = value
        elif is_number(value) and plain != "error":
            found["duration_s"] = value / 1000 if plain.endswith("_ms") else value
    return found


def _text(value: Json) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(value: Json) -> Json:
    """A score as what it means: true or false, a number, else its label."""
    if not isinstance(value, str):
        return value if isinstance(value, (bool, int, float)) else None
    if value.casefold() in _WORDS:
        return _WORDS[value.casefold()]
    try:
        return number if is_number(number := float(value)) else None
    except ValueError:
        return value if len(value) <= _MOST_LABEL else None
