"""Errors that are the same but for what changes each time."""

import time

import pytest

from evalkit.traces.fingerprint import LONGEST, fingerprint


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("order QM-20452 not found", "order <id> not found"),
        ("timed out after 30.5 s (attempt 3)", "timed out after <n> s (attempt <n>)"),
        ("KeyError: 'order'", "KeyError: 'order'"),
        ("no file 'my notes 3.txt'", "no file '<text>'"),
        ("GET https://api.shop.example/v1/orders?id=7 failed", "GET <url> failed"),
        ("cannot open /var/data/run-7/out.json", "cannot open <path>"),
        ("cannot open ./out/x.txt and C:\\tmp\\a.log", "cannot open <path> and <path>"),
        ("HTTP 429: wait 12 seconds", "HTTP 429: wait <n> seconds"),
        ('{"error": {"code": 503}}', '{"error": {"code": 503}}'),
        ("status code 500 at 2026-05-12T10:00:01Z", "status code 500 at <time>"),
        ("trace 53ad866a-5e08-4aa7-9d52-6755ca33d6de", "trace <id>"),
        ("request req_011CabcdEfgh0123 rejected", "request <id> rejected"),
        ("mail to ada@example.com bounced", "mail to <address> bounced"),
        ("first line\n\n   second   line", "first line second line"),
        ("input and/or output", "input and/or output"),
        ("model gemini-2.5-flash is gone", "model gemini-<n>-flash is gone"),
        ("", ""),
    ],
)
def test_what_differs_each_time_becomes_a_placeholder(error, expected):
    assert fingerprint(error) == expected


def test_two_keys_are_two_errors():
    assert fingerprint("KeyError: 'order'") != fingerprint("KeyError: 'name'")


def test_a_long_error_is_cut_after_its_begin():
    assert len(fingerprint("word " * 1000)) <= LONGEST


@pytest.mark.parametrize("char", ["a", "1", "/a", "'", "a-", "@a.", "-1", "é"])
def test_no_text_takes_long(char):
    begun = time.perf_counter()
    fingerprint(char * 100_000)
    assert time.perf_counter() - begun < 1
