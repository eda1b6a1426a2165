"""Rules that say what of a log line is a secret: by its form, by its place, by its name."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from evalkit.secret_forms import (
    BEGIN,
    FORMS,
    NAMES,
    PEM_END,
    REACH,
    SPACE,
    TOKENS,
    is_placeholder,
    is_secret,
    is_wordy,
    kind_of_secret,
)

_FAR = 256  # bytes of a command before what tells that it reads a password
_LONGEST = 512  # bytes from its mark to the end of a secret that begins before it
_Match: TypeAlias = re.Match[bytes]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of secret: a group of its pattern, or all that it matches, is masked."""

    where: bytes
    pattern: re.Pattern[bytes]
    judge: Callable[[_Match], str | None]
    """The kind of secret that a match is, if it is one."""
    reach: int = 0
    """How far before the mark a match may begin."""

    def match(self, line: bytes, at: int, done: int) -> _Match | None:
        """What stands at a place of the line, as far as nothing of it is masked yet."""
        if not self.reach:
            return self.pattern.match(line, at)
        if not re.compile(self.where).match(line, at):
            return None
        found = self.pattern.search(line, max(done, at - self.reach), at + _LONGEST)
        return found if found and found.start() <= at else None


def _rule(
    kind: str, where: bytes, pattern: bytes, only: Callable[[str], bool], reach: int = 0
) -> Rule:
    def judge(match: _Match) -> str | None:
        return kind if only(_masked_part(match)) else None

    return Rule(where, re.compile(pattern, re.DOTALL), judge, reach)


def span(match: _Match) -> tuple[int, int]:
    """Where the secret of a match begins and ends."""
    groups = match.re.groupindex
    if "secret" in groups:
        return match.span("secret")
    if "bare" not in groups:
        return match.span()
    if match["bare"] is None:
        return match.span("quoted")
    start, value = match.start("bare"), match["bare"]
    if match.string[max(0, match.start() - REACH) : match.start()].rstrip(_NAME_BYTES)[-1:] in {
        b"?",
        b"&",
    }:
        value = re.split(rb"[&#]", value)[0]  # a parameter of a URL
    return start, start + max(1, len(value.rstrip(b")]}.,:")))


def missing_quote(match: _Match) -> bytes:
    """What a mark needs around it where a number stood in JSON."""
    groups = match.groupdict()
    return groups.get("closed") or b"" if groups.get("bare") and not groups["opened"] else b""


def _masked_part(match: _Match) -> str:
    start, end = span(match)
    return match.string[start:end].decode("utf-8", "replace")


def _random(secret: str) -> bool:
    return not (is_placeholder(secret) or is_wordy(secret))


def _password_in_url(secret: str) -> bool:
    port = secret.isdigit() and len(secret) <= len("65535")
    return len(secret) > 2 and not port and not is_placeholder(secret)  # noqa: PLR2004


def _argument(secret: str) -> bool:
    return not (secret.isdigit() or secret[:1] in "/-" or is_placeholder(secret))


_given_password = partial(is_secret, "password", certain=True, alone=False)
_password_in_code = partial(is_secret, "password", certain=False, alone=False)


def _name_and_password(secret: str) -> bool:
    try:
        return b":" in base64.b64decode(secret.replace("\\", ""), validate=True)
    except binascii.Error:
        return False


def _cookie(cookies: str) -> bool:
    values = [each.partition("=")[2] for each in cookies.split(";")]
    return any(len(each) >= 12 and _random(each) for each in values)  # noqa: PLR2004


def _named(match: _Match) -> str | None:
    line, end = match.string, span(match)[1]
    at = match.start()
    name = _NAME.search(line[max(0, at - REACH) : match.end("name")])[1]  # type: ignore[index]
    before = line[max(0, at - REACH) : match.end("name") - len(name)][-2:]
    value, kind = _masked_part(match), kind_of_secret(name.decode("utf-8", "replace"))
    if missing_quote(match):
        return kind if kind == "password" and re.fullmatch(r"\d{4,}", value) else None
    typed = before == b"::" or before[-1:] + match["set"] == b"::"  # AWS::…::Secret, arn:…:secret:
    if typed or (match["set"][:1] == b">" and line[end : end + 2] != b"</"):
        return None
    in_environment = match["set"] in {b"=", b" "} and (
        at < match.start("name") or name.split()[-1].isupper()
    )
    secret = is_secret(
        name.decode("utf-8", "replace"),
        value,
        certain=match["quoted"] is not None or in_environment,
        alone=match["set"][:1] == b":"
        and b"." not in name
        and _LINE_ENDS.match(line, end) is not None,
    )
    return kind if secret else None


