"""Evaluation suites: what they hold, how rules make them, how they are run confined and verified."""
