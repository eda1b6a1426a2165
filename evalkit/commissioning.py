"""``evalkit agent``: its flags, and the agent behind them."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from evalkit.errors import InputError, Problem, Unfinished

if TYPE_CHECKING:
    from evalkit.agent.request import Request
    from evalkit.terminal import Terminal

Report = dict[str, Any]

_BUDGETS = {
    "turns": (int, "calls of the model"),
    "tokens": (int, "tokens, cached ones included"),
    "cost": (float, "USD"),
    "minutes": (float, "minutes"),
}


def flags(sub: argparse.ArgumentParser) -> None:
    """Add the agent's flags."""
    add = sub.add_argument
    add("-a", "--autonomous", action="store_true", help="build a suite alone; the default")
    add("-i", "--interactive", action="store_true", help="a conversation with the same tools")
    add(
        "-e",
        "--experiment-id",
        dest="experiment",
        metavar="E",
        help="the experiment whose traces are looked at, by id or name",
    )
    add("--session", metavar="ID", help="go on with this session; default: begin a new one")
    add("--model", metavar="NAME", help="`offline` for rules, the default without a key")
    add("--anthropic-base-url", dest="base_url", metavar="URL", help="where Claude is reached")
    add("--secret-scope", metavar="SCOPE", help="Databricks secret scope with Claude's token")
    add("--secret-key", metavar="KEY", help="the token's name there; default: databricks-token")
    add("--volume-path", metavar="DIR", help="where session directories lie; default: here")
    add(
        "--mlflow-agent-experiment-id",
        dest="own_experiment",
        metavar="E",
        help="where the agent's own traces go, by id or name; default: evalkit-agent",
    )
    add(
        "--sql-warehouse-id",
        metavar="ID",
        help="reads traces in Unity Catalog tables; default: MLFLOW_TRACING_SQL_WAREHOUSE_ID",
    )
    _budgets(sub)
    _safety(sub)


def _budgets(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--max-iterations",
        dest="max_sessions",
        type=int,
        metavar="N",
        help="sessions that may be led this time; default: 40",
    )
    for name, (kind, unit) in _BUDGETS.items():
        usual = "; default: 5" if name == "cost" else ""
        sub.add_argument(
            f"--max-{name}", type=kind, metavar="N", help=f"{unit}, in all sessions{usual}"
        )
    for name, (kind, unit) in _BUDGETS.items():
        usual = "; default: 80" if name == "turns" else ""
        sub.add_argument(
            f"--session-{name}", type=kind, metavar="N", help=f"{unit}, in one session{usual}"
        )


def _safety(sub: argparse.ArgumentParser) -> None:
    add = sub.add_argument
    add("--require-sandbox", action="store_true", help="the default; accepted from older scripts")
    add("--unconfined", action="store_true", help="run code where it cannot be confined, too")
    add("--allow-network", action="store_true", help="let the code use the network")
    add(
        "--pass-env",
        action="append",
        default=[],
        metavar="NAME",
        help="an environment variable that the code is given; may be repeated",
    )


def request_of(arguments: argparse.Namespace) -> Request:
    """What the flags ask for; what is not given stays as it usually is."""
    from evalkit.agent.request import Request

    given = {field.name: getattr(arguments, field.name) for field in fields(Request)}
    given["pass_env"] = tuple(n for text in arguments.pass_env for n in text.split(",") if n)
    said = {name: value for name, value in given.items() if value not in (None, "")}
    return Request(**said)


def run(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    """Build a suite, or talk.

    Raises:
        InputError: the flags are wrong.
        Unfinished: there is no verified suite.
    """
    from evalkit import narrating

    if arguments.autonomous and arguments.interactive:
        raise InputError(
            Problem("autonomous and interactive at once", field="-i", fix="choose -a or -i")
        )
    request = request_of(arguments)
    if arguments.interactive:
        from evalkit.agent.chat import talk

        return talk(request, terminal.console)
    from evalkit.agent.run import build

    try:
        report = build(request, narrating.Narrator(terminal))
    except Unfinished as error:
        narrating.agent(terminal, error.report)
        raise
    narrating.agent(terminal, report)
    return report
