"""Secrets are known by their name too, and by makers' forms; what only looks so is left alone."""

import base64
import hashlib
import json
import random
import string
import uuid

import pytest

from evalkit.core.masking import mask_json, mask_lines, mask_text

SECRET = "Zx9" + "kQ4vL2mWb7TnYr"  # put together, so that no scanner takes it for a real one
LOTS = random.Random(10)  # noqa: S311 - made-up secrets
ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def drawn(length, alphabet=ALNUM):
    return "".join(LOTS.choices(alphabet, k=length))


NAMED = [
    "PASSWORD={}",
    "export DB_PASS='{}'",
    'REDIS_PASSWORD="{}"',
    "PGPASSWORD={} psql",
    "MY_SERVICE_TOKEN={}",
    "STRIPE_KEY={}",
    '$env:API_KEY = "{}"',
    "PASSWORD={}&more",
    "DB_PASSWORD: {}",
    "db:\n  password: {}",
    "password = {}",
    "secret_key_base: {}",
    "API Key: {}",
    "- name: DB_PASSWORD\n  value: {}",
    '{"name": "DB_PASSWORD", "value": "{}"}',
    '{"client_secret": "{}"}',
    '{"apiKey":"{}"}',
    '"dbPassword" : "{}"',
    "{'password': '{}'}",
    "os.environ['API_KEY'] = '{}'",
    "password: str = '{}'",
    "<password>{}</password>",
    "--password {}",
    "--password={}",
    "cmd --api-key {} --verbose",
    '["--token", "{}"]',
    "-Dpassword={}",
    "curl -u bob:{} https://h/x",
    "curl -s https://h --user 'bob:{}'",
    '["curl", "-u", "bob:{}"]',
    "mysql -uroot -p{} db",
    "sshpass -p {} ssh h",
    "docker login -u me -p {} registry",
    "redis-cli -a {} ping",
    "machine h login me password {}",
    "machine h\n  login me\n  password {}",
    "https://h/p?token={}&x=1",
    "https://h/p?x=1&client_secret={}#top",
    "grant_type=x&client_secret={}&scope=y",
    "jdbc:postgresql://h/db?user=a&password={}",
    "postgres://u:{}@h/db",
    "Server=h;User Id=sa;Password={};Database=x",
    "SharedAccessKey={}=",
    "X-Api-Key: {}",
    "X-Auth-Token: {}",
    "Ocp-Apim-Subscription-Key: {}",
    "Authorization: ApiKey {}",
    "Proxy-Authorization: Basic {}==",
    "Cookie: sid={}; theme=dark",
    "Set-Cookie: session={}; Path=/",
    "//registry.example.org/:_authToken={}",
]  # fmt: skip
WEAK = [
    ("PASSWORD=hunter", "hunter"),
    ("DB_PASSWORD: admin123", "admin123"),
    ("db:\n  password: swordfish\n", "swordfish"),
    ('"password": "correct horse battery staple"', "horse"),
    ('{"password": "ab\\"cd12"}', "cd12"),
]
FORMS = {
    "google-token": "ya29." + drawn(80),
    "google-secret": "GOCSPX-" + drawn(28),
    "stripe-key": "whsec_" + drawn(32),
    "twilio-key": "SK" + drawn(32, HEX),
    "sendgrid-key": "SG." + drawn(22) + "." + drawn(43),
    "mailgun-key": "key-" + drawn(32, HEX),
    "mailchimp-key": drawn(32, HEX) + "-us12",
    "telegram-token": "1234567890:AA" + drawn(33),
    "discord-token": "MTA" + drawn(23) + "." + drawn(6) + "." + drawn(38),
    "digitalocean-token": "dop_v1_" + drawn(64, HEX),
    "vault-token": "hvs." + drawn(90),
    "terraform-token": drawn(14) + ".atlasv1." + drawn(64),
    "docker-token": "dckr_pat_" + drawn(27),
    "linear-key": "lin_api_" + drawn(40),
    "notion-token": "ntn_" + drawn(46),
    "shopify-token": "shpat_" + drawn(32, HEX),
    "databricks-token": "dose" + drawn(32, HEX),
    "langsmith-key": "lsv2_pt_" + drawn(32, HEX) + "_" + drawn(10, HEX),
    "pinecone-key": "pcsk_" + drawn(60),
    "postman-key": "PMAK-" + drawn(24, HEX) + "-" + drawn(34, HEX),
    "rubygems-token": "rubygems_" + drawn(48, HEX),
    "openshift-token": "sha256~" + drawn(43),
    "azure-secret": "Ab1" + "8Q~" + drawn(31),
    "url-token": f"https://{drawn(40, HEX)}@github.example/a/b",
    "signature": "https://h/c?sv=2022-11-02&sig=" + drawn(42) + "%3D",
    "registry-login": '{"auth": "' + base64.b64encode(b"bob:hunter2hunter2").decode() + '"}',
}
HARMLESS = [
    "max_tokens: 4096",
    '"input_tokens": 12345678',
    "token: str",
    "password: string;",
    "password = None",
    "password=os.environ['X']",
    "api_key=api_key",
    "token = tokenizer.encode(x)",
    "password: <your password>",
    "PASSWORD=${PASSWORD}",
    "PASSWORD=changeme",
    "Password: ********",
    '{"password": "Password", "token": "Enter the token"}',
    "password: required",
    "next_page_token: CAESBQoDMTIzNDU2abc",
    "cache_key: d41d8cd98f00b204e9800998ecf8427e",
    "primary_key: 550e8400-e29b-41d4-a716-446655440000",
    "session_id: 558cd859-f05b-4ab3-8731-e73856882278",
    '"signature": "EqQBCgYIARgCIkBxyz0123456789abcdefghijk"',
    '"apiKeySource": "ANTHROPIC_API_KEY"',
    '"api_key": "OPENAI_API_KEY_2"',
    "PWD=/home/user/x1",
    "public_key: ssh-rsa AAAAB3NzaC1yc2EAAA",
    "secret: projects/p1/secrets/s2",
    "secretName: my-secret-1",
    "docker run -u 1000:1000 x",
    "git push -u origin a1:b2",
    "curl -u $USER:$PASS https://h",
    "https://user:8080@host",
    "docker://img:tag@sha256:" + "0c" * 32,
    "maven://g:a1b@1.0",
    "Authorization: required",
    "cookie: yes",
    "monkey: banana12345",
    "etag: 0123456789abcdef0123456789abcdef",
    "arn:aws:secretsmanager:us-west-2:1234:secret:MyDatabase-a1b2c3",
    '"AWS::IAM::AccessKey": "62d91b17309e76c8"',
    "sk-ant-xxxxxxxxxxxxxxxxxxxxxxxx",
    "glpat-documentation-about-tokens",
    "the name sk-proj-2024-project-names-here",
    "self.stdout.toString.apply(arguments)",
]


