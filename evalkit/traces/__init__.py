"""An agent's recorded traces: counted, sampled and shown, whoever recorded them."""
