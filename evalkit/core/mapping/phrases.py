"""The words and phrases by which people say what a field is for, one a line.

They are words of everyday English and German, with a few of French and Spanish, and no field's
name is among them as an answer. In a phrase, ``<skill>`` and its like stand for the parts listed
in ``_PARTS``; the rest is regular expression, whatever its case.
"""

from __future__ import annotations

import re

from evalkit.core.mapping.wording import word_set

_PARTS = {
    "skill": (
        r"(?:the |an? |your |our )?(?:\w+ )?"
        r"(?:skill|agent|assistant|bot|chatbot|llm|claude|pipeline|workspace|sandbox"
        r"|(?:system|model) under test)s?\b"
    ),
    "judge": (
        r"(?:(?:the|an?|our|llm|model|human) )*"
        r"(?:judge|grader|scorer|evaluator|checker|rater)s?\b"
    ),
    "asker": (
        r"\b(?:user|customer|client|caller|visitor|patient|student|reporter|buyer|guest)(?:'s|s')?"
    ),
    "given": (
        r"(?:sent|send|passed|given|shown|provided|handed|fed|forwarded|supplied|submitted|goes|go"
        r"|visible|available|put|posed|copied|placed|written|exposed|revealed|disclosed|known)"
    ),
    "never": r"(?:never|not|cannot|can't|won't|doesn't|\w+ not)",
    "gets": (
        r"(?:reads?|receives?|gets?|sees?|takes?|consumes|works? (?:on|with|from)"
        r"|starts? (?:from|with)|is (?:given|asked|told|handed|shown|fed))\b"
    ),
    "has to": r"(?:should|must|has to|is to|is (?:asked|supposed|expected) to)",
    "do": (
        r"(?:do|perform|follow|carry out|execute|work on|solve|complete|handle|process|tackle"
        r"|answer|summari[sz]e|translate|classify|review|fix|implement|analy[sz]e|rewrite|read"
        r"|investigate)\b"
    ),
    "come": r"(?:return|produce|output|contain|include|match|find)",
    "says": r"(?:ask|say|want|write|type|need|send|wrote|said|sent|typed|entered|put)\w*",
    "material": (
        r"\b(?:text|code|document|article|file|e-?mail|ticket|image|diff|passage|snippet|sentence"
        r"|contract|invoice|essay)s?"
    ),
    "answer": (
        r"(?:answer|output|solution|text|summar(?:y|ies)|translation|response|reply|replie"
        r"|implementation|result|value|label|document|doc|sql|query|code|patch|number|verdict"
        r"|classification)s?\b"
    ),
    "expert": (
        r"(?:expert|human|person|professional|specialist|editor|teacher|doctor|lawyer|reviewer"
        r"|annotator|colleague|maintainer)s?\b"
    ),
    "agent": r"(?:skill|agent\w*|assistent\w*|modell)",
}


def _phrases(lines: str) -> re.Pattern[str]:
    """One expression for all lines."""
    alternatives = [line.strip() for line in lines.splitlines() if line.strip()]
    expression = "|".join(f"(?:{line})" for line in alternatives)
    for name, part in _PARTS.items():
        expression = expression.replace(f"<{name}>", part)
    return re.compile(expression, re.IGNORECASE)


WITHHELD = _phrases(r"""
    (?:not|never|n't|no longer) (?:\w+ ){0,2}?<given> (?:in)?to <skill>
    (?:not|never|n't) (?:be )?(?:copied|shown|revealed|disclosed|exposed)\b
    (?:not|never|n't) (?:be )?(?:seen|read|received|known) by\b
    \bno <skill> (?:ever )?(?:sees|reads|gets)\b
    (?:hidden|withheld|kept|held|concealed|away)(?: \w+)? from <skill>
    <skill> (?:\w+ )?<never>(?: \w+)? (?:see|read|get|receive|know)s?\b
    \b(?:unseen|invisible|hidden|secret)\b
    (?:stripped|removed|deleted|dropped|redacted|masked) (?:\w+ )*before\b
    \bmust not (?:leak|reach|end up)\b
    (?:nie|niemals|nicht) (?:\w+ ){0,4}?(?:kopiert|gezeigt|sichtbar|übergeben|gegeben|verraten)\b
    <agent> (?:\w+ )?(?:sieht|liest|bekommt|erhält|kennt) (?:\w+ )?(?:nie|niemals|nicht)\b
""")
"""The skill is kept from it."""

