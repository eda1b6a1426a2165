"""The notebooks as people and programs meet them: one marimo server and one Chromium a session."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, sync_playwright
from servers import clean_environment, free_port
from shop_agent import open_shop

from evalkit import ui
from evalkit.agent.model_client import OFFLINE
from evalkit.agent.request import Request
from evalkit.agent.run import build
from evalkit.arguments import Resolved
from evalkit.cli import notebooks
from evalkit.cli.export import export
from evalkit.ui.notebook import Host
from evalkit.ui.place import Place

TALL = {"width": 1280, "height": 2600}
"""marimo scrolls inside the page, so what is below the window is not there for a person's eye."""


@pytest.fixture(scope="session")
def gallery(tmp_path_factory):
    """A server with evalkit's notebooks, and nothing configured."""
    place = tmp_path_factory.mktemp("gallery")
    for source in ui.folder().glob("*.*"):
        shutil.copy(source, place)
    cache = tmp_path_factory.mktemp("cache")
    environment = clean_environment(XDG_CACHE_HOME=str(cache))
    server = notebooks.serve(place, port=free_port(), environment=environment)
    yield server
    server.stop()


STILL = """
addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");
    style.textContent = "*, ::before, ::after { animation: none !important; }";
    document.head.append(style);
});
"""
"""Nothing moves: without a graphics card a spinner costs as much as the work behind it."""


