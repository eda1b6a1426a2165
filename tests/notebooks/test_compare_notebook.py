"""The compare notebook: in the browser, headless, and run by a program."""


def test_a_newcomer_sees_the_demos_two_runs_compared(visitor):
    visitor.open("compare_runs")
    visitor.sees("This is the demo project")
    answer = visitor.cell("answer")
    answer.get_by_text("Worse: 3 of 12 executions failed").wait_for()
    visitor.cell("judges").locator("canvas, svg").first.wait_for()
    visitor.cell("judges").get_by_text("1,290").wait_for()
    visitor.cell("thresholds").get_by_text("policy_grounding").first.wait_for()


def test_a_person_compares_two_runs_and_reads_what_broke(visitor, three_runs):
    visitor.open("compare_runs", config=str(three_runs.root / "eval.yaml"))
    visitor.press("Find the runs")
    answer = visitor.cell("answer")
    answer.get_by_text("Better: polite 17% → 83% over 12 cases").wait_for()

    picking = visitor.cell("picking")
    for before, after in (("run-2", "run-1"), ("run-3", "run-2")):
        picking.get_by_text(before).click()
        visitor.change(visitor.page.get_by_role("option", name=after).click)
        visitor.change(visitor.page.get_by_role("option", name=before).click)
        visitor.page.keyboard.press("Escape")
    answer.get_by_text("Worse: polite 92% → 17% over 12 cases").wait_for()

    flips = visitor.cell("flipping")
    row = flips.get_by_role("row", name="case-07")
    row.get_by_text("broken").wait_for()  # before, the table is still that of other runs
    row.get_by_role("checkbox").click()
    both = visitor.cell("flipped")
    both.get_by_text("run-1 on case-07").wait_for()
    both.get_by_text("run-2 on case-07").wait_for()

    link = visitor.page.url
    assert "baseline=run-1" in link
    assert "candidate=run-2" in link
    visitor.page.goto("about:blank")
    visitor.page.goto(link)
    visitor.press("Find the runs")
    answer.get_by_text("Worse: polite 92% → 17% over 12 cases").wait_for()
    both.get_by_text("run-2 on case-07").wait_for()
