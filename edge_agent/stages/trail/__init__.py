"""The trail: the numbers behind what was said, and behind what was not."""
