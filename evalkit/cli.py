"""The ``evalkit`` command: one short function a stage.

Heavy libraries are imported inside the stages, so that ``evalkit --help`` is instant.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from evalkit import commissioning, options, verdict
from evalkit.errors import EvalkitError, InputError, Problem
from evalkit.terminal import Terminal

if TYPE_CHECKING:
    from evalkit.workspace import Workspace

Report = dict[str, Any]
Stage = Callable[[argparse.Namespace, Terminal], Report]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done or skipped, 1 not all done, 2 wrong input.

    Args:
        argv: The arguments without the program's name; the process's own by default.
    """
    return outcome(sys.argv[1:] if argv is None else argv)[1]


def outcome(given: Sequence[str]) -> tuple[Report, int]:
    """Run the command; its report, and the exit code that :func:`main` returns.

    Args:
        given: The arguments without the program's name.
    """
    terminal = Terminal(as_json="--json" in given)
    try:
        report, code = _run(given, terminal)
    except KeyboardInterrupt:
        terminal.fail("interrupted; run the same command again to finish")
        report, code = {"error": "interrupted"}, 1
    terminal.close(report)
    return report, code


def stage_flags() -> dict[str, frozenset[str]]:
    """The long flags that each stage takes, such as ``--run-id``, by the stage's name."""
    found = {}
    for name, (_, _, added) in _STAGES.items():
        sub = argparse.ArgumentParser(add_help=False)
        for option in (*added, options.common):
            option(sub)
        given = [text for action in sub._actions for text in action.option_strings]  # noqa: SLF001 - argparse tells no other way
        found[name] = frozenset(text for text in given if text.startswith("--"))
    return found


def _run(given: Sequence[str], terminal: Terminal) -> tuple[Report, int]:
    try:
        arguments = _parser().parse_args(given)
    except InputError as error:
        return verdict.failed(error, terminal, strict=False)
    stage: Stage = arguments.stage
    try:
        report = stage(arguments, terminal)
    except EvalkitError as error:
        return verdict.failed(error, terminal, strict=arguments.strict)
    except OSError as error:
        if error.filename is None:
            raise
        problem = Problem(f"cannot be used: {error.strerror}", str(error.filename))
        return verdict.failed(InputError(problem), terminal, strict=arguments.strict)
    return verdict.concluded(report, strict=arguments.strict)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint ends like that of any stage, with ``--json`` as an object, too."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise InputError(Problem(message, field=self.prog, fix=f"see `{self.prog} --help`"))


def _parser() -> argparse.ArgumentParser:
    from importlib.metadata import version

    parser = _Parser(
        prog="evalkit", description="Join file-based agent evaluation with MLflow, both ways."
    )
    parser.add_argument("--version", action="version", version=version("mlflow-evalkit"))
    stages = parser.add_subparsers(title="stages", required=True, metavar="STAGE")
    for name, (stage, summary, added) in _STAGES.items():
        sub = stages.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        for option in added:
            option(sub)
        options.common(sub)
        sub.set_defaults(stage=stage)
    return parser


def _open(arguments: argparse.Namespace) -> Workspace:
    from evalkit.workspace import Workspace

    return Workspace.open(
        arguments.config, tracking_uri=arguments.tracking_uri, runs_dir=arguments.runs_dir
    )