DELIVERED = _phrases(r"""
    <given>(?: as \w+)? (?:in)?to <skill>
    <skill>(?:'s)? (?:\w+ly |also |first |then )?<gets>
    (?:passed|given|used|sent) as (?:the |an? )?(?:argument|prompt|input|user message)s?\b
    <agent> (?:liest|bekommt|erhält|sieht|bearbeitet)\b
    (?:an|dem|den|der) <agent> (?:\w+ )?(?:geschickt|gesendet|übergeben|gegeben|gestellt)\b
""")
"""The skill is given it."""

JUDGED = _phrases(r"""
    (?:for|by|to|only) <judge>
    <judge> (?:only|reads?|uses?|checks?|compares?|sees?|gets?|needs?|looks?)\b
    (?:for|used in|used for) (?:judging|scoring|grading|comparison|verification)\b
    (?:used|needed|meant|serves) to (?:judge|score|grade|verify|compare)\b
    \b(?:scored?|judged?|graded?|checked|measured?|evaluated?|tested) against\b
    \bcompare[ds]?\b.{0,40}\b(?:with|against|to)\b
    \bagainst which\b
    (?:nur )?(?:für|zur) (?:die )?(?:bewertung|benotung|prüfung)\b
    \bfür (?:den|die) (?:judge|richter|prüfer|gutachter)\w*
""")
"""Judges use it."""

ASKING = _phrases(r"""
    what (?:<skill>|it) <has to> <do>
    (?:<skill>|it) <has to> <do>
    \b(?:what|as|how) (?:the |an? )?<asker> <says>
    <asker> (?:message|request|question|query|prompt|input|utterance|turn|text|ticket)s?\b
    \bfor (?:the |an? |our )(?:\w+ )?(?:skill|agent|assistant|bot)\b
    \bquestions?\b
    \bquer(?:y|ies)\b
    \brequests?\b
    \bprompts?\b
    \binstructions?\b
    \btasks?\b
    \bproblem (?:statement|description)s?\b
    \binputs?\b
    \bcontext\b
    \bbackground\b
    \butterances?\b
    \b(?:conversation|chat|dialog(?:ue)?|message) (?:history|so far)\b
    \bhistory\b
    \bmessages?\b
    \b(?:raw|original|source) (?:text|document|code|material|file|message|e-?mail)s?\b
    \b(?:arguments?|parameters?) (?:of|for|to)\b
    <material> (?:to|which is to|that is to) (?:be )?(?!<come>|the\b|an?\b)[a-z]+
    \b(?:an|be)?frag(?:e|en|estellung)\b
    \beingaben?\b
    \b(?:aufgabe|anweisung|auftr[aä]g|nachricht|(?:be)?nutzer)\w*
    \bkund(?:en|in)?(?:frage|anfrage|nachricht|text)\w*
    \bkontext\b
    \b(?:ausgangs|quell)text\w*
    \bzu \w+(?:end|nd)e[rnms]?\b
    \bpreguntas?\b
    \bentrada\b
    \bconsigne\b
""")
"""It is what a skill works on."""

EXPECTED = _phrases(r"""
    \bexpect(?:ed|s|ation|ations)?(?=\b|_)
    \bgold(?:en)?(?:[- ]standard)?(?=\b|_)
    \bground[- ]truth\b
    \b(?:reference|right|true|ideal|model|sample|target|accepted) (?:\w+ )?<answer>
    \bcorrect(?:ed)? \w+
    \b(?:desired|perfect|best|canonical) (?:\w+ )?<answer>
    \b(?:ideal|ideally|desired|acceptable|unacceptable|forbidden|disallowed|not allowed)\b
    \bas (?:the |an? )?reference\b
    \breference for\b
    \bthe reference\b(?! (?:number|id|code)s?\b)
    \banswer key\b
    \brubrics?\b
    \bassert(?:ion)?s?\b
    \bcriteri(?:a|on)\b
    \bverdicts?\b
    \btoleran(?:ce|t)\b
    \bpass(?:es|ed)? if\b
    \bthresholds?\b
    (?<!to )\banswers?\b
    \blabels?\b
    \blabell?ed\b
    \bannotat(?:ion|ions|ed)\b
    \boutcomes?\b
    \bbaseline\b
    \boutputs?\b(?! (?:format|language|director|dir|path|file|folder|style|length))
    \b(?:human|expert|hand)[- ](?:written|authored|labell?ed|made|checked|curated)\b
    \bby (?:an? |the |our )?(?:\w+ )?<expert>
    \b(?:should|must|ought to)(?:n't)? (?:(?:not|never|also) )?[a-z]+
    \bwhat (?:has to|must|should|is to) (?:come out|be|appear)\b
    \b(?:what )?an? (?:good|correct|perfect|right|ideal|competent|expert) \w+
    \bwhat (?:good|correct|perfect|right)\b
    \bwould like to (?:see|read|get|have)\b
    \berwart(?:et|ung)\w*
    \bsoll(?:te|ten|en)?\b
    \bsoll-?\w+
    \bmuster(?:lösung|antwort|text|übersetzung)\w*
    \breferenz\w*
    \bgoldstandard\w*
    \b(?:richtig|korrekt|ideal|gewünscht)e[nrsm]?\b
    \b(?:lösung|vorgabe)\w*
    \bantworten?\b
    \battendue?s?\b
    \besperad[oa]s?\b
    \brespuestas?\b
    \bréponses?\b
    \bréférence\b
    \bcorrect[ao]s?\b
""")
"""It is what a skill should come to."""

