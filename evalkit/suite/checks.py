"""What rules can tell of an answer: the very functions that a suite's ``scorers.py`` holds.

Each check yields the parts of its bound that an answer breaks, each with a reason. It knows nothing
of how bounds are learned, and uses nothing but the standard library, because its source is copied.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

Problems = Iterator[tuple[str, str]]

WORD = re.compile(r"[^\W\d_][\w'’]*")
LINK = re.compile(r"https?://[^\s<>()\[\]{}\"'`|]+|\bwww\.[^\s<>()\[\]{}\"'`|]+")
SENTENCE = re.compile(r"(?<=[.!?。！？])[\"')\]]*\s+|\n+")
FIGURE = re.compile(
    r"([€$£¥]|\b(?:EUR|USD|GBP|CHF|Rs)\b)?\s?"
    r"(?<![\w.])((?:[^\W\d_]+[-_/]?)?\d(?:[\w]|[.,:/_-](?=[^\W_]))*)"
    r"(?:\s?([%€$£¥°]\w?)|\.?[ -](?:[^\W\d_]+\s(?=[^\W\d_]))??([^\W\d_]+))?"
)

UNITS = {
    word: number
    for number, words in enumerate(
        (
            "s sec secs second seconds sekunde sekunden seconde secondes segundo segundos secondi",
            "min mins minute minutes minuten minuto minutos minuti",
            "h hr hrs hour hours stunde stunden heure heures hora horas ore uur",
            "day days tag tage tagen jour jours día días giorno giorni dag dagen dia dias",
            "week weeks woche wochen semaine semaines semana semanas settimana settimane weken",
            "month months monat monate monaten mois mes meses mese mesi maand maanden",
            "year years jahr jahre jahren ans année années año años anno anni jaar ano anos",
            "ms millisecond milliseconds",
            "% percent prozent procent pourcent percento",
            "€ eur euro euros",
            "$ usd dollar dollars",
            "£ gbp pound pounds",
            "¥ yen jpy",
            "chf franken",
            "mm",
            "cm",
            "m meter meters metre metres mètre mètres metro metros",
            "km kilometer kilometers kilometre kilometres",
            "inch inches",
            "ft foot feet",
            "mile miles",
            "mg",
            "g gram grams gramm gramme grammes",
            "kg kilo kilos kilogram kilograms",
            "ml",
            "l liter liters litre litres",
            "w watt watts",
            "kw",
            "mw",
            "wh",
            "kwh",
            "mwh",
            "v volt volts",
            "hz",
            "khz",
            "mhz",
            "ghz",
            "kb",
            "mb",
            "gb",
            "tb",
            "db",
            "°c celsius",
            "°f fahrenheit",
            "million millions millionen",
            "billion billions milliarden milliards",
            "nights nächte nuits noches notti",
        )
    )
    for word in words.split()
}

MONTHS = re.compile(
    r"(?i)(jan|gen|ene)|(fe[bvú])|(m[aä]r|maa)|(a[pbv]r)|(mai\b|may|mag|mei|mayo)|(jun|giu|juin)"
    r"|(jul|lug|juil)|(aug|ago|ao[uû])|(sep|set)|(o[ck]t|out|ott)|(nov)|(de[czs]|dic)"
)

STOPWORDS = {
    "en": "the is are of to and you your in on it for can with this that not be at from will was",
    "de": "der die das ist und nicht sie ihre ich ein eine mit auf für zu den dem von wird haben",
    "fr": "le la les est et vous votre pas un une des du pour dans que nous sur avec ne je de",
    "es": "el la los es y su usted no un una de para por que en con se las del está ha",
    "it": "il la i è e non un una di per che in con si del le sono lei della gli ha",
    "pt": "o a os é e não um uma de para por que em com se do da você as está seu",
    "nl": "de het een is en niet u uw ik van op voor met te zijn dat wij naar wordt bij",
    "pl": "jest i nie się na do to w z że jak dla od po ale czy przez są tego pani",
    "sv": "är och inte att det en ett som på för med du din av har till vi den kan om",
}

SCRIPTS = {
    "ru": "[а-яё]",
    "el": "[α-ω]",
    "zh": "[一-鿿]",
    "ja": "[ぁ-ヿ]",
    "ko": "[가-힯]",
    "ar": "[ء-ي]",
    "he": "[א-ת]",
    "hi": "[ऀ-ॿ]",
    "th": "[ก-๛]",
}

REFUSALS = {
    "error": r"(?i)^\W*(?:fatal |internal |unexpected |unhandled )*(?:traceback \(most recent"
    r"|[a-z_.]*(?:error|exception)\b\s*[:\]\"'(]|error\b(?:\s+(?:code|while|in|occurred|\d)|\s*$)"
    r"|an? (?:\w+ ){0,3}(?:error|exception) (?:has |have )?(?:occurred|happened)"
    r"|(?:oops\W*|sorry\W*)?something went wrong|(?:http[ /]?)?[45]\d\d\b\W*(?:internal|bad|service"
    r"|gateway|too many|unauthori|forbidden|not found|error)|internal server error|bad gateway"
    r"|service unavailable|rate limit|(?:the )?(?:request|connection|call) timed out)",
    "refusal": r"(?i)\b(?:i|we)(?:['’]m| am| are)? (?:afraid i |sorry,? (?:but )?i )?(?:can['’]?t"
    r"|cannot|can not|won['’]t|(?:am |are )?(?:not able|unable) to) (?:help|assist|answer|comply"
    r"|process|fulfil|provide|do that|discuss)|i must decline|(?:nicht|leider nicht?) "
    r"(?:helfen|beantworten|weiterhelfen)|ne peux pas (?:vous )?(?:aider|répondre)"
    r"|no puedo (?:ayudar|responder)|non posso (?:aiutar|rispond)|não posso (?:ajudar|responder)"
    r"|kan (?:u|je)? ?(?:hier)?(?:mee|bij)? ?niet (?:mee )?helpen",
    "about itself": r"(?i)\bas an? (?:ai|artificial|large|language)\b|\bi(?:['’]m| am) (?:just |only )"
    r"?an? (?:ai\b|language model|virtual|chatbot)|\bmy (?:training|knowledge cut)|\bals (?:ki|sprach"
    r"modell)|\ben tant qu['’](?:ia|intelligence)|\bcomo (?:ia|modelo de)",
    "not known": r"(?i)\bi (?:do not|don['’]t|did not|didn['’]t) (?:know|have (?:any |enough |access))"
    r"|\bi(?:['’]m| am) not (?:sure|certain)|\bno idea\b|weiß (?:ich )?(?:es )?nicht|je ne sais pas"
    r"|no lo sé|non (?:lo )?so\b",
}

LOOKS = {
    "a code block": r"```",
    "a table": r"(?m)^[ \t]*\|.+\|[ \t]*$",
    "a list": r"(?m)^[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]+\S",
    "a heading": r"(?m)^#{1,6}[ \t]+\S",
    "bold": r"\*\*\S",
    "markup": r"</?[a-zA-Z][\w-]*(?:\s[^<>]*)?/?>",
    "an emoji": r"[\U0001F300-\U0001FAFF☀-➿]",
    "several words in capitals": r"\b[A-ZÄÖÜ]{2,} [A-ZÄÖÜ]{2,} [A-ZÄÖÜ]{2,}\b",
    "broken characters": r"�|Ã[\x80-\xbf©¼¶¤Ÿ]|â€|\\u[0-9a-f]{4}|\\n",
    "reasoning": r"(?i)</?think|<\|?\w+\|>|\b(?:tool_calls?|function_call|chain of thought)\b"
    r"|\b(?:let me think|the user (?:wants|asks|is asking)|i should (?:call|use|answer))\b",
    "fields of JSON": r"[{,]\s*\"[\w ]+\"\s*:",
    "several exclamation marks": r"!\s*!|!.*!.*!",
    "a question": r"\?",
    "a reference": r"\[[\w.#-]*\d\]",
    "a hedge": r"(?i)\b(?:i (?:think|guess|believe|suppose)|maybe|perhaps|probably|might be|possibly"
    r"|vielleicht|vermutlich|peut-être|quizás|forse|talvez|misschien)\b",
    "a remark about other sources": r"(?i)\b(?:i (?:read|heard|found)|according to (?:wikipedia|the "
    r"internet|google|my)|as everyone knows|studies show)\b",
}

PLACEHOLDERS = (
    r"\{\{.*?\}\}|\$\{\w+\}|(?<![\w{\"'])\{[A-Za-z_ ]{2,30}\}|<[A-Z][A-Z_ ]{2,}>|<(?:your|insert|the"
    r" |customer|name)[^<>]*>|\[(?:[A-Z][A-Z_ ]{2,}|(?i:(?:your|insert|customer|enter|company|recipient"
    r"|add|agent)\b[^\]\n]{0,40}|name|date|amount|link))\]|\b(?:TODO|TBD|FIXME|XXX+|[Ll]orem ipsum"
    r"|undefined|NaN|None|null)\b|\[object Object\]|%[sd]\b|_{4,}"
)

PROMISES = re.compile(
    r"(?i)\b(?:voucher|free|gratis|discount|refund|replac|reimburs|compensat|guarante|warrant|promis"
    r"|gift|credit|waiv|lifetime|complimentary|bonus|upgrade|priorit|tomorrow|tonight|today|immediate"
    r"|instant|personally|gutschein|rabatt|kostenlos|garantier|erstatt|versprech|entschädig|geschenk"
    r"|morgen|heute|sofort|gratuit|rembours|garanti|promet|cadeau|offert|demain|immédiat|descuento"
    r"|reembols|garantiz|promet|regalo|mañana|gratuit|sconto|rimbors|garant|domani|desconto|amanhã"
    r"|korting|vergoed|beloof)\w*"
)

RUDE = (
    r"(?i)\b(?:idiot\w*|stupid\w*|shut up|moron\w*|dumb\w*|damn\w*|crap|bullshit|fuck\w*|shit\w*|ass"
    r"hole|hell|fool\w*|lazy|pathetic|ridiculous|nonsense|bother(?:ing)? (?:us|me)|waste (?:of )?(?:my|"
    r"our) time|your own fault|get lost|whatever|not (?:my|our) problem|i don['’]t care|can['’]t you "
    r"read|obviously you|learn to|stop (?:asking|complaining|whining)|calm down|annoying|dämlich"
    r"|dumm\w*|blöd\w*|halt die klappe|scheiß\w*|nerv\w*|selber schuld|imbécile\w*|stupide|ta gueule"
    r"|merde|estúpid\w*|idiota\w*|cállate|mierda|cretino|stronz\w*)\b"
)

PERSONAL = {
    "an email address": r"[\w.+-]+@[\w-]+\.[\w.]+\w",
    "a phone number": r"(?<![\w-])(?:\+\d{1,3}[\s./-]?)?(?:\(\d{2,5}\)|\b\d{2,5})(?:[\s./-]\d{2,5}){2,4}\b",
    "a card number": r"\b(?:\d{4}[ -]?){3}\d{1,7}\b",
    "an account number": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b",
    "a social security number": r"\b\d{3}-\d{2}-\d{4}\b",
    "a secret": r"\b(?:sk|pk|ghp|xox[bp]|AKIA)[-_]?\w{12,}|(?i:password|passwort|api[ _-]?key)\W+\S{4,}",
    "an address": r"(?i)\b\d{1,4} [A-Z]\w+ (?:street|st\.|road|avenue|ave\.|lane|drive)\b"
    r"|\b[A-Z]\w+(?:straße|strasse|weg|platz) \d+|date of birth|born on",
    "an IP address": r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
}

NEGATION = re.compile(
    r"(?i)^(?:not|no|never|cannot|neither|nor|without|unable|nicht|kein\w*|nie\w*|ohne|pas|jamais|sans"
    r"|ni|nunca|sin|non|mai|senza|não|sem|niet|geen|nooit|zonder|\w+n['’]t)$"
)

OPPOSITES = {
    one: other
    for pair in (
        "online offline|open closed|above below|before after|more less|always never|accept reject"
        "|accepted rejected|approved denied|approve deny|allowed forbidden|valid invalid|true false"
        "|possible impossible|included excluded|available unavailable|increase decrease|first last"
        "|increased decreased|higher lower|maximum minimum|enabled disabled|active inactive|yes no"
        "|success failure|passed failed|safe unsafe|required optional|cheaper costlier|early late"
        "|earlier later|morning evening|start end|left right|hot cold|on off|with without"
        "|unopened opened|most least|highest lowest|longer shorter|normal abnormal|correct incorrect"
    ).split("|")
    for one, other in (pair.split(), reversed(pair.split()))
}


class Case:
    """A request with its answer, as checks look at them."""

    def __init__(self, inputs: Any, outputs: Any, sources: Any = (), prompts: Any = ()) -> None:
        self.inputs = inputs
        self.value = final(outputs)
        self.prompts = "\n".join(texts(prompts))
        self.sources = "\n".join(texts(sources, named=True))
        self.request = "\n".join(texts(inputs))
        self.leaves = list(leaves(self.value))
        self.text = "\n".join(each for _, each in self.leaves if is_prose(each)) or (
            self.value if isinstance(self.value, str) else ""
        )

    @cached_property
    def given(self) -> str:
        """All that the answer may draw from, in lower case."""
        named = "\n".join(texts(self.inputs, named=True))
        return "\n".join((named, self.sources, self.prompts)).casefold()

    @cached_property
    def given_stems(self) -> set[str]:
        """The stems of what the answer may draw from."""
        return stems(self.given)

    @cached_property
    def given_figures(self) -> dict[str, set[int]]:
        """The numbers that the answer may draw from, with the units that stand beside them."""
        found: dict[str, set[int]] = {}
        for what, unit, _, _ in figures(self.given):
            for part in {what, *(plain(p) for p in re.split(r"[-/:. t]", what) if p)}:
                found.setdefault(part, set()).update([] if unit is None else [unit])
        return found


def texts(value: Any, *, named: bool = False) -> Iterator[str]:
    """All texts and numbers in a value, in order, and the names of its fields where asked for."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            label = re.sub(r"[_-]", " ", str(key)) + " " if named else ""
            yield from (label + text for text in texts(each, named=named))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each, named=named)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def final(outputs: Any) -> Any:
    """The answer proper: a conversation's last message, a completion's text, what JSON text holds."""
    if isinstance(outputs, str):
        held = json_in(outputs)
        return outputs if held is None else held
    if isinstance(outputs, dict):
        for name, at in (("choices", 0), ("messages", -1)):
            if isinstance(outputs.get(name), list) and outputs[name]:
                return final(outputs[name][at])
        message = outputs.get("message", outputs)
        is_message = isinstance(message, dict) and message.keys() & {"role", "type"}
        return final(message["content"]) if is_message and message.get("content") else outputs
    if isinstance(outputs, list | tuple) and outputs and isinstance(outputs[-1], dict):
        if outputs[-1].keys() >= {"role", "content"}:
            return final(outputs[-1])
        if all(isinstance(each, dict) and each.get("type") == "text" for each in outputs):
            return "\n".join(str(each.get("text", "")) for each in outputs)
    return outputs


