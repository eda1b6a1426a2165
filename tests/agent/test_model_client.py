"""Claude as the model: which secret goes where, what is sent, and what every trouble becomes."""

import json
import time

import pytest
from messages_server import Fault, Reply, messages_server

from evalkit.agent.claude import ATTEMPTS, MAX_WAIT_S, Claude
from evalkit.agent.model_client import ANTHROPIC, DEFAULT_MODEL, ClaudeSettings, settings_from_env
from evalkit.errors import ContextFull, InputError, ModelError
from evalkit.tokens import Usage

KEY, TOKEN = "sk-ant-made-up", "dapi-made-up"
HELLO = {"role": "user", "content": "Hello?"}
LOOK = {
    "name": "look",
    "description": "Looks at something.",
    "input_schema": {"type": "object", "properties": {"at": {}}},
}
CALL = ("look", {"at": "traces", "words": 'quoted "ü" \\ and more', "deep": [{"n": 1.5}, None]})
ONE_TURN, BROKEN = Usage(100, 20), Usage(100, 1)  # the latter is known of one that broke off
DONE = Reply("Done.")


def cost(usage):
    written_5m = usage.cache_write - usage.cache_write_1h
    read = usage.input * 1e-6 + usage.cache_read * 1e-7
    return read + usage.output * 5e-6 + written_5m * 1.25e-6 + usage.cache_write_1h * 2e-6


def model_at(server, **options):
    given = {"cost": cost, "sleep": lambda _: None, **options}
    return Claude(ClaudeSettings(server.url, "claude-test", secret=KEY), **given)


def ask(model, *messages, **more):
    asked = {"system": "Be brief.", "tools": (LOOK,), "max_tokens": 1000, **more}
    return model.create(messages=list(messages) or [HELLO], **asked)


# -- which secret goes to which host, when flags, environment and .env each name something ----

WORKSPACE, GATEWAY = "https://w.example/serving-endpoints", "https://gateway.example"
SERVED = f"{WORKSPACE}/anthropic"
A_KEY, A_TOKEN = {"ANTHROPIC_API_KEY": KEY}, {"ANTHROPIC_AUTH_TOKEN": TOKEN}
AT_GATEWAY, AT_WORKSPACE = {"ANTHROPIC_BASE_URL": GATEWAY}, {"ANTHROPIC_BASE_URL": WORKSPACE}
AT_ANTHROPIC = {"ANTHROPIC_BASE_URL": f"{ANTHROPIC}/"}
SENT_TO = [
    # one place names all
    ({}, {}, A_KEY, ANTHROPIC, KEY),
    ({}, {}, A_TOKEN | AT_WORKSPACE, SERVED, TOKEN),
    # the environment before .env, where empty counts as unset
    ({}, A_KEY, {"ANTHROPIC_API_KEY": "sk-ant-other"}, ANTHROPIC, KEY),
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
]
KEPT = [
    ({}, A_KEY, AT_GATEWAY, "from the environment would be sent to gateway.example"),
    ({}, AT_GATEWAY, A_KEY, "from .env would be sent to gateway.example"),
    ({"auth_token": TOKEN}, {}, AT_WORKSPACE, "from the command line would be sent to w.exa"),
    ({}, A_TOKEN, A_TOKEN | AT_WORKSPACE, "from the environment would be sent to w.example"),
    ({"base_url": WORKSPACE}, A_KEY, {}, "Anthropic key would be sent to Databricks"),
    ({"auth_token": TOKEN}, A_KEY, {}, "Databricks token would be sent to Anthropic"),
    ({}, {"ANTHROPIC_API_KEY": "a\nx-evil: b"}, {}, "holds characters that none has"),
    ({}, A_KEY, {"ANTHROPIC_BASE_URL": "https://[half"}, "is no URL"),
    ({}, {}, {}, "there is no key for Claude"),
]


@pytest.mark.parametrize(("flags", "env", "dotenv", "host", "secret"), SENT_TO)
def test_a_secret_goes_to_the_host_that_it_is_for(flags, env, dotenv, host, secret):
    settings = settings_from_env(env, dotenv=dotenv, **flags)
    assert (settings.base_url, settings.secret) == (host, secret)
    assert settings.model == DEFAULT_MODEL
    assert secret not in repr(settings)


