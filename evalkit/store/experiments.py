"""Experiments by name."""

from __future__ import annotations

from evalkit.core.tracking import experiment_problems
from evalkit.errors import InputError, StoreError
from evalkit.store.failures import Refused
from evalkit.store.gateway import Gateway


def experiment_id(gateway: Gateway, name: str, *, create: bool) -> str | None:
    """The id of an experiment; None where there is none and none is to be created.

    Raises:
        InputError: this MLflow cannot have an experiment of that name.
        StoreError: an experiment of that name was deleted, or MLflow failed.
    """
    if problems := experiment_problems(gateway.uri, name):
        raise InputError(*problems)
    found = _find(gateway, name)
    if found is not None or not create:
        return found
    try:
        with gateway.answering(f"creating the experiment {name!r}"):
            created: str = gateway.tracking.create_experiment(name)
    except Refused as error:
        # somebody else was quicker
        if error.code == "RESOURCE_ALREADY_EXISTS" and (found := _find(gateway, name)):
            return found
        raise
    return created


def _find(gateway: Gateway, name: str) -> str | None:
    with gateway.answering(f"looking for the experiment {name!r}"):
        found = gateway.tracking.get_experiment_by_name(name)
    if found is None:
        return None
    number: str = found.experiment_id
    if found.lifecycle_stage != "active":
        raise StoreError(
            f"the experiment {name!r} was deleted in MLflow: restore it"
            f" (mlflow experiments restore --experiment-id {number}),"
            " or name another one under mlflow.experiment in the config"
        )
    return number


def skill_of(gateway: Gateway, run_id: str) -> str:
    """The skill that a run of evalkit's evaluated, else the evaluation's name; empty if gone.

    Raises:
        StoreError: MLflow failed.
    """
    try:
        with gateway.answering("reading the run of traces"):
            data = gateway.tracking.get_run(run_id).data
    except Refused as error:
        if error.code == "RESOURCE_DOES_NOT_EXIST":
            return ""
        raise
    return str(data.params.get("skill") or data.tags.get("evalkit.eval", ""))
