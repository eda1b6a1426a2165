"""``evalkit open``: a server for this machine, in a checkout and in an installed package."""

import re
import signal
import socket
import subprocess
import sys

import pytest
import requests
from eval_project import RUN_ID
from servers import clean_environment, free_port

from evalkit import InputError, cli, ui
from evalkit.cli import notebooks


def test_it_tells_the_address_and_lets_nobody_in_without_its_token(project):
    command = [sys.executable, "-m", "evalkit", "open", "sync-dataset", "--no-browser"]
    with subprocess.Popen(
        [*command, "--port", str(free_port())],
        cwd=project.root,
        env=clean_environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        told = ""
        while "Ctrl-C" not in told:
            told += process.stdout.readline()
        url = re.search(r"http://\S+", told)[0]
        assert "&file=sync_dataset.py" in url
        assert "serves everyone who has this link; it listens on 127.0.0.1 only" in told
        with requests.Session() as person:
            assert person.get(url, timeout=10).status_code == 200
        bare = requests.get(url.split("?")[0], timeout=10, allow_redirects=False)
        assert bare.status_code in {303, 401, 403}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)


def test_a_port_that_is_taken_is_an_input_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match=r"port \d+ cannot be used"):
            notebooks.serve(ui.folder(), port=taken.getsockname()[1])


def test_the_start_leads_to_every_stage_in_order_and_each_stage_to_the_next(visitor):
    visitor.open("start")
    visitor.cell("stage_cards").get_by_role("link").first.wait_for()
    titles = [each.title for each in ui.NOTEBOOKS]
    cards = visitor.cell("stage_cards").get_by_role("link").all_inner_texts()
    assert [card.split()[:2] for card in cards] == [
        [str(number), title] for number, title in enumerate(titles, 1)
    ]
    visitor.cell("stage_cards").get_by_role("link", name="Compare").click()
    visitor.cell("ending").get_by_role("link", name="Next: Agent").wait_for()
    visitor.page.get_by_role("link", name="Start").click()
    visitor.cell("stage_cards").wait_for()


def test_the_start_says_what_is_open_and_offers_five_ways_to_begin(
    visitor, evalkit, stored_project, sqlite_uri
):
    project = stored_project
    project.write(f"{project.run_dir}/run_result.json", {"per_case": {"beta": {"exit_code": 3}}})
    config = str(project.root / "eval.yaml")
    visitor.open("start", config=config)
    visitor.press("Look at this one")
    visitor.cell("open_runs").get_by_text("beta: exit code 3").wait_for()
    cards = visitor.cell("stage_cards")
    cards.get_by_text("3 cases, not synced yet").wait_for()
    cards.get_by_text("finished runs in MLflow: 0 of 1").wait_for()
    assert evalkit("log-results", "--run-id", RUN_ID, uri=sqlite_uri).code == 0
    visitor.press("Look again")
    cards.get_by_text("finished runs in MLflow: 1 of 1").wait_for()
    starts = visitor.cell("beginnings").locator("pre").all_inner_texts()
    for words in (text.split()[1:] for start in starts for text in start.splitlines()):
        assert cli.read_command(words)
    assert len(starts) == 5