@pytest.mark.parametrize(("flags", "env", "dotenv", "complaint"), KEPT)
def test_a_secret_that_would_go_elsewhere_is_kept_and_not_shown(flags, env, dotenv, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        settings_from_env(env, dotenv=dotenv, **flags)
    assert not {KEY, TOKEN} & set(str(caught.value).split())


STRAY = {
    "ANTHROPIC_API_KEY": KEY,
    "ANTHROPIC_AUTH_TOKEN": "dapi-stray",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
    "ANTHROPIC_CUSTOM_HEADERS": f"x-api-key: {KEY}\nX-Other: stray\nAnthropic-Beta: stray-1",
    "ANTHROPIC_PROFILE": "stray",
}


@pytest.mark.parametrize("form", ["secret", "headers"])
def test_only_the_chosen_secret_travels_whatever_the_environment_holds(form, monkeypatch):
    for name, value in STRAY.items():
        monkeypatch.setenv(name, value)
    tokens = iter([TOKEN, "dapi-2"])  # headers are asked for anew with every attempt
    headers = {"headers": lambda: {"Authorization": f"Bearer {next(tokens)}"}}
    with messages_server(Fault(529), DONE) as server:
        how = {"secret": TOKEN} if form == "secret" else headers
        settings = ClaudeSettings(f"{server.url}/serving-endpoints/anthropic", "m", **how)
        assert ask(Claude(settings, sleep=lambda _: None)).text == "Done."
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == [f"Bearer {TOKEN}", f"Bearer {TOKEN if form == 'secret' else 'dapi-2'}"]
    (request, _) = server.requests
    assert request.path == "/serving-endpoints/anthropic/v1/messages"
    assert request.headers["anthropic-version"] == "2023-06-01"
    travelled = json.dumps([request.headers, request.body])
    assert KEY not in travelled
    assert "stray" not in travelled


@pytest.mark.parametrize("status", [301, 307, 308])
def test_no_redirect_takes_a_secret_along(status):
    with (
        messages_server(DONE) as elsewhere,
        messages_server(Fault(status, location=f"{elsewhere.url}/v1/messages")) as server,
        pytest.raises(ModelError, match=f"{status}"),
    ):
        ask(model_at(server))
    assert elsewhere.requests == []


# -- answers, their tokens and their cost -----------------------------------------------------


def test_words_and_calls_come_back_whole_and_turns_begin_alike_so_that_the_cache_is_read():
    words = "I look at the traces first; häufig reicht das. 🙂"
    with messages_server(
        Reply(words, thinking="Where to begin?", tools=(CALL, CALL)), DONE
    ) as server:
        model = model_at(server)
        answer = ask(model)
        said = {"role": "assistant", "content": [dict(block) for block in answer.content]}
        seen = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": "seen"}
            for call in answer.tool_calls
        ]
        ask(model, HELLO, said, {"role": "user", "content": seen})
    assert answer.text == words
    assert [(call["name"], call["input"]) for call in answer.tool_calls] == [CALL, CALL]
    assert answer.content[0]["type"] == "thinking"
    assert (answer.stop_reason, answer.model) == ("tool_use", "claude-test")
    assert answer.request_id == "req_0001"
    first, second = (request.body for request in server.requests)
    assert first["cache_control"] == second["cache_control"] == {"type": "ephemeral"}
    assert [first[part] for part in ("system", "tools")] == [second["system"], second["tools"]]
    assert second["messages"][:1] == first["messages"]


@pytest.mark.parametrize(
    ("lacks", "part"), [({"caching": False}, "cache_control"), ({"thinking": False}, "thinking")]
)
def test_who_does_not_know_caching_or_thinking_is_asked_plainly_from_then_on(lacks, part):
    waits = []
    with messages_server(Reply("One."), Reply("Two."), **lacks) as server:
        model = model_at(server, sleep=waits.append)
        assert [ask(model).text, ask(model).text] == ["One.", "Two."]
    assert [part in request.body for request in server.requests] == [True, False, False]
    assert all({"cache_control", "thinking"} & set(r.body) for r in server.requests)
    assert waits == []


def test_tokens_and_cost_by_kind_and_why_it_refused():
    usage = {
        "input_tokens": 10,
        "output_tokens": 300,
        "cache_read_input_tokens": 4000,
        "cache_creation_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200},
    }
    details = {"type": "refusal", "category": None, "explanation": "Not that."}
    with messages_server(Reply("", "refusal", details, usage=usage)) as server:
        answer = ask(model_at(server))
    assert answer.usage == Usage(10, 300, 4000, 500, 200)
    assert answer.cost_usd == pytest.approx(
        10 * 1e-6 + 300 * 5e-6 + 4000 * 1e-7 + 300 * 1.25e-6 + 200 * 2e-6
    )
    assert (answer.stop_reason, answer.explanation) == ("refusal", "Not that.")
    assert answer.content == ()


# -- trouble ----------------------------------------------------------------------------------

