"""The vocabulary of the autonomous agent: conversations, tasks, budgets, suites. All of it pure."""
