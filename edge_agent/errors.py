"""What can go wrong, sorted by who can help: a person (fatal) or time (passing).

```
AgentError
├─ FatalError        a person must change something: no retry         exit 78 (EX_CONFIG)
│  ├─ ConfigError    the configuration: carries every problem found, each with its place
│  ├─ ModelError     a model file: missing, wrong hash, wrong shape, not understood
│  └─ RuntimeMissingError   a library that is installed apart is not here
└─ PassingError      the world may get better by itself: retry; one-shot commands exit 69 (EX_UNAVAILABLE)
   ├─ SourceError    camera gone, stream stalled, decoding failed
   ├─ BrokerError    no connection, no acknowledgement in time
   ├─ TriggerError   what a camera's triggers come from is not there
   └─ StorageError   disk full, database locked or damaged
```

A message says what was tried, on what, and what to do, in one line, and never holds a password.
"""

from __future__ import annotations

from dataclasses import dataclass


class AgentError(Exception):
    """Anything that this program raises on purpose."""


class FatalError(AgentError):
    """A person must change something; trying again does not help."""


class PassingError(AgentError):
    """The world may get better by itself; try again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a configuration file, with its place (line and column count from 1)."""

    file: str
    line: int
    column: int
    key: str
    what: str

    def __str__(self) -> str:
        """Write it as `file:line:column: key: what`, the form that editors can jump to."""
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}:{self.column}: {key}{self.what}"


class ConfigError(FatalError):
    """The configuration is wrong; carries every problem found, one line each."""

    def __init__(self, problems: tuple[Problem, ...] | str) -> None:
        self.problems = () if isinstance(problems, str) else problems
        super().__init__(problems if isinstance(problems, str) else "\n".join(map(str, problems)))


class ModelError(FatalError):
    """A model file is missing, damaged, or not of a family that is understood."""


class RuntimeMissingError(FatalError):
    """A library that is installed apart from this package (cv2, onnxruntime) is not here."""


class SourceError(PassingError):
    """A camera, stream, clip or folder gives no frames."""


class BrokerError(PassingError):
    """The MQTT broker cannot be reached, refuses, or does not answer in time."""


class TriggerError(PassingError):
    """What a camera's triggers come from cannot be listened to: a port in use, a line that is not there."""


class StorageError(PassingError):
    """The outbox's disk is full, or its file is locked or damaged."""
