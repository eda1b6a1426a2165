"""Where this runs, and what Databricks gives to the code that it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from evalkit.core.tracking import is_on_databricks

Compute: TypeAlias = Literal["serverless", "cluster", "laptop"]
Start: TypeAlias = Literal["job", "notebook", "command"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where this process runs, and what started it.

    Attributes:
        compute: ``laptop`` is any machine that is not Databricks'.
        start: ``job``: nobody watches, and the task fails by an error that is raised. ``notebook``:
            a person runs cells. ``command``: a terminal.
    """

    compute: Compute
    start: Start

    def __str__(self) -> str:
        where = {"serverless": "Databricks serverless", "cluster": "a Databricks cluster"}
        return f"{self.start} on {where.get(self.compute, 'this machine')}"


def surroundings(
    environment: Mapping[str, str], *, tools: Any | None = None, job_run_id: str = ""
) -> Surroundings:
    """Where this process runs, and what started it.

    Databricks names serverless compute by ``DATABRICKS_ENV_VERSION`` and clusters by
    ``DATABRICKS_RUNTIME_VERSION``. A job says so itself: it passes ``{{job.run_id}}`` along, as
    nothing in the environment tells it reliably.

    Args:
        environment: The environment variables.
        tools: ``dbutils``, where there is one.
        job_run_id: What the job passed; empty where no job did.
    """
    compute: Compute = "laptop"
    if environment.get("DATABRICKS_ENV_VERSION"):
        compute = "serverless"
    elif environment.get("DATABRICKS_RUNTIME_VERSION"):
        compute = "cluster"
    if job_run_id:
        return Surroundings(compute, "job")
    return Surroundings(compute, "command" if tools is None else "notebook")


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
