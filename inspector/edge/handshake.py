"""Getting a connection accepted: MQTT 5, or 3.1.1 where the broker says that it does not speak MQTT 5.

Only a broker that says so gets 3.1.1, because that protocol cannot tell that a message was denied. Some old brokers answer
nothing at all to a full MQTT 5 CONNECT; silence is therefore followed by the barest one, to which they do say no.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from inspector.edge.access import Access
from inspector.edge.connection import Connection, OldProtocolError, RefusedError
from inspector.edge.outbox import Message
from inspector.errors import PublishError
from inspector.settings import MqttSection


class NoAnswerError(PublishError):
    """The broker took the connection and said nothing."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a station presents itself to the broker."""

    mqtt: MqttSection
    """Where the broker is."""
    client_id: str
    """Client id of the station."""
    access: Access
    """Password and TLS keys."""
    will: Message | None
    """What the broker is to publish if the station falls silent."""
    turn: Callable[[Connection], None]
    """Waits for the broker, a second at most."""
    is_leaving: Callable[[], bool]
    """True when nobody wants the connection any more."""
    session_s: int = 60
    """How long the broker remembers a broken connection, seconds."""

    def connect(self) -> Connection:
        """Return an accepted connection. Raises ``PublishError``."""
        try:
            return self._open(patience_s=min(2.0, self.mqtt.ack_timeout_s))
        except OldProtocolError:
            return self._open(old=True)
        except NoAnswerError:
            return self._open(old=not self._speaks_mqtt5())

    def _speaks_mqtt5(self) -> bool:
        """Ask with a CONNECT that an old broker can read: no will, no properties, no user name."""
        bare = Connection(self.mqtt, self.client_id, Access(tls=self.access.tls), None)
        try:
            self._await(bare, self.mqtt.ack_timeout_s)
            bare.close()
        except OldProtocolError:
            return False
        except RefusedError:
            return True
        finally:
            bare.abandon()
        return True

    def _open(self, *, old: bool = False, patience_s: float | None = None) -> Connection:
        """Open a connection in full and wait until it is accepted."""
        connection = Connection(self.mqtt, self.client_id, self.access, self.will, old=old, session_s=self.session_s)
        try:
            self._await(connection, self.mqtt.ack_timeout_s if patience_s is None else patience_s)
        except BaseException:
            connection.abandon()
            raise
        return connection

    def _await(self, connection: Connection, patience_s: float) -> None:
        """Connect and wait for the answer to CONNECT."""
        connection.open()
        deadline = time.monotonic() + patience_s
        while not connection.is_accepted:
            if self.is_leaving() or time.monotonic() > deadline:
                where = f"{self.mqtt.host}:{self.mqtt.port}"
                raise NoAnswerError(
                    f"broker {where}: no answer to CONNECT within {patience_s:g} s; is it an MQTT broker, and does it hang?"
                )
            self.turn(connection)
