"""A table becomes a project: what its columns are, a case for each row, a run of given answers."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from evalkit.config_files import USUAL_CONFIG
from evalkit.dataset.cases import Case
from evalkit.dataset.cues import name_lean
from evalkit.dataset.infer import propose_by_rules
from evalkit.documents import scalar_text
from evalkit.errors import InputError, Problem
from evalkit.files import read_text
from evalkit.imports import project_writer as writer
from evalkit.jsonable import Json, canonical, derive_id, is_number, mapping_of, well_formed

_FRAMES = {".xlsx", ".parquet"}
_SUFFIXES = {".csv", ".tsv", ".jsonl", ".ndjson", ".json", *_FRAMES}
_MOST_ROWS = 10_000  # of a table: each becomes a folder
_PATTERNS = {
    "id": r"((case|question|query|test|item|example|row|eval|task|q)_?)?(id|uid|uuid|key|idx)|case",
    "outputs": r"outputs?|response|prediction|predicted|completion|actual(_\w+)?|generat(ed|ion)"
    r"|(model|agent|bot|llm|generated|predicted|system)_(answer|output|response|reply|text)",
    "used": r"error|cost(_usd)?"
    r"|(total_|response_)?(duration|latency|elapsed|time)(_(s|secs?|seconds|ms|taken))?",
    "score": r".*(score|metric|correct(?!_answer)|pass(es|ed)?\b|faithful|relevancy|precision"
    r"|recall|accura|f1|bleu|rouge|similar|ground(ed|ing)|grade|rating|match|success|toxic|verdict).*",
}
"""A column's role by its whole name, in lower case and with underscores."""

_ABOUT = re.compile(
    r"(^|_)(required|relevant|retrieved|supporting|cited|evidence|contexts?|sources?|sections?"
    r"|answers?|reference)(_|$)"
)
"""Words of columns that are about the answer, whatever else their names say."""

_WORDS = {"true": True, "false": False, "yes": True, "no": False, "pass": True, "fail": False}
_MOST_LABEL = 80  # characters of a score that is a label, and no comment
_SAID = {
    "inputs": "`input.yaml`: `{}` is what the agent is asked, and is passed to the agent",
    "expectations": "`annotations.yaml`: `{}` is expected",
    "metadata": "`annotations.yaml`: `{}` is for reporting only",
}
_Row: TypeAlias = Mapping[str, Json]


def is_table(path: Path) -> bool:
    """Whether it is a file of a kind that holds tables."""
    return path.is_file() and path.suffix.lower() in _SUFFIXES


def import_tables(paths: Sequence[Path], out: Path | None) -> dict[str, Any]:
    """Make a project of the rows, and a run of each table that holds answers."""
    found, name = writer.Found("table", files=len(paths)), writer.folder_name(paths[0].stem)
    folder = out or Path("eval", name)
    has_config, schema, judges = (folder / USUAL_CONFIG).exists(), "", dict[str, Json]()
    there = folder.glob("cases/*/input.yaml")
    known = {canonical(writer.value_in(path)): path.parent.name for path in there}
    for path in paths:
        table = _Table(path, found.skipped)
        trials = table.trials(known if table.is_run else {}, found.skipped)
        for case_id, row in ((case_id, row) for own in trials for case_id, row in own.items()):
            if not (table.is_run and (folder / "cases" / case_id).is_dir()):  # to its questions
                found.cases.setdefault(case_id, table.case_files(row))
        for number, own in enumerate(trials if table.is_run else (), start=1):
            done = {case_id: table.execution(row) for case_id, row in own.items()}
            code = max(each.used["exit_code"] for each in done.values())
            trial = found.trial(path.with_suffix(""), "", number, path, exit_code=code)
            trial.executions |= done
            scored = (judge for each in done.values() for judge in each.scores)
            judges |= {judge: {"name": judge, "builtin": "imported"} for judge in scored}
        told = (f"{role}: {', '.join(names)}" for role, names in table.columns.items() if names)
        found.notes.append(f"{path.name}: {'; '.join(told)}")
        schema = schema or table.schema()
        has_config = has_config and table.is_run
    config = {"name": name, "skill": name, "judges": [*judges.values()]}
    return found.write(folder, {} if has_config else config, schema)


