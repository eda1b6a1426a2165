"""The only places that touch the outside: disk, MLflow, Claude."""
