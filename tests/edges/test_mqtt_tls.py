"""TLS with a real broker: who is trusted, who is not, and that each is told in one line what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import brokers
import pytest
from authorities import FUTURE, HERE, NOW, PAST, Authority, Pair, needs_openssl
from brokers import Mosquitto

from edge_agent.edges.mqtt import Connection, MqttSettings, connect
from edge_agent.errors import BrokerError, ConfigError

pytestmark = [brokers.needs_mosquitto, needs_openssl]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder / "authority")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Authority:
    """One that the broker does not know."""
    return Authority(folder / "stranger", "another authority")


def speaking_tls(authority: Authority, pair: Pair, *, mutual: bool = False) -> tuple[str, ...]:
    """What makes mosquitto speak TLS, and want a certificate of the agent, too."""
    lines = (f"certfile {pair.certificate}", f"keyfile {pair.key}", f"cafile {authority.certificate}")
    return (*lines, "require_certificate true", "use_identity_as_username true") if mutual else lines


@pytest.fixture(scope="module")
def mutual(folder: Path, authority: Authority) -> Iterator[Mosquitto]:
    """A broker that lets in who has a certificate."""
    pair = authority.sign("mutual-broker", names=HERE, purpose="serverAuth")
    with brokers.running(folder, *speaking_tls(authority, pair, mutual=True)) as broker:
        yield broker


def open_connection(broker: Mosquitto, **settings: Any) -> Connection:
    url = broker.url.replace("mqtt:", "mqtts:")
    return connect(MqttSettings(url=url, **{"ack_timeout_s": 5, **settings}), client_id="pi", will=None)


def refusal(broker: Mosquitto, **settings: Any) -> str:
    with pytest.raises(BrokerError) as raised:
        open_connection(broker, **settings)
    said = str(raised.value)
    assert said.startswith(f"broker mqtts://127.0.0.1:{broker.port}: ")
    assert "\n" not in said
    return said.partition(f"{broker.port}: ")[2]


@pytest.mark.parametrize("protocol", [5, 3])
def test_who_has_a_certificate_is_let_in(mutual: Mosquitto, authority: Authority, protocol: int) -> None:
    own = authority.sign(f"agent-{protocol}", purpose="clientAuth")
    with closing(
        open_connection(
            mutual, ca_file=authority.certificate, cert_file=own.certificate, key_file=own.key, protocol=protocol
        )
    ) as connection:
        assert connection.lost is None
    assert f"u'agent-{protocol}'" in mutual.log.read_text()  # it knows the agent by the name in the certificate


def test_who_has_none_is_told_to_get_one(mutual: Mosquitto, authority: Authority) -> None:
    assert "wants a certificate of the agent; set mqtt.cert_file and mqtt.key_file" in refusal(
        mutual, ca_file=authority.certificate
    )


def test_an_expired_certificate_of_the_agent_is_said(mutual: Mosquitto, authority: Authority) -> None:
    own = authority.sign("old-agent", purpose="clientAuth", valid=PAST)
    assert "the agent's certificate has expired; make a new one for mqtt.cert_file" in refusal(
        mutual, ca_file=authority.certificate, cert_file=own.certificate, key_file=own.key
    )


def test_a_certificate_of_the_agent_that_a_stranger_signed_is_said(
    mutual: Mosquitto, authority: Authority, stranger: Authority
) -> None:
    own = stranger.sign("agent", purpose="clientAuth")
    assert "does not trust who signed the agent's certificate; take one for mqtt.cert_file that" in refusal(
        mutual, ca_file=authority.certificate, cert_file=own.certificate, key_file=own.key
    )


def test_a_certificate_that_is_for_brokers_only_is_said(mutual: Mosquitto, authority: Authority) -> None:
    own = authority.sign("no-client", purpose="serverAuth")
    assert "the agent's certificate is not one for clients; make one for that use" in refusal(
        mutual, ca_file=authority.certificate, cert_file=own.certificate, key_file=own.key
    )


def test_a_key_of_another_certificate_is_for_a_person_to_mend(mutual: Mosquitto, authority: Authority) -> None:
    first, second = authority.sign("first"), authority.sign("second")
    with pytest.raises(ConfigError, match=r"mqtt\.cert_file .*first\.pem .*: the key belongs to another certificate"):
        open_connection(mutual, ca_file=authority.certificate, cert_file=first.certificate, key_file=second.key)


def test_a_certificate_and_a_key_that_were_swapped_are_said(mutual: Mosquitto, authority: Authority) -> None:
    own = authority.sign("swapped")
    with pytest.raises(ConfigError, match=r"mqtt\.cert_file .*: not a certificate and a key as PEM .*swapped\?"):
        open_connection(mutual, ca_file=authority.certificate, cert_file=own.key, key_file=own.certificate)


def test_an_authority_that_nobody_knows_is_said(mutual: Mosquitto) -> None:
    assert "it is signed by an authority that this machine does not know; put the authority's certificate" in refusal(
        mutual
    )


def test_another_authority_than_the_one_in_the_file_is_said(mutual: Mosquitto, stranger: Authority) -> None:
    assert "its certificate is not trusted (" in refusal(mutual, ca_file=stranger.certificate)


@pytest.mark.parametrize(
    ("names", "valid", "said"),
    [
        ("DNS:broker.local", NOW, "it is for another address; write the name that stands in it into mqtt.url"),
        (HERE, PAST, "it has expired; renew it on the broker, and check this machine's clock"),
        (HERE, FUTURE, "it is not valid yet; check this machine's clock"),
    ],
)
def test_a_broker_whose_certificate_is_wrong_is_not_trusted(
    tmp_path: Path, names: str, valid: tuple[str, str], said: str
) -> None:
    own = Authority(tmp_path / "own")
    with brokers.running(tmp_path, *speaking_tls(own, own.sign("broker", names=names, valid=valid))) as broker:
        assert said in refusal(broker, ca_file=own.certificate)


def test_another_name_than_the_one_in_the_certificate_is_not_trusted(tmp_path: Path, authority: Authority) -> None:
    pair = authority.sign("named-broker", names="DNS:broker.local")
    with brokers.running(tmp_path, *speaking_tls(authority, pair)) as broker:
        settings = MqttSettings(url=f"mqtts://localhost:{broker.port}", ca_file=authority.certificate)
        with pytest.raises(BrokerError, match=r"it is for another name; write the name that stands in it into mqtt\."):
            connect(settings, client_id="pi", will=None)


def test_a_certificate_that_signed_itself_is_trusted_when_it_is_in_the_file_and_not_before(tmp_path: Path) -> None:
    alone = Authority(tmp_path / "alone", "127.0.0.1")
    pair = Pair(certificate=alone.certificate, key=tmp_path / "alone" / "authority.key")
    with brokers.running(tmp_path, *speaking_tls(alone, pair)) as broker:
        assert "it is signed by itself; put that certificate into mqtt.ca_file" in refusal(broker)


def test_tls_to_a_port_without_it_is_said(tmp_path: Path) -> None:
    with brokers.running(tmp_path) as broker:
        assert "does this port speak TLS?" in refusal(broker)


def test_no_tls_to_a_port_with_it_is_said(mutual: Mosquitto) -> None:
    with pytest.raises(BrokerError, match="hangs up without an answer; does it want mqtts://"):
        connect(MqttSettings(url=mutual.url), client_id="pi", will=None)


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_certificate_files_that_cannot_be_read_are_for_a_person_to_mend(tmp_path: Path, key: str) -> None:
    def settings(name: str) -> MqttSettings:
        return MqttSettings(url="mqtts://127.0.0.1:1", **{key: tmp_path / name})

    with pytest.raises(ConfigError, match=rf"mqtt\.{key} .*/nothing.*: No such file or directory"):
        connect(settings("nothing"), client_id="pi", will=None)
    (tmp_path / "garbage").write_text("no certificate")
    with pytest.raises(ConfigError, match=rf"mqtt\.{key} .*/garbage"):
        connect(settings("garbage"), client_id="pi", will=None)


def test_there_is_no_switch_that_turns_the_check_off() -> None:
    words = " ".join(MqttSettings.model_fields).lower()
    assert not any(word in words for word in ("insecure", "verify", "skip", "trust", "check"))
