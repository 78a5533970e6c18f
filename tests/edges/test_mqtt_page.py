"""docs/mqtt.md: its steps are run as they stand there, and its tables hold every refusal."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

import brokers
import pytest
import yaml
from authorities import needs_openssl
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.edges.mqtt import MqttSettings, connect
from edge_agent.edges.mqtt.words import ADVICE
from edge_agent.errors import BrokerError

PAGE = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text(encoding="utf-8")
STEPS = PAGE.partition("## TLS in six steps")[2].partition("\n## ")[0]


def fences(info: str) -> list[str]:
    """What stands in the fences of a kind among the steps; the names of the example are those of this machine."""
    found = [
        textwrap.dedent(text) for text in re.findall(rf"^ *```{info}\n(.*?)^ *```$", STEPS, re.DOTALL | re.MULTILINE)
    ]
    return [text.replace("broker.local", "localhost").replace("192.0.2.2", "127.0.0.1") for text in found]


@brokers.needs_mosquitto
@needs_openssl
def test_the_steps_lead_to_a_connection_that_only_who_took_them_gets(tmp_path: Path) -> None:
    for commands in fences("bash"):
        subprocess.run(["bash", "-euc", commands], cwd=tmp_path, check=True, capture_output=True)
    [conf] = fences("text")
    lines = [line.replace("/etc/mosquitto/certs", str(tmp_path)) for line in conf.splitlines()]
    assert lines[0] == "listener 8883"  # of which the test has a port of its own
    [config] = fences("yaml")
    with brokers.running(tmp_path, *lines[1:]) as broker:
        own = yaml.safe_load(config.replace("8883", str(broker.port)))["mqtt"]
        paths = {key: tmp_path / value for key, value in own.items() if key.endswith("_file")}
        for url in (own["url"], own["url"].replace("localhost", "127.0.0.1")):
            connect(MqttSettings(url=url, **paths), client_id="pi", will=None).close()
        assert "u'gate-pi'" in broker.log.read_text()  # known by the name in its certificate
        with pytest.raises(BrokerError, match="wants a certificate of the agent"):
            connect(MqttSettings(url=own["url"], ca_file=paths["ca_file"]), client_id="pi", will=None)


@pytest.mark.parametrize("code", ADVICE, ids=hex)
def test_every_refusal_stands_in_the_table(code: int) -> None:
    [row] = re.findall(rf"^\| `0x{code:02X}`.*$", PAGE, re.MULTILINE)
    assert f"| {next(iter(ReasonCode.names[code])).lower()} | {ADVICE[code]} |" in row


def test_every_setting_is_explained() -> None:
    table = PAGE.partition("## Settings, and why")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))) == set(
        MqttSettings.model_fields
    )
