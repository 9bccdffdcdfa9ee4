"""The station's MQTT topics, below ``<root>/<site>/<area>/<line>/<station>/`` (ISA-95 order)."""

from dataclasses import dataclass
from typing import Self

from inspector.settings import StationSettings


@dataclass(frozen=True, slots=True)
class Topics:
    """Where a station publishes. The levels hold no wildcard; the settings see to that."""

    root: str
    """What all topics begin with, one or more levels, such as ``inspector/v1``."""
    site: str
    """Site."""
    area: str
    """Area within the site."""
    line: str
    """Line within the area."""
    station: str
    """Name of the station."""

    @classmethod
    def of(cls, settings: StationSettings) -> Self:
        """Return the topics of a station."""
        place = settings.station
        return cls(settings.mqtt.root, place.site, place.area, place.line, settings.name)

    @property
    def place(self) -> str:
        """Site, area, line and station: what names the station in messages, whatever the root."""
        return f"{self.site}/{self.area}/{self.line}/{self.station}"

    @property
    def base(self) -> str:
        """What all topics of the station begin with."""
        return f"{self.root}/{self.place}"

    @property
    def status(self) -> str:
        """State of the station; retained, also the last will."""
        return f"{self.base}/status"

    @property
    def info(self) -> str:
        """What the station is: version, model, labels, cameras; retained, sent at each connection."""
        return f"{self.base}/info"

    @property
    def result(self) -> str:
        """One message an inspection; QoS 1, from the outbox."""
        return f"{self.base}/result"

    @property
    def event(self) -> str:
        """Alarms and their ends; QoS 1, from the outbox."""
        return f"{self.base}/event"

    @property
    def review(self) -> str:
        """What people decided about parts; QoS 1, from the outbox."""
        return f"{self.base}/review"

    @property
    def metrics(self) -> str:
        """Figures about the daemon; QoS 0."""
        return f"{self.base}/metrics"

    @property
    def last(self) -> str:
        """The newest result; retained, optional."""
        return f"{self.base}/last"

    def image(self, inspection_id: str) -> str:
        """Return the topic of a picture with the verdict drawn in; QoS 0, optional."""
        return f"{self.base}/image/{inspection_id}"

    def reply(self, verb: str) -> str:
        """Return the topic of the answer to a command that names no other."""
        return f"{self.base}/reply/{verb}"

    def command(self, verb: str) -> str:
        """Return the topic on which a command comes in; ``+`` and ``#`` subscribe to several."""
        return f"{self.base}/cmd/{verb}"
