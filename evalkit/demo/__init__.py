"""A generated evaluation project, so that everything runs on a laptop with no key and no server."""
