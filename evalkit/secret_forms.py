r"""What secrets look like: by their makers' prefix, by what is around them, under a name of theirs.

Prefixes and lengths follow the rules of gitleaks (config/gitleaks.toml, MIT licence, Copyright
(c) 2019 Zachary Rice), widened where keys of other lengths were met. All patterns are about JSON
text as bytes, so what stands around a secret is always written in one syntax. Where to look for
one (a prefix, with what may follow) is read by Rust's engine too: no look-around, no back
references.

A name alone says little: programs speak of ``token: str``, forms of ``"password": "Password"``,
models of ``max_tokens: 4096``. So a password has to be more than a word of code or prose, and a
token or key has to look drawn by lot.
"""

import re

_SLASH = rb"\\*/"  # JSON may write "/" as "\/", and JSON in JSON as "\\/"
_B64 = rb"(?:[A-Za-z0-9+=]|" + _SLASH + rb")"
SPACE = rb"(?:\s|\\*[\"'`]|\\+t){0,40}"
SET_TO = SPACE + rb"[:=,]" + SPACE  # between a name and its value, in JSON, YAML, shell or code
_WORD = rb"[A-Za-z0-9_-]"

# Before a secret stands no letter, digit, "-" or "_", unless they belong to an escape such as
# "\n" (the key is first on its line), "\u2192" (the arrow after a line number) or "\u001b[32m"
# (a terminal's colour).
BEGIN = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=[0-9\[]m)|(?<=\\u[0-9a-fA-F]{4}))"

_PEM_BEGIN = rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
PEM_END = rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
# A block ends inside the JSON string it began in. Bounded, so that many beginnings without an
# end do not make the search quadratic; the largest real keys take some 6,000 characters.
_PEM_WHOLE = (
    _PEM_BEGIN
    + rb"(?=(?:[^\"\\]|\\.){0,300}?[A-Za-z0-9+/=]{40})(?:[^\"\\]|\\.){0,12000}?"
    + PEM_END
)
# Cut off before its end: as far as it looks like a key's lines, with line numbers or a margin.
_PEM_CUT = (
    _PEM_BEGIN
    + rb"(?=[^\"]{0,200}?[A-Za-z0-9+/]{40})"
    + rb"(?:[A-Za-z0-9+/=\s:,>|#*\xe2\x86\x92'-]|\\+[nrt/]|\\+u2192){0,12000}"
)

