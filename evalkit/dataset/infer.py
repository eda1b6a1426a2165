"""Proposing a mapping: which field or file of a case is an input, which is expected, and why.

Evidence is what the schema says line by line, names, the files that fields lie in, the skill's
arguments and what judges read. Two mistakes are not equally bad: an expected answer among the
inputs gives the answer away, so where the evidence is divided a place is no input.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePosixPath

from evalkit.dataset.cases import Case
from evalkit.dataset.cues import SAID, Lean, first_lean, name_lean
from evalkit.dataset.mapping import WHOLE_FILE, Selector, Side
from evalkit.dataset.proposal import (
    CLEAR,
    Choice,
    MappingProposal,
    drop_copies,
    with_good_names,
)
from evalkit.dataset.schema_lines import SchemaReader, SchemaRemark, covers
from evalkit.jsonable import Json

RARE = 0.01
"""Files in fewer than this share of the cases are summed up, not proposed."""

MAX_FIELDS = 60
"""Of a document with more fields than this, only the most frequent are proposed."""

MAX_DEPTH = 6
"""Nested deeper than this is content, not structure."""

_ARGUMENT = re.compile(r"\{+\s*(?:inputs?\.)?([A-Za-z_][\w.\-]*)\s*\}+|\$\{?([A-Za-z_]\w*)\}?")
_JUDGED = re.compile(
    r"\b(annotations?|expectations?|expected|references?)"
    r"(?:\.get\(\s*|\[\s*|\.)[\"']?(?!(?:get|items|keys|values)\b)([A-Za-z_]\w*)"
)
_IN: Side = "inputs"
_EXPECTED: Side = "expectations"
_CONTAINERS = {"input", "inputs", "expectation", "expectations", "expected"}


@dataclass(slots=True)
class _Place(Choice):
    """A place that could feed a record: the keys to it, all keys below it, and the places there."""

    keys: tuple[str, ...] = ()
    inside: frozenset[str] = frozenset()
    parts: tuple[_Place, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether nothing says yet where it goes."""
        return not (self.side or self.weight)


def propose_by_rules(
    schema: str, cases: Sequence[Case], arguments: str = "", judges: str = ""
) -> MappingProposal:
    """A mapping for the cases, by rules.

    The schema is the prose of ``dataset.schema``, the arguments a template such as ``{question}``,
    the judges their code and prompts; each may be empty.
    """
    evidence = _Evidence(schema, cases, arguments, judges)
    places = [part for whole in evidence.places() for part in evidence.decided(whole, None)]
    _judge_by_company(places)
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
        self._documents = {f: _merged(f, (), each, self._total) for f, each in documents.items()}
        self._texts = Counter(f for case in cases for f in case.texts if f not in documents)
        fields = {key for whole in self._documents.values() for key in whole.inside}
        self._remarks = [*SchemaReader(self._files, fields).read(schema)]
        self._argued = {one or other for one, other in _ARGUMENT.findall(arguments)}
        self._judged = {name: where for where, name in _JUDGED.findall(judges)}
        self._gathered: set[str] = set()
        self._role = cache(self._find_role)

    # -- what there is

    def places(self) -> Iterator[_Place]:
        """Every field of a case's own documents, and its other files.

        Files of one folder that are called differently in most cases are one place, a pattern.
        """
        for file, whole in self._documents.items():
            if self._is_own(file):
                is_answer = "/" in file and self._role(file)[0].side == _EXPECTED
                yield from whole.parts if whole.parts and not is_answer else (whole,)
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
                    yield self._whole(file, PurePosixPath(file).stem, self._texts[file])

    def _whole(self, file: str, name: str, hits: int) -> _Place:
        selector = Selector(file, WHOLE_FILE)
        return _Place(None, name.replace(".", "_"), selector, "", (hits, self._total))

    def _in_known_folder(self, file: str) -> bool:
        lean = self._role(file)[0]
        return "/" in file and bool(self._about_file(file) or (lean.weight and lean.side))

    def _is_own(self, file: str) -> bool:
        """Whether the file is the case's own, and not one of a workspace that comes with it."""
        is_rare = self._files[file] < RARE * self._total
        return not is_rare and ("/" not in file or self._in_known_folder(file))

    def left_over(self) -> Iterator[Choice]:
        """What no selector can name."""
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

    # -- what speaks for what

    def _about_file(self, file: str) -> list[SchemaRemark]:
        return [r for r in self._remarks if not r.name and covers(r.file, file.replace("*", "x"))]

    def _find_role(self, file: str) -> tuple[Lean, str]:
        """What a file is for, by the schema or its name, and why as a clause about it.

        Who gets it outranks clear words for an answer, and these any other.
        """
        path = PurePosixPath(file)
        leans = [name_lean(each) for each in (path.stem, *path.parts[-2::-1])]
        named = max(leans, key=lambda lean: (bool(lean), lean.weight))
        said = [
            (first_lean([words])[0], f"which the schema describes as “{_shortened(words)}”")
            for remark in self._about_file(file)
            for words in (remark.own, remark.shared)
        ]
        own = [(named, f"whose name says “{named.cue}”")]
        is_strong = named.weight > 1 or named.cue.startswith(("input", "annotation"))
        return max(
            (each for each in (own + said if is_strong else said + own) if each[0]),
            key=lambda each: (each[0].weight == SAID, each[0].gold, bool(each[0].side)),
            default=(Lean(), ""),
        )

    def _is_argued(self, place: _Place) -> bool:
        """Whether the skill's arguments take it, from a file that is not about expectations."""
        is_named = bool(place.keys and {".".join(place.keys), place.name} & self._argued)
        return is_named and self._role(place.file)[0].side != _EXPECTED

    def decided(self, place: _Place, parent: _Place | None) -> Iterator[_Place]:
        """The place with where it goes, or its parts where they may differ.

        An object stays whole unless schema or arguments name its parts, it is a mere container
        ("inputs"), or something expected hides among its parts.
        """
        nulls = place.reason
        self._decide(place, parent)
        hides = place.side != _EXPECTED and any(name_lean(key).gold for key in place.inside)
        named = (*self._argued, *(r.name for r in self._remarks if "." in r.name))
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

    def _decide(self, place: _Place, parent: _Place | None) -> None:
        """The first row that holds decides."""
        path, key = f".{'.'.join(place.keys)}", place.keys[-1] if place.keys else ""
        remarks = [r for r in self._remarks if r.name and path.endswith(f".{r.name}")]
        spoken, said = first_lean(remark.own for remark in remarks)
        beside, told = first_lean(remark.shared for remark in remarks)
        named, (file, why), above = name_lean(key), self._role(place.file), parent or place
        judged = self._judged.get(key, "")
        quote = next((quote for r in remarks if (quote := _shortened(r.own))), "")
        words = f"; the schema says “{quote}”" if quote else ""
        takes = f"The skill's arguments take {{{place.name}}}{words}"
        says, calls = f"The schema says “{_shortened(said)}”", f"Its name says “{named.cue}”{words}"
        listed, lies = f"It is listed under “{_shortened(told)}”", f"It lies in {place.file}, {why}"
        part = f"It is a part of {above.name}. {above.reason}"
        alone = f"The schema lists {place.file} apart from what is expected; please check"
        is_split = spoken.side == _IN and _EXPECTED in {file.side, beside.side}
        is_sorting = named and not named.side and (file.weight, file.side) != (SAID, _IN)
        is_sorting = is_sorting and bool(named.weight or (file.side == _IN and not remarks))
        inherits = above.side and (above.weight >= CLEAR or named.side in {None, above.side})
        has_expected = any(self._role(each)[0].side == _EXPECTED for each in self._files)
        is_apart = not file and named.side != _EXPECTED and self._about_file(place.file)
        weight = 0 if place.keys else file.weight
        table: tuple[tuple[object, Side | None, int, str], ...] = (
            (spoken.gold, _EXPECTED, CLEAR, says),
            (self._is_argued(place), _IN, CLEAR, takes),
            (named.gold, _EXPECTED, CLEAR, calls),
            (spoken and (spoken.weight == SAID or not is_split), *spoken[:2], says),
            (beside and file.side != _EXPECTED, *beside[:2], listed),
            (inherits, above.side, above.weight, part),
            (judged and file.side != _IN, _EXPECTED, CLEAR, f"The judges read it from {judged}"),
            (is_sorting, *named[:2], f"“{named.cue}” is for readers of cases{words}"),
            (file.side, file.side, weight, f"{lies}{words}"),
            (is_apart and has_expected, _IN, 0, alone),
            (named.side, named.side, 1, calls),
            (True, None, 0, f"Nothing says whether the skill gets it or it is expected{words}"),
        )
        side, weight, reason = next(row[1:] for row in table if row[0])
        place.put(side, weight, f"{reason.rstrip('.')}.")


