"""What a model can do: ask about traces, write the suite, run it, and nothing else."""
