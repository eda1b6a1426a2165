"""What evalkit takes from MLflow's inside, which a release may move."""

import mlflow
import pytest
from eval_project import RUN_ID

from evalkit.store.internals import TRIED


def test_the_installed_release_was_tried():
    assert ".".join(mlflow.__version__.split(".")[:2]) in TRIED


@pytest.mark.parametrize(
    "moved",
    [
        "mlflow.tracking._tracking_service.utils._get_store",
        "mlflow.store.artifact.artifact_repository_registry.get_artifact_repository",
    ],
)
def test_what_a_release_has_no_longer_is_named(evalkit, monkeypatch, moved):
    monkeypatch.delattr(moved)
    ended = evalkit("log-results", "--run-id", RUN_ID)
    assert ended.code == 1
    assert f"MLflow {mlflow.__version__} has no {moved}, which evalkit needs" in ended.err
    assert "Traceback" not in ended.err
