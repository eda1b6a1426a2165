"""The words by which names and descriptions say what a field or a file is for.

A lean is a hint and decides nothing. Who gets a thing outranks what it is, and of several words the
first counts, since a noun phrase begins with what the thing is ("the answer to the question").
"""

from __future__ import annotations

import re
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
