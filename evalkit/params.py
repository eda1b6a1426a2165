"""The stages' parameters: what each may be told, by command, job, page, widget or environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalkit.agent.request import Request
from evalkit.arguments import CommonParams, more, param, unseen

if TYPE_CHECKING:
    from evalkit.context import Workspace

_MAPPING = "Schema mapping; else tmp/schema_mapping.json, or schema_mapping.NAME.json of others"
_DATASET = (
    "Its name in MLflow; else the eval's; in a Databricks workspace CATALOG.SCHEMA.TABLE, which a"
    " project on a volume need not say"
)
_DISTINGUISH = "Add an input case_id, so that cases with equal inputs stay apart"
_NAMES = "seed: name feedback {case_id}/{judge} on every trace, not only on shared ones"
_RUNS = "directories of runs, ids of MLflow runs, or git:REF; several are trials"
_MARGIN = "Change that does not matter; else 0.1 of a rate, 0.05 of a score's range"


@dataclass(frozen=True)
class ProjectParams(CommonParams):
    """Say what is wrong with eval.yaml and what there is."""

    config: str = param(
        "eval.yaml", "The evaluation; else the one at eval/*/eval.yaml or eval/*.yaml", link=True
    )

    def workspace(self) -> Workspace:
        """The project that is meant, opened; an InputError where the config is missing or wrong."""
        from evalkit.context import Workspace

        return Workspace.open(self.config, tracking_uri=self.tracking_uri, runs_dir=self.runs_dir)


@dataclass(frozen=True)
class MapParams(ProjectParams):
    """Write which field of a case feeds which input."""

    out: str | None = param(None, "Where to save it; else where sync looks", "Mapping")
    by: Literal["rules", "claude"] = param(
        "rules", "Rules read schema and cases; Claude needs ANTHROPIC_API_KEY", "Proposed by"
    )
    model: str | None = more(
        None, "The Claude model; else MODEL in the environment, else the newest"
    )
    force: bool = unseen(False, "Overwrite a mapping that differs")


@dataclass(frozen=True)
class SyncParams(ProjectParams):
    """Make the MLflow dataset mirror the cases."""

    mapping: str | None = param(None, _MAPPING)
    dataset_name: str | None = param(None, _DATASET, "Dataset", link=True)
    distinguish: bool = param(False, _DISTINGUISH, "Distinguish equal cases")
    dry_run: bool = unseen(False, "Show the changes, write nothing")


@dataclass(frozen=True)
class RunParams(ProjectParams):
    """Bring people's annotations back into review.yaml."""

    run_id: str = unseen("", "The run directory's name", link=True, typed="required")


@dataclass(frozen=True)
class PredictParams(ProjectParams):
    """Run an agent's function on the cases, traced, and apply code judges."""

    predict: str = param("", "The agent, as module:function", typed="required")
    run_id: str | None = param(None, "Name of a new run, or of one to go on with; else the time")
    mapping: str | None = param(None, _MAPPING)
    parallel: int = param(4, "Cases that run at a time")
    timeout: float = param(600.0, "Seconds that a case may take")


@dataclass(frozen=True)
class LogParams(RunParams):
    """Log a finished run, with a trace for each case."""

    dataset_name: str | None = more(None, _DATASET, "Dataset")
    names: Literal["auto", "seed"] = more("auto", _NAMES, "Names of feedback")


@dataclass(frozen=True)
class PushParams(RunParams):
    """Attach scores and comments to the traces."""

    source: Literal["judge", "human", "all"] = param("all", "Whose feedback")
    names: Literal["auto", "seed"] = param("auto", _NAMES)


@dataclass(frozen=True)
class CompareParams(ProjectParams):
    """Say whether runs are better, worse or the same, case by case."""

    candidate: tuple[str, ...] = unseen(
        (), f"Runs to judge, else the newest: {_RUNS}", typed="place"
    )
    baseline: tuple[str, ...] = unseen(
        (), "Runs to hold them against, named alike; else the one before"
    )
    margin: float | None = param(None, _MARGIN)


@dataclass(frozen=True)
class GateParams(ProjectParams):
    """Exit 0 if a run is as good as its baseline, 1 if not, 3 if nobody can tell."""

    run_id: tuple[str, ...] = param((), f"Runs to judge: {_RUNS}", typed="required")
    baseline: tuple[str, ...] = param(
        (), "Runs to hold it against; else the one logged for where HEAD left the main branch"
    )
    margin: float | None = param(None, _MARGIN)
    out: str | None = param(None, "File for the pull request's comment, in Markdown")
    on_unknown: Literal["3", "pass", "fail"] = param("3", "What not knowing is: exit 3, 0 or 1")


@dataclass(frozen=True)
class HistoryParams(ProjectParams):
    """Show a judge over the logged runs, with commits and intervals."""

    judge: str = param("", "The judge's name", typed="required")


@dataclass(frozen=True)
class AllParams(RunParams):
    """Map if needed, sync, log and push."""

    mapping: str | None = param(None, _MAPPING)
    dataset_name: str | None = param(None, _DATASET)
    distinguish: bool = param(False, _DISTINGUISH)
    names: Literal["auto", "seed"] = param("auto", _NAMES)


@dataclass(frozen=True)
class ImportParams(CommonParams):
    """Take over logs of agents, Claude's evals or a table of questions."""

    paths: tuple[str, ...] = param(
        (), "Logs or folders of them, a folder of evals, or a table", typed="place"
    )
    experiment_id: str | None = param(
        None, "Where traces of logs go, by name or id", "Experiment", short="-e"
    )
    out: str | None = param(None, "Folder for the project that evals or a table become")


@dataclass(frozen=True)
class ExportCasesParams(ProjectParams):
    """Write the cases as other tools read them."""

    directory: str = param("", "Where to write them", typed="place")
    as_: Literal["harness", "plugin-eval", "evals-json"] = param(
        "harness",
        "case.yaml of claude plugin eval, evals.json of skill-creator, or as they are",
        "Form",
        typed="required",
    )


@dataclass(frozen=True)
class DemoParams(CommonParams):
    """Generate a project and run every stage on it."""

    directory: str = param("evalkit-demo", "Where to", typed="place")


@dataclass(frozen=True)
class OpenParams(CommonParams):
    """Open the notebooks in the browser."""

    notebook: str | None = param(
        None, "The one to show first, such as sync-dataset; else all of them", typed="place"
    )
    config: str | None = param(None, "The evaluation; else eval.yaml if it is there, else the demo")
    edit: bool = param(False, "Let the browser change the notebooks")
    port: int | None = param(None, "Else 2718, or a free one")
    no_browser: bool = param(False, "Only print the address")


@dataclass(frozen=True)
class ExportParams(CommonParams):
    """Write the notebooks as .ipynb, for Jupyter and Databricks."""

    directory: str = param("", "Where to write the .ipynb files", typed="place")


@dataclass(frozen=True)
class AgentParams(ProjectParams, Request):
    """Build an evaluation suite from traces."""


@dataclass(frozen=True)
class TalkParams(AgentParams):
    """Build an evaluation suite from traces."""

    autonomous: bool = param(False, "Build a suite alone; the default", short="-a")
    interactive: bool = param(False, "A conversation with the same tools", short="-i")
