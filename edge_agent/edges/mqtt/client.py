"""paho's client, which no message of somebody else can take the line from."""

from __future__ import annotations

import logging

from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MQTTException

log = logging.getLogger(__name__)

_QOS_1 = 1


class Client(paho.Client):
    """Acknowledges what paho cannot read, and leaves it out.

    paho 2.2 takes U+FEFF in a property for a fault, which MQTT 5 allows (section 1.5.4) and brokers pass on, and ends
    the connection. One such message, retained where the agent listens, would end each connection anew, for ever.
    """

    def _handle_publish(self) -> MQTTErrorCode:
        try:
            return super()._handle_publish()
        except (MQTTException, UnicodeDecodeError) as error:
            log.debug("a message is left out: %s", error)
        if self._in_packet["command"] >> 1 & 0b11 != _QOS_1:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        packet = self._in_packet["packet"]
        after_topic = 2 + int.from_bytes(packet[:2], "big")
        return self._send_puback(int.from_bytes(packet[after_topic : after_topic + 2], "big"))
