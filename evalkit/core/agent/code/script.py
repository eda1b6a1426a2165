"""``run_eval.py``: the script that runs a suite, as code."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from evalkit.core.agent.code.literals import text_literal


def script_code(experiment: str, tracking_uri: str = "") -> str:
    """The source of ``run_eval.py``.

    Args:
        experiment: Name of the experiment that results go to; not the one whose traces are cases.
        tracking_uri: The MLflow that it lies in, without a password; empty to leave it to MLflow.
    """
    template = Template(files(__package__).joinpath("run_eval.py.txt").read_text("utf-8"))
    return template.substitute(
        experiment=text_literal(experiment),
        tracking_uri=text_literal(tracking_uri),
    )
