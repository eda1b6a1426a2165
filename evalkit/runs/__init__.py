"""Finished runs held against each other and against what the project demands of them."""