_LINE_ENDS = re.compile(rb"\\+[nr]|\\*\"|[\r\n]|$")
_NAME_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_NAME = re.compile(
    rb"(?:\\+[nrtbf]|\\+u[0-9a-f]{4}(?:\[[0-9;]*m)?)?((?:[A-Za-z]+ )?[A-Za-z0-9_.-]*)$"
)
_GAP = rb"(?:\s|\\+t)*"
_QUOTE = rb"\\*[\"'`]"
_VALUE = (
    rb"(?:(?P<opening>" + _QUOTE + rb")(?P<quoted>(?!(?P=opening))(?:(?!\\+[nrt])[^\r\n]){1,4096}?)"
    rb"(?<!\\)(?P=opening)"
    rb"|(?P<opened>" + _QUOTE + rb")?"
    rb"(?P<bare>(?:[^\s\"'`\\,;<>]|,(?=[^\s\"'`\\,])|\\+/|\\+u00[2-7][0-9a-fA-F])+))"
)
_TYPED = rb"(?::\s?(?:str|bytes|string|String|SecretStr|Optional\[str\])(?:\s?\|\s?None)?\s?(?==))?"
_ENDS = rb"(?:" + b"|".join(NAMES) + rb")"
_ENDED = rb"(?:[-_]?(?:id|ID|data|base|BASE|value|VALUE))?\d?"
_AND_VALUE = rb"(?:,|\\+n|\s)+(?:-\s)?(?:" + _QUOTE + rb")?[vV]alue(?:" + _QUOTE + rb")?\s?[:=]"
_SET = (
    rb"(?P<closed>" + _QUOTE + rb")?[\])]?" + _GAP + _TYPED
    + rb"(?P<set>(?:=>|:=|[=!]=+|[=:>]|" + _AND_VALUE + rb")" + _GAP + rb")"
)  # fmt: skip
_USER_AND_PASSWORD = (
    rb"[^\s/:@\"\\<>{}$]{0,256}:(?P<secret>[^\s/\"\\<>]{1,256})"
    rb"@(?!sha\d+:|\d+(?:\.\d+){0,2}(?:[^\d.]|$))(?=[A-Za-z0-9\[])"
)
_AUTHORIZATION = (
    rb"(?i:authorization)" + SPACE + rb"(?:[:=]" + SPACE + rb"(?:[A-Za-z][A-Za-z0-9-]{2,20}\s+)?"
    rb"|," + SPACE + rb"(?i:basic|bearer|token)\s+)"
    rb"(?P<secret>[A-Za-z0-9+/=_.~-]{8,})"
)
_COOKIE = rb"[\w.-]+=[^\s;\"'`\\]+"
_COOKIES = rb"(?P<secret>" + _COOKIE + rb"(?:;\s?" + _COOKIE + rb")*)"
_LOGIN = (
    rb"auth(?:" + _QUOTE + rb"\s?:\s?" + _QUOTE + rb"|\s?=\s?)"
    rb"(?P<secret>(?:[A-Za-z0-9+=]|\\*/){8,})"
)
_GIVEN = rb"(?:[ =]|" + _QUOTE + rb"(?:,\s?)?)*"
_OPTIONS = rb"\b(?:(?!\\+n(?!\s))[^|;\n]){0,400}?[\s,\"']"
_REST = rb"(?P<secret>[^\s\"'`\\;|<>]+)"
_USER = rb"[^\s:\"'`\\@/]+"
_QUOTED = rb"(?P<opening>" + _QUOTE + rb")(?P<secret>[^\s\"'`\\]{3,256})(?P=opening)"
_SAID = rb"(?i:ssw(?:or)?d|ssphrase|identified by|securestring)"
_PIPED = rb"(?:--password-stdin|sudo -S|chpasswd)"
_BASIC = rb"(?:(?i:basic_?auth)|[A-Z]_AUTH)\\*[\"']?\s?[=:]"
_NETRC = rb"login\s+[^\s\\]+(?:\s|\\+[nt])+password"
_URL = rb":\\*/\\*/[^\s/\"\\<>]{3,}@"

# it begins after an escape such as "\\n", never in the midst of one
_PEM_TAIL = (
    rb"(?<!\\)" + BEGIN + rb"(?:[A-Za-z0-9+/]{16,}={0,2}(?:\\+[nr]|[\s>|-])+){1,100}" + PEM_END
)

