"""What others may ask of the running agent: heard, weighed, done one after the other, and answered."""
