"""Proposing a mapping: which field or file of a case is an input, which is expected, and why.

Evidence is what the schema says line by line, names, the files that fields lie in, the skill's
arguments and what judges read. Two mistakes are not equally bad: an expected answer among the
inputs gives the answer away, so where the evidence is divided a place is no input.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import PurePosixPath

from evalkit.dataset.cases import Case
from evalkit.dataset.cues import (
    GOLD,
    Lean,
    Part,
    description_lean,
    first_lean,
    is_answer,
    name_lean,
    shortened,
)
from evalkit.dataset.mapping import WHOLE_FILE, Selector
from evalkit.dataset.places import (
    CLEAR,
    Candidate,
    drop_copies,
    find_some_input,
    found_in,
    judge_by_company,
    lines_of,
    merged,
)
from evalkit.dataset.proposal import Choice, MappingProposal
from evalkit.dataset.schema_lines import Reader, SchemaRemark, covers
from evalkit.jsonable import Json

RARE = 0.01
"""Files in fewer than this share of the cases are summed up, not proposed."""

_ARGUMENT = re.compile(r"\{+\s*(?:inputs?\.)?([A-Za-z_][\w.\-]*)\s*\}+|\$\{?([A-Za-z_]\w*)\}?")
_JUDGED = re.compile(
    r"\b(annotations?|expectations?|expected|references?)"
    r"(?:\.get\(\s*|\[\s*|\.)[\"']?(?!(?:get|items|keys|values)\b)([A-Za-z_]\w*)"
)
_REST = re.compile(
    r"[^.;\n]*\b(?:everything else|all (?:the )?(?:others?|rest)|the (?:rest|others?))\b[^.;\n]*"
)
_IN: Part = "inputs"
_EXPECTED: Part = "expectations"
_CONTAINERS = frozenset({"input", "inputs", "expectation", "expectations", "expected"})


def propose_by_rules(
    schema: str, cases: Sequence[Case], arguments: str = "", judges: str = ""
) -> MappingProposal:
    """A mapping for the cases, by rules.

    Args:
        schema: The prose of ``dataset.schema``; may be empty.
        cases: All cases.
        arguments: The template of the skill's arguments, such as ``{question} --lang {lang}``.
        judges: Code and prompts of the judges, as further evidence; may be empty.
    """
    evidence = _Evidence(schema, cases, arguments, judges)
    places = [part for place in evidence.places() for part in evidence.decided(place)]
    judge_by_company(places)
    drop_copies(places, cases)
    find_some_input(places)
    return MappingProposal((*lines_of(places, len(cases)), *evidence.left_over()))


class _Evidence:
    """What the cases hold, and all that speaks for or against its being an input."""

    def __init__(self, schema: str, cases: Sequence[Case], arguments: str, judges: str) -> None:
        self._cases, self._total = cases, len(cases)
        self._files = Counter(file for case in cases for file in case.listing)
        documents: dict[str, list[Json]] = {}
        for file, document in (each for case in cases for each in case.documents.items()):
            documents.setdefault(file, []).append(document)
        self._documents = {file: merged(file, (), values) for file, values in documents.items()}
        self._texts = Counter(f for case in cases for f in case.texts if f not in documents)
        fields = {part.name for whole in self._documents.values() for part in whole.parts}
        nested = {
            key for whole in self._documents.values() for part in whole.parts for key in part.inside
        }
        self._names = {name.lower() for name in fields | nested}
        self._remarks = Reader(self._files, fields, nested).read(schema)
        self._argued = {one or other for one, other in _ARGUMENT.findall(arguments)}
        self._judged = {name: where for where, name in _JUDGED.findall(judges)}
        self._rest, self._rest_words = first_lean(_REST.findall(schema))
        self._gathered: set[str] = set()
        self._role = cache(self._find_role)

    # -- what there is

    def places(self) -> Iterator[Candidate]:
        """Every field of a case's own documents, and its other files."""
        for file, whole in self._documents.items():
            lean = self._role(file)[0]
            if not self._is_own(file) or whole.hits == whole.nulls:
                continue
            if whole.parts and not ("/" in file and lean.expected):
                yield from whole.parts
            elif whole.inside or not whole.parts:
                yield replace(whole, parts=())
        folders: dict[str, list[str]] = {}
        for file in self._texts:
            path = PurePosixPath(file)
            pattern = f"{path.parent}/*{path.suffix}" if self._in_known_folder(file) else ""
            folders.setdefault(pattern, []).append(file)
        for pattern, files in folders.items():
            alone = sum(self._texts[file] == 1 for file in files)
            if pattern and self._total > 1 < alone and 2 * alone > len(files):
                selector = Selector(pattern, WHOLE_FILE)
                self._gathered.update(files)
                yield Candidate(pattern, (), found_in(selector, self._cases))
            else:
                yield from (
                    Candidate(each, (), self._texts[each]) for each in filter(self._is_own, files)
                )

    def _in_known_folder(self, file: str) -> bool:
        lean = self._role(file)[0]
        return "/" in file and bool(self._about_file(file) or (lean.weight and lean.part != "out"))

    def _is_own(self, file: str) -> bool:
        """Whether the file is the case's own, and not one of a workspace that comes with it."""
        is_rare = self._files[file] < RARE * self._total
        return not is_rare and ("/" not in file or self._in_known_folder(file))

    def left_over(self) -> Iterator[Choice]:
        """What no selector can name, and what is named and not there."""
        folders: Counter[str] = Counter()
        for file, hits in self._files.items():
            if file in self._gathered:
                continue
            if not self._is_own(file):
                folders[f"{PurePosixPath(file).parts[0]}/" if "/" in file else "*"] += hits
            elif file not in self._documents and file not in self._texts:
                yield Choice(None, file, None, "It is no text, or too large.", (hits, self._total))
        for folder, files in folders.items():
            what = "the schema does not speak of this folder; it seems to be a workspace"
            what = "called differently in nearly every case" if folder == "*" else what
            reason = f"{files} file{'s' if files > 1 else ''}: {what}."
            yield Choice(None, folder, None, reason, (0, self._total))
        named = dict.fromkeys(sorted(self._argued), "the skill's arguments")
        named |= {remark.name or remark.file: "the schema" for remark in self._remarks}
        for name, who in named.items():
            is_there = name.rpartition(".")[2].lower() in self._names
            if not is_there and not any(covers(name, file) for file in self._files):
                reason = f"Named by {who}, but no case holds it."
                yield Choice(None, name, None, reason, (0, self._total))

    def _about_file(self, file: str) -> list[SchemaRemark]:
        found = [r for r in self._remarks if not r.name and covers(r.file, file.replace("*", "x"))]
        return sorted(found, key=lambda remark: remark.file != file)

    def _find_role(self, file: str) -> tuple[Lean, str]:
        """What a file is for, by the schema or its name, and why as a clause about it."""
        path = PurePosixPath(file)
        leans = [lean for each in (path.stem, *path.parts[-2::-1]) if (lean := name_lean(each))]
        named = next((lean for lean in leans if lean.weight > 1), leans[-1] if leans else Lean())
        for remark in self._about_file(file):
            said, words = first_lean((remark.own, remark.shared))
            if said.input and not said.who and description_lean(remark.shared).gold:
                said, words = description_lean(remark.shared), remark.shared
            if not said or named.outweighs(said):
                continue
            if said.input and not said.who and GOLD.search(words):
                return Lean(), ""  # it holds both
            return said, f"which the schema describes as “{shortened(words)}”"
        return named, f"whose name says “{named.cue}”" if named else ""

    @cached_property
    def _has_expected(self) -> bool:
        return any(self._role(file)[0].expected for file in self._files)

    def decided(self, place: Candidate, parent: Candidate | None = None) -> Iterator[Candidate]:
        """The place with where it goes, or its parts where they may differ.

        An object stays whole unless schema or arguments name its parts, it is a mere container
        ("inputs"), or something expected hides among its parts.
        """
        self._decide(place, parent)
        hides = place.part != "expectations" and any(map(is_answer, place.inside))
        named = (*self._argued, *(r.name for r in self._remarks if r.listed or "." in r.name))
        is_container = place.name.lower() in _CONTAINERS
        opened = is_container or any(f".{place.name}." in f".{name}" for name in named)
        if place.parts and place.keys and (hides or opened):
            if is_container and place.weight < CLEAR:
                part: Part = "inputs" if place.name.lower().startswith("in") else "expectations"
                place.put(part, 1, f"It is written under “{place.name}”")
            for each in place.parts:
                yield from self.decided(each, place)
            return
        if hides and not self._is_argued(place):
            place.put("out", CLEAR, "Its items hold what is expected, and no selector parts them")
            place.gives_away = True
        yield place

    def _about(self, place: Candidate) -> list[SchemaRemark]:
        """What the schema says of a field; what it says of one in another file only if lost."""
        path = f".{'.'.join(place.keys)}"
        found = [r for r in self._remarks if r.name and path.endswith(f".{r.name}")]
        here = [r for r in found if covers(r.file, place.file)]
        return here or [r for r in found if not self._holds(r.file, r.name.rpartition(".")[2])]

    def _holds(self, written: str, key: str) -> bool:
        return any(
            key in whole.inside for file, whole in self._documents.items() if covers(written, file)
        )

    def _is_argued(self, place: Candidate) -> bool:
        """Whether the skill's arguments take it, from a file that is not about expectations."""
        lean = self._role(place.file)[0]
        return bool(place.keys and {".".join(place.keys), place.name} & self._argued) and not (
            lean.expected
            and any(self._holds(file, place.name) for file in self._documents if file != place.file)
        )

    def _decide(self, place: Candidate, parent: Candidate | None) -> None:
        """The first line that holds decides."""
        remarks = self._about(place) if place.keys else []
        spoken, said = first_lean(remark.own for remark in remarks)
        beside, told = first_lean(remark.shared for remark in remarks)
        named = name_lean(place.name) if place.keys else Lean()
        file, why = self._role(place.file)
        rest, above = self._rest, parent or Candidate("", (), 0)
        argued, listed = self._is_argued(place), any(r.listed or r.own for r in remarks)
        judged = place.keys and self._judged.get(place.name, "")
        quote = next((quote for remark in remarks if (quote := shortened(remark.own))), "")
        words = f"; the schema says “{quote}”" if quote else ""
        says, cue = f"the schema says “{shortened(said)}”", named.cue
        takes = f"The skill's arguments take {{{place.name}}}"
        divided = f"{takes}, but {says}; in doubt it is no input"
        works = f"It is what the skill works on: {says}"
        expects = f"It says what is expected: {says}"
        lists = f"It is listed under “{shortened(told)}”"
        lies = f"It lies in {place.file}, {why}{words}"
        calls = f"Its name says “{cue}”{words}"
        part_of = f"It is a part of {above.name}. {above.reason}"
        other = f"It is part of the rest: “{shortened(self._rest_words)}”"
        among = f"It lies beside inputs, but its name says “{cue}”; in doubt it is no input"
        nowhere = "nothing says that the skill gets it or that it is expected of it"
        sorting = f"“{cue}” sorts or describes cases, and {nowhere}{words}"
        readers = "is usually for readers of the case, and may give the answer away"
        remarked = f"A “{cue}” that the schema does not mention {readers}"
        listed_apart = f"The schema lists {place.file} apart from what is expected; please check"
        lines = (remark.listed for remark in self._about_file(place.file))
        is_apart = self._has_expected and any(lines)
        nothing = f"Nothing says whether the skill gets it or it is expected{words}"
        is_given = spoken.input and spoken.who
        doubted = (spoken.input and (file.expected or beside.expected)) or (
            spoken.expected and named.input and file.input
        )
        sorts, read = named.part == "out", file.input and file.who
        inherits = above.part in {"inputs", "expectations"} and not (
            above.part == "inputs" and above.weight < CLEAR and named.expected
        )
        is_rest = place.keys and not (listed or beside or named.expected) and rest.part != "out"
        hidden = file.input and named.expected and not listed and cue not in {"min", "max"}
        weight = int(named.input) if place.keys else file.weight
        table: tuple[tuple[object, Part | None, int, str], ...] = (
            (spoken.expected and argued, _EXPECTED, CLEAR, divided),
            (spoken.gold, _EXPECTED, CLEAR, expects),
            (argued, _IN, CLEAR, f"{takes}{words}"),
            (named.gold and not is_given, _EXPECTED, CLEAR, calls),
            (is_given, _IN, CLEAR, works),
            (beside.who and not spoken.input, beside.part, CLEAR, lists),
            (spoken.expected and not doubted, _EXPECTED, spoken.weight, expects),
            (spoken.input and not doubted, _IN, spoken.weight, works),
            (spoken.part == "out", "out", 1, f"It sorts cases: {says}"),
            (beside and not (beside.input and file.expected), beside.part, beside.weight, lists),
            (inherits, above.part, above.weight, part_of),
            (judged and not file.input, _EXPECTED, CLEAR, f"The judges read it from {judged}"),
            (
                sorts and named.weight and not read,
                "out",
                1,
                f"{sorting} or that it is expected{words}",
            ),
            (rest and is_rest and not (rest.input and file.expected), rest.part, 1, other),
            (hidden, _EXPECTED, 0, among),
            (file.input and sorts and not (listed or file.who), None, -2, remarked),
            (file.input, _IN, weight, lies),
            (file.expected, _EXPECTED, 0 if place.keys else file.weight, lies),
            (is_apart and not (file.weight or named.expected), _IN, 0, listed_apart),
            (file.part == "out" and not named, "out", 0, lies),
            (named and not sorts, named.part, 1, calls),
            (sorts, None, -1, calls),
            (True, None, 0, nothing),
        )
        place.put(*next(row[1:] for row in table if row[0]))