@pytest.fixture(scope="session")
def tab():
    """One tab for all: a new one would compile marimo's code again, half of a page's time."""
    installed = shutil.which("chromium")
    if installed is None:
        leave_out = pytest.fail if os.environ.get("CI") else pytest.skip
        leave_out("Chromium is not installed: .ci/run brings it, or apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=installed, args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport=TALL, reduced_motion="reduce")
        context.add_init_script(STILL)
        page = context.new_page()
        page.set_default_timeout(90_000)
        yield page
        browser.close()


@dataclass
class Visitor:
    """A person in front of the browser."""

    page: Page
    gallery: notebooks.Server

    def open(self, notebook, **link):
        """Open a notebook, with what its address says."""
        query = urlencode({"file": f"{notebook}.py", **link})
        self.page.goto(f"{self.gallery.url()}&{query}")

    def cell(self, name):
        """What a named cell shows."""
        return self.page.locator(f'[data-cell-name="{name}"]')

    def unfold(self, title):
        """Open what lies behind a title, such as the form; marimo leaves hidden copies about."""
        self.page.locator("summary:visible", has_text=title).first.click()

    def press(self, button):
        self.page.get_by_role("button", name=button, exact=True).click()

    def tab(self, name):
        """Open a view of those that lie behind each other."""
        self.page.get_by_role("tab", name=name, exact=True).click()

    def fill(self, label, text):
        """Fill in a field of the form; its label begins with these words."""
        field = self.page.get_by_role("textbox", name=label)
        field.fill(text)
        field.press("Tab")

    def change(self, act):
        """Let the kernel take one change before the next is made.

        marimo sends each (that of a field, and that of the whole it belongs to) on whatever
        connection is free, so that two made within a blink can arrive in the other order; a
        person is slower.
        """
        under_way = set()

        def sent(request):
            under_way.add(id(request))

        def arrived(request):
            under_way.discard(id(request))

        self.page.on("request", sent)
        self.page.on("requestfinished", arrived)
        with self.page.expect_response("**/api/kernel/set_ui_element_value*"):
            act()
        while under_way:
            self.page.wait_for_timeout(20)
        self.page.remove_listener("request", sent)
        self.page.remove_listener("requestfinished", arrived)

    def sees(self, text):
        """Wait until the text is there."""
        self.page.get_by_text(text).first.wait_for()


@pytest.fixture
def visitor(tab, gallery):
    yield Visitor(tab, gallery)
    wrong = tab.get_by_text("An internal error occurred").count()
    tab.goto("about:blank")
    assert wrong == 0


@pytest.fixture
def stored_project(project, sqlite_uri):
    """A small project whose eval.yaml names an empty MLflow store of its own."""
    project.configure(mlflow={"tracking_uri": sqlite_uri})
    return project


@pytest.fixture
def three_runs(project):
    """A project with a good run, one that is much worse, and one that is hardly so."""
    project.configure(thresholds={"polite": {"min_pass_rate": 0.7}})
    project.remove("eval/runs")
    cases = [f"case-{number:02}" for number in range(12)]
    for run_id, passes, cost in (("run-1", 11, 0.5), ("run-2", 2, 0.3), ("run-3", 10, 0.5)):
        folder = f"eval/runs/{project.name}/{run_id}"
        per_case = {
            case: {"polite": {"value": place < passes, "rationale": f"{run_id} on {case}"}}
            for place, case in enumerate(cases)
        }
        judges = {"polite": {"mean": passes / 12, "pass_rate": passes / 12}}
        project.write(f"{folder}/summary.yaml", {"judges": judges, "per_case": per_case})
        usage = {case: {"cost_usd": cost + place / 100} for place, case in enumerate(cases)}
        project.write(f"{folder}/run_result.json", {"per_case": usage})
    return project


@pytest.fixture(scope="session")
def finished_session(empty_database, tmp_path_factory):
    """A session that ended with a verified suite, which nobody changes; and how to name it."""
    base = tmp_path_factory.mktemp("finished")
    uri = f"sqlite:///{shutil.copy(empty_database, base / 'mlflow.db')}"
    open_shop(uri, "support")
    where = {"session": "finished", "volume_path": str(base), "tracking_uri": uri}
    request = Request(experiment_id="support", model=OFFLINE, **where)
    assert build(request, lambda _: None)["verified"]
    return SimpleNamespace(parameters=where, folder=base / "sessions" / "finished")


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """All notebooks, as .ipynb."""
    target = tmp_path_factory.mktemp("exported")
    export(target)
    return target


@pytest.fixture(scope="session")
def script(forge, tmp_path_factory):
    """Runs a notebook as ``python notebooks/NAME.py`` and tells how it ended."""
    nowhere = tmp_path_factory.mktemp("nowhere")

    def run(notebook, *arguments, cwd=nowhere):
        path = ui.folder() / f"{notebook}.py" if isinstance(notebook, str) else notebook
        return forge.run(*arguments, cwd=cwd, script=path)

    return run


@pytest.fixture(scope="session")
def program():
    """Runs a notebook in a program, with parameters; the names that it defines."""
    loaded = {}

    def run(notebook, **parameters):
        if notebook not in loaded:
            spec = spec_from_file_location(notebook, ui.folder() / f"{notebook}.py")
            loaded[notebook] = module_from_spec(spec)
            spec.loader.exec_module(loaded[notebook])
        said = Resolved(loaded[notebook].Params(**parameters), {})
        host = Host(notebook, Place("program"), said)
        return loaded[notebook].app.run(defs={"host": host, "form": None})[1]

    return run


class Jupyter:
    """A Jupyter kernel that runs one notebook after the other.

    It has a thread of its own, as Playwright keeps a loop in pytest's.
    """

    def __init__(self):
        self.aside = ThreadPoolExecutor(1)
        self.kernel = KernelManager(kernel_name="python3")
        self.aside.submit(self.kernel.start_kernel, env=clean_environment()).result()

    def says(self, notebook, folder, told=()):
        """What a notebook's last cells put out, run in a folder, told this by the environment.

        Nothing is left of the one before but what it imported.
        """
        variables = {f"EVALKIT_{name.upper()}": value for name, value in dict(told).items()}
        start = f"%reset -f\n%cd -q {folder}\nimport os\nos.environ.update({variables})"
        forget = f"for key in {list(variables)}:\n    del os.environ[key]"
        notebook.cells = [new_code_cell(start), *notebook.cells, new_code_cell(forget)]
        client = NotebookClient(notebook, km=self.kernel, timeout=280)

        def execute():
            try:
                return client.execute()
            finally:
                client.kc.stop_channels()

        ended = self.aside.submit(execute).result()
        said = [json.dumps(cell.outputs) for cell in ended.cells if cell.cell_type == "code"]
        return "".join(said[-3:])


@pytest.fixture(scope="session")
def jupyter():
    running = Jupyter()
    yield running
    running.aside.submit(running.kernel.shutdown_kernel, now=True).result()
    running.aside.shutdown()
