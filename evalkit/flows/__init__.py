"""One function a stage: values and ports in, a report out."""
