"""The check of the broker: address, TLS, password and MQTT, each with its own advice. Nothing is published."""

import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from inspector.cli.findings import Found, Subject, fault, note, ok
from inspector.edge.access import Access, read_access
from inspector.settings import MqttSection

_TIMEOUT_S = 5.0


def check_broker(subject: Subject) -> Iterator[Found]:
    """Connect as the daemon does, with a client id of its own so that a running daemon is not thrown out."""
    mqtt = subject.settings.mqtt
    if not mqtt.enabled:
        yield note("mqtt.enabled is false: results stay in the log")
        return
    where = f"{mqtt.host}:{mqtt.port}"
    access = read_access(mqtt, subject.folder)
    try:
        socket.create_connection((mqtt.host, mqtt.port), _TIMEOUT_S).close()
    except OSError as error:
        yield fault(f"{where}: {_unreachable(error)} (until it answers, results wait in the outbox)")
        return
    refusal = _refusal(mqtt, access, MQTTProtocolVersion.MQTTv5)
    if refusal is None:
        yield ok(f"{where}: accepts MQTT 5{' over TLS' if access.tls else ''}")
    elif _refusal(mqtt, access, MQTTProtocolVersion.MQTTv311) is None:
        yield note(f"{where}: accepts MQTT 3.1.1 only, messages go without CloudEvents attributes")
    else:
        yield fault(f"{where}: {refusal}")


def _unreachable(error: OSError) -> str:
    """Return why no connection came about, and what to do."""
    if isinstance(error, socket.gaierror):
        return "there is no machine of this name; check mqtt.host and the name server"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there; is the broker running, and is mqtt.port right?"
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT_S:g} s; check mqtt.host, the cable and the firewall"
    return f"cannot be reached ({error.strerror or error}); check the network"


def _refusal(mqtt: MqttSection, access: Access, protocol: MQTTProtocolVersion) -> str | None:
    """Connect and return why the broker does not accept us, None if it does."""
    answers: list[ReasonCode] = []

    def on_connect(_client: object, _userdata: object, _flags: Any, reason: ReasonCode, _properties: object) -> None:  # noqa: ANN401 - paho's
        answers.append(reason)

    client = paho.Client(
        CallbackAPIVersion.VERSION2, f"inspector-check-{uuid.uuid4().hex[:12]}", protocol=protocol, reconnect_on_failure=False
    )
    client.connect_timeout = _TIMEOUT_S
    client.on_connect = on_connect
    if access.username is not None:
        client.username_pw_set(access.username, access.password)
    if access.tls is not None:
        client.tls_set_context(access.tls)
    try:
        client.connect(mqtt.host, mqtt.port, mqtt.keepalive_s)
        deadline = time.monotonic() + _TIMEOUT_S
        while not answers and time.monotonic() < deadline and client.loop(0.2) == paho.MQTT_ERR_SUCCESS:
            pass
        client.disconnect()
    except (OSError, ValueError) as error:  # TLS failures are OSErrors
        return f"cannot connect: {error}; check port, ca_file, cert_file and key_file"
    if not answers:
        return "takes connections but does not speak MQTT; check mqtt.port, and ca_file if the broker wants TLS"
    return f"refused: {answers[0]}; check username, password and the broker's access list" if answers[0].is_failure else None