def told(text):
    """The text where it stands in a trace: bare, in a log line, and in JSON inside JSON."""
    yield text, mask_text(text)[0]
    yield text, mask_json({"a": [text]})["a"][0]
    line = json.dumps({"seen": f"     3\u2192{text}\nmore"}, ensure_ascii=False).encode()
    (masked,) = mask_lines([line], {})
    yield text, json.loads(masked)["seen"]
    nested = json.loads(mask_text(json.dumps({"b": json.dumps({"c": text})}))[0])
    yield text, json.loads(nested["b"])["c"]


@pytest.mark.parametrize("form", NAMED)
def test_what_stands_under_the_name_of_a_secret_is_masked(form):
    for text, masked in told(form.replace("{}", SECRET, 1)):
        assert SECRET not in masked, text
        assert "[masked:" in masked, text
        assert mask_text(masked)[0] == masked


@pytest.mark.parametrize(("text", "secret"), WEAK)
def test_a_password_need_not_look_drawn_by_lot(text, secret):
    assert secret not in mask_text(text)[0]


@pytest.mark.parametrize(("kind", "secret"), FORMS.items())
def test_the_forms_of_many_makers_are_known(kind, secret):
    for _, masked in told(f"found {secret} there"):
        assert f"[masked:{kind}]" in masked
        assert masked.startswith("found ") or "\u2192found " in masked


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_alone(text):
    for before, masked in told(text):
        assert before in masked


def test_ids_hashes_and_pictures_are_left_alone():
    for _ in range(500):
        for text in (
            hashlib.sha256(LOTS.randbytes(8)).hexdigest(),
            str(uuid.UUID(int=LOTS.getrandbits(128))),
            base64.b64encode(LOTS.randbytes(LOTS.randint(30, 300))).decode(),
            "data:image/png;base64," + base64.b64encode(LOTS.randbytes(200)).decode(),
            *(prefix + drawn(24) for prefix in ("toolu_", "msg_", "req_", "/var/run-")),
        ):
            assert mask_text(f"id: {text}") == (f"id: {text}", {})


def test_keys_of_json_say_what_their_values_are():
    assert mask_json({"db": {"password": SECRET, "port": 5432}, "max_tokens": 4096}) == {
        "db": {"password": "[masked:password]", "port": 5432},
        "max_tokens": 4096,
    }
    assert mask_json({"password": 12345678}) == {"password": "[masked:password]"}
    assert mask_json({"token": None, "secret": True}) == {"token": None, "secret": True}


def test_escapes_do_not_hide_a_name():
    line = b'{"a":"\\u0070assword\\u003d' + SECRET.encode() + b'\\u0026x"}'
    (masked,) = mask_lines([line], {})
    assert SECRET.encode() not in masked
    assert json.loads(masked)


def test_a_long_line_hides_nothing_wherever_it_stands():
    around = "words of no importance, 12 of them; " * 400
    for at in range(0, 3000, 97):
        text = around[: 9000 + at] + f" password={SECRET} " + around
        assert SECRET not in mask_text(text)[0]
