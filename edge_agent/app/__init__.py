"""WIRING: settings become objects, objects become threads; the only room that knows all others."""

from edge_agent.app.agent import Agent
from edge_agent.app.asked import age_s, camera_of, new_run_id, one_camera, replay_run_id
from edge_agent.app.homeassistant import announcements
from edge_agent.app.models import demand_of, load_model
from edge_agent.app.opening import (
    demo_broker,
    edit_outbox,
    listen,
    open_camera,
    open_outbox,
    open_pictures,
    open_recording,
    recording_url,
)
from edge_agent.app.pipelines import almanac_of, build_pipeline, build_replay
from edge_agent.app.running import run
from edge_agent.commands.reload import Reload

__all__ = [
    "Agent",
    "Reload",
    "age_s",
    "almanac_of",
    "announcements",
    "build_pipeline",
    "build_replay",
    "camera_of",
    "demand_of",
    "demo_broker",
    "edit_outbox",
    "listen",
    "load_model",
    "new_run_id",
    "one_camera",
    "open_camera",
    "open_outbox",
    "open_pictures",
    "open_recording",
    "recording_url",
    "replay_run_id",
    "run",
]
