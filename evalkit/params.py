"""A stage's parameters: declared once, filled from wherever the stage runs.

The first that says something wins: the command line, a Databricks widget or job parameter, the
link a browser was opened with, the environment, the default. This module reads none of them; it is
given what they say.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from evalkit.errors import InputError, Problem
from evalkit.workspace import Workspace

P = TypeVar("P", bound="Project")

Origin: TypeAlias = Literal["argument", "widget", "link", "environment", "default"]
Shown: TypeAlias = Literal["form", "more", "never"]
Value: TypeAlias = str | int | float | bool | None

ENVIRONMENT_PREFIX = "EVALKIT_"


def param(
    default: Any, about: str, *, link: bool = False, shown: Shown = "form", label: str = ""
) -> Any:
    """Declare a field of a stage's parameters: text, number, yes or no, or one of a Literal.

    Args:
        default: Its value where nothing else is said; None where there is none, for ``str | None``.
        about: What it means, for ``--help``, the form and the widget; no full stop.
        link: Whether the address of the page may fill it in. It never may where a link from a
            stranger could send data elsewhere.
        shown: In the form at once, in the form under "More settings", or only without a browser.
        label: What the form calls it; made from its name by default.
    """
    return dataclasses.field(
        default=default, metadata={"about": about, "link": link, "shown": shown, "label": label}
    )


@dataclass(frozen=True)
class Project:
    """The parameters that every stage has; each notebook's ``Params`` adds its own."""

    config: str = param("eval.yaml", "The evaluation's eval.yaml", link=True)
    tracking_uri: str | None = param(
        None,
        "The MLflow to use; else mlflow.tracking_uri in the config, else MLFLOW_TRACKING_URI",
        shown="more",
        label="Tracking URI",
    )
    runs_dir: str | None = param(
        None,
        "Where finished runs lie; else AGENT_EVAL_RUNS_DIR, else eval/runs here or at the config",
        shown="more",
        label="Runs folder",
    )
    json: bool = param(False, "End with the report as one line of JSON", shown="never")
    strict: bool = param(
        False,
        "Exit 1 also where MLflow is absent, an execution failed, a log is refused, "
        "or feedback finds no trace",
        shown="never",
    )

    def workspace(self) -> Workspace:
        """The project that is meant, opened.

        Raises:
            InputError: the config is missing or wrong.
        """
        return Workspace.open(self.config, tracking_uri=self.tracking_uri, runs_dir=self.runs_dir)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared field.

    Attributes:
        name: The field's name; the flag is spelled with hyphens.
        kind: ``str``, ``int``, ``float`` or ``bool``.
        choices: The values it may have; empty where any will do.
        default: Its value where nothing else is said.
        about: What it means.
        link: Whether the address of the page may fill it in.
        shown: Where the form shows it.
        label: What the form calls it.
    """

    name: str
    kind: type
    choices: tuple[str, ...]
    default: Value
    about: str
    link: bool
    shown: Shown
    label: str

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    def read(self, raw: object) -> Value:
        """The value that a text, or a control of the form, stands for.

        Raises:
            ValueError: it stands for none; the message says what was expected.
        """
        text = str(raw).strip()
        if not text and self.default is None:
            return None
        if self.choices and text not in self.choices:
            raise ValueError(f"expected one of {', '.join(self.choices)}")
        if self.kind is bool:
            return _yes_or_no(text)
        if self.kind is str:
            return text
        try:
            return typing.cast("Value", self.kind(text))
        except ValueError:
            expected = "a whole number" if self.kind is int else "a number"
            raise ValueError(f"expected {expected}") from None


@dataclass(frozen=True, slots=True)
class Resolved(Generic[P]):
    """Parameters, and where each came from.

    Attributes:
        values: The parameters.
        origins: Name of a parameter to where its value came from.
    """

    values: P
    origins: Mapping[str, Origin]

    def from_link(self) -> list[str]:
        """The names that the address of the page filled in."""
        return [name for name, origin in self.origins.items() if origin == "link"]


def parameters(spec: type[P]) -> tuple[Parameter, ...]:
    """The declared fields of a stage's parameters, the common ones first."""
    hints = typing.get_type_hints(spec)
    return tuple(_parameter(field, hints[field.name]) for field in dataclasses.fields(spec))


def resolve(spec: type[P], said: Mapping[Origin, Mapping[str, str]]) -> Resolved[P]:
    """The parameters, each from the first origin that says something.

    Args:
        spec: The dataclass of the stage's parameters.
        said: What each origin says, by the field's name; in order of precedence. Empty text says
            nothing, except on the command line.

    Raises:
        InputError: names every value that cannot be read.
    """
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    problems = []
    for each in parameters(spec):
        origin, raw = _first(each, said)
        origins[each.name] = origin
        try:
            values[each.name] = each.default if origin == "default" else each.read(raw)
        except ValueError as error:
            problems.append(_unreadable(each, origin, raw, str(error)))
    if problems:
        raise InputError(*problems)
    return Resolved(spec(**values), origins)


def from_environment(spec: type[P], environ: Mapping[str, str]) -> dict[str, str]:
    """What ``EVALKIT_…`` variables say, by the field's name."""
    return {
        each.name: environ[each.variable] for each in parameters(spec) if each.variable in environ
    }


def from_form(start: P, submitted: Mapping[str, object]) -> P:
    """The parameters as a person changed them in the form.

    Raises:
        InputError: names every value that cannot be read.
    """
    kept = {each.name: getattr(start, each.name) for each in parameters(type(start))}
    said = {name: _as_text(value) for name, value in {**kept, **submitted}.items()}
    return resolve(type(start), {"argument": said}).values


def _parameter(field: dataclasses.Field[Any], hint: Any) -> Parameter:
    optional = typing.get_origin(hint) in {typing.Union, types.UnionType}
    kinds = typing.get_args(hint) if optional else (hint,)
    hint = next(kind for kind in kinds if kind is not types.NoneType)
    choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
    kind = str if choices else hint
    default: Any = field.default
    if kind not in {str, int, float, bool}:
        raise TypeError(f"{field.name}: a parameter is text, a number, yes or no, or a Literal")
    meta = field.metadata
    return Parameter(
        name=field.name,
        kind=kind,
        choices=choices,
        default=default,
        about=meta["about"],
        link=meta["link"],
        shown=meta["shown"],
        label=meta["label"] or field.name.replace("_", " ").capitalize(),
    )


def _first(parameter: Parameter, said: Mapping[Origin, Mapping[str, str]]) -> tuple[Origin, str]:
    for origin, values in said.items():
        if origin == "link" and not parameter.link:
            continue
        raw = values.get(parameter.name)
        if raw or (raw is not None and origin == "argument"):
            return origin, raw
    return "default", ""


def _unreadable(parameter: Parameter, origin: Origin, raw: str, expected: str) -> Problem:
    where = {
        "argument": parameter.flag,
        "widget": f"widget {parameter.name}",
        "link": f"{parameter.name} in the address",
        "environment": parameter.variable,
    }
    return Problem(f"{raw!r} cannot be used", field=where.get(origin, ""), fix=expected)


def _yes_or_no(text: str) -> bool:
    answers = {"true": True, "yes": True, "1": True, "on": True}
    answers |= {"false": False, "no": False, "0": False, "off": False}
    if text.lower() not in answers:
        raise ValueError("expected true or false")
    return answers[text.lower()]


def _as_text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a number field says 9.0 where a person typed 9
    return "" if value is None else str(value)
