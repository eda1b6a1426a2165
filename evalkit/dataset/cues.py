"""What names and a schema's lines say of the files and fields that the cases hold.

A line that begins with a name (a bullet, ``name (type): …``, a table's row) is about it; in a
sentence, a name stands with the words beside it. More of the prose is not understood.

A lean is a hint and decides nothing. Who gets a thing outranks what it is, and of several words the
first counts, since a noun phrase begins with what the thing is ("the answer to the question").
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from evalkit.dataset.mapping import Side

SAID = 3  # the weight of words on who gets a thing
_GOLD = """expected expect expectation gold golden groundtruth truth oracle ideal forbidden
    acceptable unacceptable desired exemplary erwartet erwartung"""
_ANSWER = """answer label labelled output solution rubric assertion criteria criterion verdict
    baseline outcome annotation annotated threshold must should tolerance"""
_ASKED = """input prompt question query queries request instruction task message context background
    history conversation problem persona scenario brief anfrage frage"""
_SORTS = "category categories tag difficulty bookkeeping informational"
_SKILL = (
    r"(?:\w+ ){0,2}(?:skill|agent|assistant|bot|llm|claude|model|workspace|sandbox|reviewer)s?\b"
    r"(?!(?: \w+)? (?:judge|grader))"
)
_JUDGE = r"(?:(?:the|an?|our|llm|human) )*(?:judge|grader|scorer|evaluator)s?\b"
_GIVEN = r"(?:sent|passed|given|shown|provided|handed|goes|available|copied|written|mounted|read)"
_GETS = r"(?:reads?|receives?|gets?|sees?|takes?|looks up|starts? with|is (?:given|asked|told)|may)"
_PERSON = (
    r"(?:an? |the )?(?:\w+ )?(?:expert|human|person|people|doctor|engineer|clerk|teacher|analyst)s?"
)
_THING = r"(?:answer|output|solution|response|reply|fix|implementation|result|query|prompt)s?"


def _cue(words: str, *phrases: str) -> re.Pattern[str]:
    """One expression for phrases and for words, which may have a plural."""
    singles = (rf"\b{word}s?(?![\w-])" for word in words.split())
    return re.compile("|".join((*phrases, *singles)), re.IGNORECASE)


_WITHHELD = _cue(
    "unseen hidden withheld",
    rf"(?:not|never|n't) (?!always)(?:\w+ )?(?:{_GIVEN}|seen|get)\b",
    r"(?:stripped|removed|redacted|kept) (?:\w+ )*(?:before|from)\b",
)
_DELIVERED = _cue(
    "",
    rf"(?:{_GIVEN}|data|context|files?)(?: as \w+)? (?:(?:in)?to|for) {_SKILL}",
    rf"(?:read|used) by {_SKILL}|{_SKILL} (?:also |first |then )?{_GETS}\b(?! (?:judge|grader))",
)
_JUDGED = _cue(
    "",
    rf"(?:for|by|to|only) {_JUDGE}|{_JUDGE} \w+|\bcompare[ds]?\b.{{0,40}}\b(?:with|against|to)\b",
    r"(?:for|used to|meant to) (?:judg|scor|grad|verif|compar)\w+",
)
_KINDS: tuple[tuple[Side | None, int, re.Pattern[str]], ...] = (
    (
        "expectations",
        2,
        _cue(
            _GOLD,
            r"\bknown[- ]good\b|\bcorrect(?:ed)? \w+|\bmerged\b.{0,25} (?:fix|change|diff|patch)",
            rf"\b(?:reference|right|true|model|sample) (?:\w+ )?{_THING}\b",
        ),
    ),
    (
        "inputs",
        1,
        _cue(
            f"{_ASKED} user customer client caller patient student fixture",
            r"\bwhat to do\b|\bcalls to the \w+ are redirected\b",
        ),
    ),
    (
        "expectations",
        1,
        _cue(
            _ANSWER,
            rf"{_PERSON} (?:typed|wrote|chose|gave|found|labell?ed|picked|marked|extracted)\b",
        ),
    ),
    (None, 1, _cue(_SORTS, r"\b(?:for|of|by) (?:reporting|filtering|grouping|maintainers)\b")),
)


class Lean(NamedTuple):
    """What words lean to, None for what only sorts or describes cases; without a cue, to nothing.

    The weight is :data:`SAID`, 2 where little doubt is left, 1 for common words, 0 for remarks.
    """

    side: Side | None = None
    weight: int = 0
    cue: str = ""

    def __bool__(self) -> bool:
        return bool(self.cue)

    @property
    def gold(self) -> bool:
        """Whether there is little doubt that it is expected."""
        return self.side == "expectations" and self.weight > 1


def description_lean(text: str) -> Lean:
    """What a description leans to."""
    text = text[:4000]
    hits = [(m, Lean(side, weight, m[0])) for side, weight, c in _KINDS if (m := c.search(text))]
    first = min(hits, key=lambda hit: (hit[0].start(), -hit[0].end()), default=(None, Lean()))[1]
    if found := _WITHHELD.search(text):
        return Lean("expectations", SAID, found[0])
    if (found := _DELIVERED.search(text)) and not first.gold:
        return Lean("inputs", SAID, found[0])
    if found := _JUDGED.search(text):
        return Lean("expectations", SAID, found[0])
    return first


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_JUDGING = _set(f"{_GOLD} rubric assert should must solution hidden acceptance tolerance verdict")
_JUDGING |= _set("grading judge")
_REMARKS = _set(
    "id version note comment remark description title name summary rationale explanation hint"
)
_CASE = _set("case test example sample eval row record item display short")
_HEADS: tuple[tuple[Side | None, frozenset[str]], ...] = (
    (
        "expectations",
        _set(f"{_ANSWER} target result response reply reference score required check correct trap")
        | _set("issues antwort"),
    ),
    (
        None,
        _set(f"{_SORTS} uuid author owner created updated added metadata meta info split")
        | _set("provenance license readme changelog"),
    ),
    (
        "inputs",
        _set(f"{_ASKED} utterance args argument param var article document passage")
        | _set("transcript text ticket issue source spec"),
    ),
)


def name_lean(name: str) -> Lean:
    """What a field's or file's name leans to.

    Words of judging count wherever they stand, the others only at the end: an ``answer_format`` is
    a format.
    """
    words = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-zß-ÿ]+", name)] or [""]
    forms = [{word, word.removesuffix("s")} for word in words]
    head = words[-1]
    gold = next((w for w, own in zip(words, forms, strict=True) if own & _JUDGING), "")
    if gold or {"known", "good"} <= {*words}:
        return Lean("expectations", 2, gold or "known good")
    if forms[-1] & _REMARKS and {*words[:-1]} <= _CASE:
        return Lean(None, 0, head)
    if head in {"type", "kind"} and {*words[:-1]} <= _CASE | _set(_ASKED):
        return Lean(None, 1, head)
    return next((Lean(side, 1, head) for side, heads in _HEADS if heads & forms[-1]), Lean())


_NAME = re.compile(
    r"[\"'`]*(?P<name>\.?[\w*<>{}-]+(?:[./:]{1,2}[\w*<>{}-]+)*/?)(?:[\"`]|'(?!s\b))*"
)
_HEAD = re.compile(r"(?:optional(?:ly)?\s|the\s|an?\s|field\s|file\s)*\Z", re.IGNORECASE)
_HEADING = re.compile(r"[A-Z][^.;:|`\"]{2,60}:(?=\s|$)|[a-z_]\w{2,30}:$")
_JOINED = re.compile(r"(?:[\s,/&+]|\b(?:and|or|optional(?:ly)?|the|an?)\b)*\Z")
_SIGN = re.compile(r"(?:\s*[(\[{][^()]*[)\]}])*\s*(?::|[—\N{EN DASH}#=](?=\s)|--?\s)")
_CLAUSE = re.compile(r";\s|(?<=[\w)\"'`])\.\s+(?=[\w`\"'.])")
_LEFT = re.compile(
    r"(?:^|'s|[^\w\s.]|\b(?:and|or|with|holds?|has|contains?|reads?|fields?|keys?))\s*\Z"
)
_RIGHT = re.compile(r"\s*(?:$|[^\w\s']|(?:and|or|of|is|are|fields?|keys?)\b)")
_BETWEEN = " |,:\"'`-—\N{EN DASH}=#"


@dataclass(slots=True)
class SchemaRemark:
    """What the schema says of a field, or of a file: on it alone, and with others beside it."""

    name: str
    is_file: bool
    own: str
    shared: str


def covers(written: str, file: str) -> bool:
    """Whether a schema means a file by what it writes: a name, a path, a pattern, a folder."""
    if written.endswith("/"):
        return f"/{written}" in f"/{file}"
    return fnmatchcase(f"/{file}", f"*/{written}") or f"/{written}".endswith(f"/{file}")


class SchemaReader:
    """Reads a schema with the names of files and fields that the cases know."""

    def __init__(self, files: Collection[str], fields: Collection[str]) -> None:
        self._files, self._fields = files, fields

    def read(self, schema: str) -> Iterator[SchemaRemark]:
        """Everything that the schema says of a name."""
        headings: list[tuple[tuple[int, bool], str]] = []
        for depth, text in self._lines(schema):
            while headings and headings[-1][0] >= depth:
                headings.pop()
            above = headings[-1][1] if headings else ""
            if heading := _HEADING.match(text):
                above = f"{heading[0]} {above}".strip()
            headings.append((depth, above))
            remarks: list[SchemaRemark] = []
            for clause in _CLAUSE.split(text):
                if found := self._subjects(clause):
                    remarks += reversed([*self._clause(clause, found, above)])
                elif remarks and not clause.endswith(":"):
                    remarks[-1].own += f". {clause}"
            yield from remarks

    def _lines(self, schema: str) -> Iterator[tuple[tuple[int, bool], str]]:
        """(indent, is a bullet) and text of the lines, each with those that it is wrapped into."""
        depth, whole = (0, False), ""
        for raw in [*schema.splitlines(), ""]:
            text, indent = raw.strip().replace("**", ""), len(raw) - len(raw.lstrip())
            is_blank = not text or re.fullmatch(r"[-=_*~|: ]{3,}|(?:```|~~~).*", text)
            bullet = re.match(r"(?:[-*+•|]|\d+[.)])\s+", text)
            begins = is_blank or bullet or re.match(r"#|\w+:$", text)
            starts = bool(begins) or self._begins_with_name(text)
            if whole and not starts and indent >= sum(depth):
                whole += f" {text}"
                continue
            if whole:
                yield depth, whole
            text = text[bullet.end() :] if bullet else text
            text = text.strip("# :") + ":" if text.startswith("#") else text
            depth, whole = (indent, bool(bullet)), "" if is_blank else text

    def _begins_with_name(self, text: str) -> bool:
        first = next(self._names(text), None)
        return bool(first and _HEAD.match(text[: first.start()]))

    def _names(self, text: str) -> Iterator[re.Match[str]]:
        """Where a sentence has a file, or a field that is quoted, spelt or placed like one."""
        for match in _NAME.finditer(text):
            name = match["name"]
            if self._is_file(name):
                yield match
            elif name.rpartition(".")[2] in self._fields:
                is_marked = match[0] != name or re.search(r"[_.\d]|[a-z][A-Z]", name)
                is_apart = _LEFT.search(text[: match.start()]) and _RIGHT.match(text, match.end())
                if is_marked or is_apart:
                    yield match

    def _subjects(self, clause: str) -> list[re.Match[str]]:
        """The names that a clause is about: fields that it begins with and a colon, else all."""
        found = [*self._names(clause)]
        end = 0
        for number, match in enumerate(found):
            between = clause[end : match.start()]
            is_next = _JOINED.match(between) if number else _HEAD.match(between)
            if not is_next or self._is_file(match["name"]):
                break
            end = match.end()
            if _SIGN.match(clause, end):
                return found[: number + 1]
        return found

    def _is_file(self, name: str) -> bool:
        return any(covers(name.partition(":")[0], file) for file in self._files)

    def _clause(self, text: str, found: list[re.Match[str]], above: str) -> Iterator[SchemaRemark]:
        """What a clause says of its names, last first: joined ones share the words behind them."""
        shared = f"{text[: found[0].start()]} … {above}".strip(" …")
        words, end = "", len(text)
        for match in reversed(found):
            between = text[match.end() : end]
            words = words if _JOINED.match(between) else between.strip(_BETWEEN).lstrip(")]}")
            file, _, key = match["name"].partition(":")
            is_file = self._is_file(file) and not key
            yield SchemaRemark(match["name"] if is_file else key or file, is_file, words, shared)
            end = match.start()
