"""The showcase: the optional outputs of one station, from logged frames and figures to messages, in the link's thread.

What waits is bounded and the oldest gives way: an output that nobody takes costs neither memory nor time. A fault of an output is told
once and leaves the others alone.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from inspector.core.inspection import Inspection
from inspector.edge.extras.homeassistant import discovery_message
from inspector.edge.extras.overlay import jpeg_within, overlay
from inspector.edge.extras.sparkplug import asks_rebirth
from inspector.edge.extras.sparkplug_node import SparkplugNode
from inspector.edge.incoming import Incoming
from inspector.edge.newest import Shown
from inspector.edge.outbox import Message
from inspector.edge.topics import Topics
from inspector.settings import CommandsSection, ExtrasSection

_RESULTS = 256
"""Results that may wait; a result in memory takes some kilobytes."""
_PICTURES = 2
"""Pictures that may wait; a frame in memory takes some megabytes."""
_KEPT = {"none": (), "fail": ("fail",), "review": ("fail", "review"), "all": ("pass", "fail", "review")}


@dataclass(slots=True)
class Metrics:
    """Figures about the station, every so often, the first time at once."""

    every_s: float = 0.0
    """How often; 0: never."""
    make: Callable[[], Message] | None = None
    """Makes the message."""
    due_s: float = 0.0
    """When the next one is due, by the clock that is given."""

    def due(self, now_s: float) -> Callable[[], Message] | None:
        """Return what makes the message if it is time for one."""
        if self.make is None or not self.every_s or now_s < self.due_s:
            return None
        self.due_s = now_s + self.every_s
        return self.make


class Showcase:
    """Optional outputs. ``offer`` belongs to the frame loop, all else to the link's thread."""

    def __init__(
        self,
        rules: ExtrasSection,
        commands: CommandsSection,
        topics: Topics,
        message: Callable[[Inspection], Message],
        tell: Callable[[str, str], None],
        metrics: Metrics | None = None,
    ) -> None:
        """Take the rules. ``message`` makes the message about an inspection, ``tell`` takes kind and detail of an event."""
        self._metrics = metrics or Metrics()
        self._rules, self._commands, self._topics, self._message, self._tell = rules, commands, topics, message, tell
        self._node = SparkplugNode(topics, rules) if rules.sparkplug else None
        self._results: deque[Inspection] = deque(maxlen=_RESULTS)
        self._pictures: deque[Shown] = deque(maxlen=_PICTURES)
        self._faulty: set[str] = set()
        self._reborn: Message | None = None

    def offer(self, shown: Shown) -> bool:
        """Show what was logged; return whether any output wants it. Never waits and never fails."""
        wants_result = self._rules.last or self._node is not None
        if wants_result:
            self._results.append(shown.inspection)
        wants_picture = bool(shown.inspection.verdict.disposition in _KEPT[self._rules.image] and shown.frame.image.size)
        if wants_picture:
            self._pictures.append(shown)
        return wants_result or wants_picture

    @property
    def topics(self) -> tuple[tuple[str, int], ...]:
        """(topic, QoS) to listen on."""
        return () if self._node is None else ((self._node.topic("NCMD"), 1),)

    def will(self) -> Message | None:
        """Return the will of a connection that is about to be made."""
        return None if self._node is None else self._node.death()

    def births(self) -> Iterator[tuple[Message, int]]:
        """Yield (message, QoS) at the begin of a connection."""
        if self._rules.homeassistant:
            yield from self._made("extras.homeassistant", lambda: discovery_message(self._topics, self._rules, self._commands.allow), 1)
        if self._node is not None:
            yield from self._made("extras.sparkplug", partial(self._node.birth, time.monotonic()), 0)

    def deaths(self) -> Iterator[tuple[Message, int]]:
        """Yield (message, QoS) before a clean end."""
        if self._node is not None:
            yield self._node.obituary(), 1

    def take_in(self, message: Incoming) -> bool:
        """Take a message that is meant for an output; return False if it is not."""
        if self._node is None or message.topic != self._node.topic("NCMD"):
            return False
        if asks_rebirth(message.payload) and (again := self._node.rebirth(time.monotonic())) is not None:
            self._reborn = again
        return True

    def due(self) -> Iterator[tuple[Message, int]]:
        """Yield (message, QoS) of what is to be shown now: of the retained copy only the newest, of the pictures one."""
        if self._reborn is not None:
            yield self._reborn, 0
            self._reborn = None
        newest = None
        while self._results:
            newest = self._results.popleft()
            if self._node is not None:
                yield from self._made("extras.sparkplug", partial(self._node.data, newest), 0)
        if newest is not None and self._rules.last:
            yield from self._made("extras.last", partial(self._last, newest), 1)
        if self._pictures:
            yield from self._made("extras.image", partial(self._image, self._pictures.popleft()), 0)
        if (make := self._metrics.due(time.monotonic())) is not None:
            yield from self._made("health.metrics_every_s", make, 0)

    def _last(self, inspection: Inspection) -> Message:
        return Message(self._topics.last, self._message(inspection).payload, retain=True)

    def _image(self, shown: Shown) -> Message | None:
        jpeg = jpeg_within(overlay(shown.frame.image, shown.inspection), self._rules.image_max_bytes)
        return None if jpeg is None else Message(self._topics.image(shown.inspection.inspection_id), jpeg, "image/jpeg")

    def _made(self, key: str, make: Callable[[], Message | None], qos: int) -> Iterator[tuple[Message, int]]:
        """Yield what an output makes; tell when it begins to fail and when it works again."""
        try:
            message = make()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with an optional output must not end commands and the other outputs
            if key not in self._faulty:
                self._faulty.add(key)
                self._tell("output-lost", f"{key}: {type(error).__name__}: {error}")
            return
        if key in self._faulty:
            self._faulty.remove(key)
            self._tell("output-back", f"{key}: works again")
        if message is not None:
            yield message, qos
