"""One notebook in its surroundings: its parameters, its progress, its ending."""

from __future__ import annotations

import html
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar
from urllib.parse import urlencode

import marimo as mo

from evalkit import arguments
from evalkit.agent.model_client import OFFLINE
from evalkit.arguments import Resolved
from evalkit.config_files import USUAL_CONFIG, configs_in
from evalkit.demo.project import record_sample, sample_mapping, sample_project
from evalkit.errors import EvalkitError, InputError, Problem
from evalkit.params import AgentParams, ProjectParams
from evalkit.tracking import without_password
from evalkit.ui import NOTEBOOKS, START, folder, page
from evalkit.ui.place import Place, find_place
from evalkit.ui.terminal import Report, Terminal

P = TypeVar("P", bound=ProjectParams)
A = TypeVar("A", bound=AgentParams)
Say: TypeAlias = Callable[[str], None]
Tell: TypeAlias = Callable[[Terminal, str, Report], None]

PILL = "padding: 0.15rem 0.85rem; border-radius: 999px; font-size: 0.85rem; text-decoration: none"
MARKED = f"{PILL}; background: var(--grass-9, #46a758); color: white; font-weight: 600"
QUIET = f"{PILL}; background: var(--slate-3, #eee); {page.MUTED}"


class Host(Generic[P]):
    """A notebook's host: the same calls in the browser, as a script, in Jupyter and in a job.

    With a person in the browser, it shows forms, waits, and turns errors into callouts. Elsewhere
    it goes straight on, says progress as lines, and an error ends the notebook: as a script with
    the exit code that the ``evalkit`` command has, else by being raised.

    Attributes:
        notebook: The notebook's name, such as ``sync_dataset``.
        place: Where it runs.
        start: The parameters as they were found, and where each came from.
        sample: The ``eval.yaml`` of the demo project, where that is shown for lack of another.
        person: Whether somebody is there to read, choose and press.
    """

    def __init__(
        self, notebook: str, place: Place, start: Resolved[P], sample: Path | None = None
    ) -> None:
        self.notebook, self.place, self.start, self.sample = notebook, place, start, sample
        self.person = place.kind == "browser"
        self.terminal = Terminal(as_json=start.values.json)

    @classmethod
    def open(cls, spec: type[P], notebook: str) -> Host[P]:
        """Find out where the notebook runs (its name without ``.py``) and with which parameters.

        Wrong values end it as any other error does.
        """
        place = find_place(notebook)
        try:
            start, sample = place.parameters(spec, notebook), None
            if place.kind == "browser" and _wants_sample(start):
                sample = sample_project()
                own = replace(start.values, config=str(sample), tracking_uri=None, runs_dir=None)
                start = replace(start, values=own)
        except EvalkitError as error:
            place.end_with_error(error, Terminal(as_json="--json" in place.argv), strict=False)
        return cls(notebook, place, start, sample)

    def header(self) -> Any:
        """The way to the other stages, and a word about the demo project where it is shown."""
        if not page.is_live():
            return None
        ways = ""
        for each in (START, *NOTEBOOKS) if "file" in self.place.query else ():
            look = MARKED if each.name == self.notebook else QUIET
            ways += f'<a href="{address(each.file)}" style="{look}">{each.title}</a>'
        ways = f'<nav style="display: flex; flex-wrap: wrap; gap: 0.5rem">{ways}</nav>'
        told = None
        if self.sample is not None:
            named = self.start.origins["tracking_uri"] != "default"
            other = " The MLflow that you named is **not used** for it." if named else ""
            told = page.callout(
                "This is the **demo project**, so that there is something to see: a support agent, "
                "12 cases, two finished runs, and its own MLflow store. Nothing here can break."
                f"{other} For your own evaluation, put the path of its `eval.yaml` into the "
                "settings below."
            )
        return page.stack(mo.Html(ways), told)

    def form(self, submit: str) -> Any:
        """The form over the parameters, its button labelled; None where nobody could fill it in."""
        known = Path(self.start.values.config).is_file()
        is_filled_in = "link" in self.start.origins.values()  # which a person has to look at
        if not self.person:
            return None
        return _form(self.start.values, submit, is_known=known and not is_filled_in)

    def settings(self, form: Any) -> P:
        """The parameters to go on with: as submitted, else as found.

        Values from the page's address are only filled in: then the page waits for the person.
        """
        if form is None:
            return self.start.values
        if (submitted := form.value["settings"]) is None:
            if names := [f"`{n}`" for n, origin in self.start.origins.items() if origin == "link"]:
                filled = ", ".join(names)
                self.halt(f"The address of this page filled in {filled}. Check it, then go on.")
            return self._with_sample(self.start.values)
        with self.step():
            return self._with_sample(arguments.from_form(self.start.values, submitted))

    @contextmanager
    def step(self, title: str = "", *, ends: bool = True) -> Iterator[Say]:
        """A part of the work that may fail; what it yields takes a line of its progress.

        An error within becomes a callout, and the page ends there unless ``ends`` is False;
        elsewhere it ends the notebook.
        """
        try:
            if self.person and title:
                with mo.status.spinner(title=title) as spinner:
                    yield lambda line: spinner.update(subtitle=page.quoted(line))
            else:
                yield self.terminal.say
        except EvalkitError as error:
            if self.person and not ends:
                mo.output.append(page.problem(error))
                return
            strict = self.start.values.strict
            self.place.end_with_error(error, self.terminal, strict=strict)

    def selected(self, name: str) -> str:
        """What the page's address says is selected under this name; empty where it does not."""
        return str(mo.query_params().get(name) or "") if self.person else ""

    def remember(self, name: str) -> Callable[[object], None]:
        """What puts a control's value into the page's address, where :meth:`selected` finds it."""
        return lambda value: mo.query_params().set(name, str(value))

    def halt(self, message: str, fix: str = "") -> NoReturn:
        """End here: the page says why (in Markdown) and waits, elsewhere it is an input error."""
        if self.person:
            mo.stop(True, page.callout(f"{message} {fix}".strip()))
        error = InputError(Problem(message, fix=fix))
        self.place.end_with_error(error, self.terminal, strict=False)

    def with_traffic(self, settings: A, say: Say) -> A:
        """The settings; of the demo, with the traces of its agent, recorded if need be, and free.

        The demo's sessions lie in its folder, and rules lead them: looking around costs nothing.
        """
        if self.sample is None or not self.is_sample(settings):
            return settings
        traffic = record_sample(self.sample, say)
        return replace(
            settings,
            experiment_id=settings.experiment_id or traffic,
            model=settings.model or OFFLINE,
            volume_path=settings.volume_path or str(self.sample.parent),
        )

    def is_sample(self, settings: ProjectParams) -> bool:
        """Whether these parameters are about the demo, shown for lack of anything else."""
        return self.sample is not None and settings.config == str(self.sample)

    def button(self, label: str, *, disabled: bool = False) -> Any:
        """The button that starts a piece of work; None where nobody could press it."""
        if not self.person:
            return None
        return mo.ui.run_button(label=label, disabled=disabled, kind="success")

    def is_due(self, button: Any) -> bool:
        """Whether the work of a :meth:`button` is to be done now: it was pressed, or nobody can."""
        return button is None or bool(button.value)

    def finish(self, settings: P, report: Report, stage: str, tell: Tell) -> Any:
        """End the notebook with its stage's report, made with these parameters.

        A page shows how to do the same without it, and leads on. Elsewhere the report is told,
        printed as JSON if asked for, and decides how the notebook ends.
        """
        if not self.person:
            tell(self.terminal, stage, report)
            self.place.end_with_report(report, self.terminal, strict=settings.strict)
            return None
        uri = without_password(settings.tracking_uri or "") or None
        flags = arguments.as_flags(replace(settings, tracking_uri=uri))
        command = shlex.join(["python", str(folder() / f"{self.notebook}.py"), *flags])
        same = page.folded("The same without a browser", [command])
        later = [each.name for each in NOTEBOOKS].index(self.notebook) + 1
        if "file" not in self.place.query or later == len(NOTEBOOKS):
            return same
        after = NOTEBOOKS[later]
        known = self.start.origins["config"] != "link"
        named = "" if known and settings.config == self.start.values.config else settings.config
        link = f'<a href="{address(after.file, named)}" style="{MARKED}">Next: {after.title} →</a>'
        return page.stack(
            same, mo.Html(f'<div>{link} <span style="{page.MUTED}">{after.about}</span></div>')
        )

    def _with_sample(self, values: P) -> P:
        if self.sample is None or not self.is_sample(values):
            return values
        if values.tracking_uri and getattr(values, "experiment_id", None):
            return replace(values, config=USUAL_CONFIG)
        if values.tracking_uri:
            self.halt(
                "The demo keeps to **its own MLflow store** and writes into no other.",
                "Name your own `eval.yaml` to use the one under More settings, or empty that.",
            )
        unsaid = [name for name in ("mapping", "out") if getattr(values, name, "") is None]
        named: dict[str, Any] = dict.fromkeys(unsaid, str(sample_mapping(self.sample)))
        return replace(values, **named)


