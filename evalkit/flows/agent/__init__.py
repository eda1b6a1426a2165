"""The autonomous agent: from the traces of an experiment to an evaluation suite that is proven."""
