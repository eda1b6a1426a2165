"""What judges and people say of a run's cases: onto the right trace in MLflow, and back."""