def address(file: str, config: str = "") -> str:
    """The way to another page, as HTML; it begins with a config where it would not know it."""
    return html.escape("?" + urlencode({"file": file} | ({"config": config} if config else {})))


def _wants_sample(start: Resolved[Any]) -> bool:
    """Whether nothing says what the page is to be about."""
    about = [getattr(start.values, name, None) for name in ("experiment_id", "session")]
    named = start.origins["config"] != "default" or any(about)
    return not (named or Path(start.values.config).is_file() or configs_in(Path()))


GRID = (
    "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); "
    "gap: 1rem 1.5rem; overflow-wrap: anywhere"
)


def _form(start: ProjectParams, submit: str, *, is_known: bool) -> Any:
    """A form that shows the parameters a person may change, as ``settings``, and "Look again".

    Where what the page is about is known, the form is one line, and the content comes first.
    marimo passes over a form that is submitted unchanged, but the files and MLflow may have
    changed behind it: hence a button of its own.
    """
    known = arguments.parameters(type(start))
    controls = {p.name: _control(p, getattr(start, p.name)) for p in known if p.shown != "never"}
    cells = {"form": "", "more": "", "never": ""}
    for each in known:
        wide = "grid-column: 1 / -1" if each.name == "config" or each.kind is bool else ""
        cells[each.shown] += f'<div style="{wide}">{{{each.name}}}</div>'
    more = f'<div style="{GRID}; padding: 0 1rem 1rem">{cells["more"]}</div>'
    fields = (
        f'<div style="{GRID}">{cells["form"]}</div>\n\n/// details | More settings\n\n{more}\n\n///'
    )
    settings = mo.md(fields).batch(**controls).form(submit_button_label=submit, bordered=True)
    again = mo.ui.run_button(label="Look again", kind="neutral")
    opened = html.escape(start.config).replace("{", "{{").replace("}", "}}")
    state, told = "" if is_known else " open", f'<span style="{page.MUTED}">opened with {opened}'
    head = f'<summary style="cursor: pointer">Settings {told}</span></summary>'
    look = f'<details{state} style="{page.BOX}">{head}{{settings}}</details><div>{{again}}</div>'
    return group(
        f'<div style="display: grid; gap: 0.75rem">{look}</div>', settings=settings, again=again
    )


def _control(each: arguments.Parameter, value: Any) -> Any:
    about = each.about.replace("*", "&#42;")  # in paths it is no emphasis
    label = f"**{each.label}** <small>{about}</small>"
    if each.kind is bool:
        return mo.ui.checkbox(value=value, label=label)
    if each.choices:
        return mo.ui.dropdown(
            each.choices, value=value, label=label, allow_select_none=False, full_width=True
        )
    if each.kind in {int, float}:
        return mo.ui.number(value=value, label=label, full_width=True)
    return mo.ui.text(value=str(value or ""), label=label, full_width=True)


def group(template: str, **controls: Any) -> Any:
    """Controls as one, in HTML with each one's name in braces; the value is theirs by name.

    marimo sends a change twice, as the control's and as the group's. It runs what depends on the
    group for either, and keeps the later alone of two changes to a group that arrive together.
    Here the group's counts, which always says everything; controls have no ``on_change``.
    """
    found = mo.Html(template).batch(**controls)
    for control in found.elements.values():
        control._lens = None  # noqa: SLF001  # there is no public way
    return found
