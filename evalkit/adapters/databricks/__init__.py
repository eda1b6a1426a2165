"""Databricks: where this runs, its tools, secrets, volumes and Claude.

The only importer of ``databricks.sdk``, which is imported when a workspace is first asked.
"""

from evalkit.adapters.databricks.claude import ClaudeEndpoint, claude_endpoint, secret
from evalkit.adapters.databricks.connection import Connection
from evalkit.adapters.databricks.surroundings import compute, dbutils, widget_values
from evalkit.adapters.databricks.volume import VolumeFolder, VolumePath

__all__ = [
    "ClaudeEndpoint",
    "Connection",
    "VolumeFolder",
    "VolumePath",
    "claude_endpoint",
    "compute",
    "dbutils",
    "secret",
    "widget_values",
]
