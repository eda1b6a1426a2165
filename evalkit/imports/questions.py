"""A table becomes a project: what its columns are, a case for each row, a run of given answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from evalkit.config_files import USUAL_CONFIG
from evalkit.dataset.cues import name_lean
from evalkit.imports import Destination
from evalkit.imports import project_writer as writer
from evalkit.imports.tables import SUFFIXES, TableReader, naming_words
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
_ASKED = {"q", "user", "human", "ask", "nl", "text", "statement", "claim", "sentence", "goal"}
_ABOUT = {
    *(
        "required",
        "relevant",
        "retrieved",
        "supporting",
        "cited",
        "evidence",
        "context",
        "contexts",
    ),
    *("source", "sources", "expected", "answer", "answers", "reference", "correct"),
}
"""Words of columns that are about the answer, though their names may end like a question's."""

_USED = re.compile(
    r"error|cost(_usd)?|(total_|response_)?(duration|latency|elapsed|time|time_taken)(_(s|secs?|seconds|ms))?"
)
_RAN = re.compile(r"run_id|timestamp\w*|retrieved_\w+|(response_)?model(_name)?")
"""Columns that only somebody's run has."""

_Row: TypeAlias = Mapping[str, Json]

_ROLES = {
    "inputs": "what the agent is asked, and is passed to the agent",
    "expectations": "expected",
    "metadata": "for reporting only",
}