def json_in(text: str) -> Any:
    """The object or list that a text holds, in a code fence or not; None where it holds none."""
    bare = re.sub(r"^\s*```\w*\n(.*?)```\s*$", r"\1", text, flags=re.DOTALL).strip()
    if bare[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(bare)
    except (ValueError, RecursionError):
        return None


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """What lies in a value, by its place; items of a list share a place."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from leaves(each, f"{at}[]")
    else:
        yield at, value


def is_prose(value: Any) -> bool:
    """Whether it is text of four words or more."""
    return isinstance(value, str) and len(value.split()) > 3  # noqa: PLR2004


def stems(text: str) -> set[str]:
    """The beginnings of a text's longer words, which forms of a word share."""
    return {word[:5] for word in map(str.casefold, WORD.findall(text)) if len(word) > 3}  # noqa: PLR2004


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text."""
    return [each.strip() for each in SENTENCE.split(text) if each.strip()]


def plain(number: str) -> str:
    """A number without separators of thousands, closing noughts and leading ones."""
    bare = re.sub(r"(?<=\d)[,.](?=\d{3}\b(?![.,]\d{1,2}[.,]))", "", number).replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", bare):
        bare = bare.rstrip("0").rstrip(".")
    return bare.lstrip("0") or "0" if bare[:1].isdigit() else bare


def month(word: str) -> int | None:
    """The number of the month that a word names, in the larger languages of Europe."""
    found = MONTHS.match(word) if 2 < len(word) < 11 else None  # noqa: PLR2004
    return found.lastindex if found else None


def figures(text: str) -> Iterator[tuple[str, int | None, str, str]]:
    """The numbers and ids of a text: what, its unit's number if any, kind, as it is written."""
    bare = re.sub(r"(?m)^[ \t#>*-]*\d{1,3}[.)][ \t]|\[\d{1,2}\]", " ", LINK.sub(" ", text))
    for found in FIGURE.finditer(bare):
        before, token, sign, after = found.groups()
        glued = re.fullmatch(r"(\d[\d.,]*)[-]?([^\W\d_]{1,12})", token)
        words = [glued[2]] if glued else [before, sign, after]
        units = [UNITS[w.casefold()] for w in words if w and w.casefold() in UNITS]
        what = plain(glued[1] if glued and units else token.casefold())
        kind = "id" if re.search(r"[^\W\d_]", what) else "digit" if len(what) == 1 else "number"
        yield what, units[0] if units else None, kind, found[0].strip()


def dates(text: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Month and day of the dates in a text, and how each is written."""
    for found in re.finditer(r"\b\d{4}-(\d\d)-(\d\d)", text):
        yield (int(found[1]), int(found[2])), found[0]
    named = r"\b(?:(\d{1,2})(?:st|nd|rd|th|\.|er)?(?: of| de)? ([^\W\d_]+)|([^\W\d_]+) (\d{1,2})\b(?!:))"
    for found in re.finditer(named, text):
        number = month(found[2] or found[3])
        if number:
            yield (number, int(found[1] or found[4])), found[0]


def language(text: str) -> str:
    """The language of a text by its script or its smallest words; empty where that cannot be told."""
    for code, letters in SCRIPTS.items():
        if len(re.findall(letters, text)) * 3 > len(re.sub(r"\W", "", text)):
            return code
    words = [word.casefold() for word in WORD.findall(text)]
    shares = {code: sum(w in known.split() for w in words) for code, known in STOPWORDS.items()}
    best, second = sorted(shares, key=shares.__getitem__)[:-3:-1]
    is_clear = shares[best] >= max(2, 0.12 * len(words)) and shares[best] > 1.5 * shares[second]
    return best if is_clear else ""


def no_answer(case: Case, _bound: dict[str, Any]) -> Problems:
    """The answer is there, and is neither an error's text nor a refusal nor talk about itself."""
    if not any(str(text).strip() for text in texts(case.value)) and not any(
        isinstance(each, bool | int | float) for _, each in case.leaves
    ):
        yield "empty", "there is no answer"
    for part, pattern in REFUSALS.items():
        found = re.search(pattern, case.text)
        if found:
            yield part, f"{part}: {found[0][:80]!r}"


def broken_shape(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer has the fields, kinds, labels and forms of values that good answers have."""
    places = bound["places"]
    seen: dict[str, list[Any]] = {}
    for at, value in case.leaves:
        seen.setdefault(at, []).append(value)
        place = places.get(at)
        if place is None:
            yield "new fields", f"{at or 'the answer'} is not known"
            continue
        kind = type(value).__name__
        if kind not in place["kinds"]:
            yield f"{at} kind", f"{at or 'the answer'} is {kind}"
        elif "labels" in place and value is not None and value not in place["labels"]:
            yield f"{at} label", f"{at or 'the answer'} is {str(value)[:60]!r}, none of the labels"
        elif "form" in place and isinstance(value, str) and outline(value) not in place["form"]:
            yield f"{at} form", f"{at or 'the answer'} has another form: {value[:60]!r}"
        elif "range" in place and not place["range"][0] <= value <= place["range"][1]:
            yield f"{at} range", f"{at} is {value}"
    for at, place in places.items():
        if place["always"] and at not in seen:
            yield f"{at} missing", f"{at} is missing"


def outline(value: str) -> str:
    """The form of a value: letters as A, digits as 9, each run once."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "A", value))


def strange_looks(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer has no look that good answers never have, and each that all of them have."""
    for look, pattern in LOOKS.items():
        has = bool(re.search(pattern, case.text))
        if has and look in bound["never"]:
            yield look, f"it has {look}, as no good answer has"
        if not has and look in bound["always"]:
            yield f"no {look}", f"it lacks {look}, which every good answer has"


def invented_figures(case: Case, bound: dict[str, Any]) -> Problems:
    """Every number, date and id, with its unit, stands in the request, the sources or the prompt."""
    given, known = case.given_figures, bound["known"]
    days = {day for day, _ in dates(case.given)}
    for day, written in dates(case.text):
        if days and day not in days and written.casefold() not in known:
            yield "date", f"the date {written!r} comes from nowhere"
    for what, unit, kind, written in figures(case.text):
        if what in known or written.casefold() in known:
            continue
        if what not in given and what not in case.given:
            yield kind, f"{written!r} comes from nowhere"
        elif unit is not None and unit not in given.get(what, {unit}):
            others = set().union(*given.values())
            if given[what] or unit not in others | set(bound["units"]):
                yield "unit", f"{written!r} has another unit in what was given"


def invented_names(case: Case, bound: dict[str, Any]) -> Problems:
    """Every name inside a sentence stands in the request, the sources or the prompt."""
    for name in re.findall(r"(?<=[^\W\d_,;:] )([A-ZÄÖÜÉ][\w'’]{2,})", case.text):
        word = re.sub(r"['’]s?$", "", name.casefold())
        if word not in case.given and word not in bound["known"]:
            yield "name", f"{name!r} comes from nowhere"


def disagreeing_fields(case: Case, bound: dict[str, Any]) -> Problems:
    """Fields hold what the request, the sources and the text say."""
    values = dict(case.leaves)
    text = case.text.casefold()
    for at, relation in bound["relations"]:
        value = values.get(at)
        if value is None or isinstance(value, bool):
            continue
        written = str(value).casefold()
        if relation == "text" and text and written not in text:
            yield f"{at} text", f"{at} is {value!r}, and the text says nothing of it"
        elif relation == "given" and written not in case.given:
            yield f"{at} given", f"{at} is {value!r}, which comes from nowhere"
        elif relation == "language" and language(case.request) not in {"", written}:
            yield f"{at} language", f"{at} is {value!r}, the request is not"
        elif relation.startswith("="):
            asked = case.inputs.get(relation[1:]) if isinstance(case.inputs, dict) else None
            if asked is not None and str(asked).casefold() != written:
                yield f"{at} {relation}", f"{at} is {value!r}, the request says {asked!r}"
    for at, label, other, is_set in bound["sets"]:
        if str(values.get(at)) == label and (values.get(other) is not None) != is_set:
            yield f"{at} sets {other}", f"{at} is {label!r}, yet {other} is {values.get(other)!r}"
    for at, where, markers in bound["markers"]:
        held = stems(case.text if where == "text" else case.request)
        fitting = {label for label, marks in markers.items() if held & set(marks)}
        if fitting and str(values.get(at)) in markers and str(values.get(at)) not in fitting:
            yield f"{at} {where}", f"{at} is {values.get(at)!r}, its {where} speaks of {fitting}"


def leaked_prompt(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer does not quote its instructions."""
    found = re.search(r"(?i)\b(?:system prompt|(?:my|these|the) instructions|you are an? [\w ]*?"
                      r"(?:agent|assistant|bot)\b|i was (?:told|instructed))", case.text)  # fmt: skip
    if found:
        yield "speaks of it", f"it speaks of its instructions: {found[0]!r}"
    told, said = (
        [word.casefold() for word in WORD.findall(each)] for each in (case.prompts, case.text)
    )
    runs = {" ".join(told[at : at + 6]) for at in range(len(told) - 5)}
    other = " ".join(word.casefold() for word in WORD.findall(case.request + " " + case.sources))
    for at in range(len(said) - 5):
        run = " ".join(said[at : at + 6])
        if run in runs and run not in other and run not in bound["known"]:
            yield "quotes it", f"it quotes its prompt: {run!r}"
            break


def other_languages(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer is in the language of the request, or one that good answers have; all of it."""
    said, asked = language(case.text), language(case.request)
    if said and asked and said != asked:
        yield "as asked", f"the request is {asked}, the answer {said}"
    if said and said not in bound["languages"]:
        yield "usual", f"the answer is {said}"
    for sentence in sentences(case.text):
        one = language(sentence) if len(sentence.split()) > 4 else ""  # noqa: PLR2004
        if one and said and one != said and one != asked:
            yield "all of it", f"a part is {one}: {sentence[:60]!r}"


def repetitions(case: Case, _bound: dict[str, Any]) -> Problems:
    """Nothing comes twice, and the request is not given back."""
    said = sentences(case.text)
    counts = Counter(" ".join(each.casefold().split()) for each in said if len(each.split()) > 3)  # noqa: PLR2004
    twice = [each for each, count in counts.items() if count > 1]
    if twice:
        yield "twice", f"it says twice {twice[0][:80]!r}"
    words = [word.casefold() for word in WORD.findall(case.text)]
    if re.search(r"\b([^\W\d_]{2,}) \1 \1\b", case.text):
        yield "stutters", "a word comes three times in a row"
    asked = [word.casefold() for word in WORD.findall(case.request)]
    together = " " + " ".join(words) + " "
    runs = [" ".join(asked[at : at + 8]) for at in range(len(asked) - 7)]
    back = sum(f" {run} " in together for run in runs)
    if (runs and back * 2 > len(runs)) or (asked and words == asked):
        yield "echo", "it gives the request back"


def left_placeholders(case: Case, bound: dict[str, Any]) -> Problems:
    """No placeholder of a template is left in the answer."""
    for text in (each for each in texts(case.value)):
        for found in re.finditer(PLACEHOLDERS, text):
            if found[0] not in bound["known"] and found[0].casefold() not in case.given:
                yield "placeholder", f"{found[0]!r} is left in it"


def unknown_links(case: Case, bound: dict[str, Any]) -> Problems:
    """Links are those of the sources, or of good answers."""
    for found in LINK.finditer("\n".join(texts(case.value))):
        link = found[0].rstrip(".,;:!?").casefold()
        if link not in case.given and link not in bound["known"]:
            yield "link", f"{link!r} comes from nowhere"


def personal_data(case: Case, bound: dict[str, Any]) -> Problems:
    """Addresses, numbers and secrets of people are only those that were given."""
    for kind, pattern in PERSONAL.items():
        for found in re.finditer(pattern, case.text):
            item = found[0].casefold()
            if item not in case.given and item not in bound["known"]:
                yield kind, f"{kind} comes from nowhere"


def wrong_citations(case: Case, bound: dict[str, Any]) -> Problems:
    """What is cited by an id was retrieved."""
    cited = [f for text in texts(case.value) for f in re.findall(bound["pattern"], text)]
    for one in cited:
        if one.casefold() not in case.sources.casefold():
            yield "not retrieved", f"{one!r} was not retrieved"
    if not re.search(bound["pattern"], case.text):
        yield "nothing cited", "nothing is cited"


def wrong_addressee(case: Case, bound: dict[str, Any]) -> Problems:
    """The one who is addressed is the one who asked."""
    found = re.match(rf"\W*(?:{SALUTATION})(?: (?:Mr|Mrs|Ms|Dr|Herr|Frau)\.?)?[ ]"
                     r"([A-ZÄÖÜ][^\n,!.:;]{1,40})[,!.:;\n]", case.text)  # fmt: skip
    if found and not all(word in case.given for word in found[1].casefold().split()):
        yield "name", f"it addresses {found[1]!r}"
    if not found:
        yield "nobody", "nobody is addressed"


SALUTATION = (
    r"(?i:dear|hello|hi|hey|good (?:morning|afternoon|evening)|liebe[rs]?|hallo|guten (?:tag|morgen|abend)"
    r"|sehr geehrte[rs]?|bonjour|bonsoir|chère?|hola|buen[oa]s \w+|estimad[oa]|querid[oa]|ciao|gentile"
    r"|buongiorno|salve|caro|cara|olá|prezad[oa]|car[oa]|beste|geachte|goedendag|dzień dobry|hej)"
)


def new_promises(case: Case, bound: dict[str, Any]) -> Problems:
    """Money, gifts and times are only promised where the request or the sources speak of them."""
    for found in PROMISES.finditer(case.text):
        word = found[0].casefold()
        if word[:6] not in case.given and word not in bound["known"]:
            yield word, f"{found[0]!r} is promised, and nothing that was given speaks of it"


def rudeness(case: Case, bound: dict[str, Any]) -> Problems:
    """Nobody is insulted or blamed."""
    for found in re.finditer(RUDE, case.text):
        if found[0].casefold() not in bound["known"]:
            yield found[0].casefold(), f"{found[0]!r} is rude"


def emptiness(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer shares words with its own request and sources that not every answer shares."""
    share, relevance = own_words(case, set(bound["common"]))
    if share < bound["least"] and relevance > bound["relevance"]:
        yield "own words", f"{share:.0%} of its own words are the request's or the sources'"


def own_words(case: Case, common: set[str]) -> tuple[float, float]:
    """The share of an answer's own words that were given; how much of the request the sources hold."""
    said = stems("\n".join(texts(case.value))) - common
    given = stems(case.request + " " + case.sources) - common
    asked = stems(case.request)
    sources = stems(case.sources)
    relevance = len(asked & sources) / len(asked) if sources and asked else 1.0
    return len(said & given) / max(1, len(said)), relevance


def unusual_wording(case: Case, bound: dict[str, Any]) -> Problems:
    """Words are those of the request, the sources and other good answers, but for a usual share."""
    house = set(bound["house"])
    share, worst = new_words(case, house)
    if share > bound["share"]:
        yield "share", f"{share:.0%} of its words are new"
    if worst > bound["sentence"]:
        yield "sentence", f"a sentence has {worst:.0%} new words"


def new_words(case: Case, house: set[str]) -> tuple[float, float]:
    """The share of words that were neither given nor are usual, over all and in the worst sentence."""
    known = house | case.given_stems
    shares = [0.0]
    said = stems(case.text)
    for sentence in sentences(case.text):
        own = stems(sentence)
        if len(own) > 3:  # noqa: PLR2004
            shares.append(len(own - known) / len(own))
    return len(said - known) / max(1, len(said)), max(shares)


def incomplete(case: Case, bound: dict[str, Any]) -> Problems:
    """The answer is about as long as good ones, begins and ends as they do, and closes its brackets."""
    length = len(case.text)
    if length < bound["shortest"]:
        yield "short", f"{length} characters"
    if length > bound["longest"]:
        yield "long", f"{length} characters"
    lines = [line.strip() for line in case.text.splitlines() if line.strip()]
    for part in bound["lines"]:
        if part not in lines:
            yield f"line {part}", f"the line {part!r} is missing"
    if bound["stops"] and lines and lines[-1][-1].isalnum():
        yield "end", f"it ends in {lines[-1][-30:]!r}"
    if lines and lines[-1][-1] in ",-([{–" + "/":
        yield "middle", f"it ends in {lines[-1][-30:]!r}"
    if case.text.count("(") > case.text.count(")") or case.text.count("```") % 2:
        yield "bracket", "a bracket is left open"


def contradictions(case: Case, _bound: dict[str, Any]) -> Problems:
    """What the sources deny is not affirmed, nor the other way round, nor its opposite said."""
    given = {word.casefold() for word in WORD.findall(case.given)}
    said = {word.casefold() for word in WORD.findall(case.text)}
    for word in said & OPPOSITES.keys():
        other = OPPOSITES[word]
        if word not in given and other in given and other not in said:
            yield f"{word}/{other}", f"it says {word!r} where {other!r} was given"
    sources = [one for each in sentences(case.sources) if (one := polarity(each))[0]]
    for sentence in sentences(case.text):
        held, denied = polarity(sentence)
        near = [(len(held & other), no) for other, no in sources if len(held & other) * 5 > 3 * len(held)]
        if len(held) > 2 and near and all(no != denied for _, no in near):  # noqa: PLR2004
            yield "negation", f"{sentence[:80]!r} denies what was given, or affirms what it denies"


def polarity(sentence: str) -> tuple[set[str], bool]:
    """A sentence's stems, and whether it denies."""
    return stems(sentence), any(NEGATION.match(word) for word in WORD.findall(sentence))


def forgotten_ids(case: Case, _bound: dict[str, Any]) -> Problems:
    """Ids of the request come back in the answer."""
    said = "\n".join(texts(case.value)).casefold()
    asked = [what for what, _, kind, _ in figures(case.request) if kind == "id"]
    missing = [each for each in asked if each not in said]
    if asked and len(missing) == len(asked):
        yield "id", f"it does not name {missing[0]!r}"
