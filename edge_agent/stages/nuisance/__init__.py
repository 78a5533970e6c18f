"""Which places of the picture cry wolf."""
