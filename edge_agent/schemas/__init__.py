"""The JSON Schemas of what is published."""