class _Table:
    """The rows by where they stand, and the columns by what they are."""

    def __init__(self, path: Path, skipped: dict[str, str]) -> None:
        self.rows: dict[str, _Row] = {}
        for number, row in _read(path):
            if not isinstance(row, dict):
                skipped[f"{path}:{number}"] = row if isinstance(row, str) else "is no JSON object"
            elif kept := _tidy(row):
                self.rows[f"{path}:{number}"] = kept
        if not 0 < len(self.rows) <= _MOST_ROWS:
            what = f"holds {len(self.rows) or 'no'} rows"
            raise _wrong(path, what, f"give 1 to {_MOST_ROWS} questions a row each")
        self.columns = _columns([*self.rows.values()])
        self.is_run = bool(self.columns["outputs"])
        if not self.columns["inputs"]:
            names = ", ".join(name for own in self.columns.values() for name in own)
            raise _wrong(path, f"no column can be told to be asked ({names})", "name it question")

    def _part(self, row: _Row, *roles: str) -> dict[str, Json]:
        names = (name for role in roles for name in self.columns[role])
        return {name: row[name] for name in names if name in row}

    def trials(self, known: Mapping[str, str], skipped: dict[str, str]) -> list[dict[str, _Row]]:
        """Case id to its row, else as ``known``; what a run asks again is of another trial."""
        trials: list[dict[str, _Row]] = [{}]
        seen: dict[str, str] = {}
        for place, row in self.rows.items():
            asked, ids = self._part(row, "inputs"), [*self._part(row, "id").values()]
            if not asked:
                skipped[place] = "asks nothing"
            elif (first := seen.setdefault(canonical(row), place)) != place:
                skipped[place] = f"says the same as {first}"
            else:
                words = scalar_text(next(iter(asked.values()))).lower()
                words = re.sub(r"\W+", "-", words)[:40].strip("-") or "case"
                made = f"{words}-{derive_id(canonical(asked), length=6)}"
                usual = known.get(canonical(self.case_files(row)["input.yaml"]), made)
                taken = () if self.is_run else trials[0]
                name = writer.folder_name(scalar_text(ids[0]) if ids else usual, taken)
                trials += [{}] if name in trials[-1] else []
                next(each for each in trials if name not in each)[name] = row
        return trials

    def case_files(self, row: _Row) -> dict[str, Json]:
        """The files of a case; columns that MLflow's tables are made of are opened."""
        made: dict[str, dict[str, Json]] = {"input.yaml": {}, "annotations.yaml": {}}
        for role in _SAID:
            own = made["input.yaml" if role == "inputs" else "annotations.yaml"]
            for name, value in self._part(row, role).items():
                own |= value if name == role and isinstance(value, dict) else {name: value}
        return {**made}

    def execution(self, row: _Row) -> writer.Execution:
        """The answer, what it took and what scored it; what else is said of it lies beside it."""
        given = self._part(row, "outputs")
        answer = next(iter(given.values())) if len(given) == 1 else given
        read = {name: _value(value) for name, value in self._part(row, "score").items()}
        scored = [name for name, value in read.items() if value is not None]
        scores = {name: {"value": read[name], "judge_type": "code"} for name in scored}
        files: dict[str, Json] = {"details.json": self._part(row, "ran", "score")}
        if isinstance(answer, str):
            files["answer.md"] = answer.encode()
        else:
            files["answer.json"] = answer
        used: dict[str, Json] = {"exit_code": 0}
        for name, said in self._part(row, "used").items():
            value, plain = _value(said), name.lower()
            if "error" in plain and said not in (False, "None", "null"):
                used |= {"exit_code": 1, "error": scalar_text(said)}
            elif is_number(value) and "cost" in plain:
                used["cost_usd"] = value
            elif is_number(value):
                used["duration_s"] = value / 1000 if plain.endswith("ms") else value
        return writer.Execution(used, scores, writer.without_empty(files))

    def schema(self) -> str:
        """What ``dataset.schema`` says of the columns, which is where a mapping begins."""
        told = ((words, name) for role, words in _SAID.items() for name in self.columns[role])
        return "".join(f"- {words.format(name)}.\n" for words, name in told)


