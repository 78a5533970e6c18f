"""Which broker is asked next, with which version of MQTT, and when not yet."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from paho.mqtt.enums import MQTTProtocolVersion

from edge_agent.edges.clock import Clock, SystemClock
from edge_agent.edges.mqtt.access import Address, addresses
from edge_agent.edges.mqtt.client_ids import id_beside
from edge_agent.edges.mqtt.connection import Connection
from edge_agent.edges.mqtt.dial import (
    MQTT_5,
    MQTT_311,
    Caller,
    ElsewhereError,
    RetainRefusedError,
    VersionRefusedError,
    dial,
)
from edge_agent.edges.mqtt.rivals import Rivals
from edge_agent.edges.mqtt.settings import MqttSettings
from edge_agent.edges.mqtt.words import ELSEWHERE, TAKEN_OVER, reference
from edge_agent.errors import BrokerError, ConfigError
from edge_agent.records import Message

log = logging.getLogger(__name__)

REMEMBER_S = 3600.0
"""How long a broker is asked with what it knew last time; one that was updated may know more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatus:
    """The connection there is.

    Attributes:
        broker: where to, without secrets; None while there is none.
        protocol: the version of MQTT, `5` or `3.1.1`; None while there is none.
        since_utc_ns: when it was made; None while there is none.
    """

    broker: str | None = None
    protocol: str | None = None
    since_utc_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Habits:
    """What a broker is known to take, and until when that is believed."""

    version: MQTTProtocolVersion
    retain_will: bool = True
    until_s: float = 0.0


