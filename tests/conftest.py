"""How every test here runs: property tests are the same each time, and keep no files."""

from __future__ import annotations

from hypothesis import settings

# No deadline: a busy board is slow now and then, and that is no failure. Derandomised: a red run is red again.
settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")
