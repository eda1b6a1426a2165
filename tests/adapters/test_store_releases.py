"""Other releases of MLflow than those that evalkit was tried with."""

import mlflow
import pytest
from eval_project import RUN_ID
from in_mlflow import InMlflow

from evalkit.store.internals import TRIED

LOG = ("log-results", "--run-id", RUN_ID)


def test_the_installed_release_was_tried():
    assert ".".join(mlflow.__version__.split(".")[:2]) in TRIED


@pytest.mark.parametrize("version", ["3.16.3", "3.99.0", "4.0.0rc1"])
def test_a_release_that_was_not_tried_is_named_once_and_works(
    evalkit, database_uri, monkeypatch, caplog, version
):
    monkeypatch.setattr(mlflow, "__version__", version)
    assert [evalkit(*LOG).code for _ in range(2)] == [0, 0]
    said = [record.getMessage() for record in caplog.records if record.name == "evalkit"]
    assert said == [f"MLflow {version} is installed; evalkit was tried with 3.14, 3.17 and 3.18"]
    assert set(InMlflow(database_uri).traces()) == {"alpha", "beta", "gamma"}


@pytest.mark.parametrize(
    "moved",
    [
        "mlflow.tracking._tracking_service.utils._get_store",
        "mlflow.store.artifact.artifact_repository_registry.get_artifact_repository",
    ],
)
def test_what_a_release_has_no_longer_is_named(evalkit, monkeypatch, moved):
    monkeypatch.delattr(moved)
    ended = evalkit(*LOG)
    assert ended.code == 1
    assert f"MLflow {mlflow.__version__} has no {moved}, which evalkit needs" in ended.err
    assert "Traceback" not in ended.err
