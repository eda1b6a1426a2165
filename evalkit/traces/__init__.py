"""An experiment's traces, read once: what they say together, and a sample of them as rows."""
