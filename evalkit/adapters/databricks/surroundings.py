"""Where this runs, and what Databricks gives to the code that it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evalkit.core.tracking import is_on_databricks


def compute(environment: Mapping[str, str]) -> str:
    """What this process runs on, in words, by the variables that Databricks sets there."""
    if environment.get("DATABRICKS_ENV_VERSION"):
        return "Databricks serverless"
    return "a Databricks cluster" if is_on_databricks(environment) else "this machine"


def dbutils(namespace: Mapping[str, Any], environment: Mapping[str, str]) -> Any | None:
    """Databricks' ``dbutils``; None elsewhere.

    Args:
        namespace: The names of the notebook that runs, where Databricks puts it.
        environment: The environment variables.
    """
    if "dbutils" in namespace:
        return namespace["dbutils"]
    if not is_on_databricks(environment):
        return None
    from databricks.sdk.runtime import dbutils as found

    return found


def widget_values(tools: Any | None, names: Iterable[str]) -> dict[str, str]:
    """What widgets and job parameters say, by name, without those that are empty or not there.

    Args:
        tools: ``dbutils``, or None where there is none.
        names: The widgets to ask for.
    """
    if tools is None:
        return {}
    # unlike `get`, neither of the two fails where a widget is not defined
    every = getattr(tools.widgets, "getAll", None)
    values = every() if every else {name: tools.widgets.getArgument(name, "") for name in names}
    return {name: values[name] for name in names if values.get(name)}
