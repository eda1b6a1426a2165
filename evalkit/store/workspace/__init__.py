"""The MLflow that a Databricks workspace has of its own, and what is different about it."""
