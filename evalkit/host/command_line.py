"""A notebook's parameters as they are given on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from evalkit.errors import InputError, Problem
from evalkit.params import ENVIRONMENT_PREFIX, Parameter, Project, parameters


def arguments(
    spec: type[Project], program: str, argv: Sequence[str], *, lenient: bool = False
) -> dict[str, str]:
    """What a command line says, by the field's name. ``--help`` prints the parameters and exits.

    Args:
        spec: The dataclass of the stage's parameters.
        program: The program's name, for the help.
        argv: The arguments without the program's name; ``--a-b``, ``--a_b`` and ``--a-b=c`` alike.
        lenient: Pass over arguments that are not declared, as a job may give its parameters to
            every task.

    Raises:
        InputError: an argument is not declared, or lacks its value.
    """
    parser = _Parser(
        prog=program,
        description=(spec.__doc__ or "").strip(),
        epilog=f"Each may also stand in the environment, such as {ENVIRONMENT_PREFIX}CONFIG.",
        allow_abbrev=False,
    )
    for each in parameters(spec):
        _add(parser, each)
    given = [_hyphened(text) for text in argv if text != "--"]
    if lenient:
        found, _ = parser.parse_known_args(given)
    else:
        found = parser.parse_args(given)
    return {name: raw for name, raw in vars(found).items() if raw is not None}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as any other input error, since a page cannot show an exit."""

    def error(self, message: str) -> NoReturn:
        raise InputError(Problem(message, fix=f"{self.prog} --help lists the parameters"))


def _hyphened(text: str) -> str:
    name, equals, value = text.partition("=")
    return name.replace("_", "-") + equals + value if text.startswith("--") else text


def _add(parser: argparse.ArgumentParser, parameter: Parameter) -> None:
    default = "" if parameter.default in {None, "", False} else f" (default: {parameter.default})"
    about = (parameter.about + default).replace("%", "%%")
    if parameter.kind is bool:
        parser.add_argument(parameter.flag, nargs="?", const="true", metavar="BOOL", help=about)
    else:
        metavar = "{" + ",".join(parameter.choices) + "}" if parameter.choices else None
        parser.add_argument(parameter.flag, metavar=metavar, help=about)
