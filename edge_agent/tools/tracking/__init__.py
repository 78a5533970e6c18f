"""How good a tracker is: sequences with detections and truth, and the metrics that are in use for them."""
