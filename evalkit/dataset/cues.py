"""The words by which names and descriptions say what a field is for.

A lean is a hint for the rules and decides nothing. A description leans to the phrase that comes
first, because a noun phrase begins with what the thing is ("the answer to the question" is an
answer); who gets it outranks what it is. In a phrase ``<skill>`` and its like stand for the parts
in ``_PARTS``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["inputs", "expectations", "out"]

MAX_DESCRIPTION = 4_000
"""Characters of a description that are looked at."""

_PARTS = {
    "skill": r"(?:the |an? |your |our )?(?:\w+ )?(?:skill|agent|assistant|bot|llm|claude|model"
    r"|pipeline|workspace|sandbox|system under test|reviewer)s?\b(?!(?: \w+)? (?:judge|grader))",
    "judge": r"(?:(?:the|an?|our|llm|human) )*(?:judge|grader|scorer|evaluator|checker|rater)s?\b",
    "given": r"(?:sent|passed|given|shown|provided|handed|fed|goes|visible|available|copied|placed"
    r"|written|exposed|revealed|mounted)",
    "gets": r"(?:reads?|receives?|gets?|sees?|takes?|consumes|opens|looks up|is called with"
    r"|works? (?:on|with|from)|starts? (?:from|with)|is (?:given|asked|told|handed|shown))\b",
    "thing": r"(?:answer|output|solution|text|summary|translation|response|reply|itinerary|fix"
    r"|implementation|result|value|label|document|sql|query|code|patch|prompt|number|approach)s?",
    "person": r"(?:an? |the |our )?(?:\w+ )?(?:expert|human|person|people|professional|doctor"
    r"|lawyer|maintainer|engineer|agent|clerk|teacher|analyst|annotator)s?\b",
}


def _phrases(lines: str) -> re.Pattern[str]:
    """One expression for all lines."""
    expression = "|".join(f"(?:{line.strip()})" for line in lines.splitlines() if line.strip())
    for name, part in _PARTS.items():
        expression = expression.replace(f"<{name}>", part)
    return re.compile(expression, re.IGNORECASE)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WITHHELD = _phrases(r"""
    (?:not|never|n't) (?!always)(?:\w+ )?<given>\b
    (?:not|never|n't) (?:be )?(?:seen|read|received|known) by\b
    (?:hidden|withheld|kept|concealed|away)(?: \w+)? from <skill>
    <skill> (?:\w+ )?(?:never|not|cannot|can't|doesn't)(?: \w+)? (?:see|read|get|receive)s?\b
    \b(?:unseen|invisible|hidden|secret)\b
    (?:stripped|removed|redacted|masked) (?:\w+ )*before\b
""")
_APART = re.compile(
    r"\b(?:pinned|before|prior to|unlike|without|instead of|apart from|pre-merge)\b[^,;.)]*",
    re.IGNORECASE,
)
"""What is set apart from the answer named in it: "pinned to before the gold fix"."""
_JUDGED = _phrases(r"""
    (?:for|by|to|only) <judge>
    <judge> (?:only|reads?|uses?|checks?|compares?|sees?|gets?|needs?|looks?|weighs?|run)\b
    (?:for|used in|used for) (?:judging|scoring|grading|comparison|verification)\b
    (?:used|needed|meant|serves) to (?:judge|score|grade|verify|compare)\b
    \b(?:scored?|judged?|graded?|checked|measured?|evaluated?|tested) (?:against|in)\b
    \bcompare[ds]?\b.{0,40}\b(?:with|against|to)\b
""")
_DELIVERED = _phrases(r"""
    <given>(?: as \w+)? (?:(?:in)?to|for) <skill>
    <skill>(?:'s)? (?:\w+ly |also |first |then |may |can )?<gets>
    (?:read|used|opened|consumed) by <skill>
    (?:passed|given|used|sent) as (?:the |an? )?(?:argument|prompt|input|user message)s?\b
    \b(?:data|material|context|files?) for <skill>
""")
GOLD = _phrases(r"""
    \bexpect(?:ed|s|ation|ations)?(?=\b|_)
    \bgold(?:en)?(?:[- ]standard)?(?=\b|_)
    \bground[- ]truth\b|\bknown[- ]good\b|\bexemplary\b|\banswer key\b
    \b(?:merged|upstream)\b.{0,25}\b(?:fix|change|diff|patch)\b
    \b(?:reference|right|true|ideal|model|sample|correct) (?:\w+ )?<thing>\b
    \bcorrect(?:ed)? \w+
    \bas (?:the |an? )?reference\b|\bthe reference\b(?! (?:number|id|code)s?\b)
    \b(?:ideal|desired|acceptable|unacceptable|forbidden)\b
""")
"""The clearest words for what a skill should come to."""
_ANSWER = _phrases(r"""
    \brubrics?\b|\bassert(?:ion)?s?\b|\bcriteri(?:a|on)\b|\bverdicts?\b|\bthresholds?\b
    (?<!to )\banswers?\b|\blabels?\b|\blabell?ed\b|\bannotat(?:ion|ions|ed)\b|\boutcomes?\b
    \boutputs?\b(?! (?:format|language|director|dir|path|file|folder|style|length))|\bbaseline\b
    \b(?:human|expert|hand)[- ](?:written|authored|labell?ed|made|checked|translation)\b
    \b(?:by|that) <person>(?! (?:gets?|reads?))
    <person> (?:typed|wrote|chose|gave|answered|found|labell?ed|picked|assigned|marked|listed)\b
    \b(?:should|must|ought to)(?:n't)? (?:(?:not|never|also) )?[a-z]+
    \bwhat (?:is )?(?:right|good|a good)\b|\ba good <thing>|\bwould (?:like to|have to)\b
""")
_ASKED = _phrases(r"""
    \bwhat (?:the |an? )?\w+ (?:is )?(?:ask|say|want|write|said|wrote|told)\w*
    \bwhat (?:the |an? )?(?:skill|agent|it) (?:has to|must|should|is to)\b
    \b(?:user|customer|client|caller|patient|student|shopper)(?:'s)?\b
    \bquestions?\b|\bquer(?:y|ies)\b|\brequests?\b|\bprompts?\b|\binstructions?\b|\btasks?\b
    \bproblem (?:statement|description)s?\b|\binputs?\b|\bcontext\b|\bbackground\b|\bhistory\b
    \bfixtures?\b|\bcalls to the \w+ are redirected\b
    \bmessages?\b|\bconversation\b|\bwhat to do\b|\b(?:arguments?|parameters?) (?:of|for|to)\b
    \b(?:raw|original|source) (?:text|document|code|material|file|message|e-?mail)s?\b
    \b(?:text|code|document|article|file|ticket|letter|diff|essay|passage)s? to (?!the\b|an?\b)\w+
""")
_SORTING = _phrases(r"""
    \b(?:test|case|internal|eval(?:uation)?) metadata\b|\bbookkeeping\b|\bslicing\b
    \bcategor(?:y|ies)\b|\bdifficulty\b|\btags?\b|\buni(?:que)? id\b
    \bfor (?:reporting|filtering|grouping|statistics|humans|maintainers)\b
    \b(?:notes?|remarks) (?:to|for|by|of) (?:self|humans|maintainers|developers|(?:the )?authors?)\b
    \b(?:informational|housekeeping|not used)\b|\blimit of the run\b
    \bwhere (?:it|this|we|the case) \w+ (?:it )?from\b|\bwho (?:made|added|checked)\b
""")
_KINDS: tuple[tuple[Part, int, re.Pattern[str]], ...] = (
    ("expectations", 2, GOLD),
    ("inputs", 1, _ASKED),
    ("expectations", 1, _ANSWER),
    ("out", 1, _SORTING),
)


@dataclass(frozen=True, slots=True)
class Lean:
    """What a name or a description leans to; false where it says nothing either way.

    Attributes:
        part: Where the thing seems to go.
        weight: 2 where the words leave little doubt, 1 for common ones, 0 for a remark's.
        cue: The words.
        who: Whether they say who gets it, rather than what it is.
    """

    part: Part | None = None
    weight: int = 0
    cue: str = ""
    who: bool = False

    def __bool__(self) -> bool:
        return self.part is not None

    @property
    def input(self) -> bool:
        """Whether it leans to the inputs."""
        return self.part == "inputs"

    @property
    def expected(self) -> bool:
        """Whether it leans to the expectations."""
        return self.part == "expectations"

    @property
    def gold(self) -> bool:
        """Whether there is little doubt that it is expected."""
        return self.expected and self.weight > 1

    def outweighs(self, said: Lean) -> bool:
        """Whether, as a file's name, it says more than the file's description."""
        if not self or said.who or said.part == self.part:
            return False
        is_role = self.cue.startswith(("input", "annotation"))
        return said.part == "out" or self.weight > 1 or is_role


def description_lean(text: str) -> Lean:
    """What a description leans to."""
    text = text[:MAX_DESCRIPTION]
    if found := _WITHHELD.search(text):
        return Lean("expectations", 2, found[0], who=True)
    text = _APART.sub("", text)
    found_all = [(m, part, weight) for part, weight, cue in _KINDS if (m := cue.search(text))]
    found_all.sort(key=lambda each: (each[0].start(), -each[0].end()))
    first = next((Lean(part, weight, m[0].strip()) for m, part, weight in found_all), Lean())
    if (found := _DELIVERED.search(text)) and not first.gold:
        return Lean("inputs", 2, found[0], who=True)
    if found := _JUDGED.search(text):
        return Lean("expectations", 2, found[0], who=True)
    return first


_GOLD_WORDS = _words("""
    expected expect expects expectation expectations gold golden groundtruth truth oracle solution
    ideal hidden forbidden rubric rubrics assert assertions should must acceptance acceptable
    tolerance verdict grading judge judges soll erwartet erwartung erwartete musterantwort
    musterloesung attendu attendue esperado esperada
""")
_ANSWER_HEADS = _words("""
    answer answers label labels target targets output outputs result results response responses
    reply solutions reference references score scores criteria criterion baseline outcome outcomes
    required annotation annotations check checks correct traps issues antwort antworten reponse
    respuesta
""")
_QUALIFIERS = _words("reference correct right true accepted model sample target best")
_POINTERS = _words("""
    doc docs document documents url urls link links id number date material manual page pages repo
    image data table list file files path name code language
""")
_ASKED_HEADS = _words("""
    input inputs prompt prompts question questions query queries request requests instruction
    instructions task tasks message messages context history conversation utterance problem command
    args arguments params vars article document documents passage transcript text ticket issue
    brief scenario source spec persona frage anfrage eingabe aufgabe entree pregunta
""")
_SORTING_HEADS = _words("""
    category categories tag tags difficulty uuid author authors owner created updated metadata meta
    info split weight provenance license readme changelog
""")
_REMARK_HEADS = _words("""
    note notes comment comments remark remarks description title name summary rationale explanation
    reason why hint hints
""")
_CASE_WORDS = _words("case test example sample eval row record item display short")
_KIND_WORDS = _CASE_WORDS | _words("input question task query prompt scenario")
_TAIL_WORDS = _words("text value values key list md txt json yaml yml file en de fr")


def name_lean(name: str) -> Lean:
    """What a field's or file's name leans to.

    Words of judging count wherever they stand, the others only as the head of the name: an
    ``answer_format`` is a format.
    """
    words = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-zß-ÿ]+|\d+", name)] or [""]
    while len(words) > 1 and (words[-1] in _TAIL_WORDS or words[-1].isdigit()):
        words.pop()
    head, before = words[-1], frozenset(words[:-1])
    gold = next((word for word in words if word in _GOLD_WORDS), "")
    if {"known", "good"} <= set(words):
        gold = "known good"
    if (words[0] == "reference" and before and head not in _POINTERS) or (
        head in _ANSWER_HEADS and before & _QUALIFIERS
    ):
        gold = gold or head
    bound = words[0] if before and words[0] in {"min", "max"} else ""
    sorts = head in _SORTING_HEADS or words[0] in {"created", "updated", "added"}
    sorts = sorts or (head in {"id", "ids", "version"} and before <= _CASE_WORDS)
    leans: tuple[tuple[object, Part, int, str], ...] = (
        (gold, "expectations", 2, gold),
        (head in _ANSWER_HEADS or bound, "expectations", 1, bound or head),
        (sorts or (head in {"type", "kind"} and before <= _KIND_WORDS), "out", 1, head),
        (head in _REMARK_HEADS and before <= _CASE_WORDS, "out", 0, head),
        (head in _ASKED_HEADS, "inputs", 1, head),
    )
    return next((Lean(*lean[1:]) for lean in leans if lean[0]), Lean())


def is_answer(name: str) -> bool:
    """Whether the name alone leaves little doubt that it is what is expected."""
    return name_lean(name).gold


def first_lean(texts: Iterable[str]) -> tuple[Lean, str]:
    """The first description that leans to something: how, and its words."""
    return next(((lean, text) for text in texts if (lean := description_lean(text))), (Lean(), ""))


def shortened(quote: str, limit: int = 90) -> str:
    """A quote of at most so many characters, cut between words."""
    quote = re.sub(r"\s+", " ", quote).strip(" ,;.:…")
    return quote if len(quote) <= limit else quote[: limit - 1].rsplit(" ", 1)[0] + " …"
