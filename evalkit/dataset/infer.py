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
from functools import cache
from pathlib import PurePosixPath

from evalkit.dataset.cases import Case
from evalkit.dataset.cues import GOLD, Lean, first_lean, name_lean
from evalkit.dataset.mapping import WHOLE_FILE, Selector
from evalkit.dataset.places import Candidate, drop_copies, judge_by_company, merged
from evalkit.dataset.proposal import CLEAR, Choice, MappingProposal, Side, with_good_names
from evalkit.dataset.schema_lines import SchemaReader, SchemaRemark, covers
from evalkit.jsonable import Json

RARE = 0.01
"""Files in fewer than this share of the cases are summed up, not proposed."""

_ARGUMENT = re.compile(r"\{+\s*(?:inputs?\.)?([A-Za-z_][\w.\-]*)\s*\}+|\$\{?([A-Za-z_]\w*)\}?")
_JUDGED = re.compile(
    r"\b(annotations?|expectations?|expected|references?)"
    r"(?:\.get\(\s*|\[\s*|\.)[\"']?(?!(?:get|items|keys|values)\b)([A-Za-z_]\w*)"
)
_IN: Side = "inputs"
_EXPECTED: Side = "expectations"
_CONTAINERS = {"input", "inputs", "expectation", "expectations", "expected"}


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
    places = [part for whole in evidence.places() for part in evidence.decided(whole, None)]
    judge_by_company(places)
    drop_copies(places, cases)
    return MappingProposal((*with_good_names(places), *evidence.left_over()))