def _merged(file: str, keys: tuple[str, ...], values: Sequence[Json], total: int) -> _Place:
    """The values of one place over all cases, merged."""
    there = [value for value in values if value is not None]
    below: dict[str, list[Json]] = {}
    objects = [value for value in there if isinstance(value, dict)]
    for key, each in (pair for value in objects for pair in value.items()):
        below.setdefault(key, []).append(each)
    if len(keys) >= MAX_DEPTH or len(objects) < len(there):
        below = {}
    kept = set(sorted(below, key=lambda key: -len(below[key]))[:MAX_FIELDS])
    parts = tuple(_merged(file, (*keys, k), below[k], total) for k in below if k in kept)
    nulls = len(values) - len(there)
    reason = f" It is null in {nulls} of {len(values)} cases." if nulls else ""
    selector = Selector(file, ".".join(keys) or WHOLE_FILE)
    name = (keys[-1] if keys else PurePosixPath(file).stem).replace(".", "_")
    place = _Place(None, name, selector, reason, (len(values), total))
    return replace(place, keys=keys, inside=frozenset(_keys_below(there)), parts=parts)


def _keys_below(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in below:
        yield from _keys_below(each)


def _judge_by_company(places: Sequence[_Place]) -> None:
    """What nothing is said of, judged by what else there is; without an input, the likeliest."""
    given = {place.file for place in places if place.side == _IN}
    expected = [place for place in places if place.side == _EXPECTED]
    for place in places:
        near = [p for p in expected if p.file == place.file and p.keys]
        if place.is_open and near and place.keys and given and place.file not in given:
            why = f"It lies among what is expected ({near[0].name}), apart from the inputs."
            place.put(_EXPECTED, 0, why)
    if not any(place.side == _IN for place in places) and (expected or len(places) == 1):
        rest = [place for place in places if place.is_open and not place.side]
        marked = {place.file for place in expected if place.gives_away}
        for place in rest:
            if len({each.file for each in rest}) == 1 or place.file in marked:
                place.put(_IN, 0, "No other input is found; please check.")


def _shortened(quote: str, limit: int = 90) -> str:
    """A quote of at most so many characters, cut between words."""
    quote = re.sub(r"\s+", " ", quote).strip(" ,;.:…")
    return quote if len(quote) <= limit else quote[: limit - 1].rsplit(" ", 1)[0] + " …"
