"""Where a broker is and what it takes to be let in: addresses, the password, certificates."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from edge_agent.edges.mqtt.settings import MqttSettings
from edge_agent.errors import ConfigError

_PORTS = {"mqtt": 1883, "mqtts": 8883}


class Address(NamedTuple):
    """Where the broker is; as text without the user name."""

    scheme: str
    host: str
    port: int
    username: str | None = None

    @property
    def tls(self) -> bool:
        """Whether it is spoken to in secret."""
        return self.scheme == "mqtts"

    def __str__(self) -> str:
        """How a person would write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class TellingSocket(ssl.SSLSocket):
    """A TLS socket that remembers why it failed, which paho does not pass on, and closes when its handshake fails."""

    complaint: ssl.SSLError | None = None

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of the parent
        """Agree on keys, or leave nothing open."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Take bytes; with TLS 1.3 it is here that a broker says what is wrong with the agent's certificate."""
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.complaint = error
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        """Give bytes; where nobody takes them any more, hear what the broker has said before it went."""
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            with suppress(OSError):
                self.recv(1)
            raise


def check_files(settings: MqttSettings) -> None:
    """Read what the settings name, so that a person hears of a wrong path at the start.

    Raises:
        ConfigError: an address makes no sense, or the password or a certificate cannot be read from its file.
    """
    password(settings)
    if any(address.tls for address in addresses(settings)):
        tls(settings)


def addresses(settings: MqttSettings) -> tuple[Address, ...]:
    """The brokers, the preferred one first, each once.

    Raises:
        ConfigError: an address makes no sense.
    """
    further = [_address(url, f"mqtt.urls[{index}]") for index, url in enumerate(settings.urls)]
    return tuple(dict.fromkeys([_address(settings.url, "mqtt.url"), *further]))


def password(settings: MqttSettings) -> str | None:
    """The password, read anew each time.

    Raises:
        ConfigError: its file cannot be read.
    """
    if settings.password_file is None:
        return settings.password.get_secret_value() if settings.password else None
    try:
        return settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(f"mqtt.password_file {settings.password_file}: it is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"mqtt.password_file {settings.password_file}: {error.strerror}") from error


def tls(settings: MqttSettings) -> ssl.SSLContext:
    """TLS that checks the broker's certificate and name; there is no switch to turn that off.

    Raises:
        ConfigError: a certificate or a key cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise ConfigError(f"mqtt.ca_file {settings.ca_file}: {error.strerror or error}") from error
    # From Python 3.13 on the default also refuses certificates that leave optional parts out, as most of those do that
    # people make for their own broker; chain and name are checked as ever.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.sslsocket_class = TellingSocket
    if settings.cert_file:
        try:
            context.load_cert_chain(
                settings.cert_file, settings.key_file, password=""
            )  # else it would ask on the terminal
        except OSError as error:
            files = f"mqtt.cert_file {settings.cert_file} with mqtt.key_file {settings.key_file}"
            raise ConfigError(f"{files}: {_why_unusable(error)}") from error
    return context


def _why_unusable(error: OSError) -> str:
    """What is wrong with a certificate and its key, and what to do."""
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return "the key belongs to another certificate"
    if isinstance(error, ssl.SSLError):
        return f"not a certificate and a key as PEM ({error.reason or error}); were the two swapped?"
    return error.strerror or str(error)


def _address(url: str, key: str) -> Address:
    parts = urlsplit(url)
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from error
    if not parts.hostname:
        raise ConfigError(f"{key} names no host; write it as mqtt://host:port")
    return Address(parts.scheme, parts.hostname, port, unquote(parts.username) if parts.username else None)
