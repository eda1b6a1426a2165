"""The figures of an answer: dates, numbers, shares and ids, with their units, as texts write them.

It is copied into the suites that rules write, so it uses nothing but the standard library.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import date
from functools import lru_cache

from evalkit.suite.word_lists import LINK


def numbered(groups: str, start: int = 0) -> dict[str, int]:
    """The number of each word's group."""
    return {w: at for at, words in enumerate(groups.split("|"), start) for w in words.split()}


UNITS = numbered("""
    s sec secs second seconds sekunde sekunden seconde secondes segundos secondi
    | min mins minute minutes minuten minutos minuti | kwh | mwh | wh | kw | mw | mm | cm
    | h hr hrs hour hours stunde stunden heure heures hora horas ore | ms | w watt watts
    | day days tag tage tagen jour jours día días giorno giorni | night nights nacht nächte
    | week weeks woche wochen semaine semaines semana semanas settimana settimane
    | month months monat monate monaten mois mes meses mese mesi
    | year years jahr jahre jahren an ans año años anno anni | hz | khz | mhz | ghz
    | % percent prozent | € eur euro euros | $ usd dollar dollars | £ gbp pound pounds | ¥ yen jpy
    | chf franken | kb | mb | gb | tb | db | v volt volts | m meter meters metre metres
    | km kilometer kilometers | inch inches | ft foot feet | mile miles | mg | kg kilo kilograms
    | g gram grams gramm | ml | l liter liters litre litres | °c celsius | °f fahrenheit
    | ‰ promille | million millions millionen | billion billions milliarden
""")

SIGNS = {UNITS[sign] for sign in "‰€$£¥"}

NUMBERS = numbered(
    """two zwei deux dos | three drei trois tres | four vier quatre cuatro | five fünf cinq cinco
    | six sechs seis | seven sieben sept siete | eight acht huit ocho | nine neun neuf nueve
    | ten zehn dix diez | eleven elf onze | twelve zwölf douze doce""",
    2,
)

MONTHS = numbered(
    """january januar jan janvier enero gennaio januari | february februar feb février febrero
    febbraio februari | march märz mar mars marzo maart | april apr avril abril aprile
    | may mai mayo maggio mei maj | june juni jun juin junio giugno | july juli jul juillet julio
    luglio | august aug août agosto augustus augusti | september sep sept septembre septiembre
    settembre | october oktober oct okt octobre octubre ottobre | november nov novembre noviembre
    | december dezember dec dez décembre diciembre dicembre""",
    1,
)

TWICE = re.compile(r"\b(\w+(?:[^\w\n]+\w+){2,12})[^\w\n]+\1\b", re.IGNORECASE)

# in small letters "may" is no month
MONTH = "|".join({*map(str.capitalize, MONTHS), *MONTHS} - {"may"})
DATE = re.compile(
    r"(?<![\w.-])(?:\d{4}-\d\d-\d\d|\d\d?/\d\d?/\d{2,4}"
    r"|[0-3]?\d\.[01]?\d\.(?:\d{4}|\d\d\b|(?=\s+[^\W\dA-Z_]))"
    rf"|\d\d?(?:st|nd|rd|th|\.)?\s(?:of\s|de\s)?(?:{MONTH})\b(?:\.?,?\s(?:de\s)?\d{{4}})?"
    rf"|(?:{MONTH})\.?\s\d\d?(?:st|nd|rd|th)?(?:,?\s\d{{4}})?)(?!\d)"
)

FIGURE = re.compile(
    r"([€$£¥]|\b(?:EUR|USD|GBP|CHF|Rs)\b)?\s?"
    r"(?<![\w.])((?:[^\W\d_]+[-_/]?)?\d(?:[\w]|[.,:/_-](?=[^\W_]))*)"
    r"(?:\s?([%‰€$£¥°]\w?)|\.?[ -]([^\W\d_]+(?:[ -][^\W\d_]+)?))?"
)


LEAP = 2000  # the year of dates that name none


def numbers_of(day: str) -> list[int]:
    """The numbers of a date's parts, of its month by its name too."""
    parts = re.findall(r"\d+|[^\W\d_]+", day.casefold())
    return [n for part in parts if (n := int(part) if part.isdigit() else MONTHS.get(part, 0))]


def days_of(day: str) -> Iterator[date]:
    """The days that a date may mean; of a leap year where it names none."""
    numbers = numbers_of(day)
    year = next((each for each in numbers if is_year(each)), LEAP)
    named = [MONTHS[word] for word in re.findall(r"[^\W\d_]+", day.casefold()) if word in MONTHS]
    small = [each for each in numbers if each <= 31]  # noqa: PLR2004
    for month, of_month in itertools.permutations(small[:2], 2):
        with suppress(ValueError):
            if not named or month == named[0]:
                yield date(year, month, of_month)


def is_year(number: int) -> bool:
    """Whether a number is a year that answers speak of."""
    return 1900 <= number <= 2200  # noqa: PLR2004