BY_FORM = (
    _rule("private-key", rb"-----END [A-Z ]*PRIVATE KEY", _PEM_TAIL, bool, 6_000),
    *(_rule(kind, where, pattern, _random if kind != "private-key" else bool,
            REACH if pattern.startswith(BEGIN) else 0) for kind, where, pattern in FORMS),
    *(
        _rule(
            kind,
            prefix + (rest[: rest.index(b"]") + 1] + rb"{2}" if rest[:1] == b"[" else rb"\w\w"),
            BEGIN + prefix + rb"(?:" + rest + rb")(?![A-Za-z0-9_-])",
            _random,
        )
        for kind, prefix, rest in TOKENS
    ),
)  # fmt: skip
BY_PLACE = (
    _rule("authorization", rb"(?i:authorization)", _AUTHORIZATION, _random),
    _rule("bearer-token", rb"earer +", rb"earer +(?P<secret>[\w+/=.~-]{16,})", _random),
    _rule("url-password", _URL, rb":(?:\\*/){2}" + _USER_AND_PASSWORD, _password_in_url),
    _rule("url-token", _URL, rb":(?:\\*/){2}(?P<secret>[\w.-]{16,256})@(?=[\w\[])", _random),
    _rule("registry-login", rb"auth(?:\\*[\"']\s?:|\s?=)", _LOGIN, _name_and_password),
    _rule("cookie", rb"ookie\\*[\"']?\s?[:=]", rb"ookie(?:" + _QUOTE
          + rb")?\s?[:=]\s?(?:" + _QUOTE + rb")?" + _COOKIES, _cookie),
    _rule("password", rb"curl", rb"curl" + _OPTIONS + rb"(?:-u|-U|--user|--proxy-user)" + _GIVEN
          + _USER + rb":" + _REST, _argument),
    _rule("cookie", rb"curl", rb"curl" + _OPTIONS + rb"(?:-b|--cookie)" + _GIVEN
          + _COOKIES, _cookie),
    _rule("password", rb"https?\s", rb"https?(?=\s)" + _OPTIONS + rb"(?:-a|--auth)[\s=]" + _GIVEN
          + _USER + rb":" + _REST, _argument),
    _rule("password", _BASIC, _BASIC + rb"\s?(?:" + _QUOTE + rb")?" + _USER + rb":" + _REST,
          _argument),
    _rule("password", rb"(?:auth\s?=\s?|BasicAuth)\(", rb"(?:auth\s?=\s?|BasicAuth)\(\s?" + _QUOTE
          + _USER + _QUOTE + rb",\s?" + _QUOTED, _given_password),
    _rule("password", _SAID + rb"(?:\s+|\s?\(|\\*[\"'],\s?)\\*[\"'`]",
          _SAID + rb"(?:\s?\(|\s+|" + _QUOTE + rb",\s?)" + _QUOTED, _password_in_code),
    _rule("password", rb"-pass\w*\spass:", rb"-pass\w*\spass:" + _REST, _argument),
    _rule("password", _PIPED, rb"echo\s+(?:-n\s+)?(?:" + _QUOTE + rb")?(?:[\w.-]+:)?" + _REST
          + rb"(?:" + _QUOTE + rb")?\s*\|[^|;\n]*?" + _PIPED, _argument, _FAR),
    _rule("password", rb"mysql", rb"mysql\w*" + _OPTIONS + rb"-p" + _REST, _argument),
    _rule("password", rb"sshpass|redis-cli|mongosh|ldap|login\s", rb"(?:(?:sshpass|redis-cli)"
          + _OPTIONS + rb"-[ap]|(?:mongosh|login)" + _OPTIONS + rb"-p[\s=\"']|ldap\w+" + _OPTIONS
          + rb"-w)" + _GIVEN + _REST, _argument),
    _rule("password", _NETRC, _NETRC + rb"\s+" + _REST, _given_password),
    Rule(rb"--[\w-]*" + _ENDS + rb"[\"',\\= ]", re.compile(rb"--(?P<name>[\w-]*" + _ENDS
          + rb")(?P<closed>" + _QUOTE + rb"(?=,))?(?P<set>[ =]|,\s?)" + _VALUE), _named),
    Rule(_ENDS + _ENDED + rb"[\\\"'`]*[\])]?" + _GAP + rb"(?:[:=>,!]|\\+n[^,]{0,40}alue)",
          re.compile(rb"(?P<name>" + _ENDS + _ENDED + rb")" + _SET + _VALUE), _named),
)  # fmt: skip
