"""Databricks: its tools, secrets, volumes and Claude.

The only importer of ``databricks.sdk``, which is imported when a workspace is first asked.
"""
