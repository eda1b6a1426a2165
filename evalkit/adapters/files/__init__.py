"""The disk: project, cases, finished runs, reviews. Core and flows do no I/O themselves."""