class Brokers:
    """Connects to one broker after another, the preferred one first.

    One that cannot be reached, refuses, or accepts and then confirms nothing, is followed by the next in the list. A
    connection that is lost begins the list anew. While another than the first is in use, a thread asks the first now
    and then; when that accepts, the connection says that it is to be left.

    Args:
        settings: the brokers, as whom, and how patiently.
        client_id: the same for every connection of this device, and of no other device.
        will: what a broker shall publish, retained, when the connection breaks; also the farewell. None for one who
            only listens.
        clock: tells how long things last.
        uniform: `random.uniform`, or a stand-in in tests.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        client_id: str,
        will: Message | None,
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._settings = settings
        self._caller = Caller(settings=settings, client_id=client_id, will=will)
        self._clock = clock
        self._rivals = Rivals(first_s=settings.retry_first_s, cap_s=settings.retry_cap_s, uniform=uniform)
        self._habits: dict[Address, _Habits] = {}
        self._next = 0
        self._current: Connection | None = None
        self._index = 0  # of the broker that `_current` is with
        self._accepted_s = 0.0
        self._status = BrokerStatus()
        self._barred_until_s = 0.0
        self._why_barred = ""

    @property
    def status(self) -> BrokerStatus:
        """The connection there is; any thread may ask."""
        current, status = self._current, self._status
        return status if current and not current.lost and not current.hung_up else BrokerStatus()

    def connect(self) -> Connection:
        """Connect to the broker whose turn it is, at any time after the start.

        Raises:
            BrokerError: it cannot be reached, does not answer in time, or refuses, or it is too early after another
                client has taken the id; the message says what to do. A password that is just being replaced is one,
                too, for it comes back.
        """
        try:
            connection = self._connect()
        except ConfigError as error:
            raise BrokerError(str(error)) from error
        if self._index > 0:
            threading.Thread(target=self._return, args=(connection,), name="return to mqtt.url", daemon=True).start()
        return connection

    def connect_to_any(self) -> Connection:
        """Connect to the first broker of the list that accepts.

        Raises:
            BrokerError: none of them does.
            ConfigError: see `check_files`.
        """
        refusals = []
        for _ in addresses(self._settings):
            try:
                return self._connect()
            except BrokerError as error:
                refusals.append(str(error))
        raise BrokerError("; ".join(refusals))

    def _connect(self) -> Connection:
        brokers = addresses(self._settings)
        self._look_back(brokers)
        if self._clock.monotonic_s() < self._barred_until_s:
            raise BrokerError(self._why_barred)
        self._index = self._next % len(brokers)
        try:
            connection = self._call(brokers[self._index], self._caller)
        except BrokerError as error:
            servers = error.servers if isinstance(error, ElsewhereError) else ""
            self._next = _named(servers, brokers, otherwise=self._index + 1)
            raise
        self._status = BrokerStatus(
            broker=connection.broker, protocol=connection.protocol, since_utc_ns=self._clock.utc_ns()
        )
        self._current, self._accepted_s = connection, self._clock.monotonic_s()
        return connection

    def _look_back(self, brokers: tuple[Address, ...]) -> None:
        """Learn from how the last connection ended: where to go next, and whether to wait."""
        last, self._current = self._current, None
        if last is None:
            return
        notes, elsewhere = last.notes, last.notes.ended_code in ELSEWHERE
        self._next = self._index + 1 if last.fruitless else 0
        if elsewhere:
            self._next = _named(reference(notes.said), brokers, otherwise=self._index + 1)
        away_s = self._rivals.stay_away_s(
            taken_over=notes.ended_code == TAKEN_OVER,
            broke=notes.ended_code is None and not last.hung_up and not notes.refused,
            lasted_s=self._clock.monotonic_s() - self._accepted_s,
        )
        self._barred_until_s = self._clock.monotonic_s() + away_s
        self._why_barred = last.lost or ""
        if notes.ended_code is None:
            self._why_barred += (
                f" soon after it was made, several times in a row; does another client have the id "
                f"{self._caller.client_id}, or does the broker not allow a topic?"
            )
        self._why_barred += f"; not tried again for {away_s:.0f} s"  # the same words each time, for the log

    def _call(self, address: Address, caller: Caller) -> Connection:
        """Connect with what the broker is known to take; find that out where nothing is known."""
        now_s = self._clock.monotonic_s()
        habits = self._habits.get(address)
        if habits is None or habits.until_s <= now_s:
            habits = _Habits(version=MQTT_5 if self._settings.protocol == MQTT_5 else MQTT_311)
        tried, refused = habits, None
        while True:
            try:
                connection = dial(caller, address, tried.version, retain_will=tried.retain_will)
            except RetainRefusedError:
                if not tried.retain_will or caller.will is None:
                    raise
                tried = replace(tried, retain_will=False)
            except VersionRefusedError as error:
                if tried.version != MQTT_5:
                    raise refused or error from None  # what it said to the version that is asked for says more
                tried, refused = replace(tried, version=MQTT_311), error
            else:
                if tried is not habits:
                    self._habits[address] = replace(tried, until_s=now_s + REMEMBER_S)
                return connection

    def _return(self, connection: Connection) -> None:
        """Ask the first broker every now and then, for as long as the connection with another one lasts."""
        first = addresses(self._settings)[0]
        caller = replace(self._caller, client_id=id_beside(self._caller.client_id, "probe"), will=None)
        while not connection.notes.wait_for(lambda: connection.notes.ended is not None, self._settings.return_every_s):
            try:
                self._call(first, caller).close()
            except (BrokerError, ConfigError) as error:
                log.debug("%s", error)
                continue
            log.info("broker %s: it is back; leaving %s", first, connection.broker)
            connection.leave()
            return


def connect(settings: MqttSettings, *, client_id: str, will: Message | None) -> Connection:
    """Connect once, to the first broker of the list that accepts, and wait for its consent.

    Args:
        settings: which brokers, and as whom.
        client_id: the same for every connection of this device, and of no other device.
        will: what the broker shall publish, retained, when the connection breaks; also the farewell. None for one who
            only listens.

    Raises:
        BrokerError: none can be reached, answers in time, or agrees; the message says what to do.
        ConfigError: see `check_files`.
    """
    return Brokers(settings, client_id=client_id, will=will, clock=SystemClock()).connect_to_any()


def _named(servers: str, brokers: tuple[Address, ...], *, otherwise: int) -> int:
    """Which of our brokers is one that another broker sends us to; the agent goes nowhere else."""
    names = set(servers.split())
    for index, address in enumerate(brokers):
        if names & {address.host, f"{address.host}:{address.port}", str(address)}:
            return index
    return otherwise
