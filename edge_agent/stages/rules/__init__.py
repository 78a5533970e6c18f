"""From tracks to what is said about them."""