SORTING = _phrases(r"""
    \b(?:test|case|internal|eval(?:uation)?) metadata\b
    \bbookkeeping\b
    \bcategor(?:y|ies)\b
    \bdifficulty\b
    \btags?\b
    \bidentifiers?\b
    \buni(?:que)? id\b
    \b(?:kind|type|sort) of (?:case|test|question|request|task|scenario)\b
    \bfor (?:reporting|filtering|grouping|slicing|statistics|stats|analytics|humans|maintainers)\b
    \bnotes? (?:to|for|by) (?:self|humans|maintainers|reviewers|developers|authors?|the author)\b
    \b(?:informational|misc|housekeeping|administrative|not used)\b
    \bother fields?\b
    \bwhere (?:it|this|we|the case) \w+ (?:it )?from\b
    \bwho (?:wrote|made|added) (?:the |this )?(?:case|test)\b
    \b(?:kategorie|schwierigkeit|schlagw)\w*
    \bnur (?:zur|für die) (?:statistik|einordnung|sortierung)\b
    \bkennung\b
""")
"""It sorts or describes cases."""

GOLD = re.compile(
    r"expect|gold|ground.truth|reference|the reference|correct|erwart|muster|referenz|attendu"
    r"|esperad",
    re.IGNORECASE,
)
"""How the clearest phrases of :data:`EXPECTED` begin."""

APART = re.compile(
    r"\b(?:pinned|before|prior|earlier|unlike|without|instead|apart|pre-\w+|vor|ohne)\b",
    re.IGNORECASE,
)
"""Words that set a thing apart from the answer named after them: "pinned to before the gold MR"."""

# -- words in names ------------------------------------------------------------------------------

GOLD_WORDS = word_set(
    """expected expect expects expectation expectations gold golden groundtruth truth oracle
    soll sollte musterloesung musterlösung musterantwort goldstandard erwartet erwartete erwarteter
    erwartetes erwartung erwartungen attendu attendue attendus attendues esperado esperada"""
)
JUDGING_WORDS = word_set(
    """rubric rubrics assertion assertions assert asserts forbidden forbid forbids should must
    acceptance disallowed banned tolerance verdict grading grader judge judges judging desired
    ideal muss darf"""
)
ANSWER_HEADS = word_set(
    """answer answers label labels target targets output outputs result results response responses
    reply replies solution solutions reference references score scores criteria criterion baseline
    outcome outcomes annotation annotations check checks correct
    antwort antworten loesung lösung ergebnis referenz bewertung pruefung prüfung kontrolle
    réponse reponse respuesta"""
)
QUALIFIERS = word_set("reference correct right true accepted acceptable model sample target best")
POINTERS = word_set(
    """doc docs document documents url urls link links id number date material materials manual page
    pages repo image images data table list file files path name"""
)
ASKING_HEADS = word_set(
    """input inputs prompt prompts question questions query queries request requests instruction
    instructions task tasks message messages context history conversation dialogue utterance problem
    command args arguments params parameters article document documents passage transcript text
    frage anfrage eingabe aufgabe auftrag nachricht kontext ticket issue brief scenario
    pregunta entrada consigne"""
)
SORTING_HEADS = word_set(
    """category categories tag tags difficulty uuid author authors owner created updated metadata
    meta info split weight provenance license readme changelog
    kategorie schwierigkeit schlagworte autor"""
)
REMARK_HEADS = word_set(
    """note notes comment comments remark remarks description title name summary rationale
    explanation reason why hint hints beschreibung titel bemerkung notiz hinweis"""
)
CASE_WORDS = word_set("case test example sample eval row record item")
KIND_OF_WORDS = word_set("input case test question task query prompt scenario")
TAIL_WORDS = word_set("text value values key list md txt json yaml yml file en de fr")
