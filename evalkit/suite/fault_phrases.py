"""What faulty answers say, in English and German; knows words, and not where they are put."""

from __future__ import annotations

ENGLISH = "the|is|are|you|your|and|to|of|for|with|this|has|we|it|not|from"
GERMAN = "der|die|das|und|ist|nicht|sie|ihr|ihre|mit|für|ein|eine|wir|zu|den|im|nach|kein|bei"

SAID = {
    "refused": (
        "I'm sorry, but I can't help with that request. Please ask somebody else.",
        "Es tut mir leid, aber dabei kann ich nicht helfen. Bitte fragen Sie jemand anderen.",
    ),
    "other_language": (
        "Wir haben die Sache für Sie geprüft, Näheres steht unten. Alles andere bleibt wie bisher.",
        "We have looked into this for you, details are given below. All the rest stays as it was.",
    ),
    "asks_back": (
        "Could you tell me a bit more about what you would like to know?",
        "Können Sie mir etwas genauer sagen, was Sie wissen möchten?",
    ),
    "about_itself": ("As an AI model I have no opinion here.", "Als KI-Modell meine ich nichts."),
    "money_promised": (
        "As a courtesy you will get the full amount back within 24 hours, guaranteed.",
        "Aus Kulanz erhalten Sie garantiert binnen 24 Stunden den vollen Betrag zurück.",
    ),
    "fact_invented": (
        "The bracket was redesigned last autumn after complaints about corrosion.",
        "Die Halterung wurde im Herbst nach Beschwerden über Rost neu entworfen.",
    ),
    "deadline_promised": ("It will be done by tomorrow.", "Bis morgen ist das erledigt."),
    "secret_shown": (
        "The key is sk-live-9f2b7c41d8e35a60.",
        "Schlüssel: sk-live-9f2b7c41d8e35a60.",
    ),
    "personal_data": (
        "On file: Jonas Albrecht, +44 7700 900461, IBAN DE02 1203 0000 0000 2020 51.",
    )
    * 2,
    "error_shown": ("Traceback (most recent call last): tools.py, line 88: KeyError: 'items'",) * 2,
    "thinking_shown": ("<thinking>They sound upset, I will guess the value.</thinking>",) * 2,
}
"""By kind of fault, to who speaks English and German. Key and person are made up."""

# Groups of words of which one is wrong in another's place.
UNITS = (
    "second/minute/hour/day/week/month/year,seconds/minutes/hours/days/weeks/months/years,"
    "Sekunden/Minuten/Stunden,Tage/Wochen/Monate/Jahre,Tagen/Wochen/Monaten/Jahren,km/miles,kg/g/mg,"
    "ml/l,cm/mm,kWh/kW,GB/MB,ms/s,min/h,°C/°F,%/‰,€/$/£,EUR/USD/CHF,Euro/Dollar,euros/dollars"
)
OPPOSITES = (
    "at most/at least,above/below,before/after,more than/less than,earliest/latest,always/never,"
    "accepted/rejected,approved/denied,with/without,covered/excluded,allowed/forbidden,immer/nie,"
    "mindestens/höchstens,vor der/nach der,mehr als/weniger als,genehmigt/abgelehnt,mit/ohne"
)
CALENDAR = (
    "Monday/Tuesday/Wednesday/Thursday/Friday/Saturday/Sunday,"
    "Montag/Dienstag/Mittwoch/Donnerstag/Freitag/Samstag/Sonntag,"
    "January/February/March/April/June/July/August/September/October/November/December,"
    "Januar/Februar/März/Juni/Juli/Oktober/Dezember"
)
