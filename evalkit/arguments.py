"""What each stage may be told, declared once: one dataclass a stage.

Flags, environment variables, job arguments, widgets, the page's form and ``--help`` are all made of
these fields. The first that says something wins: the command line, a Databricks widget or job
parameter, the link a browser was opened with, the environment, the default.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, NoReturn, TypeAlias, TypeVar

from evalkit.errors import InputError, Problem

P = TypeVar("P", bound="CommonParams")

Origin: TypeAlias = Literal["argument", "widget", "link", "environment", "default"]

ENVIRONMENT_PREFIX = "EVALKIT_"
ANSWERS = dict.fromkeys(("true", "yes", "1", "on"), True) | dict.fromkeys(
    ("false", "no", "0", "off"), False
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared field: text, number, yes or no, one of a Literal, or several words (a tuple).

    Attributes:
        default: Its value where nothing else is said; None where there is none, for ``str | None``.
        about: What it means, for ``--help``, the form and the widget; no full stop.
        label: What the form calls it; made from its name by default.
        link: Whether the address of the page may fill it in. It never may where a link from a
            stranger could send data elsewhere.
        shown: In the form at once, in the form under "More settings", or only without a browser.
        typed: On the command line: a flag, a flag that has to be there, or a word by its place.
        short: A flag of one letter besides, such as ``-e``.
        kind: str, int, float, bool or tuple, as the field is annotated.
        choices: Empty where any value will do.
    """

    default: Any
    about: str
    label: str = ""
    link: bool = False
    shown: Literal["form", "more", "never"] = "form"
    typed: Literal["flag", "required", "place"] = "flag"
    short: str = ""
    name: str = ""
    kind: type = str
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return "--" + self.name.rstrip("_").replace("_", "-")  # `as` is a word of Python

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    def read(self, raw: str) -> Any:
        """The value that a text stands for; a ValueError that says what was expected."""
        text = raw.strip()
        if self.kind is tuple:
            return tuple(word.strip() for word in text.split(",") if word.strip())
        if not text and self.default is None:
            return None
        if self.choices and text not in self.choices:
            raise ValueError(f"expected one of {', '.join(self.choices)}")
        try:
            return ANSWERS[text.lower()] if self.kind is bool else self.kind(text)
        except (KeyError, ValueError):
            kinds = {bool: "true or false", int: "a whole number"}
            raise ValueError(f"expected {kinds.get(self.kind, 'a number')}") from None


def param(default: Any, about: str, label: str = "", **more: Any) -> Any:
    """Declare a field with the attributes of a :class:`Parameter`."""
    told = {"declared": Parameter(default, about, label, **more)}
    return dataclasses.field(default=default, metadata=told)


more: Any = partial(param, shown="more")
unseen: Any = partial(param, shown="never")


@dataclass(frozen=True)
class CommonParams:
    """What every stage may be told."""

    tracking_uri: str | None = more(
        None,
        "The MLflow to use; else mlflow.tracking_uri in the config, else MLFLOW_TRACKING_URI",
        "Tracking URI",
    )
    runs_dir: str | None = more(
        None,
        "Where finished runs lie; else AGENT_EVAL_RUNS_DIR, else eval/runs here or at the config",
        "Runs folder",
    )
    json: bool = unseen(False, "End with the report as one line of JSON")
    strict: bool = unseen(
        False,
        "Exit 1 also where MLflow is absent, an execution failed, a log is refused, feedback finds"
        " no trace, or a threshold is missed or not measured",
    )


@dataclass(frozen=True, slots=True)
class Resolved(Generic[P]):
    """Parameters, and by each one's name where its value came from."""

    values: P
    origins: Mapping[str, Origin]


