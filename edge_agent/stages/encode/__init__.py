"""From what is said to the bytes that say it."""
