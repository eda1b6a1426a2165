"""Views of the stages; each goes into the notebook that shows it."""
