"""Proposing a mapping: which field or file of a case is an input, which is expected, and why.

Evidence is what the schema says line by line, names, the files that fields lie in, the skill's
arguments and what judges read. Two mistakes are not equally bad: an expected answer among the
inputs gives the answer away, so where the evidence is divided a place is no input.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from evalkit.dataset.cases import Case
from evalkit.dataset.cues import (
    SAID,
    Lean,
    SchemaReader,
    SchemaRemark,
    covers,
    description_lean,
    name_lean,
)
from evalkit.dataset.mapping import WHOLE_FILE, Selector, Side
from evalkit.dataset.proposal import (
    CLEAR,
    Choice,
    MappingProposal,
    drop_copies,
    with_good_names,
)
from evalkit.jsonable import Json

RARE = 0.01  # files in fewer than this share of the cases are summed up, not proposed
MAX_FIELDS = 60  # of a document with more fields than this, only the most frequent are proposed
MAX_DEPTH = 6  # nested deeper than this is content, not structure
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


def propose_by_rules(
    schema: str, cases: Sequence[Case], arguments: str = "", judges: str = ""
) -> MappingProposal:
    """A mapping for the cases, by rules.

    The schema is the prose of ``dataset.schema``, the arguments a template such as ``{question}``,
    the judges their code and prompts; each may be empty.
    """
    evidence = _Evidence(schema, cases, arguments, judges)
    places = [part for whole in evidence.places() for part in evidence.decided(whole, None)]
    _take_the_rest(places)
    drop_copies(places, cases)
    return MappingProposal((*with_good_names(places), *evidence.left_over()))


class _Evidence:
    """What the cases hold, and all that speaks for or against its being an input."""

    def __init__(self, schema: str, cases: Sequence[Case], arguments: str, judges: str) -> None:
        self._cases, self._total = cases, len(cases)
        self._files = Counter(file for case in cases for file in case.listing)
        documents: dict[str, list[Json]] = defaultdict(list)
        for file, document in (each for case in cases for each in case.documents.items()):
            documents[file].append(document)
        self._documents = {f: _merged(f, (), each, self._total) for f, each in documents.items()}
        self._texts = Counter(f for case in cases for f in case.texts if f not in documents)
        fields = {key for whole in self._documents.values() for key in whole.inside}
        self._remarks = [*SchemaReader(self._files, fields).read(schema)]
        self._argued = {one or other for one, other in _ARGUMENT.findall(arguments)}
        self._judged = {name: where for where, name in _JUDGED.findall(judges)}
        self._role = cache(self._find_role)
        self._placed: set[str] = set()

    def places(self) -> Iterator[_Place]:
        """Every field of a case's own documents, and its other files.

        Files of one folder that are called differently in most cases are one place, a pattern.
        """
        folders: dict[str, list[str]] = defaultdict(list)
        for file in (*self._documents, *self._texts):
            path = PurePosixPath(file)
            is_in_folder = file in self._texts and "/" in file and self._is_known(file)
            folders[f"{path.parent}/*{path.suffix}" if is_in_folder else file].append(file)
        for pattern, files in folders.items():
            alone = sum(self._texts[file] == 1 for file in files)
            if self._total > 1 < alone and 2 * alone > len(files):
                self._placed.update(files)
                hits = sum(not set(files).isdisjoint(case.texts) for case in self._cases)
                yield self._whole_file(pattern, PurePosixPath(pattern).parent.name, hits)
                continue
            for file in filter(self._is_own, files):
                self._placed.add(file)
                if not (whole := self._documents.get(file)):
                    yield self._whole_file(file, PurePosixPath(file).stem, self._texts[file])
                elif "/" in file and self._role(file)[0].side == _EXPECTED:
                    yield whole
                else:
                    yield from whole.parts or (whole,)

    def left_over(self) -> Iterator[Choice]:
        """What no selector can name, once the places are found."""
        folders: Counter[str] = Counter()
        for file, hits in self._files.items():
            if file in self._placed:
                continue
            if self._is_own(file):
                why = "It is no text, or too large."
                yield Choice(None, file, None, why, (hits, self._total))
            else:
                folders[f"{PurePosixPath(file).parts[0]}/" if "/" in file else "*"] += hits
        for folder, files in folders.items():
            what = "the schema does not speak of this folder; it seems to be a workspace"
            what = "called differently in nearly every case" if folder == "*" else what
            reason = f"{files} file{'s' if files > 1 else ''}: {what}."
            yield Choice(None, folder, None, reason, (0, self._total))

    def _whole_file(self, file: str, name: str, hits: int) -> _Place:
        selector = Selector(file, WHOLE_FILE)
        return _Place(None, name.replace(".", "_"), selector, "", (hits, self._total))

    def _is_own(self, file: str) -> bool:
        """Whether it is the case's own, and not one of many or of a workspace that comes along."""
        return self._files[file] >= RARE * self._total and self._is_known(file)

    def _is_known(self, file: str) -> bool:
        """Whether it lies on top, or something says what it is."""
        lean = self._role(file)[0]
        return "/" not in file or bool(self._about(file) or (lean.weight and lean.side))

    def _about(self, file: str) -> list[SchemaRemark]:
        """What the schema says of a file."""
        return [r for r in self._remarks if r.is_file and covers(r.name, file.replace("*", "x"))]

    def _find_role(self, file: str) -> tuple[Lean, str]:
        """What a file is for, by the schema or its name, and why as a clause about it.

        Who gets it outranks clear words for an answer, and these any other.
        """
        path = PurePosixPath(file)
        leans = [name_lean(each) for each in (path.stem, *path.parts[-2::-1])]
        named = max(leans, key=lambda lean: (bool(lean), lean.weight))
        texts = [text for remark in self._about(file) for text in (remark.own, remark.shared)]
        roles = [
            (description_lean(t), f"which the schema describes as {_quoted(t)}") for t in texts
        ]
        return max(
            (each for each in (*roles, (named, f"whose name says “{named.cue}”")) if each[0]),
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
        is_open = place.name.lower() in _CONTAINERS or any(
            f".{place.name}." in f".{name}" for name in named
        )
        if place.parts and place.keys and (hides or is_open):
            for each in place.parts:
                yield from self.decided(each, place)
            return
        if hides:
            place.put(None, CLEAR, "Its items hold what is expected, and no selector parts them.")
        place.reason += nulls
        yield place

    def _decide(self, place: _Place, parent: _Place | None) -> None:
        """The first row that holds decides."""
        path, key = f".{'.'.join(place.keys)}", place.keys[-1] if place.keys else ""
        remarks = [r for r in self._remarks if not r.is_file and path.endswith(f".{r.name}")]
        spoken, said = _first_lean(remark.own for remark in remarks)
        beside, told = _first_lean(remark.shared for remark in remarks)
        named, (file, why), above = name_lean(key), self._role(place.file), parent or place
        judged = self._judged.get(key, "")
        quote = next((quote for r in remarks if (quote := _quoted(r.own)) != "“”"), "")
        words = f"; the schema says {quote}" if quote else ""
        takes = f"The skill's arguments take {{{place.name}}}{words}"
        lies = f"It lies in {place.file}, {why}{words}"
        says, calls = f"The schema says {_quoted(said)}", f"Its name says “{named.cue}”{words}"
        is_split = spoken.side == _IN and _EXPECTED in {file.side, beside.side}
        is_sorting = named and not named.side and (file.weight, file.side) != (SAID, _IN)
        is_sorting = is_sorting and bool(named.weight or (file.side == _IN and not remarks))
        inherits = above.side and (above.weight >= CLEAR or named.side in {None, above.side})
        weight = 0 if place.keys else file.weight
        table: tuple[tuple[object, Side | None, int, str], ...] = (
            (spoken.gold, _EXPECTED, CLEAR, says),
            (self._is_argued(place), _IN, CLEAR, takes),
            (named.gold, _EXPECTED, CLEAR, calls),
            (spoken and (spoken.weight == SAID or not is_split), *spoken[:2], says),
            (beside and file.side != _EXPECTED, *beside[:2], f"It is listed under {_quoted(told)}"),
            (inherits, above.side, above.weight, f"It is a part of {above.name}. {above.reason}"),
            (judged and file.side != _IN, _EXPECTED, CLEAR, f"The judges read it from {judged}"),
            (is_sorting, *named[:2], f"“{named.cue}” is for readers of cases{words}"),
            (file.side, file.side, weight, lies),
            (named.side, named.side, 1, calls),
            (True, None, 0, f"Nothing says whether the skill gets it or it is expected{words}"),
        )
        side, weight, reason = next(row[1:] for row in table if row[0])
        place.put(side, weight, f"{reason.rstrip('.')}.")


def _first_lean(texts: Iterable[str]) -> tuple[Lean, str]:
    """The first description that leans to something: how, and its words."""
    leans = ((description_lean(text), text) for text in texts)
    return next((each for each in leans if each[0]), (Lean(), ""))


def _merged(file: str, keys: tuple[str, ...], values: Sequence[Json], total: int) -> _Place:
    """The values of one place over all cases, merged."""
    there = [value for value in values if value is not None]
    below: dict[str, list[Json]] = {}
    objects = [value for value in there if isinstance(value, dict)]
    if len(keys) < MAX_DEPTH and len(objects) == len(there):
        for key, each in (pair for value in objects for pair in value.items()):
            below.setdefault(key, []).append(each)
    kept = set(sorted(below, key=lambda key: -len(below[key]))[:MAX_FIELDS])
    nulls = len(values) - len(there)
    return _Place(
        side=None,
        name=(keys[-1] if keys else PurePosixPath(file).stem).replace(".", "_"),
        selector=Selector(file, ".".join(keys) or WHOLE_FILE),
        reason=f" It is null in {nulls} of {len(values)} cases." if nulls else "",
        coverage=(len(values), total),
        keys=keys,
        inside=frozenset(_keys_below(there)),
        parts=tuple(_merged(file, (*keys, k), below[k], total) for k in below if k in kept),
    )


def _keys_below(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in below:
        yield from _keys_below(each)


def _take_the_rest(places: Sequence[_Place]) -> None:
    """Without any other input, what nothing is said of and lies in one file is the likeliest."""
    sides = {place.side for place in places}
    rest = [place for place in places if not (place.side or place.weight)]
    is_likely = "expectations" in sides or len(places) == 1
    if is_likely and "inputs" not in sides and len({place.file for place in rest}) == 1:
        for place in rest:
            place.put(_IN, 0, "No other input is found; please check.")


def _quoted(words: str, limit: int = 90) -> str:
    """Words in quotation marks, at most so many characters, cut between words."""
    words = re.sub(r"\s+", " ", words).strip(" ,;.:…")
    return f"“{words if len(words) <= limit else words[: limit - 1].rsplit(' ', 1)[0] + ' …'}”"
