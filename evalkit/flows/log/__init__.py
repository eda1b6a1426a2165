"""Log: a finished run becomes an MLflow run, with one trace per case built from its log."""
