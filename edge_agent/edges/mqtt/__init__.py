"""MQTT: connections to one broker of a list, and what is said of each that refuses; only paho-mqtt lives here."""

from edge_agent.edges.mqtt.access import check_files
from edge_agent.edges.mqtt.brokers import Brokers, BrokerStatus, connect
from edge_agent.edges.mqtt.client_ids import id_beside, id_of_command, id_of_device
from edge_agent.edges.mqtt.connection import Connection
from edge_agent.edges.mqtt.listener import Listener
from edge_agent.edges.mqtt.notes import Receipt
from edge_agent.edges.mqtt.settings import MqttSettings

__all__ = [
    "BrokerStatus",
    "Brokers",
    "Connection",
    "Listener",
    "MqttSettings",
    "Receipt",
    "check_files",
    "connect",
    "id_beside",
    "id_of_command",
    "id_of_device",
]
