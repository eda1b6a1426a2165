r"""Words and patterns that checks look for, in a few of Europe's languages; no store's own words.

In lists, blanks part the words, ``_`` is a blank, ``*`` the rest of a word, ``'`` any apostrophe.
"""

from __future__ import annotations

import re


def any_of(words: str) -> re.Pattern[str]:
    """A pattern for the words of a list, whatever their case."""
    parts = "|".join(words.split()).replace("*", r"\w*").replace("_", r"\s")
    return re.compile(rf"\b(?:{parts})\b".replace("'", "['\u2019]?"), re.IGNORECASE)


STOPWORDS = {
    "en": "the is are of to and you your in on it for can with this that not be at from will was"
    " what which how does my i has have do where when we there our by an if",
    "de": "der die das ist und nicht sie ihre ich ein eine mit auf für zu den dem von wird haben"
    " wie was kann wir mein es im bei wann wo",
    "fr": "le la les est et vous votre pas un une des du pour dans que nous sur avec ne je de",
    "es": "el la los es y su usted no un una de para por que en con se las del está ha",
    "it": "il la i è e non un una di per che in con si del le sono lei della gli ha",
    "pt": "o a os é e não um uma de para por que em com se do da você as está seu",
    "nl": "de het een is en niet u uw ik van op voor met te zijn dat wij naar wordt bij",
    "pl": "jest i nie się na do to w z że jak dla od po ale czy przez są tego pani",
    "sv": "är och inte att det en ett som på för med du din av har till vi den kan om",
}

REFUSALS = {
    "an error": re.compile(
        r"""(?ix)^\W*(?:\w+\s){0,2}(?:traceback\s\(most\srecent|[a-z_.]*(?:error|exception)\b\s*[:\]"'(]
        |(?:error|exception)\s(?:code|while|in|has\s|occurred|[45]\d\d)|something\swent\swrong
        |[45]\d\d\b\W*(?:internal|bad|service|gateway|too|unauth|forbidden|not\sfound|error))"""
    ),
    "a refusal": any_of(
        """(i|we)_(can't|cannot|can_not|won't)_(help|assist|answer|comply|process|provide|discuss)
        (not_able|unable)_to_(help|assist|answer|comply|process|provide|discuss|fulfil)
        i_must_decline nicht_(helfen|beantworten|weiterhelfen) peux_pas_(vous_)?(aider|répondre)
        no_puedo_(ayudar|responder) non_posso_(aiutar|rispond)* niet_(mee_)?helpen"""
    ),
    "talk about itself": any_of(
        """as_an?_(ai|artificial|large|language) my_(training|knowledge_cut*) als_(ki|sprachmodell)
        i('m|_am)_(just_|only_)?an?_(ai|language_model|virtual|chatbot)
        system_prompt my_instructions i_was_(told|instructed) you_are_an?_*_?(agent|assistant)"""
    ),
}

LOOKS = {
    "a code block": re.compile(r"```"),
    "a table": re.compile(r"(?m)^[ \t]*\|.+\|[ \t]*$"),
    "markup": re.compile(r"</?[a-zA-Z][\w-]*(?:\s[^<>]*)?/?>|<\|"),
    "broken characters": re.compile(
        r"\ufffd|\u00c3[\x80-\xbf\u0178]|\u00e2\u20ac|\\u[0-9a-f]{4}|\\n"
    ),
    "a stack trace": re.compile(r"File \".*\", line \d|\b\w+(?:Error|Exception)\b|\n\s+at \w+[.(]"),
    "only a question": re.compile(r"\A[^.!?\n]*\?\s*\Z"),
    "fields of JSON": re.compile(r"[{,]\s*\"[\w ]+\"\s*:"),
}

PERSONAL = {
    "an email address": re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+\w"),
    "a phone number": re.compile(
        r"(?<![\w.-])(?:(?:\+\d{1,3}|\(0?\d{2,5}\)|0\d{2,4})(?:[\s./-]?\d{2,5}){2,5}"
        r"|\(?\d{3}\)?[ -]\d{3}-\d{4})\b"
    ),
    "a card number": re.compile(r"\b(?:\d{4}[ -]?){3}\d{1,7}\b|\b\d{3}-\d{2}-\d{4}\b"),
    "an account number": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "a secret": re.compile(r"\b(?:sk|pk|ghp|xox[bp]|AKIA)[-_]?[\w-]{12,}|(?i:password)\W+\S{4,}"),
}

LINK = re.compile(r"https?://[^\s<>()\[\]{}\"'`|]+|\bwww\.[^\s<>()\[\]{}\"'`|]+")

FOREIGN = {
    **PERSONAL,
    "a link": LINK,
    "a placeholder": re.compile(
        r"""(?x)\{\{.*?\}\}|\$\{\w+\}|(?<![\w{"'])\{[A-Za-z_\ ]{2,30}\}|<[A-Z][A-Z_\ ]{2,}>|_{4,}
        |\b(?:TODO|TBD|FIXME|XXX+|[Ll]orem\ ipsum)\b|%[sd]\b|\[object\ Object\]
        |\[(?:[A-Z][A-Z_\ ]{2,}|(?i:(?:your|insert|customer|enter|company|recipient|add|agent)\b
        [^\]\n]{0,40}|name|date|amount|link))\]|\b(?:undefined|NaN)\b"""
    ),
}

PROMISES = {
    "money": any_of(
        """for_free free_of gratis kostenlos* complimentary refund* reimburs* erstatt* rembours*
        voucher* gift_* gutschein* discount* rabatt* descuento* courtesy kulanz bonus"""
    ),
    "a guarantee": any_of("guarantee* garantie* warrant* lifetime"),
    "a day": any_of("tomorrow demain mañana domani bis_morgen within_the_hour"),
}

GIVING = any_of(
    """will get gets receive* we i'll we'll erhalten erhältst bekommen wird werden wir nous
    recevrez obtendrá recibirá riceverà"""
)
