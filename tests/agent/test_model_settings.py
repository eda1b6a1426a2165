"""Which secret goes to which host, when flags, environment and .env each name something."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from messages_server import Fault, Reply, messages_server

from evalkit.agent.claude import Claude
from evalkit.agent.model_client import (
    ANTHROPIC,
    DEFAULT_MODEL,
    ClaudeSettings,
    settings_from_env,
)
from evalkit.agent.model_client import Reply as Answer
from evalkit.errors import InputError, ModelError

KEY = "sk-ant-made-up"
TOKEN = "dapi-made-up"
GATEWAY = "https://gateway.example"
WORKSPACE = "https://w.example/serving-endpoints"
SERVED = f"{WORKSPACE}/anthropic"

A_KEY = {"ANTHROPIC_API_KEY": KEY}
A_TOKEN = {"ANTHROPIC_AUTH_TOKEN": TOKEN}
AT_GATEWAY = {"ANTHROPIC_BASE_URL": GATEWAY}
AT_WORKSPACE = {"ANTHROPIC_BASE_URL": WORKSPACE}
AT_ANTHROPIC = {"ANTHROPIC_BASE_URL": f"{ANTHROPIC}/"}


def asked(settings: ClaudeSettings) -> Answer:
    model = Claude(settings, sleep=lambda _: None)
    hello = {"role": "user", "content": "Hello?"}
    return model.create(system="", messages=[hello], tools=[], max_tokens=100)


@pytest.mark.parametrize(
    ("flags", "env", "dotenv", "host", "secret"),
    [
        # one place names all
        ({}, {}, A_KEY, ANTHROPIC, KEY),
        ({}, {}, A_TOKEN | AT_WORKSPACE, SERVED, TOKEN),
        # the environment before .env
        ({}, A_KEY, {"ANTHROPIC_API_KEY": "sk-ant-other"}, ANTHROPIC, KEY),
        # empty counts as unset
        ({}, {"ANTHROPIC_API_KEY": " "}, A_KEY, ANTHROPIC, KEY),
        # a token with its host is used alone, whatever key lies about
        ({}, A_KEY, A_TOKEN | AT_WORKSPACE, SERVED, TOKEN),
        ({}, A_KEY | A_TOKEN | AT_WORKSPACE, A_KEY, SERVED, TOKEN),
        # the command line names the host for any secret
        ({"base_url": WORKSPACE}, A_TOKEN, {}, SERVED, TOKEN),
        ({"base_url": GATEWAY}, A_KEY, AT_WORKSPACE, GATEWAY, KEY),
        # a chosen token goes alone, and may go to the environment's host
        ({"auth_token": TOKEN}, A_KEY | AT_WORKSPACE, {}, SERVED, TOKEN),
        # Anthropic's own host needs no trust
        ({}, A_KEY, AT_ANTHROPIC, ANTHROPIC, KEY),
        ({}, A_KEY | AT_ANTHROPIC, A_TOKEN | AT_WORKSPACE, ANTHROPIC, KEY),
    ],
)
def test_a_secret_goes_to_the_host_that_it_is_for(
    flags: dict[str, str], env: dict[str, str], dotenv: dict[str, str], host: str, secret: str
) -> None:
    settings = settings_from_env(env, dotenv=dotenv, **flags)
    assert (settings.base_url, settings.secret) == (host, secret)
    assert settings.model == DEFAULT_MODEL
    assert secret not in repr(settings)


@pytest.mark.parametrize(
    ("flags", "env", "dotenv", "complaint"),
    [
        ({}, A_KEY, AT_GATEWAY, "from the environment would be sent to gateway.example"),
        ({}, AT_GATEWAY, A_KEY, "from .env would be sent to gateway.example"),
        ({"auth_token": TOKEN}, {}, AT_WORKSPACE, "from the command line would be sent to w.exa"),
        ({}, A_TOKEN, A_TOKEN | AT_WORKSPACE, "from the environment would be sent to w.example"),
        ({"base_url": WORKSPACE}, A_KEY, {}, "Anthropic key would be sent to Databricks"),
        ({"auth_token": TOKEN}, A_KEY, {}, "Databricks token would be sent to Anthropic"),
        ({}, {"ANTHROPIC_API_KEY": "a\nx-evil: b"}, {}, "holds characters that none has"),
        ({}, A_KEY, {"ANTHROPIC_BASE_URL": "https://[half"}, "is no URL"),
        ({}, {}, {}, "there is no key for Claude"),
        ({}, A_TOKEN, {}, "Databricks token would be sent to Anthropic"),
    ],
)
def test_a_secret_that_would_go_elsewhere_is_kept_and_not_shown(
    flags: dict[str, str], env: dict[str, str], dotenv: dict[str, str], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        settings_from_env(env, dotenv=dotenv, **flags)
    assert KEY not in str(caught.value)
    assert TOKEN not in str(caught.value)


# -- on the wire

STRAY: dict[str, str] = {
    "ANTHROPIC_API_KEY": KEY,
    "ANTHROPIC_AUTH_TOKEN": "dapi-stray",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
    "ANTHROPIC_CUSTOM_HEADERS": f"x-api-key: {KEY}\nX-Other: stray\nAnthropic-Beta: stray-1",
    "ANTHROPIC_PROFILE": "stray",
}


@pytest.mark.parametrize(
    "secret",
    [
        {"secret": TOKEN},
        {"headers": lambda: {"Authorization": f"Bearer {TOKEN}"}},
    ],
    ids=["secret", "headers"],
)
def test_only_the_chosen_secret_travels_whatever_the_environment_holds(
    secret: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in STRAY.items():
        monkeypatch.setenv(name, value)
    with messages_server(Reply("Hello."), secrets=frozenset({TOKEN})) as server:
        settings = ClaudeSettings(f"{server.url}/serving-endpoints/anthropic", "m", **secret)
        assert asked(settings).text == "Hello."
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.path == "/serving-endpoints/anthropic/v1/messages"
    assert request.headers["anthropic-version"] == "2023-06-01"
    travelled = json.dumps([request.headers, request.body])
    assert KEY not in travelled
    assert "stray" not in travelled


def test_headers_are_asked_for_anew_with_every_attempt() -> None:
    tokens = iter(["dapi-1", "dapi-2"])
    with messages_server(Fault(529), Reply("Hello.")) as server:
        headers = lambda: {"Authorization": f"Bearer {next(tokens)}"}  # noqa: E731, it is short
        asked(ClaudeSettings(server.url, "m", headers=headers))
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer dapi-1", "Bearer dapi-2"]


@pytest.mark.parametrize("status", [301, 307, 308])
def test_no_redirect_takes_a_secret_along(status: int) -> None:
    with (
        messages_server(Reply("Hello.")) as elsewhere,
        messages_server(Fault(status, location=f"{elsewhere.url}/v1/messages")) as server,
        pytest.raises(ModelError, match=f"{status}"),
    ):
        asked(ClaudeSettings(server.url, "m", TOKEN))
    assert elsewhere.requests == []


def test_who_has_no_key_does_not_load_the_client_library() -> None:
    code = (
        "import sys, evalkit.agent.model_client as c\n"
        "c.settings_from_env({'ANTHROPIC_API_KEY': 'k'})\n"
        "sys.exit('anthropic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
