r"""Whether what stands under a name such as ``DB_PASSWORD`` or ``client_secret`` is a secret.

A name alone says little: programs speak of ``token: str``, forms of ``"password": "Password"``,
models of ``max_tokens: 4096``. So a password has to be more than a word of code or prose, and a
token or key has to look drawn by lot.
"""

import re

_PASSWORD = re.compile(
    r"(?:passw(?:or)?d|passphrase|pwd|(?:^|db|user|smtp|mail|ftp|ssh|admin|root|login|auth|basic|redis"
    r"|sql|pg|mongo|proxy|sudo|ldap|http|my|master|store|cert|ca)[-_]?pass)\d?$"
)
_KEY = re.compile(
    r"(?:api|access|private|secret|account|sign(?:ing)?|encrypt(?:ion)?|decrypt(?:ion)?|master"
    r"|service|auth|subscription|license|storage|shared|ssh|deploy|client|webhook|security|app"
    r"|application|admin|consumer|hmac|jwt|rsa|pgp|gpg|aes|crypto|sas|openai|azure|ingest)"
    r"[-_. ]?key(?:[-_]?(?:id|data|base))?\d?$"
)
_OTHER = re.compile(r"(secret|token|credential)s?\d?$")
_NO_SECRET = re.compile(
    r"public[-_]?key|(?:cache|client_request|change|sort|primary|foreign|partition|page|next|prev(?:ious)?|continuation|sync"
    r"|cursor|eos|bos|pad|sep|cls|mask|unk|max|min|stop|start|end|special|first|last|output|input"
    r"|prompt|image|idempotency|publishable|registry)[-_. ]?(?:token|key)$"
)
_PLACEHOLDER = re.compile(
    r"^[<$%{\[(]|\[masked:|\.\.\.|…|([xX*._#•-])\1{3}|^(?:x|\*)+$|redacted|placeholder|change.?me"
    r"|replace.?(?:me|with)|^(?:your|my|the|an?|some|example|insert|enter|dummy|fake)[-_ .]"
    r"|^(?:true|false|none|null|nil|undefined|required|optional|string|str|bytes|text|hidden|input"
    r"|prefix|int|bool|boolean|number|object|any|optional\[.*|secretstr|pass|password|passwd|passphrase"
    r"|secret|token|key|admin|test|testing|example|foo|bar|baz|value|default|empty|invalid|valid"
    r"|missing|unknown|basic|bearer|self|options?|env|file|prompt|disabled|enabled|auto|plain|hash(?:ed)?)\??$",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"^(?:/|\./|\.\./|~|[A-Za-z]:\\|data:|arn:|file:)|://|^[\w.-]+(?:/[\w.-]+)*\.[a-z]{1,5}$"
    r"|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){2,}(?::\w+)?$|^[a-z0-9_.-]+(?:/[a-z0-9_.-]+)+$"
)
_CONSTANT = re.compile(r"^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")
_NUMBER = re.compile(r"^[-+]?[\d.,_:]+(?:e[-+]?\d+)?$", re.IGNORECASE)
_PROSE = re.compile(
    r"\b(?:the|an?|of|your|you|my|for|to|is|are|must|not|and|or|in|with|be|this|that|if|no|use|from"
    r"|user|users|password|passwords|token|secret|enter|confirm|current|new|old|invalid|wrong|at"
    r"|least|please|forgot|reset|type|key)\b",
    re.IGNORECASE,
)
_OWN_NAME = re.compile(r"pass|pwd|secret|token|key|cred", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"\d|[^\w.,:/-]")
_DIGIT = re.compile(r"\d")
_PART = re.compile(r"[-_./:+ ]+")
_WORD_PART = re.compile(r"(?:[a-z]*(?:[A-Z][a-z]+){0,6}|[A-Z]{0,15}|\d{1,8})$")
_IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z_]*\d{0,3}(?:_[A-Za-z]+\d{0,3})*$")
_CODE = re.compile(r"[(){}\[\]|]|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$|^[&*!]")


MAX_CHARS = 4096
MIN_PASSWORD, MIN_UNSURE, MIN_SPACES = 3, 6, 3
MIN_DRAWN, LONG_DRAWN = 8, 20


def is_placeholder(value: str) -> bool:
    """Whether the text stands in for a secret, as ``<token>``, ``$TOKEN`` or ``xxxxxxxx`` do."""
    return _PLACEHOLDER.search(value) is not None


def is_wordy(value: str) -> bool:
    """Whether the text is made of words and small numbers, as names of things are."""
    return all(map(_WORD_PART.match, _PART.split(value)))


def kind_of(name: str) -> str | None:
    """What stands under a name: ``password``, ``secret``, ``token``, ``key`` or None."""
    low = _CAMEL.sub("_", name).lower().strip("-_.[]")
    if _PASSWORD.search(low):
        return "password"
    if _NO_SECRET.search(low):
        return None
    if other := _OTHER.search(low):
        return other[1]
    return "key" if _KEY.search(low) or name.endswith("_KEY") else None


def is_secret(name: str, value: str, *, certain: bool, alone: bool) -> bool:
    """Whether a value under a name is a secret.

    Args:
        name: As it was written, ``DB_PASSWORD``.
        value: Without its quotes.
        certain: It is a value and no code or prose: it stood between quotes, or follows on ``=``
            as in the environment.
        alone: It ends its line.
    """
    kind = kind_of(name)
    if kind is None or len(value) > MAX_CHARS or is_placeholder(value) or _PLACE.search(value):
        return False
    if _CONSTANT.match(value) or (not certain and _CODE.search(value)):
        return False
    if kind == "password":
        return _is_password(value, certain=certain, alone=alone)
    return _is_drawn(value, certain=certain)


def _is_password(value: str, *, certain: bool, alone: bool) -> bool:
    if _PROSE.fullmatch(value):
        return False
    if " " in value and (_PROSE.search(value) or value.count(" ") < MIN_SPACES):
        return False
    if not _DIGIT.search(value) and (_OWN_NAME.search(value) or value.istitle()):
        return False
    if certain:
        return len(value) >= MIN_PASSWORD
    if value.isalpha():
        return alone and value.islower() and len(value) >= MIN_UNSURE
    return len(value) >= MIN_UNSURE and not value.isdigit() and bool(_NO_WORD.search(value))


def _is_drawn(value: str, *, certain: bool) -> bool:
    if " " in value or len(value) < MIN_DRAWN or _NUMBER.match(value) or is_wordy(value):
        return False
    if not certain and _IDENTIFIER.match(value):
        return False
    return len(value) >= LONG_DRAWN or (bool(_DIGIT.search(value)) and not value.isdigit())
