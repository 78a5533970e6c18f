"""Programs over the same stages, for the command line."""
