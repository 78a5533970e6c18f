"""What a test says although it passes: `record_property(FIGURES, text)`, which `conftest.py` prints at the end."""

FIGURES = "figures"
