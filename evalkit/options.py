"""The options that the commands are put together from; each adds its own to a parser."""

from __future__ import annotations

import argparse
import shlex
from itertools import chain


def common(sub: argparse.ArgumentParser) -> None:
    """What every command takes."""
    sub.add_argument("--json", action="store_true", help="end with the report as one line of JSON")
    sub.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="the MLflow to use; else mlflow.tracking_uri in the config, else MLFLOW_TRACKING_URI",
    )
    sub.add_argument(
        "--runs-dir",
        metavar="DIR",
        help="where finished runs lie; else AGENT_EVAL_RUNS_DIR, else eval/runs here or beside the"
        " config",
    )
    sub.add_argument(
        "--strict",
        action="store_true",
        help="exit 1 also where MLflow is absent, an execution failed, a log is refused, feedback"
        " finds no trace, or a threshold is missed or not measured",
    )


def config(sub: argparse.ArgumentParser) -> None:
    """The evaluation."""
    sub.add_argument(
        "--config",
        default="eval.yaml",
        metavar="FILE",
        help="default: eval.yaml, else the one at eval/*/eval.yaml or eval/*.yaml",
    )


def run_id(sub: argparse.ArgumentParser) -> None:
    """The finished run."""
    sub.add_argument("--run-id", required=True, metavar="ID", help="the run directory's name")


def mapping(sub: argparse.ArgumentParser) -> None:
    """The schema mapping to use."""
    sub.add_argument(
        "--mapping",
        metavar="FILE",
        help="the schema mapping; default: tmp/schema_mapping.json, or of another config than"
        " eval.yaml tmp/schema_mapping.NAME.json",
    )


def dataset_name(sub: argparse.ArgumentParser) -> None:
    """The dataset in MLflow."""
    sub.add_argument(
        "--dataset-name",
        metavar="NAME",
        help="default: the eval's name; in a Databricks workspace CATALOG.SCHEMA.TABLE, which"
        " a project on a volume need not say",
    )


def dataset(sub: argparse.ArgumentParser) -> None:
    """The dataset in MLflow, and how it is made."""
    dataset_name(sub)
    sub.add_argument(
        "--distinguish",
        action="store_true",
        help="add an input case_id, so that cases with equal inputs stay apart",
    )


def dry_run(sub: argparse.ArgumentParser) -> None:
    """Look, do not write."""
    sub.add_argument("--dry-run", action="store_true", help="show the changes, write nothing")


def names(sub: argparse.ArgumentParser) -> None:
    """How feedback is named."""
    sub.add_argument(
        "--names",
        choices=("auto", "seed"),
        default="auto",
        help="seed: name feedback {case_id}/{judge} on every trace, not only on shared ones",
    )


def source(sub: argparse.ArgumentParser) -> None:
    """Whose feedback."""
    sub.add_argument(
        "--source", choices=("judge", "human", "all"), default="all", help="default: all"
    )


def proposal(sub: argparse.ArgumentParser) -> None:
    """How a mapping comes about."""
    sub.add_argument("--out", metavar="FILE", help="default: where sync-dataset looks for it")
    sub.add_argument(
        "--by", choices=("rules", "claude"), default="rules", help="who proposes; default: rules"
    )
    sub.add_argument("--model", metavar="NAME", help="the Claude model; default: MODEL, or ours")
    sub.add_argument("--force", action="store_true", help="overwrite a mapping that differs")


def folder(sub: argparse.ArgumentParser) -> None:
    """Where the demo goes."""
    sub.add_argument("directory", nargs="?", default="evalkit-demo", help="default: ./evalkit-demo")


def notebook(sub: argparse.ArgumentParser) -> None:
    """Which notebook, and how it is shown."""
    sub.add_argument(
        "notebook",
        nargs="?",
        metavar="STAGE",
        help="the notebook to show first, such as sync-dataset; default: all of them",
    )
    sub.add_argument(
        "--config", metavar="FILE", help="default: eval.yaml if there is one, else the demo project"
    )
    sub.add_argument("--edit", action="store_true", help="let the browser change the notebooks")
    sub.add_argument("--port", type=int, metavar="N", help="default: 2718, or a free one")
    sub.add_argument(
        "--no-browser", action="store_false", dest="browser", help="only print the address"
    )


def target(sub: argparse.ArgumentParser) -> None:
    """Where an export goes."""
    sub.add_argument("directory", help="where to write the .ipynb files")


def again(arguments: argparse.Namespace) -> str:
    """The options that a next command needs to be about the same run."""
    known = {
        "--config": (arguments.config, "eval.yaml"),
        "--runs-dir": (arguments.runs_dir, None),
        "--tracking-uri": (arguments.tracking_uri, None),
    }
    chosen = [(flag, value) for flag, (value, usual) in known.items() if value != usual]
    return shlex.join(["--run-id", arguments.run_id, *chain.from_iterable(chosen)])
