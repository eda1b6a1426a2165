"""Secrets are masked wherever and however they stand; ordinary ids are left alone."""

from __future__ import annotations

import json
import random
import string
from collections import Counter

import pytest
from agentlogs import answer, build_lines, finish, init, say, spans, text, use
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.core.masking import mask_json, mask_lines, mask_text

LETTERS = "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zAbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n" * 3
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
SECRETS = {
    "anthropic-key": ["sk-ant-api03-" + LETTERS[:40] + "-AA", "sk-ant-oat01-" + LETTERS[:30]],
    "openai-key": ["sk-" + LETTERS[:48], "sk-proj-" + LETTERS[:30] + "_x-9"],
    "openrouter-key": ["sk-or-v1-" + "0a" * 32],
    "aws-access-key": ["AKIA" + "Q3EGR5TY7UI9OPAS", "ASIA" + "Q3EGR5TY7UI9OPAS"],
    "github-token": ["ghp_" + LETTERS[:36], "gho_" + LETTERS[:36], "ghs_" + LETTERS[:36],
                     "github_pat_" + LETTERS[:22] + "_" + LETTERS[:40]],
    "gitlab-token": ["glpat-" + LETTERS[:20]],
    "slack-token": ["xoxb-123456789012-" + LETTERS[:24], "xoxp-1234567890-abcdef"],
    "slack-webhook": ["https://hooks.slack.com/services/T0ABCDEF1/B0ABCDEF2/" + LETTERS[:24]],
    "google-key": ["AIza" + LETTERS[:35]],
    "databricks-token": ["dapi" + "0123456789abcdef" * 2, "dapi" + "0123456789abcdef" * 2 + "-2"],
    "huggingface-token": ["hf_" + LETTERS[:34]],
    "stripe-key": ["sk_live_" + LETTERS[:24], "rk_test_" + LETTERS[:24]],
    "npm-token": ["npm_" + LETTERS[:36]],
    "pypi-token": ["pypi-AgEIcHlwaS5vcmc" + LETTERS[:50]],
    "groq-key": ["gsk_" + LETTERS[:52]],
    "jwt": [JWT],
    "bearer-token": ["Bearer " + LETTERS[:32]],
    "authorization": ["Authorization: Bearer " + LETTERS[:32], "authorization: basic dXNlcjpwdw==",
                      '"Authorization": "token ' + LETTERS[:20] + '"'],
    "url-password": ["https://me:hunter2@example.org/x", "postgres://app:p%40ss@db:5432/main"],
    "azure-key": ["AccountKey=" + LETTERS[:60] + "=="],
    "aws-secret-key": ["AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKY",
                       "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKY",
                       '"secretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKY"'],
    "private-key": [
        f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}-----END RSA PRIVATE KEY-----",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}",
        f'k = "-----BEGIN PRIVATE KEY-----\\n"\n  "{BODY[:60]}\\n"\n  "-----END PRIVATE KEY-----"',
        "     1\t-----BEGIN EC PRIVATE KEY-----\n     2\t" + BODY[:64] + "\n     3\t" + BODY[:64],
    ],
}  # fmt: skip
EACH = [(kind, secret) for kind, secrets in SECRETS.items() for secret in secrets]

HARMLESS = [
    "toolu_01DL6Gqvj23os5rsNRhFSTmy",
    "msg_011CdeZNZXiq8QnTfcAxZoC2",
    "req_011CdeZJDJeXRTS57ppSvpKzD",
    "call_d608f97ef0ba4efbb318290e",
    "558cd859-f05b-4ab3-8731-e73856882278",
    "a2cd9ef0123456789abcdef0123456789abcdef0",
    "task-abcdefghijklmnopqrstuvwxyz012345",
    "risk-assessment-2026-0123456789012345",
    "disk-01234567890123456789abcdef",
    "sk-container-id-1",
    "sk-fading-circle-of-many-words-and-more",
    "desk_test_abcdefghijklmnop",
    "npm_config_registry_of_our_own_company_x",
    "hf_hub_download_and_some_more_words_here",
    "Bearer authentication is what you need here",
    "Bearer token-based-authentication-with-words",
    "user@example.com and @types/node and a@b",
    "https://example.com:8080/path@2x.png",
    "scp host:/path user@host:/path",
    "git clone https://github.com/a/b@v1",
    'grep for "-----BEGIN PRIVATE KEY-----" in all files, please.',
    "the AKIA prefix and the AIza prefix",
    "eyJ is how they begin",
    "xoxo-kisses-and-hugs",
    "postgres://$USER:$PASSWORD@localhost/db",
    "-----BEGIN PUBLIC KEY-----\n" + BODY + "-----END PUBLIC KEY-----",
]


@pytest.mark.parametrize(("kind", "secret"), EACH)
def test_a_secret_in_text_is_masked_and_named(kind: str, secret: str) -> None:
    masked, counts = mask_text(f"before {secret} after")
    assert counts == {kind: 1}
    assert f"[masked:{kind}]" in masked
    assert "before " in masked
    assert LETTERS[:12] not in masked
    assert BODY[:20] not in masked


