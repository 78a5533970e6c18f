"""From boxes in single frames to the same things over time."""