def parameters(spec: type[CommonParams]) -> tuple[Parameter, ...]:
    """The declared fields of a stage, those that all stages have last."""
    hints = typing.get_type_hints(spec)
    common = {field.name for field in dataclasses.fields(CommonParams)}
    found = []
    for field in sorted(dataclasses.fields(spec), key=lambda field: field.name in common):
        hint, declared = hints[field.name], field.metadata["declared"]
        if isinstance(hint, types.UnionType):
            hint = next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
        choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
        kind = str if choices else typing.get_origin(hint) or hint
        label = declared.label or field.name.replace("_", " ").capitalize()
        told = {"name": field.name, "label": label, "kind": kind, "choices": choices}
        found.append(dataclasses.replace(declared, **told))
    return tuple(found)


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
        values[each.name], origins[each.name] = each.default, "default"
        heard = ((o, texts.get(each.name)) for o, texts in said.items() if each.link or o != "link")
        for origin, raw in heard:
            if not raw and (raw is None or origin != "argument"):
                continue
            try:
                values[each.name], origins[each.name] = each.read(raw), origin
            except ValueError as error:
                places = {"argument": each.flag, "environment": each.variable}
                places |= {"widget": f"widget {each.name}", "link": f"{each.name} in the address"}
                where = each.name if each.typed == "place" else places[origin]
                problems.append(Problem(f"{raw!r} cannot be used", field=where, fix=str(error)))
            break
    if problems:
        raise InputError(*problems)
    return Resolved(spec(**values), origins)


def from_form(start: P, submitted: Mapping[str, object]) -> P:
    """The parameters as a person changed them in the form; an InputError as :func:`resolve`."""
    said = {name: as_argument(value) for name, value in {**vars(start), **submitted}.items()}
    return resolve(type(start), {"argument": said}).values


def as_argument(value: object) -> str:
    """A value as it is given after ``--name=``."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a number field says 9.0 where a person typed 9
    return ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)


def as_flags(values: CommonParams, *names: str) -> list[str]:
    """The flags that say what differs from the defaults; of all parameters, or of those named."""
    return [
        f"{each.flag}={as_argument(value)}"
        for each in parameters(type(values))
        if (value := getattr(values, each.name)) != each.default
        if not names or each.name in names
    ]


class Parser(argparse.ArgumentParser):
    """A command line made of a stage's parameters; its complaint is that of any other input."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint as an InputError, below the usage."""
        self.print_usage(sys.stderr)
        raise InputError(Problem(message, field=self.prog, fix=f"see `{self.prog} --help`"))

    def take(self, spec: type[CommonParams], *, asks: bool = False) -> None:
        """Add the stage's parameters; what is required may be missing where a page ``asks``."""
        for each in parameters(spec):
            default = "" if each.default in {None, "", False, ()} else f" (default: {each.default})"
            told: dict[str, Any] = {"help": (each.about + default).replace("%", "%%")}
            if each.typed == "place":
                several = "*" if each.kind is tuple else "?"
                self.add_argument(each.name, nargs=several if each.default != "" else None, **told)
                continue
            unit = "N" if each.kind in {int, float} else each.name.rpartition("_")[2].upper()
            told["metavar"] = f"{{{','.join(each.choices)}}}" if each.choices else unit
            if each.kind is bool:
                told |= {"nargs": "?", "const": "true", "metavar": "BOOL"}
            if each.kind is tuple:
                told |= {"action": "extend", "nargs": "+"}
            names = [name for name in (each.short, each.flag) if name]
            required = each.typed == "required" and not asks
            self.add_argument(*names, dest=each.name, required=required, **told)


def read_arguments(
    spec: type[CommonParams], parser: Parser, argv: Sequence[str], *, is_lenient: bool = False
) -> dict[str, str]:
    """What a command line says, by the field's name; an InputError where it cannot be meant.

    ``--dry_run`` and ``--dry-run=true`` are ``--dry-run``. Where it ``is_lenient``, arguments that
    are not declared are passed over: a job may give its parameters to every task.
    """
    known = parameters(spec)
    switches = {each.flag: f"{each.flag}=true" for each in known if each.kind is bool}
    given = [re.sub("^--[^=]+", lambda name: name[0].replace("_", "-"), text) for text in argv]
    given = [switches.get(text, text) for text in given]
    found = parser.parse_known_args(given)[0] if is_lenient else parser.parse_args(given)
    said = {each.name: getattr(found, each.name, None) for each in known}
    words = {name: ",".join(raw) if isinstance(raw, list) else raw for name, raw in said.items()}
    return {n: raw for n, raw in words.items() if raw or (raw is not None and said[n] == "")}
