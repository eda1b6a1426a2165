"""What Databricks gives to the code that it runs; the only importer of ``databricks.sdk``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def is_here(environment: Mapping[str, str]) -> bool:
    """Whether this process runs on Databricks."""
    return bool(
        environment.get("DATABRICKS_RUNTIME_VERSION") or environment.get("DATABRICKS_ENV_VERSION")
    )


def dbutils(namespace: Mapping[str, Any], environment: Mapping[str, str]) -> Any | None:
    """Databricks' ``dbutils``; None elsewhere.

    Args:
        namespace: The names of the notebook that runs, where Databricks puts it.
        environment: The environment variables.
    """
    if "dbutils" in namespace:
        return namespace["dbutils"]
    if not is_here(environment):
        return None
    from databricks.sdk.runtime import dbutils as found

    return found


def widget_values(tools: Any | None, names: Iterable[str]) -> dict[str, str]:
    """What widgets and job parameters say, by name; those that are empty or not there are left out.

    Args:
        tools: ``dbutils``, or None where there is none.
        names: The widgets to ask for.
    """
    if tools is None:
        return {}
    # unlike `get`, neither of the two fails where a widget is not defined
    every = getattr(tools.widgets, "getAll", None)
    if every is not None:
        values = every()
        return {name: values[name] for name in names if values.get(name)}
    found = {name: tools.widgets.getArgument(name, "") for name in names}
    return {name: value for name, value in found.items() if value}
