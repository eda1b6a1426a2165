"""Long work in the browser, a page's parameters, and its errors, on a page made for that."""

import re


def test_work_can_be_watched_and_cancelled_and_started_again_and_its_errors_are_told(visitor):
    visitor.open("bench")
    visitor.sees("Counts when you press the button")
    visitor.fill("Pace", "0.1")
    visitor.press("Use")

    visitor.press("Count")
    visitor.cell("counting").get_by_text("2 of 20 counted").wait_for()
    visitor.fill("Echo", "still there")
    visitor.sees("heard still there")
    assert visitor.page.get_by_text("20 of 20 counted").count() == 0
    visitor.press("Cancel")
    visitor.sees("Count: stopped. What was written stays")
    assert visitor.page.get_by_text("Counted to").count() == 0

    visitor.press("Count")
    visitor.cell("result").get_by_text("Counted to").wait_for()
    visitor.cell("counting").get_by_text("Count: done in").wait_for()

    visitor.page.get_by_label(re.compile("Mood")).select_option("clumsy")
    visitor.press("Use")
    visitor.press("Count")
    visitor.sees("stumbled")
    assert visitor.page.get_by_text("Traceback").count() == 0


def test_a_link_fills_in_what_it_may_and_waits_for_the_person(visitor):
    visitor.open("bench", count="7", pace="9", tracking_uri="http://attacker.invalid")
    visitor.cell("used").get_by_text("The address of this page filled in").wait_for()
    form = visitor.cell("settings")
    form.get_by_role("group").get_by_text("More settings").click()
    assert form.get_by_role("textbox", name="Pace").input_value() == "0.05"
    assert form.get_by_role("textbox", name="Tracking URI").input_value() == ""
    visitor.press("Use")
    visitor.cell("used").get_by_text("7", exact=True).wait_for()
