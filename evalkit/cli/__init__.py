"""The ``evalkit`` command.

Heavy libraries are imported inside the stages, so that ``evalkit --help`` is instant.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import evalkit
from evalkit import params
from evalkit.arguments import CommonParams, Parser, parameters, read_arguments, resolve
from evalkit.errors import EvalkitError, InputError, Problem
from evalkit.ui.terminal import Report, Terminal, concluded, failed

Stage: TypeAlias = Callable[[Any, Terminal], Report]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done or skipped, 1 not all done, 2 wrong input.

    Args:
        argv: The arguments without the program's name; the process's own by default.
    """
    return outcome(sys.argv[1:] if argv is None else argv)[1]


def outcome(argv: Sequence[str]) -> tuple[Report, int]:
    """Run the command; its report, and the exit code that :func:`main` returns."""
    terminal = Terminal(as_json=any(each in argv for each in ("--json", "--json=true")))
    try:
        report, code = _run(argv, terminal)
    except KeyboardInterrupt:
        terminal.fail("interrupted; run the same command again to finish")
        report, code = {"error": "interrupted"}, 1
    terminal.close(report)
    return report, code


def stage_flags() -> dict[str, frozenset[str]]:
    """The long flags that each stage takes, such as ``--run-id``, by the stage's name."""
    return {
        name: frozenset(each.flag for each in parameters(spec) if each.typed != "place")
        for name, (_, spec) in STAGES.items()
    }


def _run(argv: Sequence[str], terminal: Terminal) -> tuple[Report, int]:
    strict = False
    try:
        stage, asked = read_command(argv)
        strict = asked.strict
        return concluded(stage(asked, terminal), strict=strict)
    except EvalkitError as error:
        return failed(error, terminal, strict=strict)
    except OSError as error:
        if error.filename is None:
            raise
        problem = Problem(f"cannot be used: {error.strerror}", str(error.filename))
        return failed(InputError(problem), terminal, strict=strict)


def read_command(argv: Sequence[str]) -> tuple[Stage, CommonParams]:
    """The stage that is meant, and its parameters; an InputError names all that cannot be read."""
    from importlib.metadata import version

    parser = Parser(
        prog="evalkit", description="Join file-based agent evaluation with MLflow, both ways."
    )
    parser.add_argument("--version", action="version", version=version("mlflow-evalkit"))
    stages = parser.add_subparsers(title="stages", required=True, metavar="STAGE", dest="stage")
    for name, (_, spec) in STAGES.items():
        about = spec.__doc__
        sub = stages.add_parser(name, help=about, description=about, allow_abbrev=False)
        if name in argv[:1]:
            sub.take(spec)
    stage, spec = STAGES.get(argv[0] if argv else "", STAGES["check"])
    said = read_arguments(spec, parser, argv)  # which refuses what is no stage
    return stage, resolve(spec, {"argument": said}).values


def _public(name: str, function: str) -> Stage:
    """The stage that a public function does, which takes its parameters by their names."""

    def run(asked: Any, terminal: Terminal) -> Report:
        from evalkit.cli import narrator, render

        do, tell = getattr(evalkit, function), partial(render.tell, terminal)
        offered = {**vars(asked), "say": terminal.say, "tell": tell}
        wanted = inspect.signature(do).parameters
        if "workspace" in wanted:
            offered["workspace"] = asked.workspace()
        report: Report = do(**{each: offered[each] for each in wanted})
        if name == "all":
            narrator.summary(terminal, report, offered["workspace"].tracking.uri, asked)
        else:
            tell(name, report)
        return report

    return run


def _demo(asked: params.DemoParams, terminal: Terminal) -> Report:
    from evalkit.cli import narrator, render
    from evalkit.demo.tour import tour

    if asked.tracking_uri or asked.runs_dir:
        terminal.note("the demo has a store and runs of its own: the ones you named stay untouched")
    report = tour(asked.directory, say=terminal.say, tell=partial(render.tell, terminal))
    narrator.where_to_look(terminal, asked.directory, report)
    return report


def _agent(asked: params.TalkParams, terminal: Terminal) -> Report:
    from evalkit.cli import narrator

    if asked.autonomous and asked.interactive:
        problem = Problem("autonomous and interactive at once", field="-i", fix="choose -a or -i")
        raise InputError(problem)
    if asked.interactive:
        from evalkit.agent.chat import talk

        return talk(asked, terminal.console)
    report = narrator.narrated(asked, terminal)
    narrator.told_agent(terminal, report)
    return report


def _open(asked: params.OpenParams, terminal: Terminal) -> Report:
    from evalkit.cli import notebooks

    return notebooks.open_in_browser(asked, terminal.say)


def _export(asked: params.ExportParams, terminal: Terminal) -> Report:
    from evalkit.cli.export import export

    report = export(asked.directory)
    terminal.done(f"{len(report['notebooks'])} notebooks in {report['directory']}")
    return report


STAGES: dict[str, tuple[Stage, type[CommonParams]]] = {
    "check": (_public("check", "check"), params.ProjectParams),
    "map": (_public("map", "map_schema"), params.MapParams),
    "sync-dataset": (_public("sync-dataset", "sync_dataset"), params.SyncParams),
    "run": (_public("run", "run_cases"), params.PredictParams),
    "log-results": (_public("log-results", "log_results"), params.LogParams),
    "push-feedback": (_public("push-feedback", "push_feedback"), params.PushParams),
    "pull-feedback": (_public("pull-feedback", "pull_feedback"), params.RunParams),
    "compare": (_public("compare", "compare"), params.CompareParams),
    "gate": (_public("gate", "gate"), params.GateParams),
    "history": (_public("history", "history"), params.HistoryParams),
    "all": (_public("all", "run_all"), params.AllParams),
    "import": (_public("import", "import_paths"), params.ImportParams),
    "export-cases": (_public("export-cases", "export_cases"), params.ExportCasesParams),
    "demo": (_demo, params.DemoParams),
    "agent": (_agent, params.TalkParams),
    "open": (_open, params.OpenParams),
    "export": (_export, params.ExportParams),
}
"""What each stage does, and what it may be told."""


if __name__ == "__main__":
    sys.exit(main())
