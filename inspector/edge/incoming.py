"""A message that came in on a subscribed topic, as the station sees it; what only MQTT 5 carries is None or empty on 3.1.1."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from paho.mqtt.client import MQTTMessage


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message."""

    topic: str
    """Topic it was published on."""
    payload: bytes
    """What was sent."""
    retain: bool = False
    """True if it was sent to be kept by the broker, or had been kept."""
    response_topic: str | None = None
    """Where the sender wants its answer."""
    correlation: bytes | None = None
    """What the answer must repeat."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """User properties; the last one of a name counts."""

    @classmethod
    def of(cls, message: MQTTMessage) -> Self:
        """Return what paho received."""
        told = message.properties
        return cls(
            topic=message.topic,
            payload=bytes(message.payload),
            retain=message.retain,
            response_topic=getattr(told, "ResponseTopic", None),
            correlation=getattr(told, "CorrelationData", None),
            properties=dict(getattr(told, "UserProperty", ())),
        )