TOKENS: tuple[tuple[str, bytes, bytes], ...] = (
    # kind, prefix (always of the same length), rest
    ("anthropic-key", rb"sk-ant-", _WORD + rb"{16,}"),
    ("openrouter-key", rb"sk-or-", _WORD + rb"{16,}"),
    ("openai-key", rb"sk-", rb"(?:(?:proj|svcacct|admin)-" + _WORD + rb"{16,}|[A-Za-z0-9]{20,})"),
    ("stripe-key", rb"[sr]k_(?:live|test|prod)_", rb"[A-Za-z0-9]{10,}"),
    ("stripe-key", rb"whsec_", rb"[A-Za-z0-9+/=]{24,}"),
    ("aws-access-key", rb"A[KS]IA", rb"[A-Z0-9]{16}"),
    ("aws-bedrock-key", rb"ABSK", rb"[A-Za-z0-9+/=]{100,}"),
    ("google-key", rb"AIza", _WORD + rb"{35}"),
    ("google-token", rb"ya29\.", _WORD + rb"{20,}"),
    ("google-secret", rb"GOCSPX-", _WORD + rb"{28}"),
    ("github-token", rb"gh[opusr]_", rb"[A-Za-z0-9]{20,}"),
    ("github-token", rb"github_pat_", rb"[A-Za-z0-9_]{20,}"),
    ("gitlab-token", rb"gl(?:pat|cbt|ptt|oas|imt)-", rb"[A-Za-z0-9_.-]{16,}"),
    ("gitlab-token", rb"gl(?:dt|rt|ft)-", rb"[A-Za-z0-9_.-]{16,}"),
    ("gitlab-token", rb"gl(?:agent|soat|ffct)-", rb"[A-Za-z0-9_.-]{16,}"),
    ("groq-key", rb"gsk_", rb"[A-Za-z0-9]{40,}"),
    ("grafana-token", rb"glsa_", rb"[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
    ("grafana-token", rb"glc_", rb"[A-Za-z0-9+/=]{32,}"),
    ("slack-token", rb"xox[abceoprs]-", rb"[A-Za-z0-9-]{10,}"),
    ("slack-token", rb"xapp-", rb"[A-Za-z0-9-]{12,}"),
    ("xai-key", rb"xai-", rb"[A-Za-z0-9]{40,}"),
    ("huggingface-token", rb"hf_", rb"[A-Za-z0-9]{30,}"),
    ("databricks-token", rb"dapi", rb"[0-9a-f]{32}(?:-\d+)?"),
    ("databricks-token", rb"dose", rb"[0-9a-f]{32}"),
    ("npm-token", rb"npm_", rb"[A-Za-z0-9]{36}"),
    ("pypi-token", rb"pypi-A", _WORD + rb"{40,}"),
    ("rubygems-token", rb"rubygems_", rb"[0-9a-f]{48}"),
    ("docker-token", rb"dckr_(?:pat|oat)_", _WORD + rb"{20,}"),
    ("jwt", rb"eyJ", rb"%s{8,}\.eyJ%s{8,}\.%s{8,}" % (_WORD, _WORD, _WORD)),
    ("twilio-key", rb"SK", rb"[0-9a-f]{32}"),
    ("sendgrid-key", rb"SG\.", _WORD + rb"{16,}\." + _WORD + rb"{16,}"),
    ("mailgun-key", rb"key-", rb"[0-9a-f]{32}"),
    ("brevo-key", rb"xkeysib-", rb"[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    ("digitalocean-token", rb"do[opr]_v1_", rb"[0-9a-f]{64}"),
    ("vercel-token", rb"vc[apirk]_", rb"[A-Za-z0-9]{24,}"),
    ("netlify-token", rb"nf[pcou]_", rb"[A-Za-z0-9]{36,}"),
    ("vault-token", rb"hv[sbr]\.", _WORD + rb"{24,}"),
    ("linear-key", rb"lin_", rb"(?:api|oauth|wh)_[A-Za-z0-9]{32,}"),
    ("notion-token", rb"ntn_", rb"[A-Za-z0-9]{40,}"),
    ("notion-token", rb"secret_", rb"[A-Za-z0-9]{43}"),
    ("shopify-token", rb"shp(?:at|ca|pa|ss)_", rb"[A-Fa-f0-9]{32}"),
    ("square-token", rb"sq0[a-z]{3}-", _WORD + rb"{22,}"),
    ("new-relic-key", rb"NRAK-", rb"[A-Z0-9]{27}"),
    ("sentry-token", rb"sntrys_", rb"[A-Za-z0-9+/=_]{40,}"),
    ("sentry-token", rb"sntryu_", rb"[0-9a-f]{64}"),
    ("replicate-token", rb"r8_", rb"[A-Za-z0-9]{37}"),
    ("perplexity-key", rb"pplx-", rb"[A-Za-z0-9]{40,}"),
    ("fireworks-key", rb"fw_", rb"[A-Za-z0-9]{22,}"),
    ("langsmith-key", rb"lsv2_(?:pt|sk)_", rb"[0-9a-f]{32}_[0-9a-f]{10}"),
    ("langfuse-key", rb"sk-lf-", rb"[0-9a-f-]{36}"),
    ("pinecone-key", rb"pcsk_", rb"[A-Za-z0-9_]{40,}"),
    ("supabase-token", rb"sbp_", rb"[0-9a-f]{40}"),
    ("supabase-key", rb"sb_secret_", _WORD + rb"{20,}"),
    ("postman-key", rb"PMAK-", rb"[0-9a-f]{24}-[0-9a-f]{34}"),
    ("atlassian-token", rb"ATATT3", rb"[A-Za-z0-9_=-]{40,}"),
    ("doppler-token", rb"dp\.(?:pt|st|ct)\.", rb"[A-Za-z0-9._-]{40,}"),
    ("dynatrace-token", rb"dt0c01\.", rb"[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    ("planetscale-token", rb"pscale_", rb"(?:tkn|oauth|pw)_[A-Za-z0-9_=.-]{32,}"),
    ("prefect-key", rb"pnu_", rb"[A-Za-z0-9]{36}"),
    ("pulumi-token", rb"pul-", rb"[0-9a-f]{40}"),
    ("1password-token", rb"ops_eyJ", rb"[A-Za-z0-9+/=]{100,}"),
    ("openshift-token", rb"sha256~", _WORD + rb"{43}"),
    ("age-key", rb"AGE-SECRET-KEY-1", rb"[A-Z0-9]{58}"),
)

FORMS: tuple[tuple[str, bytes, bytes], ...] = (
    # kind, where to look, pattern: keys without a prefix of their own. The pattern begins where
    # to look, or up to ``REACH`` bytes before.
    ("private-key", rb"-----BEGIN [A-Z ]*PRIVATE KEY", _PEM_WHOLE),
    ("private-key", rb"-----BEGIN [A-Z ]*PRIVATE KEY", _PEM_CUT),
    ("slack-webhook", rb"hooks\.slack\.com", rb"hooks\.slack\.com" + _SLASH + rb"services" + _SLASH
     + rb"(?P<secret>T[A-Z0-9]{6,}" + _SLASH + rb"(?:\w|\\*/){16,})"),
    ("discord-webhook", rb"/webhooks\\*/", rb"/webhooks" + _SLASH + rb"\d{15,22}" + _SLASH
     + rb"(?P<secret>[A-Za-z0-9_-]{50,})"),
    ("azure-key", rb"AccountKey=", rb"AccountKey=(?P<secret>" + _B64 + rb"{40,})"),
    ("azure-secret", rb"\dQ~", BEGIN + rb"[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}"),
    ("mailchimp-key", rb"[0-9a-f]-us\d", BEGIN + rb"[0-9a-f]{32}-us\d{1,2}\b"),
    ("telegram-token", rb"\d:AA", BEGIN + rb"\d{8,11}:AA[A-Za-z0-9_-]{32,35}\b"),
    ("terraform-token", rb"\.atlasv1\.", BEGIN + rb"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}"),
    ("discord-token", rb"\.[\w-]{6}\.[\w-]{24}", BEGIN
     + rb"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,45}\b"),
    ("airtable-token", rb"pat[A-Za-z0-9]{14}\.", BEGIN + rb"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    ("aws-secret-key", rb"(?i:secret_?access_?key)", rb"(?i:secret_?access_?key)(?:" + SET_TO
     + rb"|\s+)(?P<secret>" + _B64 + rb"{40})(?![A-Za-z0-9+/=])"),
    ("signature", rb"[?&;](?:sig|[A-Za-z-]*ignature)=",
     rb"[?&;][A-Za-z-]*=(?P<secret>[\w%+/=.-]{20,})"),
)  # fmt: skip

REACH = 48
"""Bytes before the place to look at that may belong to it: of a secret, or of its name."""

NAMES = (
    b"ssword", b"SSWORD", b"sswd", b"SSWD", b"ssphrase", b"SSPHRASE", b"pwd", b"Pwd", b"PWD",
    b"_pass", b"-pass", b"_PASS", b"ecret", b"ECRET", b"oken", b"OKEN", b"key", b"Key", b"KEY",
    b"redential", b"REDENTIAL",
)  # fmt: skip
"""How the names of secrets end; :func:`kind_of_secret` looks at the whole of them."""

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


def kind_of_secret(name: str) -> str | None:
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
    kind = kind_of_secret(name)
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
