"""What a broker's refusals mean, and what a person can do about each."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

VERSION_UNKNOWN = 0x84
TAKEN_OVER = 0x8E
RETAIN_UNKNOWN = 0x9A
ELSEWHERE = frozenset({0x9C, 0x9D})

_BUSY = "it is tried again; if it stays so, look at the broker's log and its limits"
_FAULT = "look at the broker's log; if it names this client, please report it, with the broker's name and version"
_OTHERS = (
    "put that one into mqtt.url, or into mqtt.urls; the agent goes to no host that its configuration does not name"
)

ADVICE: Mapping[int, str] = {
    0x80: "look at the broker's log",
    0x81: _FAULT,
    0x82: _FAULT,
    0x83: "look at the broker's log",
    0x84: "set mqtt.protocol to the version that the broker knows",
    0x85: "change device.id, or let the broker take its client id",
    0x86: "check mqtt.username and its password",
    0x87: "check mqtt.username and its password, and what the broker lets this user do",
    0x88: _BUSY,
    0x89: _BUSY,
    0x8A: "the broker's administrator has shut this client out; ask there",
    0x8B: "it is tried again",
    0x8C: "the broker wants a way of logging in that is not a password; let it take mqtt.username and its password",
    0x8D: "the line is too slow; see mqtt.keepalive_s",
    0x8E: "another client has the same id; give every device a device.id of its own",
    0x90: "let the broker take topics that begin with mqtt.prefix and device.id, the status there among them",
    0x93: "lower mqtt.window",
    0x95: "raise the largest packet that the broker takes",
    0x96: _BUSY,
    0x97: _BUSY,
    0x98: "the broker's administrator has ended it; ask there",
    0x99: _FAULT,
    0x9A: "let the broker keep retained messages, or consumers know states only from the moment they change",
    0x9B: "let the broker take QoS 1: with QoS 0 nobody knows what has arrived",
    0x9C: _OTHERS,
    0x9D: _OTHERS,
    0x9F: _BUSY,
    0xA0: "it is tried again",
}
"""What a person can do about a reason code. Source: MQTT version 5.0, OASIS standard, tables 3-1 (CONNACK) and 3-10
(DISCONNECT); of the five of MQTT 3.1.1 (table 3.1 there) each is one of these."""

_ALERTS: Mapping[str, str] = {
    "CERTIFICATE_REQUIRED": "it wants a certificate of the agent; set mqtt.cert_file and mqtt.key_file",
    "HANDSHAKE_FAILURE": "it wants a certificate of the agent (mqtt.cert_file and mqtt.key_file), or other ciphers",
    "CERTIFICATE_EXPIRED": "the agent's certificate has expired; make a new one for mqtt.cert_file, "
    "and check the broker's clock",
    "CERTIFICATE_REVOKED": "the agent's certificate was revoked; make a new one for mqtt.cert_file",
    "UNKNOWN_CA": "it does not trust who signed the agent's certificate; take one for mqtt.cert_file that the "
    "broker's own authority has signed",
    "BAD_CERTIFICATE": "it does not take the agent's certificate; check mqtt.cert_file, and for what use it was made",
    "UNSUPPORTED_CERTIFICATE": "the agent's certificate is not one for clients; make one for that use for "
    "mqtt.cert_file",
    "CERTIFICATE_UNKNOWN": "it does not take the agent's certificate; check mqtt.cert_file",
    "ACCESS_DENIED": "it does not take the agent's certificate; check mqtt.cert_file",
    "PROTOCOL_VERSION": "it knows no TLS version that is safe today; let it speak TLS 1.2 or 1.3",
}
"""What a broker's TLS alert means. Source: RFC 8446, section 6.2, in OpenSSL's names, which have prefixes."""

_DISTRUST: Mapping[int, str] = {
    9: "it is not valid yet; check this machine's clock",
    10: "it has expired; renew it on the broker, and check this machine's clock",
    18: "it is signed by itself; put that certificate into mqtt.ca_file",
    19: "it is signed by an authority that this machine does not know; put the authority's certificate into "
    "mqtt.ca_file",
    20: "it is signed by an authority that this machine does not know; put the authority's certificate into "
    "mqtt.ca_file",
    62: "it is for another name; write the name that stands in it into mqtt.url, or make one for this name",
    64: "it is for another address; write the name that stands in it into mqtt.url, or make one for this address",
}
"""Why a certificate is not trusted. Source: OpenSSL's X509_V_ERR codes, X509_STORE_CTX_get_error(3)."""

_UNREACHABLE: Mapping[type[OSError], str] = {
    TimeoutError: "no answer within {within_s:g} s; check the address and the firewall",
    ConnectionRefusedError: "nobody listens there; check the port, and that the broker runs",
    ConnectionResetError: "hangs up at once; does this port speak TLS?",
    socket.gaierror: "its name cannot be found: {error}; check the name and the DNS server",
}

_MOST_WORDS = 120


def in_words(code: ReasonCode, said: Properties | None = None) -> str:
    """A refusal, the broker's own words for it, and what to do."""
    words = str(code).lower()
    if own := getattr(said, "ReasonString", ""):
        words += f' ("{_tame(own)}")'
    if code.value in ELSEWHERE:
        words += f", to {_tame(reference(said))}" if reference(said) else ", and does not say which"
    advice = ADVICE.get(code.value)
    return f"{words}; {advice}" if advice else words


def reference(said: Properties | None) -> str:
    """Which other server a broker names, empty when none: `host:port`, or several with spaces between them."""
    return getattr(said, "ServerReference", "")


def why_unreachable(error: Exception, within_s: float) -> str:
    """What went wrong before the first byte of MQTT, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = _DISTRUST.get(error.verify_code, "check mqtt.ca_file and the name in mqtt.url")
        return f"its certificate is not trusted ({_tame(error.verify_message).rstrip('.')}): {why}"
    if isinstance(error, ssl.SSLError):
        return alert(error) or f"TLS fails: {error.reason or error}; does this port speak TLS?"
    what = next((words for kind, words in _UNREACHABLE.items() if isinstance(error, kind)), None)
    if what is not None:
        return what.format(within_s=within_s, error=getattr(error, "strerror", ""))
    return str(getattr(error, "strerror", None) or error)


def alert(error: ssl.SSLError | None) -> str:
    """What a broker complains about in the language of TLS, empty when it does not."""
    reason = (error.reason if error else None) or ""
    kind = reason.partition("_ALERT_")[2] or reason
    return f"refuses the connection: {_ALERTS[kind]} ({reason})" if kind in _ALERTS else ""


def _tame(words: str) -> str:
    """Words of somebody else, on one line that is not too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())
    return line if len(line) <= _MOST_WORDS else f"{line[: _MOST_WORDS - 1]}…"
