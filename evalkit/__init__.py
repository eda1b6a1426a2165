"""evalkit joins file-based agent evaluation with MLflow, both ways."""