def _check(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    from evalkit import rendering, stages

    report = stages.check(
        arguments.config, tracking_uri=arguments.tracking_uri, runs_dir=arguments.runs_dir
    )
    rendering.check(terminal, report)
    return report


def _map(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    from evalkit import rendering, stages

    report = stages.map_schema(
        _open(arguments),
        out=arguments.out,
        by=arguments.by,
        model=arguments.model,
        force=arguments.force,
    )
    rendering.mapping(terminal, report)
    return report


def _sync(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    from evalkit import rendering, stages

    report = stages.sync_dataset(
        _open(arguments),
        mapping=arguments.mapping,
        dataset_name=arguments.dataset_name,
        dry_run=arguments.dry_run,
        distinguish=arguments.distinguish,
        say=terminal.say,
    )
    rendering.sync(terminal, report)
    return report


def _log(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    from evalkit import rendering, stages

    report = stages.log_results(
        _open(arguments),
        run_id=arguments.run_id,
        names=arguments.names,
        dataset_name=arguments.dataset_name,
        say=terminal.say,
    )
    rendering.logged(terminal, report)
    return report


def _push(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    from evalkit import rendering, stages

    report = stages.push_feedback(
        _open(arguments),
        run_id=arguments.run_id,
        source=arguments.source,
        names=arguments.names,
        say=terminal.say,
    )
    rendering.pushed(terminal, report)
    return report


def _pull(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    from evalkit import rendering, stages

    report = stages.pull_feedback(_open(arguments), run_id=arguments.run_id, say=terminal.say)
    rendering.pulled(terminal, report)
    return report


def _all(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    from evalkit import rendering, signposts, stages

    workspace = _open(arguments)
    report = stages.run_all(
        workspace,
        run_id=arguments.run_id,
        mapping=arguments.mapping,
        dataset_name=arguments.dataset_name,
        distinguish=arguments.distinguish,
        names=arguments.names,
        say=terminal.say,
        tell=rendering.teller(terminal),
    )
    signposts.summary(terminal, report, workspace.tracking.uri, options.again(arguments))
    return report


def _demo(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    from evalkit import narrating, rendering, signposts
    from evalkit.demo.tour import tour

    if arguments.tracking_uri or arguments.runs_dir:
        terminal.note("the demo has a store and runs of its own: the ones you named stay untouched")
    tell = rendering.teller(terminal, agent=narrating.agent)
    report = tour(arguments.directory, say=terminal.say, tell=tell)
    signposts.demo(terminal, arguments.directory, report)
    return report


def _agent(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    return commissioning.run(arguments, terminal)


def _open_notebooks(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    from evalkit import notebooks

    told = {
        "EVALKIT_CONFIG": arguments.config,
        "EVALKIT_TRACKING_URI": arguments.tracking_uri,
        "EVALKIT_RUNS_DIR": arguments.runs_dir,
    }
    return notebooks.open_in_browser(
        arguments.notebook,
        port=arguments.port,
        browser=arguments.browser,
        edit=arguments.edit,
        environment={name: value for name, value in told.items() if value},
        say=terminal.say,
    )


def _export(arguments: argparse.Namespace, terminal: Terminal) -> Report:
    from evalkit.export import export

    report = export(arguments.directory)
    terminal.done(f"{len(report['notebooks'])} notebooks in {report['directory']}")
    return report


_Option = Callable[[argparse.ArgumentParser], None]

_STAGES: dict[str, tuple[Stage, str, tuple[_Option, ...]]] = {
    "check": (_check, "Say what is wrong with eval.yaml and what there is.", (options.config,)),
    "map": (
        _map,
        "Write which field of a case feeds which input.",
        (options.config, options.proposal),
    ),
    "sync-dataset": (
        _sync,
        "Make the MLflow dataset mirror the cases.",
        (options.config, options.mapping, options.dataset, options.dry_run),
    ),
    "log-results": (
        _log,
        "Log a finished run, with a trace for each case.",
        (options.config, options.run_id, options.dataset_name, options.names),
    ),
    "push-feedback": (
        _push,
        "Attach scores and comments to the traces.",
        (options.config, options.run_id, options.source, options.names),
    ),
    "pull-feedback": (
        _pull,
        "Bring people's annotations back into review.yaml.",
        (options.config, options.run_id),
    ),
    "all": (
        _all,
        "Map if needed, sync, log and push.",
        (options.config, options.run_id, options.mapping, options.dataset, options.names),
    ),
    "demo": (_demo, "Generate a project and run every stage on it.", (options.folder,)),
    "agent": (
        _agent,
        "Build an evaluation suite from traces.",
        (options.config, commissioning.flags),
    ),
    "open": (_open_notebooks, "Open the notebooks in the browser.", (options.notebook,)),
    "export": (
        _export,
        "Write the notebooks as .ipynb, for Jupyter and Databricks.",
        (options.target,),
    ),
}


if __name__ == "__main__":
    sys.exit(main())