CUTS = ("drop_after", "truncate_after")
PASSES = [
    *map(Fault, (0, 408, 429, 529)),
    Fault(502, "<html>Bad gateway", plain=True),
    *(Reply("Half of it", **{cut: n}) for n in (0, 3, 5) for cut in CUTS),
    Reply("Half of it", error_after=0),
    *(Reply("Half", error_after=4, error_kind=k) for k in ("api_error", "overloaded_error", "")),
]


@pytest.mark.parametrize("trouble", PASSES)
def test_trouble_that_passes_is_waited_out(trouble):
    waits, slept = [], []
    with messages_server(trouble, trouble, DONE) as server:
        answer = ask(model_at(server, sleep=slept.append, on_wait=waits.append))
    assert answer.text == "Done."
    assert len(server.requests) == 3
    assert slept == [0.5, 1.0]
    why, told = zip(*(wait.rsplit(": ", 1) for wait in waits), strict=True)
    assert all(why)
    assert told == (f"attempt 1 of {ATTEMPTS} in 0 s", f"attempt 2 of {ATTEMPTS} in 1 s")


@pytest.mark.parametrize("cut", CUTS)
def test_what_breaks_after_the_answer_is_complete_is_not_paid_twice(cut):
    events = 6  # start, ping, block, its one piece, its end, the message's end
    with messages_server(Reply("Done.", **{cut: events})) as server:
        assert ask(model_at(server)).text == "Done."
    assert len(server.requests) == 1


def test_waits_are_those_the_server_asks_for_up_to_a_cap_and_trouble_that_lasts_says_its_cost():
    slept = []
    faults = [Fault(429, retry_after=after) for after in ("2", "3600", "-1", "tomorrow", "nan")]
    with messages_server(*faults, DONE) as server:
        ask(model_at(server, sleep=slept.append))
    assert slept == [2.0, MAX_WAIT_S, 0.0, 4.0, 8.0]
    slept.clear()
    broken = Reply("Half of it", error_after=4)
    with messages_server(*[broken] * 20) as server, pytest.raises(ModelError) as caught:
        ask(model_at(server, sleep=slept.append))
    assert len(server.requests) == ATTEMPTS
    assert slept == [0.5, 1, 2, 4, 8, 16, 32]
    assert "overloaded_error: scripted error" in str(caught.value)
    assert caught.value.usage == Usage(100 * ATTEMPTS, ATTEMPTS)
    assert caught.value.cost_usd == pytest.approx(cost(BROKEN) * ATTEMPTS)


LONG = "input length and `max_tokens` exceed context limit: 9 + 2 > 10"


@pytest.mark.parametrize(
    ("trouble", "kind", "says"),
    [
        (Fault(401), ModelError, "does not accept the key for this"),
        (Fault(404), ModelError, "does not know the model claude-test"),
        (Fault(438, "<p>" * 900, plain=True), ModelError, r"438: (<p>){99}<p…"),
        (Fault(400, "tools.0: no"), ModelError, r"gave no answer \(400: tools.0: no\); correct"),
        (Fault(400, "prompt is too long: 2 tokens > 1 maximum"), ContextFull, "2 tokens > 1"),
        (Fault(400, LONG), ContextFull, "too long for"),
    ],
)
def test_a_refused_request_is_not_repeated_and_costs_nothing(trouble, kind, says):
    with messages_server(trouble, DONE) as server, pytest.raises(ModelError, match=says) as caught:
        ask(model_at(server, cost=lambda _: None))
    assert type(caught.value) is kind
    assert len(server.requests) == 1
    assert (caught.value.usage, caught.value.cost_usd) == (Usage(), 0.0)
    assert "--model offline" in str(caught.value)
    assert KEY not in str(caught.value)


# -- interrupts -------------------------------------------------------------------------------


class Stop(BaseException):
    """What a person's interrupt is to the code below."""


def stop(*_):
    raise Stop


@pytest.mark.parametrize(
    ("heard", "script", "paid"),
    [
        ("sleep", Fault(429, retry_after="3600"), ONE_TURN),
        ("on_wait", Fault(529), ONE_TURN),
        ("on_text", Reply("word " * 100, pause_s=0.05), ONE_TURN + BROKEN),
    ],
)
def test_an_interrupt_ends_it_at_once_and_what_it_broke_is_booked_with_the_next(
    heard, script, paid
):
    began = time.monotonic()
    with messages_server(script, DONE, DONE) as server:
        model = model_at(server, **({heard: stop} if heard != "on_text" else {}))
        with pytest.raises(Stop):
            ask(model, **({heard: stop} if heard == "on_text" else {}))
        assert [ask(model).usage, ask(model).usage] == [paid, ONE_TURN]
    assert time.monotonic() - began < 5
