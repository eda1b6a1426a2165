r"""What secrets look like: by their makers' prefix, by what is around them, under a name of theirs.

Prefixes and lengths follow the rules of gitleaks (config/gitleaks.toml, MIT licence, Copyright
(c) 2019 Zachary Rice), widened where keys of other lengths were met. All patterns are about JSON
text as bytes, so what stands around a secret is always written in one syntax. Where to look for
one is read by Rust's engine too: no look-around, no back references.

A name alone says little: programs speak of ``token: str``, forms of ``"password": "Password"``,
models of ``max_tokens: 4096``. So a password has to be more than a word of code or prose, and a
token or key has to look drawn by lot.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

_MIN_PASSWORD, _MIN_UNSURE, _MIN_SPACES = 3, 6, 3
_MIN_DRAWN, _LONG_DRAWN = 8, 20
_MIN_COOKIE, _MAX_CHARS = 12, 4096

_PLACEHOLDER = re.compile(
    r"^[<$%{\[(]|\[masked:|\.\.\.|…|([xX*._#•-])\1{3}|^(?:x|\*)+$|redacted|placeholder|change.?me"
    r"|replace.?(?:me|with)|^(?:your|my|the|an?|some|example|insert|enter|dummy|fake)[-_ .]"
    r"|^(?:true|false|none|null|nil|undefined|required|optional|string|str|bytes|text|hidden|input"
    r"|prefix|int|bool|boolean|number|object|any|optional\[.*|secretstr|pass|password|passwd|passphrase"
    r"|secret|token|key|admin|test|testing|example|foo|bar|baz|value|default|empty|invalid|valid"
    r"|missing|unknown|basic|bearer|self|options?|env|file|prompt|disabled|enabled|auto|plain|hash(?:ed)?)\??$",
    re.IGNORECASE,
)
_PLACE_OR_CONSTANT = re.compile(
    r"^(?:/|\./|\.\./|~|[A-Za-z]:\\|data:|arn:|file:)|://|^[\w.-]+(?:/[\w.-]+)*\.[a-z]{1,5}$"
    r"|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){2,}(?::\w+)?$|^[a-z0-9_.-]+(?:/[a-z0-9_.-]+)+$"
    r"|^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$"
)
_PROSE = re.compile(
    r"\b(?:the|an?|of|your|you|my|for|to|is|are|must|not|and|or|in|with|be|this|that|if|no|use|from"
    r"|user|users|password|passwords|token|secret|enter|confirm|current|new|old|invalid|wrong|at"
    r"|least|please|forgot|reset|type|key)\b",
    re.IGNORECASE,
)
_OWN_NAME = re.compile(r"pass|pwd|secret|token|key|cred", re.IGNORECASE)
_NUMBER = re.compile(r"^[-+]?[\d.,_:]+(?:e[-+]?\d+)?$", re.IGNORECASE)
_BETWEEN = re.compile(r"[-_./:+ ]+")
_WORD = re.compile(r"(?:[a-z]*(?:[A-Z][a-z]+){0,6}|[A-Z]{0,15}|\d{1,8})$")
_CODE = re.compile(r"[(){}\[\]|]|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$|^[&*!]")
_IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z_]*\d{0,3}(?:_[A-Za-z]+\d{0,3})*$")


def is_secret(kind: str, value: str, *, certain: bool, alone: bool = False) -> bool:
    """Whether a value under the name of a secret is one; ``alone`` where it ends its line.

    It is a value for ``certain``, no code or prose, where it stood between quotes, or follows on
    ``=`` as in the environment.
    """
    if len(value) > _MAX_CHARS or _PLACEHOLDER.search(value) or _PLACE_OR_CONSTANT.search(value):
        return False
    if not certain and _CODE.search(value):
        return False
    if kind == "password":
        return _is_password(value, certain=certain, alone=alone)
    if " " in value or len(value) < _MIN_DRAWN or _NUMBER.match(value) or _is_wordy(value):
        return False
    if not certain and _IDENTIFIER.match(value):
        return False
    return len(value) >= _LONG_DRAWN or (bool(re.search(r"\d", value)) and not value.isdigit())


def _is_password(value: str, *, certain: bool, alone: bool) -> bool:
    digit = re.search(r"\d", value)
    if " " in value and (_PROSE.search(value) or value.count(" ") < _MIN_SPACES):
        return False
    if _PROSE.fullmatch(value) or (not digit and (_OWN_NAME.search(value) or value.istitle())):
        return False
    if certain:
        return len(value) >= _MIN_PASSWORD
    if value.isalpha():
        return alone and value.islower() and len(value) >= _MIN_UNSURE
    sign = re.search(r"[^\w.,:/-]", value)
    return len(value) >= _MIN_UNSURE and not value.isdigit() and bool(digit or sign)


def _is_wordy(value: str) -> bool:
    return all(map(_WORD.match, _BETWEEN.split(value)))


def is_drawn(value: str) -> bool:
    """Whether the text is neither made of words and small numbers nor stands in for a secret."""
    return not (_PLACEHOLDER.search(value) or _is_wordy(value))


def _in_url(value: str) -> bool:
    port = value.isdigit() and len(value) <= len("65535")
    return len(value) >= _MIN_PASSWORD and not port and not _PLACEHOLDER.search(value)


def _argument(value: str) -> bool:
    return not (value.isdigit() or value[:1] in "/-" or _PLACEHOLDER.search(value))


def _name_and_password(value: str) -> bool:
    try:
        return b":" in base64.b64decode(value.replace("\\", ""), validate=True)
    except binascii.Error:
        return False


def _cookie(cookies: str) -> bool:
    values = [each.partition("=")[2] for each in cookies.split(";")]
    return any(len(each) >= _MIN_COOKIE and is_drawn(each) for each in values)


_given = partial(is_secret, "password", certain=True)
_in_code = partial(is_secret, "password", certain=False)

# Before a secret stands no letter, digit, "-" or "_", unless they belong to an escape such as
# "\n" (the key is first on its line), "\u2192" (the arrow after a line number) or "\u001b[32m"
# (a terminal's colour).
BEGIN = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=[0-9\[]m)|(?<=\\u[0-9a-fA-F]{4}))"
NEAR = 48
"""Bytes before the place to look that may belong to it: of a secret, or of its name."""

QUOTE = rb"\\*[\"'`]"
_SPACE = rb"(?:\s|\\*[\"'`]|\\+t){0,40}"  # beside "=", in JSON, YAML, shell or code

_MAKERS = rb"""
anthropic-key       sk-ant-                  [A-Za-z0-9_-]{16,}
openrouter-key      sk-or-                   [A-Za-z0-9_-]{16,}
openai-key          sk-(?:proj|svcacct|admin)- [A-Za-z0-9_-]{16,}
openai-key          sk-                      [A-Za-z0-9]{20,}
stripe-key          [sr]k_(?:live|test|prod)_ [A-Za-z0-9]{10,}
stripe-key          whsec_                   [A-Za-z0-9+/=]{24,}
aws-access-key      A[KS]IA                  [A-Z0-9]{16}
aws-bedrock-key     ABSK                     [A-Za-z0-9+/=]{100,}
google-key          AIza                     [A-Za-z0-9_-]{35}
google-token        ya29\.                   [A-Za-z0-9_-]{20,}
google-secret       GOCSPX-                  [A-Za-z0-9_-]{28}
github-token        gh[opusr]_               [A-Za-z0-9]{20,}
github-token        github_pat_              [A-Za-z0-9_]{20,}
gitlab-token        gl(?:pat|cbt|ptt|oas|imt|[drf]t|agent|soat|ffct)- [A-Za-z0-9_.-]{16,}
groq-key            gsk_                     [A-Za-z0-9]{40,}
grafana-token       glsa_                    [A-Za-z0-9]{32}_[A-Fa-f0-9]{8}
grafana-token       glc_                     [A-Za-z0-9+/=]{32,}
slack-token         xox[abceoprs]-           [A-Za-z0-9-]{10,}
slack-token         xapp-                    [A-Za-z0-9-]{12,}
xai-key             xai-                     [A-Za-z0-9]{40,}
huggingface-token   hf_                      [A-Za-z0-9]{30,}
databricks-token    (?:dapi|dose)            [0-9a-f]{32}(?:-\d+)?
npm-token           npm_                     [A-Za-z0-9]{36}
pypi-token          pypi-A                   [A-Za-z0-9_-]{40,}
rubygems-token      rubygems_                [0-9a-f]{48}
docker-token        dckr_(?:pat|oat)_        [A-Za-z0-9_-]{20,}
jwt                 eyJ                      [A-Za-z0-9_-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}
twilio-key          SK                       [0-9a-f]{32}
sendgrid-key        SG\.                     [A-Za-z0-9_-]{16,}\.[\w-]{16,}
mailgun-key         key-                     [0-9a-f]{32}
brevo-key           xkeysib-                 [0-9a-f]{64}-[A-Za-z0-9]{16}
digitalocean-token  do[opr]_v1_              [0-9a-f]{64}
vercel-token        vc[apirk]_               [A-Za-z0-9]{24,}
netlify-token       nf[pcou]_                [A-Za-z0-9]{36,}
vault-token         hv[sbr]\.                [A-Za-z0-9_-]{24,}
linear-key          lin_(?:api|oauth|wh)_    [A-Za-z0-9]{32,}
notion-token        ntn_                     [A-Za-z0-9]{40,}
notion-token        secret_                  [A-Za-z0-9]{43}
shopify-token       shp(?:at|ca|pa|ss)_      [A-Fa-f0-9]{32}
square-token        sq0[a-z]{3}-             [A-Za-z0-9_-]{22,}
new-relic-key       NRAK-                    [A-Z0-9]{27}
sentry-token        sntrys_                  [A-Za-z0-9+/=_]{40,}
sentry-token        sntryu_                  [0-9a-f]{64}
replicate-token     r8_                      [A-Za-z0-9]{37}
perplexity-key      pplx-                    [A-Za-z0-9]{40,}
fireworks-key       fw_                      [A-Za-z0-9]{22,}
langsmith-key       lsv2_(?:pt|sk)_          [0-9a-f]{32}_[0-9a-f]{10}
langfuse-key        sk-lf-                   [0-9a-f-]{36}
pinecone-key        pcsk_                    [A-Za-z0-9_]{40,}
supabase-token      sbp_                     [0-9a-f]{40}
supabase-key        sb_secret_               [A-Za-z0-9_-]{20,}
postman-key         PMAK-                    [0-9a-f]{24}-[0-9a-f]{34}
airtable-token      pat[A-Za-z0-9]{14}\.      [0-9a-f]{64}
atlassian-token     ATATT3                   [A-Za-z0-9_=-]{40,}
doppler-token       dp\.(?:pt|st|ct)\.       [A-Za-z0-9._-]{40,}
dynatrace-token     dt0c01\.                 [A-Z0-9]{24}\.[A-Z0-9]{64}
planetscale-token   pscale_(?:tkn|oauth|pw)_ [A-Za-z0-9_=.-]{32,}
prefect-key         pnu_                     [A-Za-z0-9]{36}
pulumi-token        pul-                     [0-9a-f]{40}
1password-token     ops_eyJ                  [A-Za-z0-9+/=]{100,}
openshift-token     sha256~                  [A-Za-z0-9_-]{43}
age-key             AGE-SECRET-KEY-1         [A-Z0-9]{58}
"""
"""Kinds, their prefixes, and what follows on those: one class of characters to begin with."""


class Form(NamedTuple):
    """One kind of secret: the last group of the pattern, or all of it."""

    kind: str
    where: bytes
    pattern: bytes
    only: Callable[[str], bool] = is_drawn
    reach: int = 0
    """How far before the place to look it may begin."""


def _after(kind: str, where: bytes, rest: bytes, only: Callable[[str], bool] = is_drawn) -> Form:
    return Form(kind, where, where + rest, only)


def _around(kind: str, where: bytes, key: bytes) -> Form:
    return Form(kind, where, BEGIN + key, reach=NEAR)


def _of_maker(kind: bytes, prefix: bytes, body: bytes) -> Form:
    mark = prefix + body[: body.index(b"]") + 1] + b"{2}"
    return Form(kind.decode(), mark, BEGIN + prefix + body + rb"(?![A-Za-z0-9_-])")


BY_MAKER = [_of_maker(*row.split()) for row in _MAKERS.splitlines() if row]

_PEM_END = rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
# A block ends inside the JSON string it began in. Bounded, so that many beginnings without an
# end do not make the search quadratic; the largest real keys take some 6,000 characters.
_PEM_WHOLE = rb"(?=(?:[^\"\\]|\\.){0,300}?[A-Za-z0-9+/=]{40})(?:[^\"\\]|\\.){0,12000}?" + _PEM_END
# Cut off before its end: as far as it looks like a key's lines, with line numbers or a margin.
_PEM_CUT = (
    rb"(?=[^\"]{0,200}?[A-Za-z0-9+/]{40})"
    rb"(?:[A-Za-z0-9+/=\s:,>|#*\xe2\x86\x92'-]|\\+[nrt/]|\\+u2192){0,12000}"
)
# After its beginning; begins after an escape such as "\\n", never in the midst of one.
_PEM_TAIL = (
    rb"(?<!\\)" + BEGIN + rb"(?:[A-Za-z0-9+/]{16,}={0,2}(?:\\+[nr]|[\s>|-])+){1,100}" + _PEM_END
)
BY_FORM = (
    Form("private-key", rb"-----END [A-Z ]*PRIVATE KEY", _PEM_TAIL, bool, 6_000),
    _after("private-key", rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY",
           rb"(?: BLOCK)?-----(?:" + _PEM_WHOLE + rb"|" + _PEM_CUT + rb")", bool),
    _after("slack-webhook", rb"hooks\.slack\.com",
           rb"\\*/services\\*/(T[A-Z0-9]{6,}\\*/(?:\w|\\*/){16,})"),
    _after("discord-webhook", rb"/webhooks\\*/", rb"\d{15,22}\\*/([A-Za-z0-9_-]{50,})"),
    _after("azure-key", rb"AccountKey=", rb"((?:[A-Za-z0-9+=]|\\*/){40,})"),
    _around("azure-secret", rb"\dQ~", rb"[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}"),
    _around("mailchimp-key", rb"[0-9a-f]-us\d", rb"[0-9a-f]{32}-us\d{1,2}\b"),
    _around("telegram-token", rb"\d:AA", rb"\d{8,11}:AA[A-Za-z0-9_-]{32,35}\b"),
    _around("terraform-token", rb"\.atlasv1\.", rb"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}"),
    _around("discord-token", rb"\.[\w-]{6}\.[\w-]{24}",
            rb"[MNO][A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,45}\b"),
    _after("aws-secret-key", rb"(?i:secret_?access_?key)", rb"(?:" + _SPACE + rb"[:=,]" + _SPACE
           + rb"|\s+)((?:[A-Za-z0-9+=]|\\*/){40})(?![A-Za-z0-9+/=])"),
    _after("signature", rb"[?&;](?:sig|[A-Za-z-]*ignature)=", rb"([\w%+/=.-]{20,})"),
)  # fmt: skip

_GIVEN = rb"(?:[ =]|" + QUOTE + rb"(?:,\s?)?)*"
_OPTIONS = rb"\b(?:(?!\\+n(?!\s))[^|;\n]){0,400}?[\s,\"']"
_REST = rb"([^\s\"'`\\;|<>]+)"
_USER = rb"[^\s:\"'`\\@/]+"
_QUOTED = rb"(?P<quote>" + QUOTE + rb")([^\s\"'`\\]{3,256})(?P=quote)"
_ONE_COOKIE = rb"[\w.-]+=[^\s;\"'`\\]+"
_COOKIES = rb"(" + _ONE_COOKIE + rb"(?:;\s?" + _ONE_COOKIE + rb")*)"
_SAID = rb"(?i:ssw(?:or)?d|ssphrase|identified by|securestring)"
_PIPED = rb"(?:--password-stdin|sudo -S|chpasswd)"
_URL = rb":\\*/\\*/[^\s/\"\\<>]{3,}@"
_LOGINS = (
    rb"curl" + _OPTIONS + rb"(?:-u|-U|--user|--proxy-user)" + _GIVEN + _USER + rb":",
    rb"https?(?=\s)" + _OPTIONS + rb"(?:-a|--auth)[\s=]" + _GIVEN + _USER + rb":",
    rb"mysql\w*" + _OPTIONS + rb"-p",
    rb"(?:sshpass|redis-cli)" + _OPTIONS + rb"-[ap]" + _GIVEN,
    rb"(?:mongosh|login)" + _OPTIONS + rb"-p[\s=\"']" + _GIVEN,
    rb"ldap\w+" + _OPTIONS + rb"-w" + _GIVEN,
    rb"-pass\w*\spass:",
)
BY_PLACE = (
    _after("authorization", rb"(?i:authorization)", _SPACE + rb"(?:[:=]" + _SPACE
           + rb"(?:[A-Za-z][A-Za-z0-9-]{2,20}\s+)?|," + _SPACE
           + rb"(?i:basic|bearer|token)\s+)([A-Za-z0-9+/=_.~-]{8,})"),
    _after("bearer-token", rb"earer +", rb"([\w+/=.~-]{16,})"),
    Form("url-password", _URL, rb":(?:\\*/){2}[^\s/:@\"\\<>{}$]{0,256}:([^\s/\"\\<>]{1,256})"
         rb"@(?!sha\d+:|\d+(?:\.\d+){0,2}(?:[^\d.]|$))(?=[A-Za-z0-9\[])", _in_url),
    Form("url-token", _URL, rb":(?:\\*/){2}([\w.-]{16,256})@(?=[\w\[])"),
    Form("registry-login", rb"auth(?:\\*[\"']\s?:|\s?=)", rb"auth(?:" + QUOTE + rb"\s?:\s?" + QUOTE
         + rb"|\s?=\s?)((?:[A-Za-z0-9+=]|\\*/){8,})", _name_and_password),
    _after("cookie", rb"ookie\\*[\"'`]?\s?[:=]", rb"\s?(?:" + QUOTE + rb")?" + _COOKIES, _cookie),
    _after("cookie", rb"curl", _OPTIONS + rb"(?:-b|--cookie)" + _GIVEN + _COOKIES, _cookie),
    Form("password", rb"curl|https?\s|mysql|sshpass|redis-cli|mongosh|ldap|login\s|-pass\w*\spass:",
         rb"(?:" + rb"|".join(_LOGINS) + rb")" + _REST, _argument),
    _after("password", rb"(?:(?i:basic_?auth)|[A-Z]_AUTH)\\*[\"']?\s?[=:]",
           rb"\s?(?:" + QUOTE + rb")?" + _USER + rb":" + _REST, _argument),
    _after("password", rb"(?:auth\s?=\s?|BasicAuth)\(",
           rb"\s?" + QUOTE + _USER + QUOTE + rb",\s?" + _QUOTED, _given),
    Form("password", _SAID + rb"(?:\s+|\s?\(|\\*[\"'],\s?)\\*[\"'`]",
         _SAID + rb"(?:\s?\(|\s+|" + QUOTE + rb",\s?)" + _QUOTED, _in_code),
    Form("password", _PIPED, rb"echo\s+(?:-n\s+)?(?:" + QUOTE + rb")?(?:[\w.-]+:)?" + _REST
         + rb"(?:" + QUOTE + rb")?\s*\|[^|;\n]*?" + _PIPED, _argument, 256),
    _after("password", rb"login\s+[^\s\\]+(?:\s|\\+[nt])+password", rb"\s+" + _REST, _given),
)  # fmt: skip
