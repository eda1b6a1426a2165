"""What all pages share: data that is shown never becomes markup."""

import marimo as mo
import pytest

from evalkit.errors import InputError, Problem, StoreAbsent
from evalkit.ui import page

ODD = ["*a* _b_", "<img src=x>", "`x` [y](z)", "$a$ \\(b\\)", "# a\n- b", "a & b"]


@pytest.mark.parametrize("label", ODD)
def test_the_words_of_a_link_are_words_and_the_link_is_one(label):
    shown = mo.md(f"Seen in {page.link('http://127.0.0.1:5000/#/a_b_c?d=*e*', label)}.").text
    assert shown.count("<a ") == 1
    assert 'href="http://127.0.0.1:5000/#/a_b_c?d=*e*"' in shown
    for markup in ("<em>", "<img", "<code>", "<h1", "<li>", "marimo-tex"):
        assert markup not in shown


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "file:///etc/passwd"])
def test_what_is_no_web_page_is_no_link(url):
    assert "<a" not in mo.md(page.link(url, "the *run*")).text


def test_every_problem_is_told_with_what_to_do():
    wrong = InputError(Problem("no <b>", "eval.yaml"), Problem("no c", fix="write it"))
    shown = page.problem(wrong).text
    assert "no &lt;b&gt;" in shown
    assert "no c" in shown
    assert "write it" in shown
    absent = page.problem(StoreAbsent("MLflow is not reachable")).text
    assert "start it there, or name another one above" in absent