def is_table(path: Path) -> bool:
    """Whether it is a file of a kind that holds tables."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def import_tables(paths: Sequence[Path], to: Destination) -> dict[str, Any]:
    """Make a project of the rows, and a run of each table that holds answers.

    Raises:
        InputError: a file is no table, or no column of it can be told to be what is asked.
    """
    name = writer.folder_name(paths[0].stem)
    project = writer.ProjectWriter(to.out or writer.usual_folder(name))
    tables = [QuestionTable(path) for path in paths]
    judges: dict[str, Json] = {}
    for table in tables:
        for case_id, row in table.cases.items():
            is_there = (project.folder / "cases" / case_id).is_dir()
            if not (table.is_run and is_there):  # answers to questions that are there already
                project.add_case(case_id, table.case_files(row))
        for number, rows in enumerate(table.trials if table.is_run else (), start=1):
            judges |= table.add_run(project, rows, f"-{number}" if number > 1 else "")
    config, notes = project.folder / USUAL_CONFIG, [each.described() for each in tables]
    if to.out and config.exists() and tables[0].is_run:
        notes.append(f"{config} is there already: it stays as it is")
    else:
        said = {"name": name, "skill": name, "judges": list(judges.values())}
        project.add_config({k: v for k, v in said.items() if v}, tables[0].schema())
    counts, left = project.save()
    return {
        "format": "table",
        "files": len(paths),
        "cases": len({case_id for table in tables for case_id in table.cases}),
        "runs": sum(len(table.trials) for table in tables if table.is_run),
        "skipped": {where: why for table in tables for where, why in table.skipped.items()} | left,
        "directory": str(project.folder),
        "written": counts,
        "notes": notes,
    }


class QuestionTable:
    """A table with what its columns are.

    Attributes:
        roles: Column to ``id``, ``inputs``, ``expectations`` and ``metadata`` of a case, and what a
            run has of it: ``outputs``, ``score``, ``used``, ``ran`` (what else there is).
        is_run: Whether it holds what somebody's agent answered.
        trials: Case id to its row; where one is asked several times, there are several.
        skipped: Where something stands that becomes no case, and why.
    """

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            InputError: it is no table, or no column can be told to be what is asked.
        """
        reader = TableReader(path)
        self.path, self.skipped = path, reader.skipped
        rows = reader.rows()
        self.roles = self._decided(list(rows.values()))
        if not self.named("inputs"):
            columns = ", ".join(self.roles)
            raise reader.wrong(f"no column can be told to be asked ({columns})", "name it question")
        self.is_run = "ran" in self.roles.values() or bool(self.named("outputs"))
        self.trials = self._with_ids(rows)
        self.cases = {name: row for each in reversed(self.trials) for name, row in each.items()}

    def named(self, role: str) -> list[str]:
        """The columns of a role."""
        return [name for name, each in self.roles.items() if each == role]

    def _decided(self, rows: Sequence[_Row]) -> dict[str, str]:
        names = list(dict.fromkeys(name for row in rows for name in row))
        plain = {name: re.sub(r"[^a-z0-9#]+", "_", _snake(name)).strip("_") for name in names}
        roles = {name: self._role(plain[name]) for name in names}
        is_run = {"used", "ran"} & set(roles.values())
        gold = any(name_lean(plain[n]).gold for n in names)
        for name in (n for n in names if plain[n] in {"answer", "result"} and (gold or is_run)):
            roles[name] = "outputs"  # beside a known truth, what somebody's agent answered
        if "outputs" in roles.values() or ({"score", "ran"} <= set(roles.values())):
            case = {"expectations", "metadata"}
            told = {n for n in names if name_lean(plain[n])}  # else it is about that answer
            roles = {n: "ran" if r in case and n not in told else r for n, r in roles.items()}
        else:
            run = {"score", "used", "ran"}
            roles = {n: "metadata" if r in run else r for n, r in roles.items()}
        ids = [n for n in names if roles[n] == "id"]
        best = next((n for n in ids if len({canonical(r.get(n)) for r in rows}) == len(rows)), None)
        roles |= {n: "metadata" for n in ids if n != (best or ids[0])}
        if "inputs" not in roles.values():
            asked = [n for n in names if plain[n].split("_")[-1] in _ASKED]
            roles |= dict.fromkeys([n for n in asked if roles[n] == "metadata"][:1], "inputs")
        return roles

    @staticmethod
    def _role(plain: str) -> str:
        lean, words = name_lean(plain), set(plain.split("_"))
        if _ID.fullmatch(plain):
            return "id"
        if _OUTPUT.fullmatch(plain):
            return "outputs"
        if _USED.fullmatch(plain):
            return "used"
        if _RAN.fullmatch(plain):
            return "ran"
        if lean.side == "expectations" and lean.gold:
            return "expectations"
        if _SCORE.search(plain) and plain not in {"correct_answer", "exact_answer"}:
            return "score"
        if lean.side == "inputs" and not words & _ABOUT:
            return "inputs"
        return "expectations" if lean.side or words & _ABOUT else "metadata"

    def _with_ids(self, rows: Mapping[str, _Row]) -> list[dict[str, _Row]]:
        trials: list[dict[str, _Row]] = [{}]
        seen: dict[str, str] = {}
        for place, row in rows.items():
            asked = {name: row[name] for name in self.named("inputs") if name in row}
            if not asked:
                self.skipped[place] = f"asks nothing: {', '.join(self.named('inputs'))} is empty"
                continue
            if (same := canonical(row)) in seen:
                self.skipped[place] = f"says the same as {seen[same]}"
                continue
            seen[same] = place
            named = [row[name] for name in self.named("id") if name in row]
            slug = re.sub(r"\W+", "-", naming_words(asked).lower())[:40].strip("-")
            own = f"{slug or 'case'}-{derive_id(canonical(asked), length=6)}"
            name = writer.folder_name(_text(named[0]) if named else own)
            if self.is_run:
                trials += [] if name not in trials[-1] else [{}]
                next(each for each in trials if name not in each)[name] = row
            else:
                trials[0][writer.folder_name(name, trials[0])] = row
        return trials

    def case_files(self, row: _Row) -> dict[str, Json]:
        """The files of its case."""
        files = {"input.yaml": ("inputs",), "annotations.yaml": ("expectations", "metadata")}
        made: dict[str, Json] = {file: {} for file in files}
        for file, roles in files.items():
            for name in (n for role in roles for n in self.named(role) if n in row):
                is_group = name in {"inputs", "expectations"} and isinstance(row[name], dict)
                made[file] |= row[name] if is_group else {name: row[name]}
        return made

    def schema(self) -> str:
        """What ``dataset.schema`` says of the columns, which is where a mapping begins."""
        return "".join(
            f"- `{'input' if role == 'inputs' else 'annotations'}.yaml`: `{name}` is {what}.\n"
            for role, what in _ROLES.items()
            for name in self.named(role)
        )

    def described(self) -> str:
        """What the columns were taken for."""
        kinds = ("inputs", "expectations", "outputs", "score", "id", "metadata")
        named = ((each, ", ".join(self.named(each))) for each in kinds)
        return f"{self.path.name}: " + "; ".join(": ".join(each) for each in named if each[1])

    def add_run(
        self, project: writer.ProjectWriter, rows: Mapping[str, _Row], suffix: str
    ) -> dict[str, Json]:
        """A run of the given answers; its judges, as the config has them."""
        scores = {case_id: dict(self._scores(row)) for case_id, row in rows.items()}
        used = {case_id: self._used(row) for case_id, row in rows.items()}
        files = {
            f"cases/{case_id}/{name}": content
            for case_id, row in rows.items()
            for name, content in self._left(row, scores[case_id])
        }
        code = max((each["exit_code"] for each in used.values()), default=0)
        project.add_run(
            writer.folder_name(self.path.stem) + suffix,
            writer.result_of(used, exit_code=code),
            writer.summary_of(scores),
            files,
            self.path.stat().st_mtime_ns,
        )
        names = dict.fromkeys(name for each in scores.values() for name in each)
        return {name: {"name": name, "builtin": "imported"} for name in names}

    def _left(self, row: _Row, scores: Mapping[str, Json]) -> Iterator[Any]:
        """The files that the run left for a case: the answer, and what else the table says."""
        given = {name: row[name] for name in self.named("outputs") if name in row}
        answer = next(iter(given.values())) if len(given) == 1 else given
        if isinstance(answer, str):
            yield "answer.md", answer.encode("utf-8", "replace")
        elif given:
            yield "answer.json", answer
        others = [n for n in (*self.named("ran"), *self.named("score")) if n not in scores]
        if more := {name: row[name] for name in others if name in row}:
            yield "details.json", more

    def _scores(self, row: _Row) -> Iterator[tuple[str, Json]]:
        for name in self.named("score"):
            held = row.get(name)
            for part, value in held.items() if isinstance(held, dict) else [(name, held)]:
                if (read := _value(value)) is not None:
                    yield part, {"value": read, "judge_type": "code"}

    def _used(self, row: _Row) -> dict[str, Json]:
        found: dict[str, Json] = {"exit_code": 0}
        for name in self.named("used"):
            plain, value = _snake(name), _value(row.get(name))
            if plain == "error":
                if row.get(name) not in (None, False, "None", "null"):
                    found |= {"exit_code": 1, "error": _text(row[name])}
            elif is_number(value) and plain.startswith("cost"):
                found["cost_usd"] = value
            elif is_number(value):
                found["duration_s"] = value / 1000 if plain.endswith("_ms") else value
        return found


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _text(value: Json) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(value: Json) -> Json:
    """A score as what it means: true or false, a number, else its label."""
    if not isinstance(value, str):
        return value if isinstance(value, (bool, int, float)) else None
    words = {"true": True, "false": False, "yes": True, "no": False, "pass": True, "fail": False}
    if value.casefold() in words:
        return words[value.casefold()]
    try:
        return number if is_number(number := float(value)) else None
    except ValueError:
        return value if len(value) <= 80 else None  # noqa: PLR2004 - a label, and no comment
