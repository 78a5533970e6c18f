"""Reading the configuration file that a command names, or the broker that it names instead."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from edge_agent import config
from edge_agent.config import Settings
from edge_agent.edges.mqtt import MqttSettings
from edge_agent.errors import ConfigError
from edge_agent.tools import models


def load_settings(path: Path) -> Settings:
    """Read a configuration with this process's environment, and check it against the built-in models.

    Raises:
        ConfigError: with every problem found.
    """
    return config.load(path, os.environ, models.labels_by_name())


def broker_settings(url: str | None, username: str | None, prefix: str = "edge") -> MqttSettings:
    """Make the settings of a broker that is named on the command line; the password is in the environment.

    Raises:
        ConfigError: the address or the prefix is none.
    """
    try:
        return MqttSettings.model_validate(
            {
                "url": url or "mqtt://127.0.0.1:1883",
                "username": username,
                "password": os.environ.get("EDGE_AGENT_MQTT_PASSWORD"),
                "prefix": prefix,
            }
        )
    except ValidationError as error:
        wrong = {problem["loc"][0] for problem in error.errors()}
        what = (
            "--broker must be mqtt://host:port or mqtts://host:port" if "url" in wrong else "--prefix must be a topic"
        )
        raise ConfigError(what) from error
