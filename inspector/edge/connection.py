"""One MQTT connection, from CONNECT to its end, driven by the thread that made it.

It opens no thread and keeps nothing across connections: what is not acknowledged is sent again from the outbox. Every
failure, one in a callback included, is raised where the thread can see it.
"""

import select
import socket
from collections import deque
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from inspector.edge.access import Access
from inspector.edge.incoming import Incoming
from inspector.edge.outbox import Message
from inspector.errors import PublishError
from inspector.settings import MqttSection

_UNREAD = 256
"""Messages that may wait to be read; the oldest gives way."""


class OldProtocolError(PublishError):
    """The broker does not speak the protocol that was offered."""


class RefusedError(PublishError):
    """The broker does not accept the station."""


class Connection:
    """An MQTT connection; MQTT 5, or 3.1.1 if ``old``."""

    def __init__(
        self, mqtt: MqttSection, client_id: str, access: Access, will: Message | None, *, old: bool = False, session_s: int = 60
    ) -> None:
        """Prepare a connection; ``open`` makes it. Without a will it is bare: the broker remembers nothing of it.

        ``session_s`` is how long the broker remembers it; a broken connection's will is sent by then at the latest.
        """
        self.answers: deque[tuple[int, str | None]] = deque()
        """(message id, None or the broker's reason for refusing it), in the order of arrival."""
        self.inbox: deque[Incoming] = deque(maxlen=_UNREAD)
        """Messages on subscribed topics, in the order of arrival."""
        self.unheard: str | None = None
        """Why the broker refuses a subscription, or None."""
        self.is_accepted = False
        """True once the broker has accepted the connection."""
        self.receive_maximum = 65_535
        """Messages in flight that the broker allows."""
        self.max_packet_bytes = 268_435_455
        """Longest packet that the broker takes, bytes."""
        self._mqtt = mqtt
        self._old = old
        self._session_s = 0 if will is None else session_s
        self._fault: str | None = None
        self._client = self._new_client(client_id, access, will)

    def open(self) -> None:
        """Connect and send CONNECT. Raises ``PublishError`` if nobody answers at the address."""
        mqtt, session = self._mqtt, self._session()
        clean = paho.MQTT_CLEAN_START_FIRST_ONLY if self._old else self._session_s == 0
        try:
            self._client.connect(mqtt.host, mqtt.port, mqtt.keepalive_s, clean_start=clean, properties=session)
        except (OSError, ValueError) as error:  # TLS and name failures are OSErrors too
            raise PublishError(
                f"{self._where}: cannot connect: {error}; is the broker running, and are mqtt.host, port and TLS right?"
            ) from error

    def turn(self, wake: socket.socket, timeout_s: float) -> None:
        """Read and write what is due; wait for the broker or for a byte on ``wake`` at most ``timeout_s``.

        Raises ``PublishError`` when the connection is lost or refused, ``OldProtocolError`` when the broker does not speak MQTT 5.
        """
        client_socket = self._client.socket()
        if client_socket is None:
            raise self._lost()
        unread = getattr(client_socket, "pending", lambda: 0)()  # bytes that TLS has decrypted are invisible to select
        writers = [client_socket] if self._client.want_write() else []
        readable, writable, _ = select.select([client_socket, wake], writers, [], 0.0 if unread else timeout_s)
        if wake in readable:
            wake.recv(4096)
        code = paho.MQTT_ERR_SUCCESS
        if client_socket in readable or unread:
            code = self._client.loop_read()
        if writable and code == paho.MQTT_ERR_SUCCESS:
            code = self._client.loop_write()
        if code == paho.MQTT_ERR_SUCCESS:
            code = self._client.loop_misc()
        if code != paho.MQTT_ERR_SUCCESS or self._fault is not None:
            raise self._lost(paho.error_string(code))

    def send(self, message: Message, qos: int = 1) -> int:
        """Send a message and return its message id; the answer comes in ``answers`` (with QoS 0 as soon as it is on its way)."""
        sent = self._client.publish(message.topic, message.payload, qos, message.retain, None if self._old else _properties(message))
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise self._lost(paho.error_string(sent.rc))
        return sent.mid

    def subscribe(self, topic: str, qos: int) -> None:
        """Ask for messages on a topic; they come in ``inbox``. What was sent to be kept can be told from the rest."""
        if self._old:
            self._client.subscribe(topic, qos)
        else:
            self._client.subscribe(topic, options=SubscribeOptions(qos, retainAsPublished=True))

    @property
    def is_clear(self) -> bool:
        """True if all that was sent has left this machine: a message that may be left out should wait for this."""
        return not self._client.want_write()

    def close(self) -> None:
        """Say goodbye, if there is somebody to hear it, and close the socket."""
        if self._client.socket() is not None:
            self._client.disconnect()
            self._client.loop_write()
        still_open = self._client.socket()
        if still_open is not None:
            still_open.close()

    def abandon(self) -> None:
        """Close the socket without a goodbye, so that the broker sends the last will if nobody comes back."""
        client_socket = self._client.socket()
        if client_socket is not None:
            client_socket.close()

    @property
    def _where(self) -> str:
        return f"broker {self._mqtt.host}:{self._mqtt.port}"

    def _new_client(self, client_id: str, access: Access, will: Message | None) -> paho.Client:
        """Return a paho client with its callbacks, will and access set."""
        protocol = paho.MQTTv311 if self._old else paho.MQTTv5
        clean = True if self._old else None
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=clean, protocol=protocol, reconnect_on_failure=False)
        client.connect_timeout = 5.0
        client.max_inflight_messages_set(0)  # the window is the publisher's, so that it knows what is under way
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        if will is not None:
            properties = None if self._old else _will_properties(will, min(5, self._session_s))
            client.will_set(will.topic, will.payload, 1, will.retain, properties)
        if access.username is not None:
            client.username_pw_set(access.username, access.password)
        if access.tls is not None:
            client.tls_set_context(access.tls)
        return client

    def _session(self) -> Properties | None:
        """Let the session outlive a broken connection: without it the will's delay would have no effect."""
        if self._old or self._session_s == 0:
            return None
        properties = _new_properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._session_s
        return properties

    def _on_connect(self, _client: object, _userdata: object, _flags: object, reason: ReasonCode, properties: Properties | None) -> None:
        if not reason.is_failure:
            self.is_accepted = True
            self.receive_maximum = getattr(properties, "ReceiveMaximum", self.receive_maximum)
            self.max_packet_bytes = getattr(properties, "MaximumPacketSize", self.max_packet_bytes)
        elif reason == "Unsupported protocol version":
            raise OldProtocolError(f"{self._where}: does not speak MQTT {'3.1.1' if self._old else '5'}")
        else:
            raise RefusedError(
                f"{self._where}: refused the connection: {reason}; check mqtt.username, the password and the broker's access list"
            )

    def _on_publish(self, _client: object, _userdata: object, mid: int, reason: ReasonCode, _properties: Properties) -> None:
        self.answers.append((mid, str(reason) if reason.is_failure else None))

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self.inbox.append(Incoming.of(message))

    def _on_subscribe(self, _client: object, _userdata: object, _mid: int, reasons: list[ReasonCode], _properties: object) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self.unheard = refused[0] if refused else None

    def _on_disconnect(self, _client: object, _userdata: object, _flags: Any, reason: ReasonCode, _properties: object) -> None:  # noqa: ANN401 - paho's
        if self._fault is not None:  # the broker has told the reason before it closed the connection
            return
        self._fault = f"{self._where}: connection lost: {reason}"
        if reason == "Session taken over":
            self._fault += "; another program uses this station's client id: has another station the same name?"

    def _lost(self, detail: str = "closed") -> PublishError:
        """Return the error that tells why the connection is over."""
        return PublishError(self._fault or f"{self._where}: connection lost: {detail}")


def _new_properties(packet_type: int) -> Properties:
    """Return empty MQTT 5 properties."""
    return Properties(packet_type)  # type: ignore[no-untyped-call]


def _properties(message: Message) -> Properties:
    """Return a message's MQTT 5 properties."""
    properties = _new_properties(PacketTypes.PUBLISH)
    properties.ContentType = message.content_type
    if message.properties:
        properties.UserProperty = list(message.properties.items())
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    if message.response_topic is not None:
        properties.ResponseTopic = message.response_topic
    return properties


def _will_properties(message: Message, delay_s: int) -> Properties:
    """Return the will's properties: it waits, so that a quick reconnection is not announced as an outage."""
    properties = _new_properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = delay_s
    properties.ContentType = message.content_type
    return properties
