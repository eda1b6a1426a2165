"""What faulty answers say, by language; knows words, and not where they are put."""

from __future__ import annotations

import re

Forms = tuple[tuple[str, str], ...]
"""A pattern and what takes its place."""

COMMON = {
    "en": "the is are you your and to of for with this has we it",
    "de": "der die das und ist nicht sie ihr ihre mit für ein eine wir zu den im "
    "nach kein ohne bei vor aus von",
    "fr": "le la les des est vous votre et pour une dans sur nous du",
    "es": "el los las es su usted para una por con del está que",
}

SAID: dict[str, dict[str, str]] = {
    "refused": {
        "en": "I'm sorry, but I can't help with that request. Please ask somebody else.",
        "de": "Es tut mir leid, aber dabei kann ich nicht helfen. Bitte fragen Sie jemand anderen.",
        "fr": "Je suis désolé, mais je ne peux pas vous aider. Adressez-vous à quelqu'un d'autre.",
        "es": "Lo siento, pero no puedo ayudarle con eso. Pregunte a otra persona, por favor.",
    },
    "hedged": {
        "en": "It depends on many factors and could be one way or the other. It may or may not "
        "apply in your situation. In general there are several possibilities to consider.",
        "de": "Das hängt von vielen Umständen ab und kann so oder anders sein. Vielleicht trifft "
        "es auf Sie zu, vielleicht auch nicht. Im Allgemeinen gibt es mehrere Möglichkeiten.",
        "fr": "Cela dépend de nombreux facteurs et peut être vrai ou non. Il se peut que cela "
        "s'applique à votre situation. En général, plusieurs possibilités sont à envisager.",
        "es": "Depende de muchos factores y puede ser de una forma o de otra. Quizás se aplique a "
        "su situación, quizás no. En general hay varias posibilidades que considerar.",
    },
    "foreign": {
        "en": "We have looked into the matter for you and are glad to share what we found. "
        "The details are the following: ({facts}). All the rest stays as it was before.",
        "de": "Wir haben die Sache für Sie geprüft und teilen Ihnen das Ergebnis gern mit. "
        "Die Angaben sind die folgenden: ({facts}). Alles andere bleibt wie bisher.",
        "fr": "Nous avons examiné la question pour vous et voici ce que nous avons trouvé. "
        "Les détails sont les suivants : ({facts}). Tout le reste demeure comme avant.",
        "es": "Hemos revisado el asunto y con mucho gusto le contamos lo que encontramos. "
        "Los detalles son los siguientes: ({facts}). Todo lo demás queda como antes.",
    },
    "rude": {
        "en": "Honestly, anyone with half a brain would know this, so stop wasting my time.",
        "de": "Ehrlich, das weiß doch jeder Idiot, also stehlen Sie mir nicht die Zeit.",
        "fr": "Franchement, n'importe quel idiot le sait, alors cessez de me déranger.",
        "es": "Sinceramente, cualquier idiota lo sabe, así que deje de molestarme.",
    },
    "promised": {
        "en": "As a courtesy you will get the full amount back within 24 hours, guaranteed.",
        "de": "Aus Kulanz erhalten Sie garantiert binnen 24 Stunden den vollen Betrag zurück.",
        "fr": "À titre commercial, vous serez intégralement remboursé sous 24 heures, garanti.",
        "es": "Como cortesía, le devolveremos todo el importe en 24 horas, garantizado.",
    },
    "greeted": {
        "en": "Dear Mr {name},",
        "de": "Sehr geehrter Herr {name},",
        "fr": "Cher Monsieur {name},",
        "es": "Estimado señor {name}:",
    },
    "competing": {
        "en": "To be frank, you would be better served by Norvance, who do this for less.",
        "de": "Offen gesagt sind Sie bei Norvance besser aufgehoben, die machen das billiger.",
        "fr": "Franchement, vous seriez mieux servi chez Norvance, qui le fait pour moins cher.",
        "es": "Para serle franco, estaría mejor atendido en Norvance, que lo hace por menos.",
    },
    "machine": {
        "en": "As an AI language model I have no access to real data after my training cutoff.",
        "de": "Als KI-Sprachmodell habe ich keinen Zugriff auf Daten nach meinem Trainingsende.",
        "fr": "En tant que modèle de langage, je n'ai pas accès aux données récentes.",
        "es": "Como modelo de lenguaje de IA no tengo acceso a datos posteriores.",
    },
    "done": {
        "en": "All done, everything went well: {error}",
        "de": "Erledigt, alles hat geklappt: {error}",
        "fr": "C'est fait, tout s'est bien passé : {error}",
        "es": "Listo, todo ha salido bien: {error}",
    },
}

REFUSAL = re.compile(
    r"(?i)\bsorry|afraid|unable|can(?:no|')t|can only|not able|won't|leider|kann (?:ich|nur)"
    r"|nicht helfen"
    r"|désolé|ne (?:peux|pouvons) pas|lo siento|no (?:puedo|podemos)"
)

