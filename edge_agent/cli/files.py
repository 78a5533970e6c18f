"""Reading the configuration file that a command names."""

from __future__ import annotations

import os
from pathlib import Path

from edge_agent import config
from edge_agent.config import Settings
from edge_agent.tools import models


def load_settings(path: Path) -> Settings:
    """Read a configuration with this process's environment, and check it against the built-in models.

    Raises:
        ConfigError: with every problem found.
    """
    return config.load(path, os.environ, models.labels_by_name())
