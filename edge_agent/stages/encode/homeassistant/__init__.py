"""What Home Assistant is told so that it shows a device by itself: one message for the agent, one for each camera.

```
what the configuration holds ─▶ box, camera: components ─▶ discovery: bounded messages, with what is gone
```

Source: Home Assistant's documentation of its MQTT integration, "MQTT Discovery", the form for devices.
"""

from edge_agent.stages.encode.homeassistant.discovery import (
    ORIGIN,
    Announcement,
    DiscoveryTopics,
    announce,
    device_of,
    parts_of,
)
from edge_agent.stages.encode.homeassistant.settings import HomeAssistantSettings
from edge_agent.stages.encode.homeassistant.shown import SETTINGS, Setting, ShownCamera, ShownDevice, ShownRule

__all__ = [
    "ORIGIN",
    "SETTINGS",
    "Announcement",
    "DiscoveryTopics",
    "HomeAssistantSettings",
    "Setting",
    "ShownCamera",
    "ShownDevice",
    "ShownRule",
    "announce",
    "device_of",
    "parts_of",
]
