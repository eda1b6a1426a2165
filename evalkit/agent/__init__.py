"""The agent that builds suites: its sessions, its model, its tools, and the way without a model."""
