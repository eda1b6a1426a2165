"""Secrets are masked wherever and however they stand; what only looks like one is left alone."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import string
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.masking import mask_json, mask_lines, mask_text

# put together, so that no scanner takes them for real ones
SECRET = "Zx9" + "kQ4vL2mWb7TnYr"
LOTS = random.Random(10)  # noqa: S311 - made-up secrets
ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
LINES = [f"MIIEowIBAAKCAQEA{letter * 48}" for letter in "bcdefg"]
PEM = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *LINES, "-----END RSA PRIVATE KEY-----"])


def drawn(length: int, alphabet: str = ALNUM) -> str:
    return "".join(LOTS.choices(alphabet, k=length))


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
    "databricks-token": ["dapi" + HEX * 2, "dapi" + HEX * 2 + "-2", "dose" + drawn(32, HEX)],
    "huggingface-token": ["hf_" + LETTERS[:34]],
    "stripe-key": ["sk_live_" + LETTERS[:24], "rk_test_" + LETTERS[:24], "whsec_" + drawn(32)],
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
    "google-token": ["ya29." + drawn(80)],
    "google-secret": ["GOCSPX-" + drawn(28)],
    "twilio-key": ["SK" + drawn(32, HEX)],
    "sendgrid-key": ["SG." + drawn(22) + "." + drawn(43)],
    "mailgun-key": ["key-" + drawn(32, HEX)],
    "mailchimp-key": [drawn(32, HEX) + "-us12"],
    "telegram-token": ["1234567890:AA" + drawn(33)],
    "discord-token": ["MTA" + drawn(23) + "." + drawn(6) + "." + drawn(38)],
    "digitalocean-token": ["dop_v1_" + drawn(64, HEX)],
    "vault-token": ["hvs." + drawn(90)],
    "terraform-token": [drawn(14) + ".atlasv1." + drawn(64)],
    "docker-token": ["dckr_pat_" + drawn(27)],
    "linear-key": ["lin_api_" + drawn(40)],
    "notion-token": ["ntn_" + drawn(46)],
    "shopify-token": ["shpat_" + drawn(32, HEX)],
    "langsmith-key": ["lsv2_pt_" + drawn(32, HEX) + "_" + drawn(10, HEX)],
    "pinecone-key": ["pcsk_" + drawn(60)],
    "postman-key": ["PMAK-" + drawn(24, HEX) + "-" + drawn(34, HEX)],
    "rubygems-token": ["rubygems_" + drawn(48, HEX)],
    "openshift-token": ["sha256~" + drawn(43)],
    "azure-secret": ["Ab1" + "8Q~" + drawn(31)],
    "url-token": [f"https://{drawn(40, HEX)}@github.example/a/b"],
    "signature": ["https://h/c?sv=2022-11-02&sig=" + drawn(42) + "%3D"],
    "registry-login": ['{"auth": "' + base64.b64encode(b"bob:hunter2hunter2").decode() + '"}'],
}  # fmt: skip

NAMED = [
    "PASSWORD={}",
    'REDIS_PASSWORD="{}"',
    "MY_SERVICE_TOKEN={}",
    '$env:API_KEY = "{}"',
    "PASSWORD={}&more",
    "DB_PASSWORD: {}",
    "db:\n  password: {}",
    "API Key: {}",
    "- name: DB_PASSWORD\n  value: {}",
    '{"name": "DB_PASSWORD", "value": "{}"}',
    '{"client_secret": "{}"}',
    '"dbPassword" : "{}"',
    "{'password': '{}'}",
    "os.environ['API_KEY'] = '{}'",
    "password: str = '{}'",
    "<password>{}</password>",
    "--password {}",
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
    "machine h\n  login me\n  password {}",
    "https://h/p?x=1&client_secret={}#top",
    "grant_type=x&client_secret={}&scope=y",
    "jdbc:postgresql://h/db?user=a&password={}",
    "postgres://u:{}@h/db",
    "Server=h;User Id=sa;Password={};Database=x",
    "SharedAccessKey={}=",
    "X-Api-Key: {}",
    "Ocp-Apim-Subscription-Key: {}",
    "Authorization: ApiKey {}",
    "Proxy-Authorization: Basic {}==",
    "Cookie: sid={}; theme=dark",
    "//registry.example.org/:_authToken={}",
    "user.set_password('{}')",
    'builder.withPassword("{}").build()',
    "CREATE USER bob WITH PASSWORD '{}';",
    "CREATE USER 'bob'@'%' IDENTIFIED BY '{}';",
    "log in as bob with password `{}`",
    "os.environ.setdefault('DB_PASSWORD', '{}')",
    "ConvertTo-SecureString '{}' -AsPlainText -Force",
    "export BASIC_AUTH=admin:{}",
    "basic_auth: 'admin:{}'",
    "cd /srv\nhttps --auth admin:{} POST api.example.com/orders id=7",
    "requests.get(url, auth=('bob', '{}'))",
    'HTTPBasicAuth("bob", "{}")',
    "echo {} | docker login -u bob --password-stdin reg.example.com",
    "echo '{}' | sudo -S apt-get install jq",
    "echo 'bob:{}' | chpasswd",
    "docker login -u bob --password {} && docker push -a reg.example.com/app",
    "openssl rsa -passin pass:{} -in key.pem",
    "mongosh -u root -p {} shop",
    "curl -b 'session={}9f8e7d' https://shop.example.com",
]
WEAK = [
    ("//npm.example.com/:_auth=Ym9iOlp4OWtRNHZMMm1XYjc=", "Ym9iOlp4OWtRNHZMMm1XYjc"),
    ("aws configure set aws_secret_access_key wJalrXUtnFEMIzK7MDENGzbPxRfiCYa1b2c3d4e5", "MIzK7"),
    ("PASSWORD=hunter", "hunter"),
    ("DB_PASSWORD: admin123", "admin123"),
    ("db:\n  password: swordfish\n", "swordfish"),
    ('"password": "correct horse battery staple"', "horse"),
    ('{"password": "ab\\"cd12"}', "cd12"),
]
EACH = [(kind, secret) for kind, secrets in SECRETS.items() for secret in secrets]
HARMLESS = [
    "toolu_01DL6Gqvj23os5rsNRhFSTmy",
    "call_d608f97ef0ba4efbb318290e",
    "558cd859-f05b-4ab3-8731-e73856882278",
    "task-abcdefghijklmnopqrstuvwxyz012345",
    "disk-01234567890123456789abcdef",
    "sk-fading-circle-of-many-words-and-more",
    "desk_test_abcdefghijklmnop",
    "hf_hub_download_and_some_more_words_here",
    "Bearer authentication is what you need here",
    "user@example.com and @types/node and a@b",
    "https://example.com:8080/path@2x.png",
    "git clone https://github.com/a/b@v1",
    'grep for "-----BEGIN PRIVATE KEY-----" in all files, please.',
    "postgres://$USER:$PASSWORD@localhost/db",
    "-----BEGIN PUBLIC KEY-----\n" + BODY + "-----END PUBLIC KEY-----",
    "max_tokens: 4096",
    '"input_tokens": 12345678',
    "token: str",
    "password: string;",
    "password=os.environ['X']",
    "api_key=api_key",
    "token = tokenizer.encode(x)",
    "password: <your password>",
    "PASSWORD=${PASSWORD}",
    "Password: ********",
    '{"password": "Password", "token": "Enter the token"}',
    "password: required",
    "next_page_token: CAESBQoDMTIzNDU2abc",
    "cache_key: d41d8cd98f00b204e9800998ecf8427e",
    "primary_key: 550e8400-e29b-41d4-a716-446655440000",
    '"signature": "EqQBCgYIARgCIkBxyz0123456789abcdefghijk"',
    '"apiKeySource": "ANTHROPIC_API_KEY"',
    '"api_key": "OPENAI_API_KEY_2"',
    "PWD=/home/user/x1",
    "public_key: ssh-rsa AAAAB3NzaC1yc2EAAA",
    "secret: projects/p1/secrets/s2",
    "docker run -u 1000:1000 x",
    "git push -u origin a1:b2",
    "curl -u $USER:$PASS https://h",
    "https://user:8080@host",
    "docker://img:tag@sha256:" + "0c" * 32,
    "Authorization: required",
    "monkey: banana12345",
    "arn:aws:secretsmanager:us-west-2:1234:secret:MyDatabase-a1b2c3",
    '"AWS::IAM::AccessKey": "62d91b17309e76c8"',
    "sk-ant-xxxxxxxxxxxxxxxxxxxxxxxx",
    "the name sk-proj-2024-project-names-here",
    "self.stdout.toString.apply(arguments)",
    "request req_011CSHoEeqs5C35K2UUqR7Fy of session 550e8400-e29b-41d4-a716-446655440000",
    "data:image/png;base64,iVBORw0KGgo" + "A7dK3mQ9" * 100,
    "/home/bob/.ssh/id_rsa and ./secrets/password.txt",
    "def set_password(self, new_password): ...",
    'validate_password("required")',
    "password 'must be at least 8 characters'",
    'getpass("Password: ")',
    't("password", "Kennwort")',
    "ALTER USER bob PASSWORD NULL",
    "BASIC_AUTH=true; BASIC_AUTH=$USER:$PASS; basic_auth: user:password",
    "auth=(user, password); auth=('user', 'password')",
    "echo $TOKEN | docker login --password-stdin; echo done | sudo tee /etc/motd",
    "docker run -p 8080:80 -u 1000:1000 -a stdout shop:latest",
    "fetched over http -after a while- and https -again",
    "curl -b cookies.txt https://shop.example.com",
]


def seen(written: str) -> Iterator[tuple[str, Counter[str]]]:
    """A text as it stands in what an agent reads and writes, masked, and what was found."""
    places = [
        written,
        f"\n{written}\n",
        f"     1\u2192{written}",
        f"     7\t{written}\nmore",
        f"\x1b[32m{written}\x1b[0m",
        json.dumps({"nested": json.dumps({"deeper": written})}),
    ]
    for place in places:
        yield mask_text(place)
        for ascii_only in (True, False):
            counts: Counter[str] = Counter()
            line = json.dumps({"a": [place]}, ensure_ascii=ascii_only).encode()
            (masked,) = mask_lines([line], counts)
            yield json.loads(masked)["a"][0], counts
    yield mask_json({"a": [written]})["a"][0], mask_text(written)[1]


@pytest.mark.parametrize(("kind", "secret"), EACH)
def test_a_secret_is_masked_and_named_wherever_it_stands(kind: str, secret: str):
    for masked, counts in seen(f"{secret} after"):
        assert counts == {kind: 1}, masked
        assert f"[masked:{kind}]" in masked
        assert not [each for each in (LETTERS[:12], BODY[:20], secret[-20:]) if each in masked]


@pytest.mark.parametrize(("kind", "secret"), EACH)
def test_escapes_do_not_hide_a_secret(kind: str, secret: str):
    hidden = "".join(
        rf"\u{ord(char):04x}" if char in "-_AKxgsh" else r"\/" if char == "/" else char
        for char in json.dumps(secret)[1:-1].replace("\\n", "\n")
    ).replace("\n", "\\n")
    counts: Counter[str] = Counter()
    (masked,) = mask_lines([b'{"a":"' + hidden.encode() + b'"}'], counts)
    assert counts == {kind: 1}
    assert f"[masked:{kind}]" in json.loads(masked)["a"]


@pytest.mark.parametrize("form", NAMED)
def test_what_stands_under_the_name_of_a_secret_is_masked(form: str):
    for masked, _ in seen(form.replace("{}", SECRET, 1)):
        assert SECRET not in masked, masked
        assert "[masked:" in masked
        assert mask_text(masked)[0] == masked


@pytest.mark.parametrize(("written", "secret"), WEAK)
def test_a_password_need_not_look_drawn_by_lot(written: str, secret: str):
    assert secret not in mask_text(written)[0]


@pytest.mark.parametrize("harmless", HARMLESS)
def test_what_is_no_secret_is_left_alone(harmless: str):
    for masked, counts in seen(harmless):
        assert not counts, masked
        assert "[masked:" not in masked
    line = json.dumps({"a": f"\n{harmless}\n", "b": harmless}).encode()
    assert list(mask_lines([line], Counter())) == [line]


@pytest.mark.parametrize(
    "written",
    [
        PEM,
        PEM.replace("\n", "\r\n"),
        PEM[:250],
        PEM[60:],
        "".join(f"{number:6}\u2192{line}\n" for number, line in enumerate(PEM.splitlines(), 1)),
        "".join(f"+{line}\n" for line in PEM.splitlines()),
        "key = (" + "\n ".join(f"'{line}\\n'" for line in PEM.splitlines()[:-2]),
    ],
    ids=["whole", "crlf", "end cut", "beginning cut", "numbered", "diff", "code, end cut"],
)
def test_no_line_of_a_private_key_is_left_however_it_was_printed(written: str):
    for masked, _ in seen(written):
        assert not [line for line in LINES if line[-30:] in masked], masked


def test_a_token_inside_a_url_or_header_goes_by_its_own_name():
    token = SECRETS["github-token"][0]
    assert mask_text(f"https://x:{token}@github.com")[0] == (
        "https://x:[masked:github-token]@github.com"
    )
    assert mask_text(f"Authorization: Bearer {token}")[0] == (
        "Authorization: Bearer [masked:github-token]"
    )


def test_values_are_masked_at_any_depth_by_their_keys_too_and_others_returned_as_they_are():
    secret = SECRETS["google-key"][0]
    assert mask_json({"a": [1, {"b": secret}]}) == {"a": [1, {"b": "[masked:google-key]"}]}
    assert mask_json("half \ud83d" + secret) == "half ?[masked:google-key]"
    for value, masked in (
        (
            {"db": {"password": SECRET, "port": 5432}},
            {"db": {"password": "[masked:password]", "port": 5432}},
        ),
        ({"password": 12345678}, {"password": "[masked:password]"}),
    ):
        assert mask_json(value) == masked
    for value in ({"a": [1, None, True, "text"]}, {"token": None, "secret": True, "max_tokens": 9}):
        assert mask_json(value) is value


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80), st.sampled_from(EACH))
def test_masking_never_breaks_a_line(around: str, each: tuple[str, str]):
    line = json.dumps({"a": f"{around} {each[1]}", "b": around}).encode()
    (masked,) = mask_lines([line], Counter())
    assert json.loads(masked).keys() == {"a", "b"}


def test_many_key_beginnings_without_an_end_take_no_longer_than_a_few():
    random_ = random.Random(7)  # noqa: S311 - noise, no secret
    noise = "".join(random_.choices(string.ascii_letters, k=40))
    line = json.dumps({"a": ("-----BEGIN RSA PRIVATE KEY----- " + noise) * 5_000}).encode()
    assert len(next(mask_lines([line], Counter()))) < len(line)


def test_ids_hashes_and_pictures_are_left_alone():
    for _ in range(500):
        for id_ in (
            hashlib.sha256(LOTS.randbytes(8)).hexdigest(),
            str(uuid.UUID(int=LOTS.getrandbits(128))),
            base64.b64encode(LOTS.randbytes(LOTS.randint(30, 300))).decode(),
            "data:image/png;base64," + base64.b64encode(LOTS.randbytes(200)).decode(),
            *(prefix + drawn(24) for prefix in ("toolu_", "msg_", "req_", "/var/run-")),
        ):
            assert mask_text(f"id: {id_}") == (f"id: {id_}", {})


def test_a_long_line_hides_nothing_wherever_it_stands():
    around = "words of no importance, 12 of them; " * 400
    for at in range(0, 3000, 97):
        text = around[: 9000 + at] + f" password={SECRET} " + around
        assert SECRET not in mask_text(text)[0]
