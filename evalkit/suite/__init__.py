"""Evaluation suites: what they hold, how rules write them, how they are run and verified."""
