"""The ``evalkit-job`` command: stages, as the tasks of Databricks Jobs start them.

A task gives ``--name=value`` and nothing else: no positional words, no bare switches, names with
underscores, and every parameter of its job whether or not the stage has it. It fails by an error
that is raised; an exit code would be lost.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from evalkit import cli
from evalkit.errors import EvalkitError, InputError, Problem
from evalkit.tracking import is_on_databricks

OWN = frozenset({"stages", "skip_stages", "experiment_ids", "run_ids"})
"""Parameters that are the job's, not a stage's: it hands them to every task all the same."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stages that ``--stages=sync-dataset,log-results`` names, until one fails.

    Those that ``--skip_stages`` names are passed over, and a task that has no other succeeds. All
    else are the stages' own parameters. ``true`` switches a flag on; ``false`` and empty values
    count as not given. An MLflow that is absent fails a task, which a command would pass over.

    Args:
        argv: The arguments without the program's name; the process's own by default.

    Raises:
        InputError: a stage or parameter is none that evalkit has. No stage was run.
        EvalkitError: a stage failed; it has said why.
    """
    given = read_parameters(sys.argv[1:] if argv is None else argv)
    commands = stage_commands(given)
    on = "a Databricks cluster" if is_on_databricks(os.environ) else "this machine"
    on = "Databricks serverless" if os.environ.get("DATABRICKS_ENV_VERSION") else on
    sys.stderr.write(f"a job on {on}\n")
    if not commands:
        sys.stderr.write(f"nothing is left to do: skip_stages={given['skip_stages']}\n")
    for command in commands:
        report, code = cli.outcome(command)
        parts = [report, *(part for part in report.values() if isinstance(part, dict))]
        absent = [part["reason"] for part in parts if part.get("skipped") is True]
        if code or absent:
            why = report.get("error") or absent[0]
            raise EvalkitError(f"{command[0]}: {why}", report)


def read_parameters(argv: Sequence[str]) -> dict[str, str]:
    """A task's arguments by name, with underscores; InputError names those not ``--name=value``."""
    fix = "use named_parameters"
    wrong = [text for text in argv if not text.startswith("--") or "=" not in text]
    if wrong:
        raise InputError(*(Problem(f"{text!r} is not --name=value", fix=fix) for text in wrong))
    pairs = (text.removeprefix("--").split("=", 1) for text in argv)
    return {name.replace("-", "_"): value for name, value in pairs}


def stage_commands(given: Mapping[str, str]) -> list[list[str]]:
    """The arguments of each stage's ``evalkit`` command, the stage's name first.

    Raises:
        InputError: names every stage and parameter that evalkit does not have.
    """
    known = cli.stage_flags()
    named = {
        field: [name.strip() for name in given.get(field, "").split(",") if name.strip()]
        for field in ("stages", "skip_stages")
    }
    problems = [
        Problem(f"there is no stage {name!r}", field=field, fix=f"one of {', '.join(known)}")
        for field, names in named.items()
        for name in names
        if name not in known
    ]
    if not named["stages"]:
        problems.append(Problem("no stage is named", field="stages", fix="such as sync-dataset"))
    flags = {
        f"--{name}".replace("_", "-"): value for name, value in given.items() if name not in OWN
    }
    strange = sorted(set(flags) - frozenset().union(*known.values()))
    problems += [Problem("no stage has this parameter", field=flag) for flag in strange]
    if problems:
        raise InputError(*problems)
    said = {flag: value for flag, value in flags.items() if value}
    return [
        [stage, *(f"{flag}={value}" for flag, value in said.items() if flag in known[stage])]
        for stage in named["stages"]
        if stage not in named["skip_stages"]
    ]


if __name__ == "__main__":
    main()
