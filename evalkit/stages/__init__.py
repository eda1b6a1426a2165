"""``check``: what there is, and what is wrong."""
