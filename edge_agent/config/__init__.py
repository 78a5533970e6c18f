"""YAML to Settings: every problem at once, each with file, line, column and the nearest right word.

```
bytes ─▶ dialect ─▶ variables ─▶ schema, what it says put into words ─▶ Settings ─▶ public
         (YAML)     (${NAME})   └▶ checks of settings seen together
```
"""

from edge_agent.config.loading import load
from edge_agent.config.public import fingerprint, to_public
from edge_agent.config.schema import CameraSettings, DeviceSettings, Settings, sections

__all__ = ["CameraSettings", "DeviceSettings", "Settings", "fingerprint", "load", "sections", "to_public"]