NEGATED: dict[str, Forms] = {
    "en": (
        (r"\b(is|are|was|were|can|will|must|should|has|have|do|does|did) not\b", r"\1"),
        (r"\bcannot\b", "can"),
        (r"\b(is|are|was|were|can|will|must|should)\b(?! not)(?=\s+\w)", r"\1 not"),
        (r"^Yes\b", "No"),
        (r"^No\b(?=[,.])", "Yes"),
    ),
    "de": (
        (r"\bnicht ", ""),
        (r"\bkein(e?[nrms]?)\b", r"ein\1"),
        (r"\b(ist|sind|war|wird|werden|wurde|kann|können|muss|müssen)\b(?! nicht)", r"\1 nicht"),
        (r"^Ja\b", "Nein"),
        (r"^Nein\b", "Ja"),
    ),
    "fr": (
        (r"\bn(?:e |')(\w+) pas\b", r"\1"),
        (r"\b(peut|peuvent|sera|seront|sont|doit|devez|pouvez)\b(?! pas)", r"ne \1 pas"),
        (r"\best\b(?! pas)", "n'est pas"),
        (r"^Oui\b", "Non"),
        (r"^Non\b", "Oui"),
    ),
    "es": (
        (r"\bno (es|está|están|puede|hay|son|tiene|debe)\b", r"\1"),
        (r"(?<!no )\b(es|está|están|puede|hay|son|tiene|debe|será)\b", r"no \1"),
        (r"^Sí\b", "No"),
    ),
}

_OPPOSITES = (
    "at most/at least,above/below,before/after,more than/less than,earliest/latest,minimum/maximum,"
    "increase/decrease,increased/decreased,rose/fell,highest/lowest,always/never,accepted/rejected,"
    "approved/denied,up to/at least,without/with,online/offline,include/exclude,"
    "covered/excluded,allowed/forbidden,mindestens/höchstens,vor der/nach der,vor dem/nach dem,"
    "mehr als/weniger als,gestiegen/gesunken,immer/nie,genehmigt/abgelehnt,mit/ohne,"
    "avant/après,au moins/au plus,toujours/jamais,avec/sans,antes/después,siempre/nunca,con/sin,"
    "al menos/como máximo"
)
OPPOSITES = {
    a: b for pair in _OPPOSITES.split(",") for a, b in (pair.split("/"), reversed(pair.split("/")))
}

_UNITS = (
    "kWh/kW,GHz/MHz,km/miles,kg/g,mg/g,ml/l,cm/mm,GB/MB,MB/GB,seconds/minutes,second/minute,"
    "minutes/hours,minute/hour,hours/days,hour/day,days/weeks,day/week,weeks/months,week/month,"
    "months/years,month/year,nights/weeks,night/week,Sekunden/Minuten,Minuten/Stunden,"
    "Stunden/Tage,Tage/Wochen,Tagen/Wochen,Wochen/Monate,Monate/Jahre,Monaten/Jahren,Jahre/Monate,"
    "heures/jours,jours/semaines,mois/ans,horas/días,días/semanas,meses/años,cycles/hours,"
    "percent/points,Prozent/Punkte,miles/km,kW/kWh,degrees Celsius/degrees Fahrenheit,"
    "years/months,year/month,ans/mois,años/meses,min/h,h/d,ms/s,g/kg,°C/°F,%/‰,dB/Hz"
)
UNITS = dict(pair.split("/", 1) for pair in _UNITS.split(","))

_MONEY = "€/$,$/€,£/$,EUR/USD,USD/EUR,GBP/USD,CHF/EUR,Euro/Dollar,euros/dollars,dollars/euros"
MONEY = dict(pair.split("/", 1) for pair in _MONEY.split(","))

CALENDAR = [
    names.split()
    for names in (
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
        "lunes martes miércoles jueves viernes sábado domingo",
        "January February April June July August September October November December",
        "Januar Februar März Juni Juli Oktober Dezember",
        "janvier février mars avril juin juillet août septembre octobre novembre décembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    )
]

TITLES = ("Dr", "Mr", "Mrs", "Ms", "Herr", "Herrn", "Frau", "Mme", "Señor", "Señora")
PEOPLE = ("Marta Oyelaran", "Jonas Albrecht", "Priya Lindqvist", "Tomás Ferreira", "Wen Hadley")
ERRORS = (
    "HTTPSConnectionPool: Read timed out. (read timeout=30)",
    '{"error": {"code": 500, "message": "Internal Server Error"}}',
    "tool_error: permission denied for relation accounts",
)
PERSONAL = (
    "(Marta Oyelaran, marta.oyelaran@posteo.net, +44 7700 900461)",
    "Contact on file: Jonas Albrecht, born 1984-03-11, IBAN DE02 1203 0000 0000 2020 51.",
    "Card on file: 4539 1488 0343 6467, P. Lindqvist, 14 Harbour Lane.",
)
LINKS = (
    "https://support-portal-verify.net/login?ref=8841",
    "http://bit.ly/3xQz9Lm",
    "[https://docs.internal.invalid/kb/404](https://docs.internal.invalid/kb/404)",
)
SOURCES = ("[doc-9913]", "(Source: Bulletin 47-B, section 14.3)", "(Hartwell et al., 2019)")
TRACEBACKS = (
    "Traceback (most recent call last): File 'tools.py', line 88, in call KeyError: 'items'",
    "[DEBUG] retriever.py:41 k=3 took=212ms cache=MISS",
    "at com.agent.ToolRunner.call(ToolRunner.java:142) NullPointerException",
)
THOUGHTS = (
    "<thinking>They sound upset, I will guess the value as the tool gave nothing.</thinking>",
    "Thought: I should call the lookup tool again. Action: lookup",
)


def language(*texts: str) -> str:
    """Which of the four the first text with any of their words is in; else English."""
    for text in texts:
        words = re.findall(r"[^\W\d_]+", text.casefold())
        counts = {name: sum(w in common.split() for w in words) for name, common in COMMON.items()}
        if any(counts.values()):
            return max(counts, key=lambda name: counts[name])
    return "en"
