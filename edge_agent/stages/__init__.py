"""The straight line's stages: pure, plain calls; no clock, no files, no randomness."""