def places(secret: str) -> list[str]:
    """A secret as it may stand in what an agent reads and writes."""
    return [
        secret,
        f"\n{secret}\n",
        f"     1→{secret}",
        f"     7\t{secret}",
        f"KEY={secret}",
        f"\x1b[32m{secret}\x1b[0m",
        f'{{"key": "{secret}"}}' if '"' not in secret else secret,
        json.dumps({"nested": json.dumps({"deeper": secret})}),
    ]


@pytest.mark.parametrize(("kind", "secret"), EACH)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_secret_in_a_log_line_is_masked_wherever_it_stands(
    kind: str, secret: str, ascii_only: bool
) -> None:
    for place in places(secret):
        counts: Counter[str] = Counter()
        line = json.dumps({"a": [place]}, ensure_ascii=ascii_only).encode()
        (masked,) = mask_lines([line], counts)
        assert counts == {kind: 1}, place
        assert f"[masked:{kind}]" in json.loads(masked)["a"][0]
        assert LETTERS[:12].encode() not in masked


@pytest.mark.parametrize(("kind", "secret"), EACH)
def test_escapes_do_not_hide_a_secret(kind: str, secret: str) -> None:
    hidden = "".join(
        rf"\u{ord(char):04x}" if char in "-_AKxgsh" else r"\/" if char == "/" else char
        for char in json.dumps(secret)[1:-1].replace("\\n", "\n")
    ).replace("\n", "\\n")
    counts: Counter[str] = Counter()
    (masked,) = mask_lines([b'{"a":"' + hidden.encode() + b'"}'], counts)
    assert counts == {kind: 1}
    assert f"[masked:{kind}]" in json.loads(masked)["a"]


@pytest.mark.parametrize("harmless", HARMLESS)
def test_ordinary_text_is_left_alone(harmless: str) -> None:
    assert mask_text(harmless) == (harmless, Counter())
    line = json.dumps({"a": f"\n{harmless}\n", "b": harmless}).encode()
    assert list(mask_lines([line], Counter())) == [line]


def test_several_secrets_are_counted_each() -> None:
    two = f"{SECRETS['jwt'][0]} and {SECRETS['npm-token'][0]} and {SECRETS['jwt'][0]}"
    masked, counts = mask_text(two)
    assert masked == "[masked:jwt] and [masked:npm-token] and [masked:jwt]"
    assert counts == {"jwt": 2, "npm-token": 1}


def test_a_token_inside_a_url_or_header_goes_by_its_own_name() -> None:
    token = SECRETS["github-token"][0]
    assert mask_text(f"https://x:{token}@github.com")[0] == (
        "https://x:[masked:github-token]@github.com"
    )
    assert mask_text(f"Authorization: Bearer {token}")[0] == (
        "Authorization: Bearer [masked:github-token]"
    )


def test_values_are_masked_at_any_depth_and_others_returned_as_they_are() -> None:
    secret = SECRETS["google-key"][0]
    assert mask_json({"a": [1, {"b": secret}]}) == {"a": [1, {"b": "[masked:google-key]"}]}
    value = {"a": [1, None, True, "text"]}
    assert mask_json(value) is value
    assert mask_json("half \ud83d" + secret) == "half ?[masked:google-key]"


def test_secrets_leave_with_no_part_of_a_trace() -> None:
    secret = SECRETS["anthropic-key"][0]
    log = [
        init(cwd=f"/home/{secret}"),
        say("m1", text(f"use {secret}"), use("t1", "Bash", command=f"curl -H 'x: {secret}'")),
        answer("t1", f"echo {secret}", tool_use_result={"stdout": secret}),
        finish(f"done with {secret}", errors=[secret]),
    ]
    lines = [json.dumps(event).encode() for event in log]
    trace = build_lines(lines, request=f"please use {secret}", sidecars={"agent-a.jsonl": lines})
    assert secret not in repr(trace)
    assert trace.receipt.masked == {"anthropic-key": 14}
    assert "[masked:anthropic-key]" in spans(trace, "TOOL")[0].outputs


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80), st.sampled_from(EACH))
def test_masking_never_breaks_a_line(around: str, each: tuple[str, str]) -> None:
    line = json.dumps({"a": f"{around} {each[1]}", "b": around}).encode()
    (masked,) = mask_lines([line], Counter())
    assert json.loads(masked).keys() == {"a", "b"}


def test_many_key_beginnings_without_an_end_take_no_longer_than_a_few() -> None:
    random_ = random.Random(7)  # noqa: S311 - noise, no secret
    noise = "".join(random_.choices(string.ascii_letters, k=40))
    line = json.dumps({"a": ("-----BEGIN RSA PRIVATE KEY----- " + noise) * 5_000}).encode()
    assert len(next(mask_lines([line], Counter()))) < len(line)
