"""The words by which names and descriptions say what a field or a file is for.

A lean is a hint and decides nothing: who gets a thing outranks what it is, and of several cues the
first counts, since a noun phrase begins with what the thing is ("the answer to the question"). In
a phrase ``<skill>`` and its like stand for the parts in ``_PARTS``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from evalkit.dataset.mapping import Side

_PARTS = {
    "skill": r"(?:\w+ ){0,2}(?:skill|agent|assistant|bot|llm|claude|model|pipeline|workspace"
    r"|sandbox|reviewer)s?\b(?!(?: \w+)? (?:judge|grader))",
    "judge": r"(?:(?:the|an?|our|llm|human) )*(?:judge|grader|scorer|evaluator|checker|rater)s?\b",
    "given": r"(?:sent|passed|given|shown|provided|handed|fed|goes|visible|available|copied|placed"
    r"|written|exposed|mounted|seen|read|received)",
    "gets": r"(?:reads?|receives?|gets?|sees?|takes?|opens|looks up|is called with"
    r"|works? (?:on|with|from)|starts? (?:from|with)|is (?:given|asked|told|handed|shown))\b",
    "thing": r"(?:answer|output|solution|text|summary|translation|response|reply|fix|approach"
    r"|implementation|result|value|label|document|sql|query|code|patch|prompt|itinerary)s?\b",
    "person": r"(?:an? |the |our )?(?:\w+ )?(?:expert|human|person|people|professional|doctor"
    r"|lawyer|maintainer|engineer|agent|clerk|teacher|analyst|annotator)s?\b",
}


def _phrases(lines: str, words: str = "") -> re.Pattern[str]:
    """One expression for phrases, a line each, and single words."""
    found = [line.strip() for line in lines.strip().splitlines()]
    expression = "|".join([*found, *(rf"\b{word}(?![a-z])" for word in words.split())])
    for name, part in _PARTS.items():
        expression = expression.replace(f"<{name}>", part)
    return re.compile(expression, re.IGNORECASE)


_GOLD = """expected expect expects expectation expectations gold golden groundtruth truth oracle
    ideal forbidden acceptable unacceptable desired exemplary erwartet erwartung"""
_ANSWER = """answer answers label labels labelled outputs solution solutions rubric rubrics
    assertion assertions criteria criterion verdict verdicts baseline outcome outcomes annotation
    annotations annotated threshold thresholds must should tolerance"""
_ASKED = """input inputs prompt prompts question questions query queries request requests
    instruction instructions task tasks message messages context background history conversation
    problem persona scenario brief anfrage frage"""
_SORTS = "category categories tag tags difficulty bookkeeping informational"

_WITHHELD = _phrases(r"""
    (?:not|never|n't) (?!always)(?:\w+ )?<given>\b
    (?:withheld|kept|concealed|away)(?: \w+)? from <skill>
    <skill> (?:\w+ )?(?:never|not|cannot|can't|doesn't)(?: \w+)? (?:see|read|get|receive)s?\b
    \b(?:unseen|hidden|secret)\b|(?:stripped|removed|redacted|masked) (?:\w+ )*before\b
""")
_DELIVERED = _phrases(r"""
    <given>(?: as \w+)? (?:(?:in)?to|for) <skill>|(?:read|used|opened) by <skill>
    <skill>(?:'s)? (?:\w+ly |also |first |then |may |can )?<gets>
    \b(?:data|material|context|files?) for <skill>
    (?:passed|given|used|sent) as (?:the |an? )?(?:argument|prompt|input|user message)s?\b
""")
_JUDGED = _phrases(r"""
    (?:for|by|to|only) <judge>|<judge> (?:only|\w+s|read|use|check|compare|see|get|need|run)\b
    (?:for|used in|used for|used to|needed to|meant to) (?:judg|scor|grad|verif|compar)\w+
    \b(?:scored?|judged?|graded?|checked|measured?|evaluated?|tested) (?:against|in)\b
    \bcompare[ds]?\b.{0,40}\b(?:with|against|to)\b
""")
_CUES: tuple[tuple[Side | None, int, re.Pattern[str]], ...] = (
    (
        "expectations",
        2,
        _phrases(
            r"""\bknown[- ]good\b|\bcorrect(?:ed)? \w+|\banswer key\b|\bas (?:the |an? )?reference\b
            \b(?:merged|upstream)\b.{0,25}\b(?:fix|change|diff|patch)\b
            \b(?:reference|right|true|model|sample) (?:\w+ )?<thing>""",
            _GOLD,
        ),
    ),
    (
        "inputs",
        1,
        _phrases(
            r"""\bwhat (?:the |an? )?\w+ (?:is )?(?:ask|say|want|write|said|wrote|told)\w*
            \b(?:user|customer|client|caller|patient|student|shopper)(?:'s)?\b|\bfixtures?\b
            \b(?:text|code|document|article|file|letter|diff|essay)s? to (?!the\b|an?\b)\w+
            \bwhat to do\b|\bcalls to the \w+ are redirected\b""",
            _ASKED,
        ),
    ),
    (
        "expectations",
        1,
        _phrases(
            r"""\b(?:human|expert|hand)[- ](?:written|authored|made|checked|translation)\b
            \b(?:by|that) <person>(?! (?:gets?|reads?))
            <person> (?:typed|wrote|chose|gave|found|labell?ed|picked|assigned|marked|listed)\b""",
            _ANSWER,
        ),
    ),
    (None, 1, _phrases(r"\b(?:for|of|by) (?:reporting|filtering|grouping|maintainers)\b", _SORTS)),
)


SAID = 3
"""The weight of words on who gets a thing."""


class Lean(NamedTuple):
    """What a name or a description leans to; without a cue, it says nothing either way.

    Attributes:
        side: Where the thing seems to go; None where it only sorts or describes cases.
        weight: :data:`SAID` where it says who gets the thing, 2 where the words leave little
            doubt, 1 for common ones, 0 for a remark's.
        cue: The words.
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
    if found := _WITHHELD.search(text):
        return Lean("expectations", SAID, found[0])
    hits = [(m, Lean(side, weight, m[0])) for side, weight, c in _CUES if (m := c.search(text))]
    hits.sort(key=lambda hit: (hit[0].start(), -hit[0].end()))
    first = next((lean for _, lean in hits), Lean())
    if (found := _DELIVERED.search(text)) and not first.gold:
        return Lean("inputs", SAID, found[0])
    if found := _JUDGED.search(text):
        return Lean("expectations", SAID, found[0])
    return first


def first_lean(texts: Iterable[str]) -> tuple[Lean, str]:
    """The first description that leans to something: how, and its words."""
    leans = ((description_lean(text), text) for text in texts)
    return next((each for each in leans if each[0]), (Lean(), ""))


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_GOLD_NAMES = _set(f"""{_GOLD} rubric rubrics assert assertions should must solution hidden
    acceptance tolerance verdict grading judge judges""")
_REMARKS = _set("""note notes comment comments remark remarks description title name summary
    rationale explanation reason why hint hints""")
_CASE_WORDS = _set("case test example sample eval row record item display short")
_NAMES: tuple[tuple[Side | None, frozenset[str]], ...] = (
    (
        "expectations",
        _set(f"""{_ANSWER} target targets output result results response responses reply reference
        references score scores required check checks correct traps issues antwort"""),
    ),
    (
        None,
        _set(f"""{_SORTS} uuid author authors owner created updated added metadata meta info split
        weight provenance license readme changelog"""),
    ),
    (
        "inputs",
        _set(f"""{_ASKED} utterance command args arguments params vars article document documents
        passage transcript text ticket issue source spec"""),
    ),
)


def name_lean(name: str) -> Lean:
    """What a field's or file's name leans to.

    Words of judging count wherever they stand, the others only at the end: an ``answer_format`` is
    a format.
    """
    words = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-zß-ÿ]+", name)] or [""]
    head, before = words[-1], {*words[:-1]}
    gold = next((word for word in words if word in _GOLD_NAMES), "")
    if gold or {"known", "good"} <= {*words}:
        return Lean("expectations", 2, gold or "known good")
    if head in {"id", "ids", "version", *_REMARKS} and before <= _CASE_WORDS:
        return Lean(None, int(head not in _REMARKS), head)
    if head in {"type", "kind"} and before <= {*_CASE_WORDS, *_ASKED.split()}:
        return Lean(None, 1, head)
    return next((Lean(side, 1, head) for side, heads in _NAMES if head in heads), Lean())