class _Evidence:
    """What the cases hold, and all that speaks for or against its being an input."""

    def __init__(self, schema: str, cases: Sequence[Case], arguments: str, judges: str) -> None:
        self._cases, self._total = cases, len(cases)
        self._files = Counter(file for case in cases for file in case.listing)
        documents: dict[str, list[Json]] = {}
        for file, document in (each for case in cases for each in case.documents.items()):
            documents.setdefault(file, []).append(document)
        self._documents = {f: merged(f, (), values, self._total) for f, values in documents.items()}
        self._texts = Counter(f for case in cases for f in case.texts if f not in documents)
        tops = [part for whole in self._documents.values() for part in whole.parts]
        fields, nested = {p.keys[-1] for p in tops}, {key for p in tops for key in p.inside}
        self._names = {name.lower() for name in fields | nested}
        self._remarks = SchemaReader(self._files, fields, nested).read(schema)
        self._argued = {one or other for one, other in _ARGUMENT.findall(arguments)}
        self._judged = {name: where for where, name in _JUDGED.findall(judges)}
        self._gathered: set[str] = set()
        self._role = cache(self._find_role)

    # -- what there is

    def _whole(self, file: str, name: str, hits: int) -> Candidate:
        return Candidate(None, name, Selector(file, WHOLE_FILE), "", (hits, self._total))

    def places(self) -> Iterator[Candidate]:
        """Every field of a case's own documents, and its other files."""
        for file, whole in self._documents.items():
            if not self._is_own(file) or (whole.reason and not whole.inside):
                continue
            if whole.parts and not ("/" in file and self._role(file)[0].side == "expectations"):
                yield from whole.parts
            else:
                yield replace(whole, parts=())
        folders: dict[str, list[str]] = {}
        for file in self._texts:
            path = PurePosixPath(file)
            pattern = f"{path.parent}/*{path.suffix}" if self._in_known_folder(file) else ""
            folders.setdefault(pattern, []).append(file)
        for pattern, files in folders.items():
            alone = sum(self._texts[file] == 1 for file in files)
            if pattern and self._total > 1 < alone and 2 * alone > len(files):
                self._gathered.update(files)
                hits = sum(not set(files).isdisjoint(case.texts) for case in self._cases)
                yield self._whole(pattern, PurePosixPath(pattern).parent.name, hits)
            else:
                for file in filter(self._is_own, files):
                    name = PurePosixPath(file).stem.replace(".", "_")
                    yield self._whole(file, name, self._texts[file])

    def _in_known_folder(self, file: str) -> bool:
        lean = self._role(file)[0]
        return "/" in file and bool(self._about_file(file) or (lean.weight and lean.side))

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
        named |= {remark.file: "the schema" for remark in self._remarks if not remark.name}
        for name, who in named.items():
            is_there = name.rpartition(".")[2].lower() in self._names
            if not is_there and not any(covers(name, file) for file in self._files):
                reason = f"Named by {who}, but no case holds it."
                yield Choice(None, name, None, reason, (0, self._total))

    # -- what speaks for what

    def _about_file(self, file: str) -> list[SchemaRemark]:
        return [r for r in self._remarks if not r.name and covers(r.file, file.replace("*", "x"))]

    def _find_role(self, file: str) -> tuple[Lean, str]:
        """What a file is for, by the schema or its name, and why as a clause about it."""
        path = PurePosixPath(file)
        leans = [name_lean(each) for each in (path.stem, *path.parts[-2::-1])]
        named = max(leans, key=lambda lean: (bool(lean), lean.weight))
        for remark in self._about_file(file):
            said, words = first_lean((remark.own, remark.shared))
            heading, _ = first_lean([remark.shared])
            if said.side == "inputs" and not said.who and heading.gold:
                said, words = heading, remark.shared
            strong = named.weight > 1 or named.cue.startswith(("input", "annotation"))
            if not said or (
                named and not said.who and named.side != said.side and (strong or not said.side)
            ):
                continue
            if said.side == "inputs" and not said.who and GOLD.search(words):
                return Lean(), ""  # it holds both
            return said, f"which the schema describes as “{_shortened(words)}”"
        return named, f"whose name says “{named.cue}”" if named else ""

    def _about(self, place: Candidate) -> list[SchemaRemark]:
        """What the schema says of a field; what it says of one in another file only if lost."""
        path = f".{'.'.join(place.keys)}"
        found = [r for r in self._remarks if r.name and path.endswith(f".{r.name}")]
        return [r for r in found if covers(r.file, place.file)] or found

    def _is_argued(self, place: Candidate) -> bool:
        """Whether the skill's arguments take it, from a file that is not about expectations."""
        if not place.keys or not {".".join(place.keys), place.name} & self._argued:
            return False
        return self._role(place.file)[0].side != _EXPECTED

    def decided(self, place: Candidate, parent: Candidate | None) -> Iterator[Candidate]:
        """The place with where it goes, or its parts where they may differ.

        An object stays whole unless schema or arguments name its parts, it is a mere container
        ("inputs"), or something expected hides among its parts.
        """
        nulls = place.reason
        self._decide(place, parent)
        hides = place.side != "expectations" and any(name_lean(key).gold for key in place.inside)
        named = (*self._argued, *(r.name for r in self._remarks if r.listed or "." in r.name))
        opened = place.name.lower() in _CONTAINERS or any(
            f".{place.name}." in f".{name}" for name in named
        )
        if place.parts and place.keys and (hides or opened):
            for each in place.parts:
                yield from self.decided(each, place)
            return
        if hides and not self._is_argued(place):
            place.put(None, CLEAR, "Its items hold what is expected, and no selector parts them.")
            place.gives_away = True
        place.reason += nulls
        yield place

    def _decide(self, place: Candidate, parent: Candidate | None) -> None:
        """The first row that holds decides."""
        remarks = self._about(place) if place.keys else []
        spoken, said = first_lean(remark.own for remark in remarks)
        beside, told = first_lean(remark.shared for remark in remarks)
        named = name_lean(place.keys[-1]) if place.keys else Lean()
        (file, why), above = self._role(place.file), parent or place
        judged = self._judged.get(place.keys[-1], "") if place.keys else ""
        quote = next((quote for r in remarks if (quote := _shortened(r.own))), "")
        words = f"; the schema says “{quote}”" if quote else ""
        says, calls = f"The schema says “{_shortened(said)}”", f"Its name says “{named.cue}”{words}"
        lies = f"It lies in {place.file}, {why}{words}"
        expects = "expectations" in {file.side, beside.side}
        doubted = spoken.side == "inputs" and expects and not spoken.who
        sorts = named and not named.side and not (file.who and file.side == "inputs")
        remark = sorts and not remarks and file.side == _IN
        part_of = f"It is a part of {above.name}. {above.reason.rstrip('.')}"
        inherits = above.side and (above.weight >= CLEAR or named.side in {None, above.side})
        has_expected = any(self._role(each)[0].side == "expectations" for each in self._files)
        apart = not file and self._about_file(place.file) and has_expected
        table: tuple[tuple[object, Side | None, int, str], ...] = (
            (spoken.gold, _EXPECTED, CLEAR, says),
            (
                self._is_argued(place),
                _IN,
                CLEAR,
                f"The skill's arguments take {{{place.name}}}{words}",
            ),
            (named.gold, _EXPECTED, CLEAR, calls),
            (spoken and not doubted, spoken.side, spoken.weight, says),
            (
                beside and file.side != _EXPECTED,
                beside.side,
                beside.weight,
                f"It is listed under “{_shortened(told)}”",
            ),
            (inherits, above.side, above.weight, part_of),
            (judged and file.side != _IN, _EXPECTED, CLEAR, f"The judges read it from {judged}"),
            (
                sorts and (named.weight or remark),
                None,
                named.weight,
                f"“{named.cue}” is for readers of cases, unless something says otherwise{words}",
            ),
            (file.side, file.side, 0 if place.keys else file.weight, lies),
            (
                apart and named.side != _EXPECTED,
                _IN,
                0,
                f"The schema lists {place.file} apart from what is expected; please check",
            ),
            (named.side, named.side, 1, calls),
        )
        row = next((row for row in table if row[0]), None)
        place.is_open = row is None or (row[1] is None and bool(remark))
        nothing = f"Nothing says whether the skill gets it or it is expected{words}"
        side, weight, reason = row[1:] if row else (None, 0, nothing)
        place.put(side, weight, f"{reason}.")


def _shortened(quote: str, limit: int = 90) -> str:
    """A quote of at most so many characters, cut between words."""
    quote = re.sub(r"\s+", " ", quote).strip(" ,;.:…")
    return quote if len(quote) <= limit else quote[: limit - 1].rsplit(" ", 1)[0] + " …"
