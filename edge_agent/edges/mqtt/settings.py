"""What may be said about the broker: where, as whom, and how patiently."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from edge_agent.settings import Seconds, Section

BrokerUrl = Annotated[str, Field(pattern=r"^(mqtt|mqtts)://")]


class MqttSettings(Section):
    """Which broker, as whom, and how patiently."""

    url: BrokerUrl = "mqtt://127.0.0.1:1883"
    """`mqtt://host:port`, or `mqtts://` for TLS, which checks the broker's certificate; no password in it."""

    urls: Annotated[tuple[BrokerUrl, ...], Field(max_length=7)] = ()
    """Further brokers, tried in this order while `url` cannot be reached; each with the same credentials."""

    return_every_s: Annotated[Seconds, Field(gt=0)] = 300.0
    """While another broker than `url` is in use: how often to ask `url` whether it takes the agent again."""

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

    ack_timeout_s: Annotated[Seconds, Field(gt=0, le=300)] = 10.0
    """How long an acknowledgement may take before the connection is given up."""

    user_timeout_s: Annotated[Seconds, Field(ge=1, le=3600)] = 10.0
    """How long the kernel waits for the other end to take bytes that were sent before it ends the connection."""

    window: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many messages may be under way unacknowledged."""

    expiry_s: Annotated[Seconds, Field(ge=1)] | None = None
    """With MQTT 5: how long the broker keeps an event for a subscriber that is away; for ever when left out, so that
    none is lost."""

    will_delay_s: Annotated[Seconds, Field(ge=0, le=3600)] = 0.0
    """With MQTT 5: how long the agent may be cut off before the broker says `offline`; a short gap goes unnoticed."""

    retry_first_s: Annotated[Seconds, Field(gt=0, le=3600)] = 1.0
    """Longest wait before the second try to connect; it doubles with each further one."""

    retry_cap_s: Annotated[Seconds, Field(gt=0, le=3600)] = 30.0
    """Longest wait before any try."""

    late_after_s: Annotated[Seconds, Field(gt=0)] = 60.0
    """An event delivered later than this after it happened goes to `…/event/late`."""
