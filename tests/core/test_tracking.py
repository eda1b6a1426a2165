"""The tracking URI: the flag, the config, the environment, Databricks, the default."""

import pytest

from evalkit.tracking import resolve_tracking, without_password


@pytest.mark.parametrize(
    ("flag", "config", "environment", "uri"),
    [
        ("http://flag", "http://config", {"MLFLOW_TRACKING_URI": "http://env"}, "http://flag"),
        (None, "http://config", {"MLFLOW_TRACKING_URI": "http://env"}, "http://config"),
        (None, "", {"MLFLOW_TRACKING_URI": "http://env"}, "http://env"),
        (None, "", {"DATABRICKS_RUNTIME_VERSION": "16"}, "databricks"),
        (None, "", {}, "http://127.0.0.1:5000"),
    ],
)
def test_order(flag, config, environment, uri):
    assert resolve_tracking(flag, config, environment).uri == uri


def test_a_password_is_never_printed():
    assert without_password("https://me:pw@host/x") == "https://me:***@host/x"
    assert "pw" not in str(resolve_tracking("https://me:pw@host", "", {}))
