"""From a frame to the boxes in it."""
