"""The one way a recipe fails on purpose: a sentence for the person who runs it."""

from __future__ import annotations


class RecipeError(Exception):
    """A recipe cannot go on; the message says what was tried, on what, and what to do."""


class FetchError(RecipeError):
    """A source could not be had at all: its tool is not installed, or its registry does not answer."""
