"""One MQTT connection: connect, publish, learn what was acknowledged, close; only paho-mqtt lives here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from edge_agent.settings import Seconds, Section


class MqttSettings(Section):
    """Which broker, as whom, and how patiently."""

    url: Annotated[str, Field(pattern=r"^(mqtt|mqtts)://")] = "mqtt://127.0.0.1:1883"
    """`mqtt://host:port`, or `mqtts://` for TLS, which checks the broker's certificate; no password in it."""

    username: str | None = None
    """Who the agent is to the broker."""

    password: SecretStr | None = None
    """Its password; better `${VARIABLE}` or `password_file` than the word itself."""

    password_file: Path | None = None
    """A file that holds the password, such as a systemd credential."""

    ca_file: Path | None = None
    """Certificates to trust for `mqtts://` instead of the system's."""

    cert_file: Path | None = None
    """The agent's own certificate, for a broker that asks for one."""

    key_file: Path | None = None
    """The key of `cert_file`."""

    prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}(/[a-zA-Z0-9_-]{1,64}){0,7}$")] = "edge"
    """First part of every topic."""

    protocol: Literal[5, 3] = 5
    """MQTT version: 5, or 3 for 3.1.1; a broker that refuses 5 is asked again with 3.1.1."""

    keepalive_s: Annotated[Seconds, Field(ge=5, le=3600)] = 15.0
    """How often to prove that the line is alive; a dead one is noticed after twice this."""

    ack_timeout_s: Annotated[Seconds, Field(gt=0)] = 10.0
    """How long an acknowledgement may take before the connection is given up."""

    window: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many messages may be under way unacknowledged."""

    retry_first_s: Annotated[Seconds, Field(gt=0)] = 1.0
    """Longest wait before the second try to connect; it doubles with each further one."""

    retry_cap_s: Annotated[Seconds, Field(gt=0)] = 30.0
    """Longest wait before any try."""

    late_after_s: Annotated[Seconds, Field(gt=0)] = 60.0
    """An event delivered later than this after it happened goes to `…/event/late`."""
