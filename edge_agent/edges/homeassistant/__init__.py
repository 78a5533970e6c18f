"""Telling Home Assistant what there is, again when it has started, and taking away what is there no more."""

from edge_agent.edges.homeassistant.announcer import Announcer
from edge_agent.edges.homeassistant.places import Places

__all__ = ["Announcer", "Places"]
