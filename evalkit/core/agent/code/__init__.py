"""The files of an evaluation suite, written as code: the dataset, the scorers, the script."""

from evalkit.core.agent.code.dataset import dataset_code
from evalkit.core.agent.code.scorers import (
    RouteForm,
    ScorerCode,
    known_scorers,
    with_scorer,
    without_scorer,
)
from evalkit.core.agent.code.script import script_code

__all__ = [
    "RouteForm",
    "ScorerCode",
    "dataset_code",
    "known_scorers",
    "script_code",
    "with_scorer",
    "without_scorer",
]