def plain_number(number: str) -> str:
    """A number without separators of thousands, closing noughts and leading ones."""
    bare = re.sub(r"(?<=\d)[,.](?=\d{3}\b(?![.,]\d{1,2}[.,]))", "", number).replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", bare):
        bare = bare.rstrip("0").rstrip(".")
    return bare.lstrip("0") or "0" if bare[:1].isdigit() else bare


@lru_cache(4096)
def figures_of(text: str) -> list[tuple[str, int | None, str]]:
    """The numbers and ids of a text: what, its unit's number if any, and as it is written."""
    bare = re.sub(r"(?m)^[ \t#>*-]*\d{1,3}[.)][ \t]|\[\d{1,2}\]", " ", LINK.sub(" ", text))
    bare = re.sub(r"(?<=\d)['\u2019\u202f\u00a0](?=\d{3}(?!\d))", "", bare)
    bare = re.sub(r"(?<=:\d\d)\s?[-\u2013]\s?(?=\d)", " - ", bare)
    all_found = []
    for found in FIGURE.finditer(bare):
        before, token, sign, after = found.groups()
        behind = re.split(r"[ -]", after or "")
        glued = re.fullmatch(r"(\d[\d.,]*)[-/]?([^\W\d_]{1,12})(?:-[^\W\d_]+)*", token)
        words = [glued[2]] if glued else [before, sign, *behind]
        units = [UNITS[w.casefold()] for w in words if w and w.casefold() in UNITS]
        is_plain = glued and (units or glued[2].casefold() in {"st", "nd", "rd", "th"})
        what = plain_number(glued[1] if glued and is_plain else token.casefold())
        all_found.append((what, units[0] if units else None, found[0].strip()))
    return all_found


def is_derived(number: str, given: Collection[str], most: int, unit: int | None = None) -> bool:
    """Whether a number is a sum, difference, product or ratio of two given ones, or one rounded.

    Not of more than ``most``, among which there is such a pair by chance.
    """
    if len(given) > most:
        return False

    def value(text: str) -> float:
        if not re.fullmatch(r"\d+(?:\.\d+|:\d+)?", text):
            return math.nan
        hours, colon, minutes = text.partition(":")
        return float(hours) * 60 + float(minutes) if colon else float(text)

    wanted, held = value(number), {0.0, *map(value, given)}
    near = {round(each, 2) for each in held}
    near |= {each * 60 for each in near if ":" in number and each < 24}  # noqa: PLR2004
    sums = {round(each, 2) for one in held for each in (abs(wanted - one), wanted + one)}
    whole = [each for each in held if unit == UNITS["%"] and each > 0]
    parts = ((one, of) for of in whole for one in held if one not in {0, of})
    shares = (100 * abs(one - start) / of for one, of in parts for start in (0, of))
    decimals = len(number.partition(".")[2])
    factors = held - {0.0, 1.0}
    products = (one * other for one in factors for other in factors)
    is_long = decimals or wanted >= 100  # noqa: PLR2004 - what is shorter is a quotient by chance
    quotients = (one / other for one in factors for other in factors if is_long)
    found = itertools.chain(shares, products, quotients)
    return bool(sums & near) or any(round(each, decimals) == wanted for each in found)


def said_again(text: str) -> Iterator[str]:
    """What is said twice in a row, at most with another figure."""
    for found in TWICE.finditer(re.sub(r"\d", "0", text)):
        once = text[found.start(1) : found.end(1)]
        second = text[found.end() - len(once) : found.end()]
        pairs = zip(re.findall(r"\d+", once), re.findall(r"\d+", second), strict=False)
        words = re.findall(r"[^\W\d_]+", once)
        if len(words) > 2 and sum(one != other for one, other in pairs) < 2:  # noqa: PLR2004
            yield text[found.start() : found.end()]


def is_digit_off(figure: str, other: str) -> bool:
    """Whether two figures of three digits or more differ in one, or in two that changed places.

    Not years: those beside a given one are often meant.
    """
    is_short = len(figure) != len(other) or sum(map(str.isdigit, figure)) < 3  # noqa: PLR2004
    if is_short or re.fullmatch(r"(?:19|20)\d\d", figure):
        return False
    pairs = [pair for pair in zip(figure, other, strict=True) if pair[0] != pair[1]]
    is_swapped = len(pairs) == 2 and pairs[0] == pairs[1][::-1]  # noqa: PLR2004
    return (len(pairs) == 1 or is_swapped) and "".join(map("".join, pairs)).isdigit()


FIGURE_KINDS = ("id", "share", "short number", "number")


def figure_kind(figure: str, unit: int | None) -> str:
    """What kind of figure it is: good answers may hold to some kinds and not to others."""
    if re.search(r"[^\W\d_]", figure):
        return "id"
    return "share" if unit == UNITS["%"] else "short number" if len(figure) < 3 else "number"  # noqa: PLR2004
