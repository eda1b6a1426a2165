"""The agent put together: which model, which session, which MLflow, and its report."""