def _columns(rows: Sequence[_Row]) -> dict[str, list[str]]:
    """The columns by their roles, as a mapping is proposed; ``ran`` is what only runs have."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    split = {name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in names}
    plain = {name: re.sub(r"[^a-z0-9]+", "_", split[name]).strip("_") for name in names}
    proposed = propose_by_rules("", [Case("", ("row.json",), {"row.json": row}) for row in rows])
    sides = {each.selector.path: each.side for each in proposed.choices if each.selector}
    roles: dict[str, str] = {}
    for name in names:
        own = {side for path, side in sides.items() if f"{path}.".startswith(f"{name}.")}
        side = next((role for role in ("expectations", "inputs") if role in own), "metadata")
        by_name = (r for r, p in _PATTERNS.items() if re.fullmatch(p, plain[name]))
        is_gold, is_about = name_lean(plain[name]).gold, _ABOUT.search(plain[name])
        usual = "expectations" if is_gold or is_about else side
        roles[name] = usual if is_gold else next(by_name, usual)
    if "used" in roles.values() or any(name_lean(each).gold for each in plain.values()):
        # beside a known truth, what somebody's agent answered
        roles |= {name: "outputs" for name in names if plain[name] in {"answer", "result"}}
    is_run, ids = "outputs" in roles.values(), [name for name in names if roles[name] == "id"]
    for name in names:
        is_vague = roles[name] in {"expectations", "metadata"} and not name_lean(plain[name])
        if name in ids[1:] or (not is_run and roles[name] in {"score", "used"}):
            roles[name] = "metadata"
        elif is_run and is_vague:  # whose name says nothing is about that answer
            roles[name] = "ran"
    return {
        role: [name for name in names if roles[name] == role]
        for role in ("inputs", "expectations", "metadata", "outputs", "score", "used", "ran", "id")
    }


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


# -- where rows stand, whatever the file's format ------------------------------------------------


def _wrong(path: Path, what: str, fix: str) -> InputError:
    return InputError(Problem(what, str(path), fix=fix))


def _read(path: Path) -> Iterable[tuple[int, Json]]:
    """Each row's line or number, and its values by column; or in words why it is none."""
    suffix = path.suffix.lower()
    if suffix in _FRAMES:
        return enumerate(_frame(path, suffix), start=1)
    text = read_text(path)
    if suffix in {".csv", ".tsv"}:
        return _separated(text)
    whole = _json_in(text) if suffix == ".json" else None
    wrapped = [own for own in mapping_of(whole).values() if own and isinstance(own, list)]
    whole = wrapped[0] if len(wrapped) == 1 and isinstance(wrapped[0][0], dict) else whole
    if isinstance(whole, list):
        return enumerate(whole, start=1)
    lines = enumerate(text.splitlines(), start=1)  # some call lines of objects .json
    return ((number, _json_in(line)) for number, line in lines if line.strip())


def _separated(text: str) -> Iterator[tuple[int, Json]]:
    csv.field_size_limit(2**31 - 1)
    header, lines = text.partition("\n")[0], io.StringIO(text, newline="")
    reader = csv.DictReader(lines, delimiter=max(",;\t|", key=header.count))
    for row in reader:
        surplus: Sequence[str] = row.pop(None, ())
        if None in row.values() or any(map(str.strip, surplus)):
            yield reader.line_num, "has more or fewer values than there are columns"
        else:  # without a name are the numbers of a data frame's rows
            yield reader.line_num, {name: _cell(row[name]) for name in row if name.strip()}


def _json_in(text: str) -> Json:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _cell(text: str) -> Json:
    """A cell; a list or object that it holds, as JSON or as Python writes it."""
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] in {"[]", "{}"}:
        for read in (json.loads, ast.literal_eval):
            try:
                return well_formed(read(stripped))
            except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                continue
    return stripped


def _frame(path: Path, suffix: str) -> list[Json]:
    import pandas as pd

    form: dict[str, Any] = {"date_format": "iso", "double_precision": 15, "default_handler": str}
    try:
        frame = pd.read_excel(path, dtype=object) if suffix == ".xlsx" else pd.read_parquet(path)
        return [*json.loads(frame.to_json(orient="records", **form))]
    except Exception as error:  # whatever pandas finds wrong with it
        raise _wrong(path, f"cannot be read: {error}", "or save it as .csv") from error


def _tidy(row: _Row) -> _Row:
    """A row without what is empty; the agent's last words are no part of what is asked."""
    found = {str(name).strip(): well_formed(value) for name, value in row.items()}
    for name, said in [*found.items()]:
        turns, replies = [*said] if isinstance(said, list) else [], list[Json]()
        while turns and mapping_of(turns[-1]).get("role") in ("assistant", "ai", "model"):
            replies.insert(0, mapping_of(turns.pop()).get("content"))
        if turns and replies:
            found[name] = turns
            found.setdefault("expected_reply", replies if replies[1:] else replies[0])
    return writer.without_empty(found)
